import { describe, expect, it } from 'vitest';
import { faulty } from './faulty.ts';
import { brokenBy, faultyHypervisor } from './kill.ts';
import type { Family } from './mutant.ts';

/** The run that finds every faulty hypervisor. Most show all they break long before its end, and are let go then. */
const run = { seed: 1, scenarios: 1500 };
/** Least scenarios, so that what should not show has a chance to. */
const least = 40;
/** Shows each all it breaks (npm run test:long, which .ci/run does), or is it enough that it is caught, and under a right id? */
const long = process.env['XENMEM_LONG'] !== undefined;

/** One test for each faulty hypervisor of these families. */
export function testFaulty(families: readonly Family[]): void {
  describe.each(families)('%s', (family) => {
    it.each(faulty.filter((mutant) => mutant.family === family).map((mutant) => [mutant.name, mutant] as const))('%s', (_, mutant) => {
      let played = 0;
      const { broken } = brokenBy(faultyHypervisor(mutant), {
        ...run,
        until: (found) =>
          long ? ++played >= least && mutant.breaks.every((id) => found.has(id)) : mutant.breaks.some((id) => found.has(id)),
      });
      const seen = [...broken.keys()].filter((id) => !mutant.also.includes(id));
      if (long) expect(seen.sort()).toEqual([...mutant.breaks].sort());
      else {
        expect(seen.length).toBeGreaterThan(0);
        expect(seen.filter((id) => !mutant.breaks.includes(id))).toEqual([]);
      }
    });
  });
}
