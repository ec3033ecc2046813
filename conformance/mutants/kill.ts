import fc from 'fast-check';
import type { Arch } from '../../src/abi/arch.ts';
import { type Checked, checkHere } from '../check.ts';
import { scenarioFrom } from '../generate.ts';
import { type Capability, capabilities, extras, type Hello, type Implementation } from '../implementation.ts';
import { wholeNumbers } from '../numbers.ts';
import { referenceImplementation } from '../reference.ts';
import type { Scenario } from '../scenario.ts';
import type { Mutant } from './mutant.ts';

/** One scenario of a run, by what it is made from. */
export interface Sample {
  readonly numbers: readonly number[];
  readonly arch: Arch;
}

/** How a faulty hypervisor was found out. */
export interface Kill {
  /** Index of the first scenario that showed a violation; `undefined` if none did. */
  readonly first: number | undefined;
  /** Every requirement seen broken, by the index of the scenario that showed it first. */
  readonly broken: ReadonlyMap<string, number>;
}

export interface Budget {
  readonly seed: number;
  readonly scenarios: number;
  /** Ends the run early; by default it goes through the whole budget. */
  readonly until?: (broken: ReadonlyMap<string, number>) => boolean;
}

const drawn = new Map<number, readonly Sample[]>();

/** The first scenarios of the run with this seed, the architectures by turns: what the suite plays, drawn once. */
export function samples(seed: number, scenarios: number): readonly Sample[] {
  let known = drawn.get(seed);
  if (!known || known.length < scenarios) {
    const lists = fc.sample(wholeNumbers, { seed, numRuns: scenarios });
    known = lists.map((numbers, i) => ({ numbers, arch: i % 2 === 0 ? 'arm64' : 'arm32' }));
    drawn.set(seed, known);
  }
  return known.slice(0, scenarios);
}

/** Plays the scenarios of a run on an implementation and notes which requirements they show broken. */
export function brokenBy(implementation: Implementation, { seed, scenarios, until = () => false }: Budget): Kill {
  const broken = new Map<string, number>();
  let first: number | undefined;
  for (const [index, sample] of samples(seed, scenarios).entries()) {
    for (const id of violatedIn(checkHere(scenarioOf(sample, implementation.hello), implementation))) {
      first ??= index;
      if (!broken.has(id)) broken.set(id, index);
    }
    if (until(broken)) break;
  }
  return { first, broken };
}

/**
 * The faulty hypervisor, seen at a level: 2 is everything, 1 without moving pages, 0 also without a look at the p2m. `bare`: with
 * no capability beyond those that make the level.
 */
export function faultyHypervisor({ patch }: Pick<Mutant, 'patch'>, level: 0 | 1 | 2 = 2, bare = false): Implementation {
  const beyond: readonly Capability[] = level === 2 ? [] : level === 1 ? ['churn'] : ['churn', 'translate'];
  const hidden = bare ? [...beyond, ...extras] : beyond;
  return referenceImplementation(patch, { capabilities: new Set(capabilities.filter((c) => !hidden.includes(c))) });
}

/** What it takes to show a violation: calls, moves of pages, and failures asked for. */
export function sizeOf({ steps }: Scenario): number {
  return steps.reduce((size, step) => size + (step.do === 'call' && step.inject ? 2 : 1), 0);
}

/**
 * The smallest scenario found that still shows a violation, `undefined` if these numbers show none: numbers are left out or made zero as long as one shows, and what
 * comes after it is cut off.
 */
export function smallest({ numbers, arch }: Sample, implementation: Implementation, most = 250): Scenario | undefined {
  const shown = (list: readonly number[]): Scenario | undefined => {
    const scenario = scenarioOf({ numbers: list, arch }, implementation.hello);
    const checked = checkHere(scenario, implementation);
    return violatedIn(checked).size > 0 ? upToViolation(scenario, checked) : undefined;
  };
  let least = numbers;
  const first = shown(numbers);
  if (!first) return undefined;
  let scenario = first;
  let left = most;
  const accepts = (list: readonly number[]): boolean => {
    if (left-- <= 0) return false;
    const smaller = shown(list);
    if (!smaller || sizeOf(smaller) > sizeOf(scenario)) return false;
    [least, scenario] = [list, smaller];
    return true;
  };
  for (let length = 0; length < least.length && !accepts(least.slice(0, length)); length = 2 * length + 1);
  for (let before = -1; before !== left && left > 0; ) {
    const [length, size, zeros] = [least.length, sizeOf(scenario), least.filter((n) => n === 0).length];
    for (const cut of [8, 4, 2, 1]) {
      for (let at = 0; at < least.length; ) if (!accepts(least.toSpliced(at, cut))) at += cut;
    }
    for (let at = 0; at < least.length; at++) if (least[at] !== 0) accepts(least.with(at, 0));
    const same = length === least.length && size === sizeOf(scenario) && zeros === least.filter((n) => n === 0).length;
    before = same ? left : -1;
  }
  return scenario;
}

function scenarioOf({ numbers, arch }: Sample, hello: Hello): Scenario {
  return scenarioFrom(numbers, arch, hello);
}

function violatedIn({ given }: Checked): Set<string> {
  return new Set(given.filter((g) => g.answer.answer === 'violated').map((g) => g.id));
}

/** Without the steps after the first violation, and without a second run that it does not need. */
function upToViolation(scenario: Scenario, { given }: Checked): Scenario {
  const first = given.find((g) => g.answer.answer === 'violated');
  const steps = scenario.steps.slice(0, (first?.step ?? scenario.steps.length) + 1);
  const needsPair = first?.id.includes('ignores') === true;
  return { world: scenario.world, steps, ...(needsPair && scenario.pair && { pair: scenario.pair }) };
}
