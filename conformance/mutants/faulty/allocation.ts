import { errno } from '../../../src/abi/constants.ts';
import { strict } from '../../../src/model/strict.ts';
import { family, type Mutant } from '../mutant.ts';

/** Which frames the guest gets, and what becomes of the old ones. */
export const allocation: readonly Mutant[] = family('allocation', [
  ['makes extents of single pages', ['get-contiguous', 'get-aligned'], { blockOrder: () => 0 }],
  ['makes extents of two halves', ['get-contiguous', 'get-aligned'], { blockOrder: (order) => Math.max(0, order - 1) }],
  ['lets extents lie one page off', ['get-aligned'], { skew: (order) => (order > 0 ? 1 : 0) }],
  ['lets extents lie half their size off', ['get-aligned'], { skew: (order) => (order > 0 ? 2 ** (order - 1) : 0) }],
  ['lets one frame lie at the limit', ['get-address-limit'], { limitFrame: (bits) => strict.limitFrame(bits, 0) + 1 }],
  ['takes one bit too many', ['get-address-limit'], { limitFrame: (bits, order) => 2 * strict.limitFrame(bits, order) }],
  ['ignores the limit', ['get-address-limit'], { limitFrame: () => Number.POSITIVE_INFINITY }],
  ['ignores the limit when memory below it is short', ['get-address-limit'], { ignoresLimitWhenShort: true }],
  [
    'takes the limit from the inputs',
    ['get-address-limit', 'get-ignores-in-address-bits'],
    { limitBits: (inBits) => inBits & 0xff },
    ['get-same-gfn', 'get-works'],
  ],
  [
    'takes the limit from the inputs where the outputs have none',
    ['get-ignores-in-address-bits'],
    { limitBits: (inBits, outBits) => (outBits || inBits) & 0xff },
    ['get-works', 'get-same-gfn'],
  ],
  ['gives the inputs back as outputs', ['get-new-pages', 'get-address-limit', 'get-inputs-released'], { reusesInputs: true }],
  [
    'leaves the inputs mapped',
    ['get-inputs-released', 'put-keeps-pages', 'no-stray-writes', 'frames-conserved'],
    { unmapsInputs: false },
    [
      'get-new-pages',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-size-mismatch',
      'get-works',
      'put-in-untouched',
      'bad-address-fails',
      'get-refuses-domid-mismatch',
      'get-refuses-foreign-domid',
      'get-rest-untouched',
    ],
  ],
  ['keeps the frames of the inputs', ['get-new-pages', 'frames-conserved'], { inputFrames: 'kept' }, ['get-same-gfn', 'get-works']],
  [
    'frees the frames of the inputs twice',
    ['get-new-pages', 'put-keeps-pages', 'put-in-untouched', 'no-stray-writes', 'frames-conserved'],
    { inputFrames: 'freed twice' },
    [
      'get-mfns-returned',
      'get-partial-mfns',
      'get-populates-gpfns',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'put-works',
      'bad-address-fails',
    ],
  ],
  ['charges the guest for what a failed chunk got', ['get-new-pages', 'get-works', 'frames-conserved'], { failedFrames: 'kept' }],
  ['loses what a failed chunk got', ['get-works'], { failedFrames: 'lost' }],
  ['does not give the inputs of a failed chunk back', ['get-new-pages', 'get-rest-untouched', 'frames-conserved'], { rollsBack: false }],
  [
    'goes on without memory',
    ['get-mfns-returned', 'get-new-pages', 'get-populates-gpfns', 'put-works', 'frames-conserved'],
    { noMemory: 0 },
    ['get-partial-mfns', 'get-aligned', 'get-address-limit'],
  ],
  ['maps only the first page of an extent', ['get-populates-gpfns', 'put-works'], { memoryOf: (page) => (page === 0 ? 0 : -1) }],
  [
    'does not map the last page of an extent',
    ['get-populates-gpfns', 'put-works'],
    { memoryOf: (page, pages) => (pages > 1 && page === pages - 1 ? -1 : page) },
  ],
  // Over a variant that lets a page be put that is not pinned, so that the put does not fail too.
  [
    'forgets the last page of an extent and lets it be put',
    ['get-populates-gpfns'],
    { memoryOf: (page, pages) => (pages > 1 && page === pages - 1 ? -1 : page), putUnpinned: 0 },
  ],
  ['maps the pages behind the first one backwards', ['get-contiguous'], { memoryOf: (page, pages) => (pages - page) % pages }],
  [
    'maps an extent backwards',
    ['get-mfns-returned', 'get-partial-mfns', 'get-contiguous'],
    { memoryOf: (page, pages) => pages - 1 - page },
  ],
  [
    'has no memory for more than one page',
    ['get-same-gfn', 'get-works'],
    { limitFrame: (bits, order) => (order > 0 ? 0 : strict.limitFrame(bits, order)), noMemory: errno.EINVAL },
  ],
]);
