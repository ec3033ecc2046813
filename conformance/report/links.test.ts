import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pagesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => join(folder, name));
const atTop = readdirSync(root).filter((name) => name.endsWith('.md'));
const files = [...atTop, ...['docs', 'conformance', 'fixtures'].flatMap(pagesIn)];

/** A page without what is code. */
const prose = (text: string): string => text.replace(/^(```+).*?^\1$/gms, '').replace(/(`+)[^`].*?\1/g, 'code');

/** The fragments that GitHub gives the headings of a page. */
function fragments(text: string): string[] {
  const seen = new Map<string, number>();
  const bare = text.replace(/^(```+).*?^\1$/gms, '');
  return [...bare.matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => {
    const shown = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase();
    const slug = shown.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  });
}

/** The links of a page that lead nowhere. */
function broken(file: string, text: string): string[] {
  const targets = [...prose(text).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [path = '', fragment] = target.split('#');
    if (path === '') return !fragments(text).includes(fragment ?? '');
    const to = resolve(root, dirname(file), decodeURIComponent(path));
    if (!existsSync(to) || relative(root, to).startsWith('..')) return true;
    if (fragment === undefined) return false;
    if (statSync(to).isDirectory()) return true;
    return !fragments(readFileSync(to, 'utf8')).includes(fragment);
  });
}

describe('each link inside the tree leads to a file, and to a heading of it', () => {
  it.each(files)('%s', (file) => expect(broken(file, readFileSync(join(root, file), 'utf8'))).toEqual([]));

  it('in README.md and all of docs/', () => {
    expect(files).toEqual(expect.arrayContaining(['README.md', 'docs/spec.md', 'docs/header.md', 'docs/glossary.md', 'docs/abi.md']));
  });

  it.each([
    ['a file that is not there', '[a](nowhere.md)', ['nowhere.md']],
    ['a heading that is not there', '[a](spec.md#nowhere)', ['spec.md#nowhere']],
    ['a heading of this page that is not there', '# A word\n[a](#a-word) [b](#another)', ['#another']],
    ['a file outside the tree', '[a](../../passwd)', ['../../passwd']],
    ['none in code, none to the web', '`[a](nowhere.md)` [b](https://example.org/nowhere)\n```\n[a](nowhere.md)\n```', []],
    ['none where all is well', '[a](spec.md#words) [b](glossary.md#guest-handle) [c](../README.md)', []],
  ])('finds %s', (_, text, found) => expect(broken('docs/here.md', text)).toEqual(found));
});
