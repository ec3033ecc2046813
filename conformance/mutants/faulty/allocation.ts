import { errno } from '../../../src/abi/constants.ts';
import { strict } from '../../../src/model/strict.ts';
import { family, type Mutant } from '../mutant.ts';

/** Which frames the guest gets, and what becomes of the old ones. */
export const allocation: readonly Mutant[] = family('allocation', [
  ['makes extents of single pages', [], { blockOrder: () => 0 }],
  ['makes extents of two halves', [], { blockOrder: (order) => Math.max(0, order - 1) }],
  ['lets extents lie one page off', [], { skew: (order) => (order > 0 ? 1 : 0) }],
  ['lets extents lie half their size off', [], { skew: (order) => (order > 0 ? 2 ** (order - 1) : 0) }],
  ['lets one frame lie at the limit', [], { limitFrame: (bits) => strict.limitFrame(bits, 0) + 1 }],
  ['takes one bit too many', [], { limitFrame: (bits, order) => 2 * strict.limitFrame(bits, order) }],
  ['ignores the limit', [], { limitFrame: () => Number.POSITIVE_INFINITY }],
  ['ignores the limit when memory below it is short', [], { ignoresLimitWhenShort: true }],
  ['takes the limit from the inputs', [], { limitBits: (inBits) => inBits & 0xff }],
  ['takes the limit from the inputs where the outputs have none', [], { limitBits: (inBits, outBits) => (outBits || inBits) & 0xff }],
  ['gives the inputs back as outputs', [], { reusesInputs: true }],
  ['leaves the inputs mapped', [], { unmapsInputs: false }],
  ['keeps the frames of the inputs', [], { inputFrames: 'kept' }],
  ['frees the frames of the inputs twice', [], { inputFrames: 'freed twice' }],
  ['charges the guest for what a failed chunk got', [], { failedFrames: 'kept' }],
  ['does not give the inputs of a failed chunk back', [], { rollsBack: false }],
  ['goes on without memory', [], { noMemory: 0 }],
  ['maps only the first page of an extent', [], { memoryOf: (page) => (page === 0 ? 0 : -1) }],
  ['does not map the last page of an extent', [], { memoryOf: (page, pages) => (pages > 1 && page === pages - 1 ? -1 : page) }],
  // Over a variant that lets a page be put that is not pinned, so that the put does not fail too.
  [
    'forgets the last page of an extent and lets it be put',
    [],
    { memoryOf: (page, pages) => (pages > 1 && page === pages - 1 ? -1 : page), putUnpinned: 0 },
  ],
  ['maps the pages behind the first one backwards', [], { memoryOf: (page, pages) => (pages - page) % pages }],
  ['maps an extent backwards', [], { memoryOf: (page, pages) => pages - 1 - page }],
  [
    'has no memory for more than one page',
    [],
    { limitFrame: (bits, order) => (order > 0 ? 0 : strict.limitFrame(bits, order)), noMemory: errno.EINVAL },
  ],
]);
