import { ruleOf } from '../rules/table.ts';
import type { ConformanceResult, RequirementResult } from './result.ts';
import { count, plain, printable, type Style } from './style.ts';

/** The versioned JSON of `xenmem conform --json`. */
export function conformanceJson(result: ConformanceResult): object {
  return { schema: 'xenmem/conformance@1', ...result, seed: String(result.seed) };
}

/** The same for a person: the verdict, a line per requirement, what broke and how to see it again. */
export function conformanceText(result: ConformanceResult, style: Style = plain): string[] {
  const { implementation: who, verdict, level, requirements, reasons, readings, strength } = result;
  const lines = [
    `${style.bold(printable(`${who.name} ${who.version}`))}  ${result.arch.join(', ')}  level ${level}  seed ${result.seed}`,
    `${count(result.runs, 'scenario')}, ${count(result.calls, 'judged call')}${result.partial ? style.warn('  (partial: interrupted)') : ''}`,
    '',
    `${'requirement'.padEnd(30)} ${'verdict'.padEnd(9)} ${'judged'.padStart(8)} ${'unknown'.padStart(8)}`,
    ...requirements.map((r) => requirementLine(r, style)),
  ];
  for (const r of requirements.filter((q) => q.verdict === 'violated')) lines.push('', ...brokenText(r, style));
  const seen = Object.entries(readings).sort(([a], [b]) => (a < b ? -1 : 1));
  if (seen.length > 0) {
    lines.push('', 'readings seen, where the texts leave a choice');
    for (const [id, counts] of seen) lines.push(`  ${id.padEnd(22)} ${Object.keys(counts).sort().join(', ')}`);
  }
  if (strength) {
    const { killed, mutants, budget } = strength;
    lines.push(
      '',
      `strength: at level ${level} the suite finds ${killed.length} of ${mutants} faulty hypervisors, each within ${budget} scenarios`,
    );
  }
  lines.push('');
  if (verdict === 'conformant') lines.push(style.good(`✓ conformant at level ${level}`));
  else if (verdict === 'nonconformant')
    lines.push(
      style.bad(
        `✗ nonconformant: ${requirements
          .filter((r) => r.verdict === 'violated')
          .map((r) => r.id)
          .join(', ')}`,
      ),
    );
  else lines.push(style.warn('? inconclusive'), ...reasons.map((reason) => `  ${reason}`));
  return lines;
}

function requirementLine({ id, verdict, exercised, unknown, excused }: RequirementResult, style: Style): string {
  const colour = { holds: style.good, violated: style.bad, unknown: style.dim }[verdict];
  const why = verdict === 'unknown' && excused ? `  ${style.dim(excused)}` : '';
  return `${id.padEnd(30)} ${colour(verdict.padEnd(9))} ${String(exercised).padStart(8)} ${String(unknown).padStart(8)}${why}`;
}

function brokenText({ id, violated, counterexample }: RequirementResult, style: Style): string[] {
  const lines = [`${style.bad('violated')} ${style.bold(id)}, ${count(violated, 'time')}`, `  says      ${ruleOf(id)?.quote ?? ''}`];
  if (counterexample) {
    lines.push(`  seen      step ${counterexample.step}: ${printable(counterexample.message)}`);
    lines.push(`  again     xenmem conform --replay ${counterexample.replay}`);
  }
  return lines;
}
