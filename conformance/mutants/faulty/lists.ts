import { family, type Mutant } from '../mutant.ts';

/** What is written to the lists, and where. */
export const lists: readonly Mutant[] = family('list handling', [
  ['never writes the frames back', [], { writesMfns: () => 'never' }],
  ['writes the frames back only on success', [], { writesMfns: () => 'on success' }],
  ['does not write the last frame back', [], { outputSlot: (k, nr) => (k === nr - 1 ? -1 : k) }],
  ['writes only the first frame back', [], { outputSlot: (k) => (k === 0 ? 0 : -1) }],
  ['writes the guest frame back', [], { outputEntry: (_mfn, gfn) => gfn }],
  ['writes the frame after', [], { outputEntry: (mfn) => mfn + 1 }],
  ['writes addresses instead of frame numbers', [], { outputEntry: (mfn) => mfn * 4096 }],
  ['writes frame numbers below 4 GiB only', [], { outputEntry: (mfn) => mfn % 2 ** 20 }],
  ['writes the frames in reverse', [], { outputSlot: (k, nr) => nr - 1 - k }],
  ['writes each frame one entry on', [], { outputSlot: (k) => k + 1 }],
  ['writes one entry too many', [], { extraEntries: 1 }],
  ['clears the output entries of a chunk that fails', [], { failedEntry: () => 0 }],
  ['marks the output entries of a chunk that fails', [], { failedEntry: () => 2 ** 52 - 1 }],
  ['clears the input entries it has done', [], { inputEntry: () => 0 }],
]);
