import { clipped, printable } from '../../src/text/style.ts';
import { type Case, casesOf, groups, scopeLine, verdictLine } from '../verdict/outcome.ts';
import type { ConformanceResult } from '../verdict/result.ts';

/** Longest reason on a result line, and longest diagnostic: a replay token must stay whole. */
const most = { why: 200, line: 16_000 } as const;

/**
 * KTAP version 1 as the kernel's tests write it: a subtest per group, diagnostics before the line
 * they belong to, no YAML. `prove` and readers of TAP 13 take it too. An expected violation is `ok
 * … # XFAIL`, as kselftest writes it, so that every reader lets it pass.
 */
export function ktapForm(result: ConformanceResult): string {
  const cases = casesOf(result);
  const shown = groups.map((group) => ({ group, own: cases.filter((c) => c.group === group) })).filter(({ own }) => own.length > 0);
  const lines = ['KTAP version 1', `1..${shown.length}`];
  for (const [index, { group, own }] of shown.entries()) {
    const inner = ['KTAP version 1', `# Subtest: ${group}`, `1..${own.length}`, ...own.flatMap((one, i) => caseLines(one, i + 1))];
    lines.push(...inner.map((line) => `  ${line}`));
    const bad = own.filter(isBad).length;
    if (bad > 0) lines.push(`# ${group}: ${bad} of ${own.length} not ok`);
    const nothing = own.every(({ outcome }) => outcome === 'unknown');
    lines.push(`${bad > 0 ? 'not ok' : 'ok'} ${index + 1} ${group}${nothing ? ' # SKIP nothing was judged' : ''}`);
  }
  // Readers of TAP 13 want the version and the plan first; what is said of the whole run may stand
  // anywhere.
  return `${[...lines, `# ${said(scopeLine(result), most.line)}`, `# ${said(verdictLine(result), most.line)}`].join('\n')}\n`;
}

function caseLines(one: Case, number: number): string[] {
  const { name, outcome, why, details } = one;
  const directive = outcome === 'unknown' ? ` # SKIP ${reason(why)}` : outcome === 'expected' ? ` # XFAIL ${reason(why)}` : '';
  const diagnostics = outcome === 'holds' ? [] : details.map((line) => `# ${said(line, most.line)}`);
  return [...diagnostics, `${isBad(one) ? 'not ok' : 'ok'} ${number} ${reason(name)}${directive}`];
}

function isBad({ outcome }: Case): boolean {
  return outcome === 'violated' || outcome === 'broke';
}

/** A `#` begins a directive and cannot be escaped, so it is spelled. */
function reason(text: string): string {
  return said(text, most.why).replaceAll('#', '\\x23');
}

function said(text: string, longest: number): string {
  return clipped(printable(text), longest);
}
