import { fileURLToPath } from 'node:url';
import { referenceImplementation } from '../reference.ts';
import { brokenBy } from './kill.ts';
import { variants } from './variants.ts';

/** A legal hypervisor that was blamed: the rules are wrong, or it is not legal. */
export interface Blamed {
  readonly name: string;
  readonly seed: number;
  /** Requirements by the index of the first scenario that showed them broken. */
  readonly broken: ReadonlyMap<string, number>;
}

/** Plays so many scenarios from each seed on every legal hypervisor; what it answers should be empty. */
export function blamed(seeds: readonly number[], scenarios: number): Blamed[] {
  return variants.flatMap(({ name, patch, hello }) =>
    seeds.flatMap((seed) => {
      const { broken } = brokenBy(referenceImplementation(patch, hello), { seed, scenarios });
      return broken.size > 0 ? [{ name, seed, broken }] : [];
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = blamed([1, 2, 3], 2000);
  for (const { name, seed, broken } of found) {
    console.log(`"${name}", seed ${seed}: ${[...broken].map(([id, index]) => `${id} in scenario ${index}`).join(', ')}`);
  }
  console.log(`${variants.length} legal hypervisors, 3 seeds of 2000 scenarios each: ${found.length === 0 ? 'none blamed' : 'blamed'}`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
