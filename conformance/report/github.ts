import { clipped, printable } from '../../src/text/style.ts';
import { type Case, casesOf, doubtsOf, verdictLine } from '../verdict/outcome.ts';
import type { ConformanceResult } from '../verdict/result.ts';

/** Annotations of one level that GitHub shows of a step, and the longest text of one. */
const most = { annotations: 10, line: 2000 } as const;

type Level = 'error' | 'warning' | 'notice';

interface Annotation {
  readonly title: string;
  readonly lines: readonly string[];
}

/**
 * Annotations as workflow commands of GitHub Actions, one a line, the worst first. GitHub shows ten
 * of each level and drops the rest unsaid, so the tenth says how many more there are.
 */
export function githubForm(result: ConformanceResult): string {
  const inconclusive = result.verdict === 'inconclusive';
  const bad = casesOf(result).filter(({ outcome }) => outcome === 'violated' || outcome === 'broke');
  const about = ({ name, details, why }: Case): Annotation => ({ title: name, lines: details.length > 0 ? details : [why] });
  const isIncident = ({ group, name }: Case): boolean => group === 'run' && name.startsWith('no-');
  const errors = [
    ...bad.filter((c) => c.requirement).sort(worstFirst),
    ...bad.filter((c) => c.group === 'run' && (c.name !== 'conclusive' || inconclusive) && !isIncident(c)),
  ].map(about);
  const warnings = [...bad.filter(isIncident).map(about), ...(inconclusive ? [] : doubts(result))];
  const expected = casesOf(result).filter(({ outcome }) => outcome === 'expected');
  const notices = [
    ...expected.map(({ name, why }) => ({ title: `${name} is expected to be violated`, lines: [why] })),
    { title: 'xenmem conform', lines: [verdictLine(result)] },
  ];
  return [...written('error', errors), ...written('warning', warnings), ...written('notice', notices)].join('');
}

function doubts(result: ConformanceResult): Annotation[] {
  return doubtsOf(result).map((reason) => ({ title: 'proves too little', lines: [reason] }));
}

/** A crash before all else, then what was violated most often. */
function worstFirst(a: Case, b: Case): number {
  const weight = ({ outcome, requirement }: Case): number => (outcome === 'broke' ? Number.MAX_VALUE : (requirement?.violated ?? 0));
  return weight(b) - weight(a);
}

function written(level: Level, annotations: readonly Annotation[]): string[] {
  const shown = annotations.length > most.annotations ? annotations.slice(0, most.annotations - 1) : annotations;
  const lines = shown.map(({ title, lines: text }) => command(level, title, text));
  const left = annotations.length - shown.length;
  return left > 0 ? [...lines, command(level, 'xenmem conform', [`…and ${left} more`])] : lines;
}

function command(level: Level, title: string, lines: readonly string[]): string {
  const name = data(clipped(printable(title), 100))
    .replaceAll(':', '%3A')
    .replaceAll(',', '%2C');
  const text = lines.map((line) => clipped(printable(line), most.line)).join('\n');
  return `::${level} title=${name}::${data(text)}\n`;
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
