import { arches } from '../abi/arch.ts';
import { errno, MAX_ORDER, MEMOP_MAX_EXTENTS, XENMEMF } from '../abi/constants.ts';
import { pointerOf } from '../codec/handle.ts';
import { type Decisions, OP } from './decisions.ts';

const served: ReadonlySet<number> = new Set(Object.values(OP));

/** The highest order that an unprivileged domain may use; a privileged one has no limit of its own. */
const UNPRIVILEGED_MAX_ORDER = 9;

/** n << by, where nothing is shifted further than a 64-bit count can be: beyond that no count equals it, which -1 stands for. */
function shifted(n: bigint, by: number): bigint {
  if (by === 0 || n === 0n) return n;
  return by > 64 ? -1n : n << BigInt(by);
}

/** The strict reading of the specification: every sentence of the patch kept, a guest's own changes to pinned pages refused. */
export const strict: Decisions = {
  refuses: (op) => (served.has(op) ? 0 : errno.ENOSYS),
  answer: (rc) => rc,
  strayStart: errno.EINVAL,

  structArch: (arch) => arch,
  exchangeSeen: (asked) => asked,
  reservationSeen: (asked) => asked,
  pointer: (handle, arch) => (arches[arch].pointer === 8 ? handle : pointerOf(handle, arch)),
  dirtyHandle: 0,
  entryBytes: (arch) => arches[arch].word,
  gfnOf: (low, high) => high * 2 ** 32 + low,
  structRewritten: undefined,

  checkOrder: [
    'count-beyond',
    'count-not-zero',
    'domids',
    'order',
    'extents',
    'sizes',
    'list-ranges',
    'caller-order',
    'domain',
    'lists',
    'later-inputs',
  ],
  structUnreadable: errno.EFAULT,
  countBeyond: errno.EINVAL,
  countNotZero: errno.EINVAL,
  domidMismatch: errno.EINVAL,
  maxOrder: () => MAX_ORDER,
  orderTooBig: errno.EINVAL,
  callerMaxOrder: (privileged) => (privileged ? MAX_ORDER : UNPRIVILEGED_MAX_ORDER),
  orderDenied: errno.EPERM,
  maxExtents: MEMOP_MAX_EXTENTS,
  tooManyExtents: errno.EINVAL,
  sizesMatch: (nrIn, inOrder, nrOut, outOrder) =>
    inOrder >= outOrder ? shifted(nrIn, inOrder - outOrder) === nrOut : nrIn === shifted(nrOut, outOrder - inOrder),
  sizeMismatch: errno.EINVAL,
  listWraps: errno.EFAULT,
  listUnmapped: errno.EFAULT,
  unknownDomain: errno.ESRCH,
  foreignDomain: errno.EPERM,
  laterInput: errno.EINVAL,
  effectBeforeRefusal: false,

  cannotSteal: () => 0,
  misaligned: 0,
  inputUnmapped: errno.EINVAL,
  inputTwice: errno.EINVAL,
  pinRefuses: () => errno.EINVAL,
  outputPopulated: errno.EINVAL,
  outputTwice: errno.EINVAL,
  outputBeyond: errno.EINVAL,
  noMemory: errno.ENOMEM,
  dying: errno.EINVAL,
  validatesAhead: false,

  readsGpfns: 'before',
  lateFault: 'counts',
  badEntry: 'faults',
  writesInto: 'caller',

  chunks: (nrIn, inOrder, _nrOut, outOrder) => Math.floor(Number(nrIn) / 2 ** Math.max(0, outOrder - inOrder)),
  chunkAt: (n) => n,
  afterFailure: 'stop',
  rollsBack: true,
  reportedCount: (done) => done,
  writesCount: () => true,
  countField: (offset, bytes) => [offset, bytes],
  failureRc: (errno) => 0 - errno,

  preemptsAfter: (injected) => injected,
  continuationOp: (op) => op,
  resumesAt: (cursor) => cursor,

  writesMfns: () => 'per chunk',
  outputEntry: (mfn) => mfn,
  outputSlot: (k) => k,
  extraEntries: 0,
  failedEntry: undefined,
  inputEntry: undefined,

  pins: (op) => op === OP.get,
  pinsPage: () => true,
  pinsSide: 'outputs',
  keepsPins: () => true,
  churnSkips: (pinned) => pinned,
  churnKeepsContent: true,

  putTarget: (entry) => entry,
  putReach: (pages) => [0, pages],
  putUnpinned: errno.EINVAL,
  putTwice: errno.EINVAL,
  putAllOrNothing: true,
  putEffect: 'nothing',

  limitBits: (_inBits, outBits) => XENMEMF.address_bits(outBits),
  limitFrame: (bits) => (bits === 0 ? Number.POSITIVE_INFINITY : 2 ** (bits - 12)),
  ignoresLimitWhenShort: false,
  blockOrder: (order) => order,
  skew: () => 0,
  prefers: 'high',
  reusesInputs: false,
  takesForeignFrames: false,
  unmapsInputs: true,
  inputFrames: 'freed',
  failedFrames: 'freed',
  scrubs: true,
  memoryOf: (page) => page,

  reservationStart: (start) => start,
  reservationCount: (done) => done,
  reservationSlot: () => -1,
  decreasesWhole: true,
};
