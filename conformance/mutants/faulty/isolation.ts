import { family, type Mutant } from '../mutant.ts';

/** What other domains feel of a call. */
export const isolation: readonly Mutant[] = family('isolation', [
  ['takes the frames of another domain', [], { takesForeignFrames: true }],
  ['writes the lists of the other domains', [], { writesInto: 'others' }],
]);
