import { errno } from '../../src/abi/constants.ts';
import { type GuestChange, OP } from '../../src/model/decisions.ts';
import { strict } from '../../src/model/strict.ts';
import { referenceImplementation } from '../reference.ts';
import type { Variant } from './mutant.ts';

const { hello } = referenceImplementation();
const { exchange: _, ...withoutExchange } = hello.commands;

const allows = (...changes: GuestChange[]) => ({ pinRefuses: (change: GuestChange) => (changes.includes(change) ? 0 : errno.EBUSY) });

/** Hypervisors that do what the specification leaves open in their own way. None of them is ever to be blamed. */
export const variants: readonly Variant[] = [
  { name: 'takes memory from the bottom', freedom: 'which frames the allocator picks', patch: { prefers: 'low' } },
  { name: 'checks in the reverse order', freedom: 'which errno comes first', patch: { checkOrder: strict.checkOrder.toReversed() } },
  {
    name: 'has an errno of its own for everything',
    freedom: 'which errno a breach is answered with',
    patch: {
      strayStart: errno.ENOSYS,
      countBeyond: errno.ENOENT,
      countNotZero: errno.EBUSY,
      domidMismatch: errno.EXDEV,
      orderTooBig: errno.E2BIG,
      orderDenied: errno.EACCES,
      tooManyExtents: errno.E2BIG,
      sizeMismatch: errno.EXDEV,
      listWraps: errno.EINVAL,
      listUnmapped: errno.EINVAL,
      structUnreadable: errno.EINVAL,
      unknownDomain: errno.ENOENT,
      foreignDomain: errno.ESRCH,
      inputUnmapped: errno.ENOENT,
      inputTwice: errno.EBUSY,
      outputPopulated: errno.EEXIST,
      outputTwice: errno.EEXIST,
      putUnpinned: errno.ENOENT,
    },
  },
  { name: 'looks at all inputs first', freedom: 'refusing up front instead of part-way', patch: { validatesAhead: true } },
  { name: 'is preempted after every chunk', freedom: 'preemption points anywhere', patch: { preemptsAfter: () => 1 } },
  { name: 'is never preempted', freedom: 'preemption points anywhere', patch: { preemptsAfter: () => undefined } },
  {
    name: 'goes no further than order 1, and says so',
    freedom: 'extra limits, on the order',
    patch: { maxOrder: () => 1, orderTooBig: errno.E2BIG },
    hello: { limits: { ...hello.limits, max_order: 1 } },
  },
  {
    name: 'takes two extents at most, and says so',
    freedom: 'extra limits, on nr_extents',
    patch: { maxExtents: 2n, tooManyExtents: errno.E2BIG },
    hello: { limits: { ...hello.limits, max_extents: 2n } },
  },
  { name: 'refuses misaligned frames', freedom: 'misaligned gfns: accepted or refused', patch: { misaligned: errno.EINVAL } },
  {
    name: 'overwrites outputs that are populated',
    freedom: 'an out gfn already populated: overwritten or refused',
    patch: { outputPopulated: 0 },
  },
  {
    name: 'welcomes a put of pages that are not pinned',
    freedom: 'put of a page that is not pinned: 0 or -errno',
    patch: { putUnpinned: 0, putTwice: 0 },
  },
  {
    name: 'puts up to the first page that is not pinned',
    freedom: 'a partly pinned list: all-or-nothing or prefix',
    patch: { putAllOrNothing: false },
  },
  { name: 'resumes at a count that is not zero', freedom: 'nr_exchanged ≠ 0 on entry: resume or refuse', patch: { countNotZero: 0 } },
  {
    name: 'resumes, and has nothing left to do at the end',
    freedom: 'nr_exchanged ≠ 0 on entry: resume or refuse',
    patch: { countNotZero: 0, checkOrder: [...strict.checkOrder, 'nothing-left'] },
  },
  { name: 'ignores start_extent', freedom: 'start_extent on 26, 27, 11: ignored or refused', patch: { strayStart: 0 } },
  { name: 'has no op with a start_extent', freedom: 'start_extent on 26, 27, 11: ignored or refused', patch: { strayStart: errno.ENOSYS } },
  { name: 'faults on a dirty handle', freedom: 'arm32 dirty handle: ignored or EFAULT', patch: { dirtyHandle: errno.EFAULT } },
  {
    name: 'reads the whole word of a dirty handle',
    freedom: 'arm32 dirty handle: ignored or EFAULT',
    patch: { pointer: (handle) => handle },
  },
  { name: 'lets a guest give a pinned page up', freedom: 'guest-asked changes to a pinned page: exchange, get', patch: allows('input') },
  {
    name: 'lets a guest populate over a pinned page',
    freedom: 'guest-asked changes to a pinned page: get',
    patch: { ...allows('output'), outputPopulated: 0 },
  },
  { name: 'lets a guest decrease a pinned page', freedom: 'guest-asked changes to a pinned page: decrease', patch: allows('decrease') },
  {
    name: 'lets a guest do anything to a pinned page',
    freedom: 'guest-asked changes to a pinned page: all of them',
    patch: { pinRefuses: () => 0, outputPopulated: 0 },
  },
  {
    name: 'writes all frames back at the end',
    freedom: 'preemption points and order of the work',
    patch: { writesMfns: () => 'on return' },
  },
  { name: 'does not look for later inputs among the outputs', freedom: 'an error of the caller suspends', patch: { laterInput: 0 } },
  { name: 'finds a bad list only when it gets there', freedom: 'refusing up front instead of part-way', patch: { listUnmapped: 0 } },
  { name: 'moves no page at all', freedom: 'no hypervisor has to move pages', patch: { churnSkips: () => true } },
  {
    name: 'tells the guest its frames in ops 0 and 6',
    freedom: 'ops 0 and 6: list entries [start, rc) may be written',
    patch: { reservationSlot: (i, op) => (op === OP.decrease ? -1 : i) },
  },
  { name: 'has no op 11', freedom: 'only what is declared is tested', patch: {}, hello: { commands: withoutExchange } },
];
