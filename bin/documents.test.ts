import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { command, pastedIn, root, shows, terminal } from './shell.ts';

// With UPDATE_DOCS set, the outputs are pasted anew, but for those that leave something out.

const pages = ['README.md', 'CONTRIBUTING.md', 'conformance/examples/README.md'].concat(
  readdirSync(join(root, 'docs')).map((file) => `docs/${file}`),
);
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');
const readme = textOf('README.md');

function update(page: string, head: string, old: string, output: string): void {
  writeFileSync(
    join(root, page),
    textOf(page).replace(`${head}${old}\`\`\`\n`, () => `${head}${output}\n\`\`\`\n`),
  );
}

describe('what the documents show is what the commands print', () => {
  const all = pages.flatMap((page) => pastedIn(page));

  it('on each page as often as it says so', () => {
    const counts = pages.map((page) => [page, pastedIn(page).length] as const).filter(([, count]) => count > 0);
    expect(Object.fromEntries(counts)).toEqual({ 'README.md': 3, 'docs/cli.md': 9, 'docs/traces.md': 2 });
    for (const page of pages) expect([page, textOf(page).split('\n$ xenmem ').length - 1]).toEqual([page, pastedIn(page).length]);
  });

  it.each(all.map((one) => [one.page, one.words, one] as const))('%s: xenmem %s', (page, words, { head, output }) => {
    const printed = terminal(root, command, ...words.split(' '));
    if (process.env['UPDATE_DOCS'] && !output.includes('…\n')) return update(page, head, output, printed);
    expect(output.split('\n').filter((row) => [...row].length > 100)).toEqual([]);
    shows(output, printed);
  });

  it('and the library', () => {
    const found = /(```js\n([^`]*(?:`[^`\n]*`[^`]*)*?)```\n\n```output\n)([^`]*)```\n/.exec(readme) as RegExpExecArray;
    const [, head, program, output] = found as unknown as [string, string, string, string];
    const printed = terminal(root, '--input-type=module', '-e', program);
    if (process.env['UPDATE_DOCS']) update('README.md', head, output, printed);
    else shows(output, printed);
  });
});

describe('an output that leaves lines out', () => {
  const printed = 'one\ntwo\nthree\nfour';

  it('shows the beginning, the end, and what is between in its order', () => {
    shows('one\n…\nthree\nfour\n', printed);
    shows('one\n…\ntwo\n…\nfour\n', printed);
    for (const wrong of ['two\n…\nfour\n', 'one\n…\nthree\n', 'one\n…\nthree\n…\ntwo\n…\nfour\n', 'one\ntwo\n', 'one\n…\nfive\n'])
      expect(() => shows(wrong, printed)).toThrow();
  });
});

describe('the two commands', () => {
  it('stand each on a line of its own, and the first has a clean verdict', () => {
    const first = 'npx xenmem validate fixtures/captures/xen-4.17-arm64-balloon.ndjson';
    expect(readme).toContain(`\`\`\`\nnpm ci && ${first}\n\`\`\`\n\n\`\`\`\nnpm test\n\`\`\`\n`);
    const { status, stdout } = spawnSync(process.execPath, [command, ...first.split(' ').slice(2)], { cwd: root, encoding: 'utf8' });
    expect([status, stdout.split('\n').at(-2)]).toEqual([
      0,
      '✓ nothing wrong in what was captured (27 of 80 answers; 0 warnings, 9 notes)',
    ]);
  });
});

describe('the pages', () => {
  it('README says how many calls were recorded on a real Xen, and that no requirement is broken in them', () => {
    const folder = join(root, 'fixtures/captures/live');
    const files = readdirSync(folder).filter((name) => name.endsWith('.ndjson'));
    const summaries = files.map((name) => {
      const { stdout } = spawnSync(process.execPath, [command, 'validate', '--json', join(folder, name)], { encoding: 'utf8' });
      return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '').summary as { calls: number; violated: object };
    });
    expect(readme).toContain(`and ${summaries.reduce((sum, { calls }) => sum + calls, 0)} more by \`xenmem live\``);
    expect(summaries.map(({ violated }) => violated)).toEqual(files.map(() => ({})));
  });

  it('README has at most 150 lines', () => expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(150));

  it('docs/api.md says what the built declarations say (npm run docs writes it)', async () => {
    const { apiPage } = (await import(pathToFileURL(join(root, 'conformance/tools/docs/api.mjs')).href)) as { apiPage: () => string };
    expect(textOf('docs/api.md')).toBe(apiPage());
  });

  it.each(pages)('%s leads to files and headings that are there', (page) => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const lost = links.flatMap(([link, to = '', heading]) => {
      const file = to === '' ? page : relative(root, join(root, dirname(page), to));
      if (!existsSync(join(root, file))) return [link];
      return heading === undefined || headings(textOf(file)).includes(heading) ? [] : [link];
    });
    expect(lost).toEqual([]);
  });
});

/** The anchors of a page: its headings in small letters, spaces as dashes. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
