import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as samples from '../sample.stage.ts';
import { htmlForm } from './page.ts';
import { pageScript, scriptHash } from './script.ts';
import { pageStyle, styleHash } from './style.ts';

const { conformant, nonconformant, inconclusive, crashed, hostile } = samples;
const all = { conformant, nonconformant, inconclusive, crashed, hostile };

describe('the page as text', () => {
  it('has a policy that fits its style and its script', () => {
    const hashOf = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`;
    expect(styleHash).toBe(hashOf(pageStyle));
    expect(scriptHash).toBe(hashOf(pageScript));
    expect(htmlForm(conformant)).toContain(
      `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${styleHash}'; script-src '${scriptHash}'; base-uri 'none'; form-action 'none'">`,
    );
  });

  it('lets no text from outside be markup', () => {
    const text = htmlForm(hostile).replace(/<(style|script)>[\s\S]*?<\/\1>/g, '');
    expect(text).not.toMatch(/<(?:script|img|iframe)/);
    expect(text).not.toContain('href="javascript');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028\u202e]/);
  });

  it('marks the field that a rule found wrong', () => {
    const story = samples.churnStory.story[0]!;
    if (story.do !== 'call') throw new TypeError('not a call');
    const message = 'rc is 0 but nr_exchanged is 2 of 1';
    const after = (story.record['after'] as string[][]).map(([where, hex]) => [
      where,
      hex?.replace(/0100000000000000$/, '0200000000000000'),
    ]);
    const wrong = { ...story, record: { ...story.record, after }, broken: [{ id: 'get-complete-count', message }] };
    const counterexample = { ...samples.churnStory, message, step: 0, story: [wrong] };
    const result = {
      ...conformant,
      requirements: [{ id: 'get-complete-count', verdict: 'violated' as const, exercised: 1, unknown: 0, violated: 1, counterexample }],
    };
    expect(htmlForm(result)).toContain(
      '<tr class="broken apart"><th scope="row">0x40</th><td class="hex"><span class="zero">00 00 00 00 00 00 00 00</span></td><td>nr_exchanged</td><td>0</td>',
    );
    expect(htmlForm(result)).toContain(
      '<td class="hex"><mark>02</mark> <span class="zero">00 00 00 00 00 00 00</span></td><td></td><td>2</td>',
    );
  });
});

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

describe.skipIf(executablePath === undefined)('the page in a browser (needs Debian: chromium)', () => {
  let browser: Browser;
  let page: Page;
  let folder: string;
  const noise: string[] = [];
  const addressOf = (name: keyof typeof all): string => pathToFileURL(join(folder, `${name}.html`)).href;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'xenmem-html-'));
    for (const [name, result] of Object.entries(all)) writeFileSync(join(folder, `${name}.html`), htmlForm(result));
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.on('console', (message) => noise.push(`${page.url()}: ${message.text()}`));
    page.on('pageerror', (error) => noise.push(`${page.url()}: ${error.message}`));
    page.on('dialog', async (dialog) => {
      noise.push(`${page.url()}: dialog`);
      await dialog.dismiss();
    });
    page.on('request', (request) => {
      const known = Object.keys(all).map((name) => addressOf(name as keyof typeof all));
      if (!known.includes(request.url().split('#')[0] as string)) noise.push(`asked for ${request.url()}`);
    });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  async function open(name: keyof typeof all, hash = ''): Promise<void> {
    // From a blank page, since another fragment of the same page would not load it again.
    await page.goto('about:blank');
    await page.goto(`${addressOf(name)}${hash}`);
  }

  it('loads without a word on the console, a dialog or a request', async () => {
    for (const name of Object.keys(all) as (keyof typeof all)[]) {
      await open(name);
      // Everything unfolded, so that nothing can hide.
      await page.evaluate('document.querySelectorAll("details").forEach((d) => { d.open = true; })');
      expect(await page.locator('script').count()).toBe(1);
      expect(await page.locator('img, iframe, object, embed, [onerror], [onclick]').count()).toBe(0);
    }
    expect(noise).toEqual([]);
  });

  it('opens the counterexample of a row that is clicked', async () => {
    await open('nonconformant');
    const story = page.locator('#story-get-pinned');
    expect(await story.locator('.steps').isVisible()).toBe(false);
    await page.locator('tr', { hasText: 'get-pinned' }).locator('td').nth(1).click();
    expect(await story.locator('.steps').isVisible()).toBe(true);
    expect(await story.locator('.broken-rules').innerText()).toBe(`get-pinned ${samples.churnStory.message}`);
    expect(await story.locator('svg .arrow.named').count()).toBe(2);
    expect(await story.locator('svg .guest.named').innerHTML()).toContain('0x40007');
    expect(await page.evaluate('document.activeElement.textContent')).toContain('get-pinned');
  });

  it('is led to it by the keyboard and by an address, and without the script', async () => {
    await open('nonconformant', '#story-get-rest-untouched');
    expect(await page.locator('#story-get-rest-untouched .steps').isVisible()).toBe(true);
    await page.locator('th a', { hasText: 'get-pinned' }).focus();
    await page.keyboard.press('Enter');
    expect(await page.locator('#story-get-pinned .steps').isVisible()).toBe(true);
    const plain = await browser.newPage({ javaScriptEnabled: false });
    await plain.goto(addressOf('nonconformant'));
    expect(await plain.locator('#filter').isVisible()).toBe(false);
    await plain.locator('#story-get-pinned > summary').click();
    expect(await plain.locator('#story-get-pinned .steps').isVisible()).toBe(true);
    await plain.close();
  });

  it('filters by verdict and by text', async () => {
    await open('nonconformant');
    const shown = (): Promise<string[]> => page.locator('#requirements tbody tr:visible th').allInnerTexts();
    await page.locator('label.choice.violated').click();
    expect(await shown()).toEqual(['get-rest-untouched', 'get-pinned']);
    expect(await page.locator('#filter-count').innerText()).toBe('2 of 42');
    await page.locator('#filter-text').fill('PINNED');
    expect(await shown()).toEqual(['get-pinned']);
    await page.locator('#filter-text').fill('no such thing');
    expect(await shown()).toEqual([]);
    expect(await page.locator('#filter-none').isVisible()).toBe(true);
  });

  it('copies the replay line', async () => {
    await open('nonconformant', '#story-get-pinned');
    const button = page.locator('#story-get-pinned .copy');
    await button.click();
    await page.waitForFunction('document.querySelector("#story-get-pinned .copy").textContent !== "Copy"');
    expect(['Copied', 'Press Ctrl+C']).toContain(await button.innerText());
  });

  it('has contrast enough in both schemes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await open('nonconformant');
      await page.emulateMedia({ colorScheme });
      const least = (await page.evaluate(leastContrast)) as number;
      expect(least).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('unfolds everything to print', async () => {
    await open('nonconformant');
    await page.evaluate('dispatchEvent(new Event("beforeprint"))');
    expect(await page.locator('details:not([open])').count()).toBe(0);
    await page.evaluate('dispatchEvent(new Event("afterprint"))');
    expect(await page.locator('.story[open]').count()).toBe(0);
  });
});

/** The least contrast (WCAG 2) of the colours that text has on the tints it stands on. */
const leastContrast = `(() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = style.getPropertyValue('--' + name).trim().slice(1);
    const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = [['ink', 'paper'], ['ink', 'raised'], ['ink', 'sunk'], ['quiet', 'paper'], ['quiet', 'raised'], ['quiet', 'sunk'], ['link', 'paper'], ['bad', 'paper'], ['warn', 'paper'],
    ['good', 'good-tint'], ['bad', 'bad-tint'], ['warn', 'warn-tint'], ['unknown', 'unknown-tint'], ['ink', 'mark'], ['ink', 'low'], ['ink', 'high'], ['now', 'raised'], ['ink', 'bad-tint'], ['quiet', 'bad-tint'],
    ['quiet', 'low'], ['quiet', 'high'], ['now', 'bad-tint']];
  return Math.min(...pairs.map(([a, b]) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); }));
})()`;
