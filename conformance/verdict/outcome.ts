import { sayingOf } from '../../src/rules/table.ts';
import { count } from '../../src/text/style.ts';
import type { ConformanceResult, Counterexample, Incident, RequirementResult } from './result.ts';

/**
 * What a report says of one thing: `expected` is a violation that is accepted for a while, `broke`
 * a crash, a hang, or no verdict at all.
 */
export type Outcome = 'holds' | 'violated' | 'broke' | 'expected' | 'unknown';

/** What requirements speak of, and the run itself. */
export type Group = 'get' | 'put' | 'safety' | 'reservation' | 'run';
export const groups: readonly Group[] = ['get', 'put', 'safety', 'reservation', 'run'];

/**
 * One line of a test report: a requirement, or something that must be right about the run. Text
 * from outside is as it came.
 */
export interface Case {
  readonly group: Group;
  readonly name: string;
  readonly outcome: Outcome;
  /** In one sentence, why it does not simply hold; empty where it does. */
  readonly why: string;
  /** What a person should read next, each part of it one line or more. */
  readonly details: readonly string[];
  readonly requirement?: RequirementResult;
}

const incidentKinds: { readonly [kind in Incident['kind']]: string } = {
  flaky: 'broke once, and not when it was played again alone',
  setup: 'could not be judged: a fault of the surroundings',
  undriven: 'could not be played: the implementation does not start any more',
  internal: "could not be judged: a bug of xenmem's own",
  disputed: 'disputed between the rules and the reference model: one of them is wrong',
  unlike: 'ended otherwise than one that differs only in what must not matter',
};

/** Most incidents of one kind that a report spells out. */
const mostIncidents = 10;

/**
 * Everything a test report has a line for: the requirements in their order, then the run. The same
 * names in every run.
 */
export function casesOf(result: ConformanceResult): Case[] {
  return [...result.requirements.map(requirementCase), ...runCases(result)];
}

/** What is to be said of a requirement. */
export function outcomeOf({ id, verdict, expected }: RequirementResult): Outcome {
  if (verdict !== 'violated') return verdict;
  if (expected) return 'expected';
  return id === 'survives' ? 'broke' : 'violated';
}

/** Which group a requirement belongs to. */
export function groupOf(id: string): Group {
  return (['get', 'put', 'reservation'] as const).find((group) => id.startsWith(`${group}-`)) ?? 'safety';
}

/** Why there is no answer. */
export function whyUnknown({ excused, exercised, counterexample }: RequirementResult): string {
  if (counterexample?.flaky) return `flaky: ${counterexample.message}`;
  return excused ?? `judged ${count(exercised, 'time')}, too few for an answer`;
}

/** The line that plays a scenario again, on the same implementation, ready for a shell. */
export function replayLine({ replay, iut, reference = [], live }: Pick<Counterexample, 'replay' | 'iut' | 'reference' | 'live'>): string {
  if (live) return `xenmem live ${live.map(quoted).join(' ')} --replay ${replay}`;
  const on = iut === undefined ? '' : ` --iut ${quoted(iut)}`;
  return `xenmem conform${on}${reference.map((word) => ` --reference ${quoted(word)}`).join('')} --replay ${replay}`;
}

/** The line that plays the scenario that one should have ended like, if there is one. */
export function otherLine(incident: Incident): string[] {
  return incident.other === undefined ? [] : [replayLine({ ...incident, replay: incident.other })];
}

/** A word for a shell. A result that was read may hold any. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * The kind of a violation: its message with every number replaced, so that another seed gives the
 * same.
 */
export function fingerprintOf({ counterexample }: RequirementResult): string {
  return (counterexample?.message ?? '').replace(/-?\b(?:0x[0-9a-f]+|\d+)\b/gi, '#');
}

/** Cells of the coverage table that were reached too rarely. */
export function missedCells({ cells }: ConformanceResult): { readonly cell: string; readonly count: number; readonly floor: number }[] {
  return Object.entries(cells).flatMap(([cell, of]) => (of.count < of.floor ? [{ cell, ...of }] : []));
}

/** Why the run proves too little, whatever it found broken. */
export function doubtsOf({ reasons, requirements }: ConformanceResult): readonly string[] {
  const named = new Set(requirements.filter((r) => r.verdict === 'violated').map((r) => `${r.id} is violated`));
  return reasons.filter((reason) => !named.has(reason));
}

/** Violations that no file of expected failures accepts. */
export function unexpectedOf({ requirements }: ConformanceResult): readonly RequirementResult[] {
  return requirements.filter((r) => r.verdict === 'violated' && !r.expected);
}

/** The verdict in one line, without the reasons. */
export function verdictLine(result: ConformanceResult): string {
  const { verdict, level, requirements } = result;
  if (verdict === 'conformant') return `conformant at level ${level}`;
  if (verdict === 'inconclusive') return `inconclusive at level ${level}`;
  const broken = requirements.filter((r) => r.verdict === 'violated');
  const expected = broken.length - unexpectedOf(result).length;
  const how = expected === 0 ? '' : expected === broken.length ? ', as expected' : `, ${expected} of them expected`;
  return `nonconformant: ${count(broken.length, 'requirement')} violated${how}`;
}

/**
 * How much the suite finds of faults that it was not made with: of those that others switched on in
 * an implementation of their own, written from the documents alone. Replaced when measured again.
 */
const unknownFaults = { faults: 221, found: 0.76, when: 'November 2026' };

/**
 * How strong the suite is against such an implementation, in one sentence; empty where that is not
 * known.
 */
export function strengthLine({ strength, level }: ConformanceResult): string {
  if (!strength) return '';
  const { killed, mutants, budget, extras } = strength;
  const seen = extras ? '' : ' and without any extra capability';
  const own = `at level ${level}${seen} the suite finds ${killed.length} of ${mutants} faulty hypervisors of its own, each within ${budget} scenarios`;
  const { faults, found, when } = unknownFaults;
  return `${own}; of ${faults} faults that others wrote from the documents alone it found ${Math.round(100 * found)} % when last measured (${when})`;
}

/** What a run was of: who, on what, how much of it. */
export function scopeLine({ implementation, arch, seed, runs, played, calls, predicted, shard, fixtures }: ConformanceResult): string {
  const scenarios = played === runs ? count(runs, 'scenario') : `${played} of ${count(runs, 'scenario')}`;
  const part = shard ? `, shard ${shard.index} of ${shard.of}` : '';
  return `${implementation.name} ${implementation.version}, ${arch.join(' and ')}, ${fixtures ? 'fixtures' : `seed ${seed}`}, ${scenarios}, ${count(calls, 'judged call')}${predicted === undefined ? '' : `, ${predicted} of them predicted`}${part}`;
}

/** The exit code that this result alone asks for (the table in docs/cli.md). */
export function exitOf(result: ConformanceResult): 0 | 1 | 4 | 5 | 70 {
  if (result.incidents.some(({ kind }) => kind === 'disputed' || kind === 'internal')) return 70;
  if (result.incidents.some(({ kind }) => kind === 'undriven')) return 5;
  if (unexpectedOf(result).length > 0 || (result.drift ?? []).length > 0) return 1;
  return doubtsOf(result).length > 0 ? 4 : 0;
}

function requirementCase(requirement: RequirementResult): Case {
  const { id, expected, counterexample, violated } = requirement;
  const outcome = outcomeOf(requirement);
  const about = { group: groupOf(id), name: id, outcome, requirement };
  if (outcome === 'holds') return { ...about, why: '', details: [] };
  if (outcome === 'unknown') return { ...about, why: whyUnknown(requirement), details: [] };
  const seen = counterexample ? `step ${counterexample.step}: ${counterexample.message}` : `violated ${count(violated, 'time')}`;
  const details = [
    `says: ${sayingOf(id)}`,
    `seen: ${seen}`,
    ...(counterexample ? [`again: ${replayLine(counterexample)}`] : []),
    ...(counterexample?.evidence ?? []),
  ];
  const link = expected?.link === undefined ? '' : ` ${expected.link}`;
  const until = expected?.until === undefined ? '' : ` (until ${expected.until})`;
  return { ...about, why: expected ? `${expected.reason}${until}${link}` : seen, details };
}

function runCases(result: ConformanceResult): Case[] {
  const { incidents, drift } = result;
  const doubts = doubtsOf(result);
  const cases: Case[] = [runCase('conclusive', doubts.length > 0 ? 'broke' : 'holds', doubts, doubts)];
  if (drift) cases.push(runCase('expectations', drift.length > 0 ? 'violated' : 'holds', drift, drift));
  for (const kind of Object.keys(incidentKinds) as Incident['kind'][]) {
    const own = incidents.filter((incident) => incident.kind === kind);
    if (kind === 'internal' && own.length === 0) continue; // it is no property of what was tested
    const what = `${count(own.length, 'scenario')} ${incidentKinds[kind]}`;
    const details = own
      .slice(0, mostIncidents)
      .flatMap((incident) => [
        `scenario ${incident.found}: ${incident.message}`,
        `again: ${replayLine(incident)}`,
        ...otherLine(incident).map((line) => `against: ${line}`),
        ...(incident.evidence ?? []),
      ]);
    if (own.length > mostIncidents) details.push(`and ${own.length - mostIncidents} more`);
    cases.push(runCase(`no-${kind}-scenarios`, own.length > 0 ? 'broke' : 'holds', own.length > 0 ? [what] : [], details));
  }
  return cases;
}

function runCase(name: string, outcome: Outcome, [why = '', ...more]: readonly string[], details: readonly string[]): Case {
  return { group: 'run', name, outcome, why: more.length > 0 ? `${why} (and ${more.length} more)` : why, details };
}
