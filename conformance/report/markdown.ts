import { sayingOf } from '../../src/rules/table.ts';
import { clipped, count, printable } from '../../src/text/style.ts';
import {
  doubtsOf,
  missedCells,
  otherLine,
  outcomeOf,
  replayLine,
  scopeLine,
  strengthLine,
  verdictLine,
  whyUnknown,
} from '../verdict/outcome.ts';
import type { ConformanceResult, Counterexample, RequirementResult } from '../verdict/result.ts';
import { storyText } from './story-text.ts';

/** A comment holds 64 KB; the last bytes are kept for saying what was left out. */
const most = { bytes: 64 * 1024 - 256, stories: 10, storyLines: 120, items: 20, text: 300, replay: 8000 } as const;

const signs = { holds: '✅ holds', violated: '❌ violated', broke: '💥 broke', expected: '⚠️ expected', unknown: '❔ unknown' } as const;
const verdictSigns = { conformant: '✅', nonconformant: '❌', inconclusive: '❔' } as const;

/**
 * Markdown for a step summary or a comment: the verdict, what is wrong, a table of the
 * requirements, and the first ten counterexamples told step by step. At most 64 KB, whatever comes
 * in: parts that do not fit are left out whole, and it says so.
 */
export function markdownForm(result: ConformanceResult): string {
  const violated = result.requirements.filter((r) => r.verdict === 'violated' && r.counterexample);
  const unexpectedFirst = [...violated.filter((r) => !r.expected), ...violated.filter((r) => r.expected)];
  const parts = [
    headPart(result),
    listPart('Drift from the expectations', result.drift ?? []),
    listPart('Why it is not conclusive', doubtsOf(result)),
    tablePart(result.requirements),
    ...unexpectedFirst.slice(0, most.stories).map(storyPart),
    violated.length > most.stories ? `…and ${violated.length - most.stories} more counterexamples.` : '',
    listPart(
      'Scenarios without a verdict',
      result.incidents.map(
        (incident) =>
          `scenario ${incident.found}, ${incident.kind}: ${incident.message} (${[replayLine(incident), ...otherLine(incident)].join(', against: ')})`,
      ),
    ),
    listPart(
      'Cells of the coverage table reached too rarely',
      missedCells(result).map(({ cell, count: reached, floor }) => `${cell}: ${reached} of ${floor}`),
    ),
    listPart(
      'Readings seen, where the texts leave a choice',
      Object.entries(result.readings).map(([id, seen]) => `${id}: ${Object.keys(seen).join(', ')}`),
    ),
  ].filter((part) => part !== '');
  let text = '';
  let bytes = 0;
  let left = 0;
  for (const part of parts) {
    const size = byteLength(part) + 2;
    if (bytes + size > most.bytes) left++;
    else {
      text += `${text === '' ? '' : '\n'}${part}\n`;
      bytes += size;
    }
  }
  return left > 0 ? `${text}\n_${count(left, 'part')} left out: more than 64 KB. The other reports have all of it._\n` : text;
}

function headPart(result: ConformanceResult): string {
  const { strength, level, demanded } = result;
  const asked = demanded === undefined || demanded === level ? '' : ` (level ${demanded} demanded)`;
  const caught = strength ? [`Strength: ${strengthLine(result)}.`] : [];
  return [`## ${verdictSigns[result.verdict]} ${verdictLine(result)}${asked}`, '', ...[scopeLine(result), ...caught].map(escaped)].join(
    '\n',
  );
}

function tablePart(requirements: readonly RequirementResult[]): string {
  return [
    '| verdict | requirement | judged | unknown | |',
    '|---|---|--:|--:|---|',
    ...requirements.map((r) => {
      const outcome = outcomeOf(r);
      const note = outcome === 'unknown' ? whyUnknown(r) : (r.expected?.reason ?? (r.verdict === 'violated' ? sayingOf(r.id) : ''));
      return `| ${signs[outcome]} | ${escaped(r.id)} | ${r.exercised} | ${r.unknown} | ${escaped(note)} |`;
    }),
  ].join('\n');
}

function storyPart({ id, counterexample, expected }: RequirementResult): string {
  const { message, step, evidence } = counterexample as Counterexample;
  const story = storyText(counterexample as Counterexample);
  const shown = story.slice(0, most.storyLines);
  if (shown.length < story.length) shown.push(`… ${story.length - shown.length} more lines`);
  return [
    `<details><summary>${escaped(id)}: ${escaped(message)}</summary>`,
    '',
    `> ${escaped(sayingOf(id))}`,
    '',
    `Broken by step ${step}.${expected ? ` Expected: ${escaped(expected.reason)}` : ''}`,
    '',
    fenced(shown),
    ...(evidence ? ['', 'How the implementation ended:', '', fenced(evidence.slice(-most.items).map(line))] : []),
    '',
    fenced([clipped(printable(replayLine(counterexample as Counterexample)), most.replay)]),
    '</details>',
  ].join('\n');
}

function listPart(title: string, items: readonly string[]): string {
  if (items.length === 0) return '';
  const shown = items.slice(0, most.items).map((item) => `- ${escaped(item)}`);
  const rest = items.length > shown.length ? [`- …and ${items.length - shown.length} more`] : [];
  return [`### ${title}`, '', ...shown, ...rest].join('\n');
}

/** Lines as they are. The fence is longer than any run of backticks in them. */
function fenced(lines: readonly string[]): string {
  const longest = Math.max(2, ...lines.flatMap((text) => (text.match(/`+/g) ?? []).map((run) => run.length)));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}text`, ...lines, fence].join('\n');
}

/**
 * Text from outside as text and nothing else: in Markdown a character reference never is markup.
 */
function escaped(text: string): string {
  return line(text).replace(
    /[&<>`*[\]#|~\\@$]|^[-+=]|(?<=^\d+)[.)]|(?<!\w)_|_(?!\w)|:(?=\/\/|[\w+-]+:)|(?<=www)\./g,
    (c) => `&#${c.charCodeAt(0)};`,
  );
}

function line(text: string): string {
  return clipped(printable(text), most.text);
}

function byteLength(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Each half of a surrogate pair counts for two of its four bytes.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
  }
  return bytes;
}
