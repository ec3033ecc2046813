import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkHere } from '../check.ts';
import { faulty } from '../mutants/faulty.ts';
import { faultyHypervisor } from '../mutants/kill.ts';
import { referenceImplementation } from '../reference.ts';
import { scenarioIn } from '../scenario.ts';
import { kills } from './calls.ts';
import type { CallCase } from './case.ts';
import { storedFiles } from './folder.ts';
import { observedOf, pairOutcomes } from './observed.ts';

// What the model and each faulty hypervisor answered when the cases were chosen and looked at is what they answer today.

const calls = storedFiles(fileURLToPath(new URL('../../fixtures/golden', import.meta.url)))
  .filter(({ file }) => file.startsWith('calls/'))
  .map(({ file, text }) => ({ file, golden: JSON.parse(text) as CallCase, scenario: scenarioIn((JSON.parse(text) as CallCase).scenario) }));
const requirements = [...new Set(calls.map(({ golden }) => golden.requirement))].sort();

const patchOf = (name: string) => faulty.find((mutant) => mutant.name === name)?.patch;

describe('the golden scenarios', () => {
  it.each(requirements)('of %s end as they did', (requirement) => {
    for (const { file, golden, scenario } of calls) {
      if (golden.requirement !== requirement || !scenario) continue;
      const patch = golden.origin.kind === 'shrunk counterexample' ? patchOf(golden.origin.mutant) : undefined;
      const hypervisor = patch ? faultyHypervisor({ patch }) : referenceImplementation();
      const seen = { observed: observedOf(scenario, checkHere(scenario, hypervisor)), pair: pairOutcomes(scenario, hypervisor) };
      expect([file, JSON.parse(JSON.stringify(seen))]).toEqual([
        file,
        { observed: golden.observed, ...(golden.pair && { pair: golden.pair }) },
      ]);
    }
  });

  it.each(faulty.map(({ name }) => name))('find out the hypervisor that %s', (name) => {
    const found = calls.find(({ golden }) => golden.kills?.includes(name));
    expect(found && patchOf(name) && kills(found.scenario!, patchOf(name)!)).toBe(true);
  });
});
