import { samples } from '../scenario/numbers.ts';
import { sizeOf } from '../scenario/scenario.ts';
import type { Fault } from './fault.ts';
import type { Create } from './load.ts';
import { brokenBy, seenAt, smallest } from './play.ts';

/**
 * Scenarios that were played at levels 0, 1 and 2, the one that showed a fault included; `null`
 * where none did. Level 2 sees everything, 1 no moving pages, 0 no p2m either.
 */
export type ByLevel = readonly [number | null, number | null, number | null];

/** How one faulty hypervisor was found out. */
export interface FaultStrength {
  readonly name: string;
  readonly family: string;
  readonly levels: ByLevel;
  /** The same where nothing beyond the level can be seen or asked for. */
  readonly bare: ByLevel;
  /** Calls, moves and failures asked for in the smallest scenario found that shows it. */
  readonly counterexample: number | null;
}

/** What the suite finds of the faulty hypervisors. */
export interface MeasuredStrength {
  readonly seed: number;
  /** Scenarios played at most, per faulty hypervisor. */
  readonly budget: number;
  readonly mutants: readonly FaultStrength[];
}

/** The strength in a few numbers. */
export interface StrengthSummary {
  readonly killed: number;
  readonly total: number;
  /** Scenarios until half of those found are found. */
  readonly medianScenarios: number;
  /** Of those found, the share that 4 calls, moves and failures show. */
  readonly inFour: number;
  /** Killed at levels 0, 1 and 2. */
  readonly killedAt: readonly [number, number, number];
}

/**
 * Scenarios to start from, as long as what they shrink to is not small: the first one to show a
 * fault is not always a good one.
 */
const starts = 4;
const small = 3;

/** Measures how soon a faulty hypervisor is found out. */
export async function measure({ name, family }: Fault, create: Create, seed: number, budget: number): Promise<FaultStrength> {
  const at = (level: 0 | 1 | 2, bare = false): number | null => {
    const run = { seed, scenarios: budget, until: (broken: ReadonlyMap<string, number>) => broken.size > 0 };
    const { first } = brokenBy(seenAt(create, level, bare), run);
    return first === undefined ? null : first + 1;
  };
  const found = at(2);
  return {
    name,
    family,
    levels: [at(0), at(1), found],
    bare: [at(0, true), at(1, true), at(2, true)],
    counterexample: found && (await least(create, seed, budget, found - 1)),
  };
}

/** The numbers that a report prints. */
export function summary({ mutants }: MeasuredStrength): StrengthSummary {
  const found = mutants.filter(({ levels }) => levels[2] !== null);
  const scenarios = found.map(({ levels }) => levels[2] ?? 0).sort((a, b) => a - b);
  const killedAt = (level: 0 | 1 | 2): number => mutants.filter(({ levels }) => levels[level] !== null).length;
  return {
    killed: found.length,
    total: mutants.length,
    medianScenarios: scenarios[scenarios.length >> 1] ?? 0,
    inFour: found.filter((f) => (f.counterexample ?? Number.POSITIVE_INFINITY) <= 4).length / Math.max(1, found.length),
    killedAt: [killedAt(0), killedAt(1), killedAt(2)],
  };
}

async function least(create: Create, seed: number, budget: number, from: number): Promise<number> {
  const implementation = seenAt(create);
  let size = Number.POSITIVE_INFINITY;
  let tried = 0;
  for (const drawn of samples(seed, budget, false).slice(from)) {
    if (tried === starts || size <= small) break;
    const scenario = await smallest(drawn, implementation);
    if (!scenario) continue;
    tried++;
    size = Math.min(size, sizeOf(scenario));
  }
  return size;
}
