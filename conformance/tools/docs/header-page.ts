import { type LawText, type Rule, sentencesOf } from '../../../src/rules/rule.ts';

/** Lines of the header's comments that oblige nobody, and why. */
export const noObligation: { readonly [line: string]: string } = {
  '[IN/OUT] Details of new memory extents.': 'names the field; the five sentences below say what is required of it',
  'We require that:': 'opens the list of the five sentences below',
};

/** A line of the header as it is printed, and the rules that quote a word of it. */
export interface HeaderLine {
  readonly text: string;
  readonly comment: boolean;
  readonly rules: readonly string[];
}

/**
 * The lines of one half of the patch, without those that only open or close a comment. `half`: its
 * text.
 */
export function annotated(half: string, source: LawText, rules: readonly Rule[]): readonly HeaderLine[] {
  const lines = linesOf(half);
  const words = lines.map(({ text }) => text).join(' ');
  const owner = lines.flatMap(({ text }, i) => Array<number>(text.length + 1).fill(i));
  const found = lines.map(() => new Set<string>());
  for (const rule of rules) {
    for (const { quote } of sentencesOf(rule).filter((sentence) => sentence.source === source)) {
      // A sentence that stands twice, as "[IN] Details of memory extents" in either half, stands
      // once in each.
      const at = words.indexOf(quote);
      for (const line of new Set(owner.slice(at, at + quote.length))) found[line]?.add(rule.id);
    }
  }
  return lines.map((line, i) => ({ ...line, rules: [...(found[i] as Set<string>)] }));
}

function linesOf(half: string): { text: string; comment: boolean }[] {
  let comment = false;
  return half.split('\n').flatMap((line) => {
    const opens = /^\s*\/\*/.test(line);
    const inside = comment || opens;
    comment = inside && !line.includes('*/');
    const text = (inside ? line.replace(/^\s*(\/\*+|\*\/|\*)/, '').replace('*/', '') : line).trim().replace(/\s+/g, ' ');
    return text === '' ? [] : [{ text, comment: inside }];
  });
}

/** The two halves of the patch, from its whole text. */
export function halvesOf(patch: string): Readonly<Record<'xen_get_dma_buf' | 'xen_put_dma_buf', string>> {
  const [get, put, end] = ['#define XENMEM_get_dma_buf', '#define XENMEM_put_dma_buf', '#endif'].map((line) => patch.lastIndexOf(line));
  return { xen_get_dma_buf: patch.slice(get, put), xen_put_dma_buf: patch.slice(put, end) };
}

/** What docs/header.md holds below its title. */
export function headerParts(patch: string, rules: readonly Rule[]): string[] {
  const halves = halvesOf(patch);
  return [
    'The two structs of the patch of 2013-08-05 that proposed them, printed line by line, each line with the rules that quote a word of it. No sentence is without a rule; a line that obliges nobody says why. The tests of a rule have its id: `grep -rn ID src/rules --include=*.test.ts`. The text is `src/rules/law/dma-buf.h`; what the words mean is in the [glossary](glossary.md), what is required in [spec.md](spec.md).',
    ...(['xen_get_dma_buf', 'xen_put_dma_buf'] as const).flatMap((source) => [
      `## ${source}`,
      ['| header | rules |', '|---|---|', ...annotated(halves[source], source, rules).map(row)].join('\n'),
    ]),
    "## Sentences of Xen's own headers",
    'The patch builds on a struct and a type that Xen has. What is quoted of their comments, from Xen 4.17:',
    ['| text | sentence | rules |', '|---|---|---|', ...others(rules)].join('\n'),
    '## Rules that no text says',
    rules
      .filter((rule) => rule.quote === undefined)
      .map(({ id, source, remark }) => `- ${link(id)}: ${source}${remark === undefined ? '' : `; ${remark}`}`)
      .join('\n'),
  ];
}

function row({ text, comment, rules }: HeaderLine): string {
  const margin = rules.length > 0 ? rules.map(link).join(', ') : comment ? `*${noObligation[text] ?? ''}*` : '';
  return `| \`${text}\` | ${margin} |`;
}

function others(rules: readonly Rule[]): string[] {
  const byQuote = new Map<string, string[]>();
  for (const rule of rules) {
    for (const { source, quote } of sentencesOf(rule).filter((sentence) => sentence.source.endsWith('.h'))) {
      const head = `| ${source} | \`${quote}\``;
      byQuote.set(head, [...(byQuote.get(head) ?? []), link(rule.id)]);
    }
  }
  return [...byQuote].map(([head, ids]) => `${head} | ${ids.join(', ')} |`).sort();
}

/** A rule, by its place in docs/requirements.md. */
export function link(id: string): string {
  return `[${id}](requirements.md#${id})`;
}
