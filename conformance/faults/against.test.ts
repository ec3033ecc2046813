import { describe, expect, it } from 'vitest';
import { checkHere, crashing } from '../check.ts';
import { scenarioFrom } from '../generate.ts';
import type { Answer, Implementation } from '../implementation.ts';
import { faulty } from '../mutants/faulty.ts';
import { samples } from '../mutants/kill.ts';
import { variants } from '../mutants/variants.ts';
import { answer, referenceImplementation } from '../reference.ts';
import { faults, legal } from './faults.ts';
import { type Create, load } from './load.ts';

// Each faulty hypervisor as a switch of the old model, and as an edit of the new one's source: the suite sees the same in both.

const creates = await load([...faults, ...legal]);
const scenarios = 120;

/** The requirements that the first scenarios of a run show broken, each with the first scenario that does. */
function brokenOn(implementation: Implementation): Map<string, number> {
  const broken = new Map<string, number>();
  for (const [i, { numbers, arch }] of samples(1, scenarios).entries()) {
    for (const g of checkHere(scenarioFrom(numbers, arch, implementation.hello), implementation).given) {
      if (g.answer.answer === 'violated' && !broken.has(g.id)) broken.set(g.id, i);
    }
  }
  return broken;
}

function edited(name: string, hello = {}): Implementation {
  const hypervisor = (creates.get(name) as Create)();
  const own = { ...referenceImplementation().hello, ...hello };
  return crashing({ hello: own, answer: (requests): Answer[] => requests.map((r) => answer(hypervisor as never, r)) });
}

describe('the faulty hypervisors', () => {
  it('are the same, by name', () => {
    expect(faults.map(({ name, family, breaks, also }) => [name, family, breaks, also])).toEqual(
      faulty.map(({ name, family, breaks, also }) => [name, family, breaks, also]),
    );
    expect(legal.map(({ name, freedom }) => [name, freedom])).toEqual(variants.map(({ name, freedom }) => [name, freedom]));
  });

  it.each(faulty.map((mutant) => [mutant.name, mutant] as const))('%s', (name, { patch }) => {
    expect(brokenOn(edited(name))).toEqual(brokenOn(referenceImplementation(patch)));
  });

  it.each(legal.map((one) => [one.name, one] as const))('legal: %s', (name, { hello }) => {
    expect([...brokenOn(edited(name, hello))]).toEqual([]);
  });
});
