import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { checkFolder } from './golden/check.ts';
import { referenceImplementation } from './protocol/reference.ts';
import { scenarioFrom } from './scenario/generate.ts';
import { samples } from './scenario/numbers.ts';
import { checkHere } from './verdict/check.ts';

// For the mutation runner, once per mutant of our own code: short forms of the run and of `fixtures
// check`.

it('rules and model agree on the same few hundred calls', () => {
  const model = referenceImplementation();
  const held = new Map<string, number>();
  for (const { numbers, arch } of samples(3, 120)) {
    for (const { id, answer } of checkHere(scenarioFrom(numbers, arch, model.hello), model).given) {
      expect([id, answer.answer]).not.toEqual([id, 'violated']);
      if (answer.answer === 'holds') held.set(id, (held.get(id) ?? 0) + 1);
    }
  }
  expect(held.size).toBeGreaterThan(30);
});

it('the golden cases are judged and shown as they were', () => {
  expect(checkFolder(fileURLToPath(new URL('../fixtures/golden', import.meta.url))).problems).toEqual([]);
});
