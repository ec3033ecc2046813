import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkHere } from './check.ts';
import { scenarioFrom } from './generate.ts';
import { wholeNumbers } from './numbers.ts';
import { referenceImplementation } from './reference.ts';

// A short form of the run, quick enough to be played once per mutant of our own code.
it('rules and model agree on the same few hundred calls', () => {
  const model = referenceImplementation();
  const held = new Map<string, number>();
  for (const [i, numbers] of fc.sample(wholeNumbers, { seed: 3, numRuns: 120 }).entries()) {
    for (const { id, answer } of checkHere(scenarioFrom(numbers, i % 2 === 0 ? 'arm64' : 'arm32', model.hello), model).given) {
      expect([id, answer.answer]).not.toEqual([id, 'violated']);
      if (answer.answer === 'holds') held.set(id, (held.get(id) ?? 0) + 1);
    }
  }
  expect(held.size).toBeGreaterThan(30);
});
