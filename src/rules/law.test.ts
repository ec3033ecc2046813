import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ambiguities } from './ambiguities.ts';
import { type LawText, saying, sentencesOf } from './rule.ts';
import { rules } from './table.ts';

const lawFile = (name: string): string => readFileSync(new URL(`law/${name}`, import.meta.url), 'utf8');

/** Words alone: how a comment is set, and where its lines end, does not matter. */
const words = (text: string): string =>
  text
    .replace(/^\s*(\/\*+|\*\/|\*)/gm, ' ')
    .replace(/\*\/|\\$/gm, ' ')
    .replace(/\s+/g, ' ');

const patch = lawFile('dma-buf.h');
const get = patch.indexOf('#define XENMEM_get_dma_buf');
const put = patch.indexOf('#define XENMEM_put_dma_buf');

/** The words of each text that rules quote. */
const law: Readonly<Record<LawText, string>> = {
  xen_get_dma_buf: words(patch.slice(get, put)),
  xen_put_dma_buf: words(patch.slice(put)),
  'memory.h': words(lawFile('memory.h')),
  'arch-arm.h': words(lawFile('arch-arm.h')),
};

const texts = Object.values(law);

/** Does a text have these words, from the beginning of a word to the end of one? */
function has(text: string, quote: string): boolean {
  for (let at = text.indexOf(quote); at >= 0; at = text.indexOf(quote, at + 1)) {
    const around = [text.slice(at - 1, at + 1), text.slice(at + quote.length - 1, at + quote.length + 1)];
    if (!around.some((pair) => /^\w\w$/.test(pair))) return true;
  }
  return false;
}

describe('what a rule stands on', () => {
  const quoting = rules.filter((rule) => rule.quote !== undefined);

  it('is found word for word in the text that it names', () => {
    const missing = quoting.flatMap(({ id, ...rule }) =>
      sentencesOf(rule).flatMap(({ source, quote }) => (has(law[source], quote) ? [] : [`${id}: ${source} has no "${quote}"`])),
    );
    expect(missing).toEqual([]);
    expect(quoting.length).toBeGreaterThan(40);
  });

  it('is a sentence wherever a text is named, and none where no text is', () => {
    const named = rules.filter(({ source }) => source in law);
    expect(named.map(({ id }) => id)).toEqual(quoting.map(({ id }) => id));
  });

  const headers = ['memory.h', 'arch-arm.h'] as const;
  const installed = (name: string): string => `/usr/include/xen/${name}`;

  it.skipIf(!headers.every((name) => existsSync(installed(name))))('stands in the headers of the Xen that is installed, too', () => {
    for (const name of headers) {
      const text = words(readFileSync(installed(name), 'utf8'));
      const quotes = quoting.flatMap((rule) => sentencesOf(rule).filter(({ source }) => source === name));
      expect(quotes.filter(({ quote }) => !has(text, quote))).toEqual([]);
    }
  });

  it('says why there is no sentence, where the convention takes its place', () => {
    const silent = rules.filter(({ source }) => source === 'convention');
    expect(silent.map(({ id, remark }) => [id, remark])).toEqual([
      ['put-rc-zero-or-negative', 'the comment of op 27 does not speak of what it returns'],
      ['caller-padding-zero', 'the headers are silent: Xen neither reads nor writes it'],
      ['caller-list-null', 'Xen reads the list of a guest at that address, and finds nothing there'],
      ['caller-extents-distinct', 'of two extents that share a page the second fails, or frees what was just given'],
      ['caller-frame-width', 'no memory has such an address; a pointer or a length got into the list'],
      ['caller-frame-address', 'addresses stand where frame numbers belong'],
      ['caller-count', 'cmd has 26 bits for start_extent (MEMOP_EXTENT_SHIFT)'],
      ['caller-start-extent', 'Xen answers such a call with start_extent itself'],
      ['caller-flags', 'the bits that Xen 4.17 defines as XENMEMF_*'],
    ]);
  });

  it('is said with its text where that is not the patch, and in brackets where there is none', () => {
    expect(saying({ source: 'xen_put_dma_buf', quote: 'unpins' })).toBe('unpins');
    expect(saying({ source: 'memory.h', quote: 'Returns', remark: 'so' })).toBe('Returns (memory.h)');
    expect(saying({ source: 'safety' })).toBe('(safety)');
    expect(saying({ source: 'convention', remark: 'silent' })).toBe('(convention; silent)');
  });
});

describe('the test itself', () => {
  it.each([
    ['a word that is not there', 'exchanges the pages handed in'],
    ['half a word', 'xchanges the pages passed in'],
    ['words of another line', 'newly-allocated memory. On complete success'],
  ])('finds out %s', (_, quote) => expect(has(law.xen_get_dma_buf, quote)).toBe(false));

  it('reads over the end of a line', () => {
    expect(has(law.xen_get_dma_buf, 'it exchanges the pages passed in with a new set of pages')).toBe(true);
  });

  it('keeps the two halves of the patch apart', () => {
    expect(has(law.xen_get_dma_buf, 'unpins a set of pages')).toBe(false);
    expect(has(law.xen_put_dma_buf, 'exchanges the pages passed in')).toBe(false);
  });
});

it('an open point quotes sentences word for word, or says in brackets that there is none', () => {
  const quoted = ambiguities.filter(({ sentence }) => !/^\(no sentence.*\)$/.test(sentence));
  const missing = quoted.flatMap(({ id, sentence }) =>
    sentence.split('; ').flatMap((part) => (texts.some((text) => has(text, part)) ? [] : [`${id}: ${part}`])),
  );
  expect(missing).toEqual([]);
  expect(quoted.length).toBeGreaterThan(10);
});
