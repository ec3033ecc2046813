import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sentencesOf } from '../../../src/rules/rule.ts';
import { rules } from '../../../src/rules/table.ts';
import { annotated, halvesOf, noObligation } from './header-page.ts';

const patch = readFileSync(new URL('../../../src/rules/law/dma-buf.h', import.meta.url), 'utf8');
const halves = halvesOf(patch);
const sources = ['xen_get_dma_buf', 'xen_put_dma_buf'] as const;

/**
 * The sentences of all comments of a text, cut by hand-made rules: at full stops, at colons and
 * before numbers of a list.
 */
function sentencesIn(text: string): string[] {
  const comments = [...text.matchAll(/\/\*(.*?)\*\//gs)].map(([, comment = '']) => comment.replace(/^\s*\*/gm, ' ').replace(/\s+/g, ' '));
  return comments.flatMap((comment) =>
    comment
      .split(/(?<=[.!]) (?=[A-Z@\d])| (?=\d\. )|(?<=:) (?=\d\. )/)
      .map((sentence) => sentence.replace(/^\d\. /, '').trim())
      .filter((sentence) => sentence !== '' && !/^\d\.$/.test(sentence)),
  );
}

describe.each(sources)('the header, %s', (source) => {
  const quotes = rules.flatMap((rule) => sentencesOf(rule).filter((s) => s.source === source)).map(({ quote }) => quote);

  it.each(sentencesIn(halves[source]))('has a rule for: %s', (sentence) => {
    const quoted = quotes.some((quote) => sentence.includes(quote) || quote.includes(sentence.replace(/[.:!]$/, '')));
    const parts = Object.keys(noObligation);
    const free = parts.reduce((rest, line) => rest.replace(line, ''), sentence).trim() === '';
    expect(quoted || free).toBe(true);
    expect(quoted && free).toBe(false);
  });

  it('has a rule or a reason for each line of its comments', () => {
    const bare = annotated(halves[source], source, rules).filter(({ comment, rules }) => comment && rules.length === 0);
    expect(bare.map(({ text }) => text).filter((text) => !(text in noObligation))).toEqual([]);
  });

  it('has each line of the text, in order', () => {
    const printed = annotated(halves[source], source, rules).map(({ text }) => text);
    const lines = halves[source].split('\n').map((line) => line.replace(/^\s*(\/\*|\*\/|\*)/, '').trim());
    expect(printed).toEqual(lines.filter((line) => line !== '').map((line) => line.replace(/\s+/g, ' ')));
  });
});

describe('a line of the header', () => {
  const lines = sources.flatMap((source) => annotated(halves[source], source, rules));

  it('that obliges nobody is a line of the header, and no rule quotes it', () => {
    for (const text of Object.keys(noObligation)) {
      expect(lines.filter((line) => line.text === text).map(({ comment, rules }) => [comment, rules])).toEqual([[true, []]]);
    }
  });

  it('has the rules that quote it beside it', () => {
    const beside = (text: string): (readonly string[])[] => lines.filter((line) => line.text === text).map((line) => line.rules);
    expect(beside('command will be non-zero.')).toEqual([['get-incomplete-nonzero']]);
    expect(beside('5. THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!')).toEqual([['caller-nr-exchanged-zero']]);
    expect(beside('still accessible from the guest.')).toEqual([['put-keeps-pages']]);
    expect(beside('xen_ulong_t nr_exchanged;')).toEqual([[]]);
  });

  it('has a rule only for as long as one quotes it', () => {
    const without = rules.filter(({ id }) => id !== 'put-keeps-pages');
    const bare = annotated(halves.xen_put_dma_buf, 'xen_put_dma_buf', without).filter((line) => line.comment && line.rules.length === 0);
    expect(bare.map(({ text }) => text)).toEqual(['still accessible from the guest.']);
  });
});
