import type { Arch } from '../../src/abi/arch.ts';
import { checkHere } from '../check.ts';
import { scenarioFrom } from '../generate.ts';
import type { Implementation } from '../implementation.ts';
import type { Scenario } from '../scenario.ts';

/** Numbers that a scenario is made of; more than any reads. */
const most = 160;

/** The numbers of the `index`-th scenario of a run. Each index has its own, so that a run can be cut anywhere. */
export function numbersOf(seed: number, index: number): number[] {
  let state = (Math.imul(seed, 0x9e37_79b1) ^ Math.imul(index + 1, 0x85eb_ca6b)) >>> 0;
  const next = (): number => {
    // splitmix32
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return Array.from({ length: most }, next);
}

/** The architectures by turns. */
export function archOf(index: number): Arch {
  return index % 2 === 0 ? 'arm64' : 'arm32';
}

/** The requirements that a scenario shows broken. */
export function violatedIn(scenario: Scenario, implementation: Implementation): Set<string> {
  const ids = new Set<string>();
  for (const { id, answer } of checkHere(scenario, implementation).given) if (answer.answer === 'violated') ids.add(id);
  return ids;
}

/** The `index`-th scenario of a run. */
export function scenarioAt(seed: number, index: number, implementation: Implementation): Scenario {
  return scenarioFrom(numbersOf(seed, index), archOf(index), implementation.hello);
}
