import { sayingOf } from '../../src/rules/table.ts';
import { clipped, count, plain, printable, type Style } from '../../src/text/style.ts';
import { wrapped } from '../../src/text/wrap.ts';
import { doubtsOf, missedCells, otherLine, outcomeOf, replayLine, strengthLine, unexpectedOf } from '../verdict/outcome.ts';
import { pairsText } from '../verdict/pairs.ts';
import { type ConformanceResult, type Incident, type RequirementResult, schema } from '../verdict/result.ts';

/** Where the remarks on requirements stand. */
const noteColumn = 64;
/** Lines of one kind that the text spells out; the other forms have all of them. */
const most = { incidents: 5, cells: 10, evidence: 5, text: 600 } as const;

/** The versioned JSON of `xenmem conform --json`. */
export function conformanceJson(result: ConformanceResult): object {
  return { schema, ...result, seed: String(result.seed) };
}

/** The same as one line. */
export function jsonForm(result: ConformanceResult): string {
  return `${JSON.stringify(conformanceJson(result))}\n`;
}

/** The result for a person, without colours. */
export function textForm(result: ConformanceResult): string {
  return `${conformanceText(result).join('\n')}\n`;
}

/**
 * The result for a person: a line per requirement, what broke and how to see it again, and the
 * verdict last.
 */
export function conformanceText(result: ConformanceResult, style: Style = plain): string[] {
  const { requirements, readings, strength, incidents } = result;
  const lines = [
    ...headText(result, style),
    '',
    `${'requirement'.padEnd(34)} ${'verdict'.padEnd(9)} ${'judged'.padStart(8)} ${'unknown'.padStart(8)}`,
    ...requirements.flatMap((r) => requirementText(r, style)),
  ];
  for (const r of requirements.filter((q) => q.verdict === 'violated')) lines.push('', ...brokenText(r, style));
  if (incidents.length > 0) lines.push('', ...incidentsText(incidents, style));
  const missed = missedCells(result);
  if (missed.length > 0) {
    lines.push('', 'cells of the coverage table that were reached too rarely');
    for (const { cell, count: reached, floor } of missed.slice(0, most.cells)) {
      lines.push(`  ${foreign(cell).padEnd(38)} ${String(reached).padStart(6)} of ${floor}`);
    }
    if (missed.length > most.cells) lines.push(`  and ${missed.length - most.cells} more`);
  }
  const seen = Object.entries(readings).sort(([a], [b]) => (a < b ? -1 : 1));
  if (seen.length > 0) {
    lines.push('', 'readings seen, where the texts leave a choice');
    for (const [id, counts] of seen) lines.push(...wrapped(`  ${foreign(id).padEnd(22)} `, foreign(Object.keys(counts).sort().join(', '))));
  }
  if (strength) lines.push('', ...wrapped('strength: ', strengthLine(result)));
  return [...lines, '', ...verdictText(result, style)];
}

function headText(
  {
    implementation: who,
    arch,
    level,
    demanded,
    seed,
    runs,
    played,
    calls,
    predicted,
    partial,
    shard,
    fixtures,
    pairs,
    triples,
  }: ConformanceResult,
  style: Style,
): string[] {
  const asked = demanded === undefined || demanded === level ? '' : ` (${demanded} demanded)`;
  const part = shard ? `, shard ${shard.index} of ${shard.of}` : '';
  const scenarios = played === runs ? count(runs, 'scenario') : `${played} of ${count(runs, 'scenario')}`;
  return [
    `${style.bold(foreign(`${who.name} ${who.version}`))}  ${foreign(arch.join(', '))}  level ${level}${asked}  ${fixtures ? 'fixtures' : `seed ${seed}`}${part}`,
    `${scenarios}, ${count(calls, 'judged call')}${pairs === undefined ? '' : `, ${[pairsText(pairs), ...(triples ? [pairsText(triples, 'triples')] : [])].join(' and ')} of values`}${predicted === undefined ? '' : `, ${predicted} of them ended as the model predicts`}${partial ? style.warn('  (partial: ended early)') : ''}`,
    ...(who.packages ?? []).map(({ name, version, sha256 }) => foreign(`${[name, version].filter(Boolean).join(' ')}, SHA-256 ${sha256}`)),
  ];
}

function requirementText(requirement: RequirementResult, style: Style): string[] {
  const { id, verdict, exercised, unknown, excused } = requirement;
  const outcome = outcomeOf(requirement);
  const colour = { holds: style.good, violated: style.bad, broke: style.bad, expected: style.warn, unknown: style.dim }[outcome];
  const head = `${id.padEnd(34)} ${colour(verdict.padEnd(9))} ${String(exercised).padStart(8)} ${String(unknown).padStart(8)}`;
  const note = outcome === 'expected' ? 'expected' : verdict === 'unknown' ? (excused ?? '') : '';
  if (note === '') return [head];
  return wrapped(' '.repeat(noteColumn), foreign(note)).map((text, i) => {
    const said = style.dim(text.slice(noteColumn));
    return i === 0 ? `${head}  ${said}` : `${' '.repeat(noteColumn)}${said}`;
  });
}

function brokenText({ id, violated, counterexample, expected }: RequirementResult, style: Style): string[] {
  const lines = [`${style.bad('violated')} ${style.bold(id)}, ${count(violated, 'time')}`, ...wrapped('  says      ', sayingOf(id))];
  if (counterexample) {
    lines.push(...wrapped('  seen      ', `step ${counterexample.step}: ${foreign(counterexample.message)}`));
    lines.push(...evidenceText(counterexample.evidence));
    lines.push(`  again     ${printable(replayLine(counterexample))}`);
  }
  if (expected) {
    const until = expected.until === undefined ? '' : `, until ${expected.until}`;
    lines.push(...wrapped('  expected  ', foreign(`${expected.reason}${until}`)));
    if (expected.link !== undefined) lines.push(`            ${foreign(expected.link)}`);
  }
  return lines;
}

function incidentsText(incidents: readonly Incident[], style: Style): string[] {
  const lines = ['scenarios without a verdict'];
  for (const incident of incidents.slice(0, most.incidents)) {
    const { kind, found, message, evidence } = incident;
    lines.push(...wrapped(`  ${style.warn(kind.padEnd(8))}  `, `scenario ${found}: ${foreign(message)}`, 12));
    lines.push(...evidenceText(evidence), `  again     ${printable(replayLine(incident))}`);
    lines.push(...otherLine(incident).map((line) => `  against   ${printable(line)}`));
  }
  return incidents.length > most.incidents ? [...lines, `  and ${incidents.length - most.incidents} more`] : lines;
}

function evidenceText(evidence: readonly string[] = []): string[] {
  return evidence.slice(-most.evidence).flatMap((line, i) => wrapped(i === 0 ? '  evidence  ' : '            ', foreign(line)));
}

function verdictText(result: ConformanceResult, style: Style): string[] {
  const { verdict, level, requirements, drift } = result;
  const broken = requirements.filter((r) => r.verdict === 'violated');
  const asExpected = broken.length > 0 && unexpectedOf(result).length === 0;
  const lines: string[] = [];
  if (verdict === 'conformant') lines.push(style.good(`✓ conformant at level ${level}`));
  else if (verdict === 'nonconformant') {
    const [first = '', ...rest] = wrapped('✗ nonconformant: ', broken.map((r) => r.id).join(', '), 4);
    const paint = asExpected ? style.warn : style.bad;
    lines.push(paint(first), ...rest.map(paint));
    if (asExpected) lines.push('  every violation is expected');
  } else lines.push(style.warn('? inconclusive'));
  for (const reason of doubtsOf(result)) lines.push(...wrapped('  ', foreign(reason), 4));
  if (drift && drift.length > 0) {
    lines.push(style.bad(`✗ ${count(drift.length, 'difference')} from the expectations`));
    for (const difference of drift) lines.push(...wrapped('  ', foreign(difference), 4));
  }
  return lines;
}

/** Text from outside: also no command of a CI runner, which takes a line that begins so for one. */
function foreign(text: string): string {
  return clipped(printable(text), most.text).replaceAll('::', ':\\x3a').replaceAll('##[', '#\\x23[');
}
