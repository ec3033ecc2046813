import { faulty } from './faulty.ts';
import { brokenBy, faultyHypervisor, samples, sizeOf, smallest } from './kill.ts';
import type { Mutant } from './mutant.ts';

/** How one faulty hypervisor was found out at one level; `null` where it was not. */
export interface AtLevel {
  /** Scenarios that were played, the one that showed it included. */
  readonly scenarios: number;
  readonly requirements: readonly string[];
}

/** How one faulty hypervisor was found out. */
export interface MutantStrength {
  readonly name: string;
  readonly family: string;
  /** By level: 2 sees everything, 1 no moving pages, 0 no p2m either. */
  readonly levels: { readonly 2: AtLevel | null; readonly 1: AtLevel | null; readonly 0: AtLevel | null };
  /** Scenarios by level where nothing beyond the level can be seen or asked for; `null` where it was not found. */
  readonly bare: { readonly 2: number | null; readonly 1: number | null; readonly 0: number | null };
  /** Calls, moves and failures asked for in the smallest scenario found that shows it. */
  readonly counterexample: number | null;
}

/** What the suite finds of the faulty hypervisors. */
export interface Strength {
  readonly seed: number;
  /** Scenarios played at most, per faulty hypervisor. */
  readonly budget: number;
  readonly mutants: readonly MutantStrength[];
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

/** Scenarios to start from, as long as what they shrink to is not small: the first one to show a fault is not always a good one. */
const starts = 4;
const small = 3;

/** Measures every faulty hypervisor anew. Takes minutes. */
export function measure(seed: number, budget: number, done: (name: string) => void = () => {}): Strength {
  return {
    seed,
    budget,
    mutants: faulty.map((mutant): MutantStrength => {
      done(mutant.name);
      const levels = { 2: atLevel(mutant, 2, seed, budget), 1: atLevel(mutant, 1, seed, budget), 0: atLevel(mutant, 0, seed, budget) };
      return {
        name: mutant.name,
        family: mutant.family,
        levels,
        bare: { 2: bareAt(mutant, 2, seed, budget), 1: bareAt(mutant, 1, seed, budget), 0: bareAt(mutant, 0, seed, budget) },
        counterexample: levels[2] && smallestOf(mutant, seed, budget, levels[2].scenarios - 1),
      };
    }),
  };
}

/** The numbers that a report prints. */
export function summary({ mutants }: Strength): StrengthSummary {
  const found = mutants.flatMap(({ levels, counterexample }) => (levels[2] ? [{ ...levels[2], counterexample }] : []));
  const scenarios = found.map((f) => f.scenarios).sort((a, b) => a - b);
  const killedAt = (level: 0 | 1 | 2): number => mutants.filter(({ levels }) => levels[level] !== null).length;
  return {
    killed: found.length,
    total: mutants.length,
    medianScenarios: scenarios[scenarios.length >> 1] ?? 0,
    inFour: found.filter((f) => (f.counterexample ?? Number.POSITIVE_INFINITY) <= 4).length / Math.max(1, found.length),
    killedAt: [killedAt(0), killedAt(1), killedAt(2)],
  };
}

function bareAt(mutant: Mutant, level: 0 | 1 | 2, seed: number, scenarios: number): number | null {
  return atLevel(mutant, level, seed, scenarios, true)?.scenarios ?? null;
}

function atLevel(mutant: Mutant, level: 0 | 1 | 2, seed: number, scenarios: number, bare = false): AtLevel | null {
  const { first, broken } = brokenBy(faultyHypervisor(mutant, level, bare), { seed, scenarios, until: (found) => found.size > 0 });
  return first === undefined ? null : { scenarios: first + 1, requirements: [...broken.keys()].sort() };
}

function smallestOf(mutant: Mutant, seed: number, budget: number, from: number): number {
  const implementation = faultyHypervisor(mutant);
  const run = samples(seed, budget);
  let least = Number.POSITIVE_INFINITY;
  let tried = 0;
  for (let index = from; index < run.length && tried < starts && least > small; index++) {
    const scenario = smallest(run[index] as (typeof run)[number], implementation);
    if (!scenario) continue;
    tried++;
    least = Math.min(least, sizeOf(scenario));
  }
  return least;
}
