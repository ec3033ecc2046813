import type { Decisions } from '../../../src/model/decisions.ts';
import { family, type Mutant } from '../mutant.ts';

/** What is written to the lists, and where. */
export const lists: readonly Mutant[] = family('list handling', [
  [
    'never writes the frames back',
    ['get-mfns-returned', 'get-partial-mfns'],
    { writesMfns: () => 'never' },
    ['get-aligned', 'get-address-limit'],
  ],
  [
    'writes the frames back only on success',
    ['get-partial-mfns'],
    { writesMfns: () => 'on success' },
    ['get-address-limit', 'get-aligned'],
  ],
  ['does not write the last frame back', ['get-mfns-returned'], { outputSlot: (k, nr) => (k === nr - 1 ? -1 : k) }, ['get-aligned']],
  ['writes a wrong last frame', ['get-mfns-returned'], wrongLastFrame()],
  ['writes only the first frame back', ['get-mfns-returned', 'get-partial-mfns'], { outputSlot: (k) => (k === 0 ? 0 : -1) }],
  [
    'writes the guest frame back',
    ['get-mfns-returned', 'get-partial-mfns'],
    { outputEntry: (_mfn, gfn) => gfn },
    ['get-aligned', 'get-address-limit'],
  ],
  [
    'writes the frame after',
    ['get-mfns-returned', 'get-partial-mfns', 'get-aligned'],
    { outputEntry: (mfn) => mfn + 1 },
    ['get-address-limit'],
  ],
  [
    'writes addresses instead of frame numbers',
    ['get-mfns-returned', 'get-partial-mfns', 'get-address-limit'],
    { outputEntry: (mfn) => mfn * 4096 },
  ],
  ['writes frame numbers below 4 GiB only', ['get-mfns-returned', 'get-partial-mfns'], { outputEntry: (mfn) => mfn % 2 ** 20 }],
  [
    'writes the frames in reverse',
    ['get-mfns-returned', 'get-partial-mfns', 'get-populates-gpfns', 'get-rest-untouched', 'put-works', 'no-stray-writes'],
    { outputSlot: (k, nr) => nr - 1 - k },
    ['get-pinned', 'get-in-untouched', 'get-address-limit', 'get-aligned', 'get-contiguous'],
  ],
  [
    'writes each frame one entry on',
    ['get-mfns-returned', 'get-partial-mfns', 'get-populates-gpfns', 'get-rest-untouched', 'put-works', 'no-stray-writes'],
    { outputSlot: (k) => k + 1 },
    ['get-aligned', 'get-address-limit', 'get-pinned', 'get-in-untouched', 'get-contiguous', 'get-works'],
  ],
  ['writes one entry too many', ['no-stray-writes'], { extraEntries: 1 }, ['get-in-untouched']],
  [
    'clears the output entries of a chunk that fails',
    ['get-rest-untouched', 'no-stray-writes'],
    { failedEntry: () => 0 },
    ['get-in-untouched'],
  ],
  [
    'marks the output entries of a chunk that fails',
    ['get-rest-untouched', 'no-stray-writes'],
    { failedEntry: () => 2 ** 52 - 1 },
    ['get-in-untouched'],
  ],
  ['clears the input entries it has done', ['get-in-untouched', 'no-stray-writes'], { inputEntry: () => 0 }],
]);

/** The last frame is off by so much that it stays aligned and below every limit. */
function wrongLastFrame(): Partial<Decisions> {
  let isLast = false;
  return {
    outputSlot(k, nr) {
      isLast = k === nr - 1;
      return k;
    },
    outputEntry: (mfn) => (isLast ? mfn - 2 ** 16 : mfn),
  };
}
