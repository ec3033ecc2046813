import { family, type Mutant } from '../mutant.ts';

/** What other domains feel of a call. */
export const isolation: readonly Mutant[] = family('isolation', [
  ['takes the frames of another domain', [], { takesForeignFrames: true }],
  ['writes the lists into the other domains', [], { writesInto: 'others' }],
  ['writes the lists into the other domains too', [], { writesInto: 'all' }],
]);
