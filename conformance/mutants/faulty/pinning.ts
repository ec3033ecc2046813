import { errno } from '../../../src/abi/constants.ts';
import { OP } from '../../../src/model/decisions.ts';
import { family, type Mutant } from '../mutant.ts';

/** What is pinned, by whom, and what takes the pin away. */
export const pinning: readonly Mutant[] = family('pinning', [
  ['never pins', ['get-pinned'], { pins: () => false }, ['put-works']],
  ['pins on exchange too', ['get-works'], { pins: () => true }, ['get-same-gfn']],
  ['pins only the first page of an extent', ['get-pinned'], { pinsPage: (page) => page === 0 }, ['put-works']],
  [
    'does not pin the last page of an extent',
    ['get-pinned'],
    { pinsPage: (page, pages) => pages === 1 || page < pages - 1 },
    ['put-works'],
  ],
  ['pins only the first extent', ['get-pinned'], { pinsPage: (_page, _pages, extent) => extent === 0 }, ['put-works']],
  ['pins the inputs', ['get-pinned'], { pinsSide: 'inputs' }, ['put-works', 'get-works']],
  ['moves pinned pages', ['get-pinned'], { churnSkips: () => false }],
  ['moves unpinned pages never, pinned ones always', ['get-pinned'], { churnSkips: (pinned) => !pinned }],
  ['loses pins on the next get', ['get-pinned'], { keepsPins: (event) => event !== OP.get }, ['put-only-listed', 'put-works']],
  ['loses pins on an exchange', ['get-pinned'], { keepsPins: (event) => event !== OP.exchange }, ['put-only-listed', 'put-works']],
  ['loses pins when memory is given back', ['get-pinned'], { keepsPins: (event) => event !== OP.decrease }, ['put-works']],
  [
    'loses pins when memory is populated',
    ['get-pinned', 'put-works'],
    { keepsPins: (event) => event !== OP.populate },
    ['put-only-listed'],
  ],
  ['loses pins when a call fails', ['get-pinned'], { keepsPins: (event) => event !== 'failure' }, ['put-only-listed', 'put-works']],
  ['loses pins when preempted', ['get-pinned'], { keepsPins: (event) => event !== 'preemption' }, ['put-works', 'put-only-listed']],
  [
    'loses the pin when the guest writes the page',
    ['put-works'],
    { keepsPins: (event) => event !== 'write' },
    ['get-pinned', 'put-only-listed'],
  ],
  // What the seed's own patch would do if the continuation were made for the op whose code it shares.
  ['goes on as an exchange when preempted', ['get-pinned'], { continuationOp: () => OP.exchange }, ['put-works']],
  ['puts the pin of every page', ['put-only-listed'], { keepsPins: (event) => event !== OP.put }, ['get-pinned', 'put-works']],
  ['puts the page after as well', ['put-only-listed'], { putReach: (pages) => [0, pages + 1] }, ['put-works']],
  ['puts the page before as well', ['put-only-listed'], { putReach: (pages) => [-1, pages] }, ['put-works']],
  // Over variants that let a later call through which the fault would make fail too.
  ['puts the page before as well, and takes a put of anything', ['put-only-listed'], { putReach: (pages) => [-1, pages], putUnpinned: 0 }],
  ['puts only the first page of an extent, and exchanges pinned pages', ['put-unpins'], { putReach: () => [0, 1], pinRefuses: () => 0 }],
  ['puts only the first page of an extent', ['put-unpins'], { putReach: () => [0, 1] }, ['get-works']],
  ['puts all but the first page of an extent', ['put-unpins'], { putReach: (pages) => [1, pages] }, ['get-works']],
  ['puts nothing', ['put-unpins'], { putReach: () => [0, 0] }, ['get-works']],
  ['puts by machine frame', ['put-only-listed'], { putTarget: (entry, gfnOfFrame) => gfnOfFrame() ?? entry }, ['put-works']],
  ['puts by machine frame only', ['put-only-listed', 'put-works'], { putTarget: (_entry, gfnOfFrame) => gfnOfFrame() ?? 2 ** 52 }],
  ['ends a put when preempted', ['put-unpins'], { resumesAt: (cursor, op) => (op === OP.put ? Number.MAX_SAFE_INTEGER : cursor) }],
  ['unmaps what is put', ['put-keeps-pages'], { putEffect: 'unmaps' }],
  ['frees what is put', ['put-keeps-pages', 'frames-conserved'], { putEffect: 'frees' }],
  ['moves what is put', ['put-keeps-pages'], { putEffect: 'moves' }],
  ['clears what is put', ['put-keeps-pages', 'no-stray-writes'], { putEffect: 'clears' }],
  [
    'loses the content of a page that moves',
    ['put-keeps-pages', 'put-in-untouched', 'no-stray-writes'],
    { churnKeepsContent: false },
    ['get-in-untouched', 'get-refuses-domid-mismatch', 'get-refuses-size-mismatch', 'get-refuses-foreign-domid', 'bad-address-fails'],
  ],
  ['always refuses to put', ['put-works'], { refuses: (op) => (op === OP.put ? errno.EPERM : 0) }],
]);
