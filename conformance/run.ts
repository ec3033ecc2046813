import fc from 'fast-check';
import type { Arch } from '../src/abi/arch.ts';
import { hex64 } from '../src/codec/hex.ts';
import type { ConformanceResult, Counterexample, ImplementationInfo, RequirementResult, Strength } from '../src/report/result.ts';
import type { Rule } from '../src/rules/rule.ts';
import { rules } from '../src/rules/table.ts';
import { type Cells, countCell, requiredCells } from './cells.ts';
import { type Checked, check } from './check.ts';
import { scenarioFrom } from './generate.ts';
import { type Hello, levelOf } from './implementation.ts';
import { scenarioNumbers, wholeNumbers } from './numbers.ts';
import type { Play } from './observe.ts';
import { ambiguities } from './readings.ts';
import { type Scenario, toJson, tokenOf } from './scenario.ts';

/** Below so many judged calls a requirement that is demanded counts as not exercised. */
export const floor = 30;
/** Most times a scenario is played again to make it smaller. */
const shrinkBudget = 400;
/** Scenarios between two moments in which an interrupt is noticed. */
const signalPause = 64;

export interface RunOptions {
  readonly hello: Hello;
  /** Plays on the implementation: the only part that knows where it is. */
  readonly play: <T>(play: Play<T>) => T | Promise<T>;
  readonly arch: readonly Arch[];
  readonly seed: number;
  /** Scenarios in all. */
  readonly runs: number;
  /** The level that is demanded; by default the one the implementation reaches. */
  readonly level?: number;
  /** What the suite is known to catch, by level. */
  readonly strength?: (level: 0 | 1 | 2) => Strength;
  readonly onProgress?: (done: number, violated: number) => void;
  /** Asked between scenarios: true ends the run early. */
  readonly stopped?: () => boolean;
}

/**
 * Runs the suite: scenarios from one seed, every answer counted, and for each violated requirement the smallest scenario that
 * still shows it. The same seed gives the same result on every machine.
 */
export async function runSuite(options: RunOptions): Promise<ConformanceResult> {
  const { hello, arch, seed, runs } = options;
  const tally = new Map(rules.filter((r) => r.blame === 'hypervisor').map((r) => [r.id, { holds: 0, violated: 0, unknown: 0 }]));
  const found = new Map<string, { numbers: number[]; arch: Arch }>();
  const cells: Cells = new Map();
  const readings: Record<string, Record<string, number>> = {};
  let calls = 0;
  let done = 0;
  const one = async (numbers: number[]): Promise<void> => {
    const on = arch[done % arch.length] as Arch;
    const checked = await options.play(check(scenarioFrom(numbers, on, hello), hello));
    done++;
    calls += checked.calls.length;
    for (const { id, answer } of checked.given) {
      const counts = tally.get(id);
      if (!counts) continue;
      counts[answer.answer]++;
      if (answer.answer === 'violated' && !found.has(id)) found.set(id, { numbers, arch: on });
    }
    for (const call of checked.calls) {
      countCell(cells, call);
      for (const { id, reading } of ambiguities) {
        const seen = reading(call);
        if (seen === undefined) continue;
        readings[id] ??= {};
        readings[id][seen] = (readings[id][seen] ?? 0) + 1;
      }
    }
    options.onProgress?.(done, found.size);
    // An implementation in this process never waits: let signals through.
    if (done % signalPause === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  await fc.assert(
    fc.asyncProperty(wholeNumbers, async (list) => {
      if (!options.stopped?.()) await one(list);
    }),
    { seed, numRuns: runs },
  );
  const counterexamples = new Map<string, Counterexample>();
  for (const [id, { numbers: list, arch: on }] of found) {
    if (!options.stopped?.()) counterexamples.set(id, await smallest(id, list, on, options));
  }
  return summarise(options, { tally, cells, readings, calls, done, counterexamples });
}

interface Collected {
  readonly tally: ReadonlyMap<string, { holds: number; violated: number; unknown: number }>;
  readonly cells: Cells;
  readonly readings: ConformanceResult['readings'];
  readonly calls: number;
  readonly done: number;
  readonly counterexamples: ReadonlyMap<string, Counterexample>;
}

function summarise(
  { hello, arch, seed, runs, level, strength }: RunOptions,
  { tally, cells, readings, calls, done, counterexamples }: Collected,
): ConformanceResult {
  const reached = levelOf(hello);
  const requirements = rules
    .filter((rule) => tally.has(rule.id))
    .map((rule): RequirementResult => {
      const { holds, violated, unknown } = tally.get(rule.id) ?? { holds: 0, violated: 0, unknown: 0 };
      const excused = excuse(rule, hello);
      const counterexample = counterexamples.get(rule.id);
      return {
        id: rule.id,
        verdict: violated > 0 ? 'violated' : holds >= floor ? 'holds' : 'unknown',
        exercised: holds + violated,
        unknown,
        violated,
        ...(excused !== undefined && { excused }),
        ...(counterexample && { counterexample }),
      };
    });
  const missed = [...requiredCells(hello.capabilities)]
    .map(([cell, least]) => ({ cell, count: cells.get(cell) ?? 0, floor: least }))
    .filter(({ count, floor: least }) => count < least);
  const broken = requirements.filter((r) => r.verdict === 'violated');
  const vacuous = requirements.filter((r) => r.verdict === 'unknown' && r.excused === undefined);
  const reasons = [
    ...broken.map((r) => `${r.id} is violated`),
    ...(level !== undefined && level > reached ? [`level ${level} is demanded, ${reached} can be seen`] : []),
    ...vacuous.map((r) => `${r.id} was exercised ${r.exercised} times, fewer than ${floor}`),
    ...missed.map(({ cell, count, floor: least }) => `cell "${cell}" was reached ${count} times, fewer than ${least}`),
    ...(done < runs ? [`interrupted after ${done} of ${runs} scenarios`] : []),
  ];
  return {
    verdict: broken.length > 0 ? 'nonconformant' : reasons.length > 0 ? 'inconclusive' : 'conformant',
    level: reached,
    implementation: introduced(hello),
    seed,
    arch,
    runs,
    calls,
    partial: done < runs,
    requirements,
    missedCells: missed,
    readings,
    reasons,
    ...(strength && { strength: strength(reached) }),
  };
}

function introduced({ name, version, arch, commands, capabilities, limits }: Hello): ImplementationInfo {
  return {
    name,
    version,
    arch,
    commands,
    capabilities: [...capabilities].sort(),
    limits: Object.fromEntries(Object.entries(limits).map(([key, value]) => [key, typeof value === 'bigint' ? hex64(value) : value])),
  };
}

/** Why a requirement need not be exercised on this implementation. */
function excuse(rule: Rule, { capabilities, commands, limits }: Hello): string | undefined {
  if (rule.level >= 1 && !capabilities.has('translate')) return 'needs the capability translate';
  if (rule.level >= 2 && !capabilities.has('churn')) return 'needs the capability churn';
  if (rule.id === 'frames-conserved' && !capabilities.has('pages')) return 'needs the capability pages';
  if (rule.id === 'isolation' && (limits.domains ?? 2) < 2) return 'needs two domains';
  const partial = ['get-partial-mfns', 'get-incomplete-nonzero', 'get-rest-untouched'];
  if (partial.includes(rule.id) && !capabilities.has('fail-alloc')) return 'is reached only by chance without the capability fail-alloc';
  if (!rule.ops.some((op) => commands[op] !== undefined)) return 'speaks of ops that are not implemented';
  const needsGet = ['put-works', 'put-unpins', 'put-only-listed'];
  if (needsGet.includes(rule.id) && commands.get_dma_buf === undefined) return 'needs pages that get has pinned';
  return rule.id === 'put-keeps-pages' && !capabilities.has('translate') && !capabilities.has('changes')
    ? 'needs translate or changes'
    : undefined;
}

/** The smallest list of numbers whose scenario still breaks the requirement; deterministic, and bounded in what it plays. */
async function smallest(id: string, numbers: number[], arch: Arch, { hello, play }: RunOptions): Promise<Counterexample> {
  let left = shrinkBudget;
  const breaks = async (list: number[]): Promise<Checked['given'][number] | undefined> => {
    const { given } = await play(check(scenarioFrom(list, arch, hello), hello));
    return given.find((g) => g.id === id && g.answer.answer === 'violated');
  };
  const { counterexample } = await fc.check(
    fc.asyncProperty(scenarioNumbers, async (list) => left-- <= 0 || (await breaks(list)) === undefined),
    { examples: [[numbers]], numRuns: 1, seed: 0 },
  );
  const [least] = counterexample ?? [numbers];
  const scenario = trim(scenarioFrom(least as number[], arch, hello));
  const { given } = await play(check(scenario, hello));
  const last = given.find((g) => g.id === id && g.answer.answer === 'violated');
  const message = last?.answer.answer === 'violated' ? (last.answer.violations[0]?.message ?? '') : 'it does not always show';
  const step = last?.step ?? scenario.steps.length - 1;
  const shown = last && scenario.pair === undefined ? { ...scenario, steps: scenario.steps.slice(0, step + 1) } : scenario;
  return { replay: tokenOf(shown), scenario: toJson(shown), step, message };
}

function trim(scenario: Scenario): Scenario {
  return scenario.pair && scenario.pair.step + 1 < scenario.steps.length
    ? { ...scenario, steps: scenario.steps.slice(0, scenario.pair.step + 1) }
    : scenario;
}
