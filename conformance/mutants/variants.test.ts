import { describe, expect, it } from 'vitest';
import { checkHere } from '../check.ts';
import { referenceImplementation } from '../reference.ts';
import { brokenBy, faultyHypervisor, type Sample, samples, sizeOf, smallest } from './kill.ts';
import { variants } from './variants.ts';

describe('a legal hypervisor is never blamed', () => {
  // In short this is part of what prediction.test.ts plays.
  it.runIf(process.env['XENMEM_LONG'] !== undefined).each(variants.map((variant) => [variant.name, variant] as const))(
    '%s',
    (_, { patch, hello }) => {
      const { broken } = brokenBy(referenceImplementation(patch, hello), {
        seed: 4,
        scenarios: 400,
      });
      expect([...broken]).toEqual([]);
    },
  );

  it('in more than one way for most freedoms', () => {
    expect(new Set(variants.map((variant) => variant.name)).size).toBe(variants.length);
    expect(variants.length).toBeGreaterThanOrEqual(16);
  });
});

describe('a counterexample', () => {
  const crooked = faultyHypervisor({ patch: { outputEntry: (mfn) => mfn + 1 } });

  it('becomes as small as the fault allows, and still shows it', () => {
    const { first = 0 } = brokenBy(crooked, { seed: 4, scenarios: 100, until: (found) => found.size > 0 });
    const scenario = smallest(samples(4, 100)[first] as Sample, crooked);
    expect(scenario && sizeOf(scenario)).toBe(1);
    expect(scenario && checkHere(scenario, crooked).given.some((g) => g.answer.answer === 'violated')).toBe(true);
  });

  it('cannot be made of numbers that show nothing', () => {
    expect(smallest({ numbers: [], arch: 'arm64' }, referenceImplementation())).toBeUndefined();
  });
});
