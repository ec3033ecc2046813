import fc from 'fast-check';
import type { Arch } from '../../src/abi/arch.ts';

/**
 * Numbers enough for six calls. Fewer make a simpler scenario: whatever is missing reads as zero.
 */
export const mostNumbers = 96;

/**
 * What a run draws: lists long enough that no scenario runs out of numbers. Cut short as in
 * `scenarioNumbers`, half of them would end in the simplest of everything, and breaking a duty is
 * never that.
 */
export const wholeNumbers: fc.Arbitrary<number[]> = fc.noBias(
  fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: mostNumbers, maxLength: mostNumbers }),
);

/**
 * What scenarios are made from. Unbiased: a liking for small numbers would be a liking for the
 * first of every choice.
 */
export const scenarioNumbers: fc.Arbitrary<number[]> = fc.noBias(
  fc.array(fc.nat({ max: 0xffff_ffff }), { maxLength: mostNumbers, size: 'max' }),
);

/**
 * Every so many scenarios one is planned (planned.ts), until all that are planned have been played.
 */
const plannedEach = 3;

/**
 * What a scenario is made from at a place of the run: the last of its numbers says which planned
 * one it is, if it is one.
 */
export function plannedAt(numbers: readonly number[], index: number, arches: number): readonly number[] {
  if (index % plannedEach !== plannedEach - 1) return numbers;
  // Each architecture has plans of its own, and the architectures come by turns
  return [...numbers, Math.floor(index / plannedEach / arches)];
}

/** What one scenario of a run is made from. */
export interface Drawn {
  readonly numbers: readonly number[];
  readonly arch: Arch;
}

const known = new Map<string, readonly Drawn[]>();

/**
 * The first scenarios of the run with this seed, the architectures by turns: what the suite plays,
 * drawn once for many players. `planned`: with those that are planned in their places, as a run has
 * them.
 */
export function samples(seed: number, scenarios: number, planned = true): readonly Drawn[] {
  const key = `${seed} ${planned}`;
  let drawn = known.get(key);
  if (!drawn || drawn.length < scenarios) {
    const lists = fc.sample(wholeNumbers, { seed, numRuns: scenarios });
    drawn = lists.map((numbers, i) => ({ numbers: planned ? plannedAt(numbers, i, 2) : numbers, arch: i % 2 === 0 ? 'arm64' : 'arm32' }));
    known.set(key, drawn);
  }
  return drawn.slice(0, scenarios);
}

/**
 * The same lists one at a time, however many: handed on until `take` says no. What it throws is
 * thrown on.
 */
export async function drawEach(seed: number, runs: number, take: (numbers: readonly number[]) => Promise<boolean>): Promise<void> {
  let thrown: { readonly error: unknown } | undefined;
  // To fast-check what ends a run is a failing example, of which it is not to make smaller ones.
  const property = fc.asyncProperty(wholeNumbers, (numbers) =>
    take(numbers).catch((error: unknown) => {
      thrown = { error };
      return false;
    }),
  );
  await fc.check(property, { seed, numRuns: runs, endOnFailure: true });
  if (thrown) throw thrown.error;
}

/**
 * The list of the smallest scenario found that still shows something, as far as so many tries go;
 * deterministic. `sizeOf` plays a list: `undefined` where it does not show it, else how large what
 * shows it is. Numbers are left out, or made zero, as long as that grows nothing: whatever is
 * missing reads as zero, the first and simplest of every choice.
 */
export async function shrunk(
  numbers: readonly number[],
  tries: number,
  sizeOf: (list: readonly number[]) => number | undefined | Promise<number | undefined>,
): Promise<readonly number[]> {
  let least = numbers;
  let size = Number.POSITIVE_INFINITY;
  let left = tries;
  const accepts = async (list: readonly number[]): Promise<boolean> => {
    const found = left-- > 0 ? await sizeOf(list) : undefined;
    if (found === undefined || found > size) return false;
    [least, size] = [list, found];
    return true;
  };
  for (let length = 0; length < least.length && !(await accepts(least.slice(0, length))); length = 2 * length + 1);
  for (let gained = true; gained && left > 0; ) {
    gained = false;
    for (const cut of [8, 4, 2, 1]) {
      for (let at = 0; at < least.length; ) {
        if (await accepts(least.toSpliced(at, cut))) gained = true;
        else at += cut;
      }
    }
    for (let at = 0; at < least.length; at++) if (least[at] !== 0 && (await accepts(least.with(at, 0)))) gained = true;
  }
  return least;
}
