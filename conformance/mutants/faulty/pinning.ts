import { errno } from '../../../src/abi/constants.ts';
import { OP } from '../../../src/model/decisions.ts';
import { family, type Mutant } from '../mutant.ts';

/** What is pinned, by whom, and what takes the pin away. */
export const pinning: readonly Mutant[] = family('pinning', [
  ['never pins', [], { pins: () => false }],
  ['pins on exchange too', [], { pins: () => true }],
  ['pins only the first page of an extent', [], { pinsPage: (page) => page === 0 }],
  ['does not pin the last page of an extent', [], { pinsPage: (page, pages) => pages === 1 || page < pages - 1 }],
  ['pins only the first extent', [], { pinsPage: (_page, _pages, extent) => extent === 0 }],
  ['pins the inputs', [], { pinsSide: 'inputs' }],
  ['moves pinned pages', [], { churnSkips: () => false }],
  ['moves unpinned pages never, pinned ones always', [], { churnSkips: (pinned) => !pinned }],
  ['loses pins on the next get', [], { keepsPins: (event) => event !== OP.get }],
  ['loses pins on an exchange', [], { keepsPins: (event) => event !== OP.exchange }],
  ['loses pins when memory is given back', [], { keepsPins: (event) => event !== OP.decrease }],
  ['loses pins when memory is populated', [], { keepsPins: (event) => event !== OP.populate }],
  ['loses pins when a call fails', [], { keepsPins: (event) => event !== 'failure' }],
  ['loses pins when preempted', [], { keepsPins: (event) => event !== 'preemption' }],
  ['loses the pin when the guest writes the page', [], { keepsPins: (event) => event !== 'write' }],
  // What the seed's own patch would do if the continuation were made for the op whose code it shares.
  ['goes on as an exchange when preempted', [], { continuationOp: () => OP.exchange }],
  ['puts the pin of every page', [], { keepsPins: (event) => event !== OP.put }],
  ['puts the page after as well', [], { putReach: (pages) => [0, pages + 1] }],
  ['puts the page before as well', [], { putReach: (pages) => [-1, pages] }],
  ['puts only the first page of an extent', [], { putReach: () => [0, 1] }],
  ['puts all but the first page of an extent', [], { putReach: (pages) => [1, pages] }],
  ['puts nothing', [], { putReach: () => [0, 0] }],
  ['puts by machine frame', [], { putTarget: (entry, gfnOfFrame) => gfnOfFrame() ?? entry }],
  ['puts by machine frame only', [], { putTarget: (_entry, gfnOfFrame) => gfnOfFrame() ?? 2 ** 52 }],
  ['ends a put when preempted', [], { resumesAt: (cursor, op) => (op === OP.put ? Number.MAX_SAFE_INTEGER : cursor) }],
  ['unmaps what is put', [], { putEffect: 'unmaps' }],
  ['frees what is put', [], { putEffect: 'frees' }],
  ['moves what is put', [], { putEffect: 'moves' }],
  ['clears what is put', [], { putEffect: 'clears' }],
  ['loses the content of a page that moves', [], { churnKeepsContent: false }],
  ['always refuses to put', [], { refuses: (op) => (op === OP.put ? errno.EPERM : 0) }],
]);
