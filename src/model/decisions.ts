import type { Arch } from '../abi/arch.ts';
import type { XenGetDmaBuf, XenMemoryReservation } from '../abi/values.ts';
import type { Preference } from './allocator.ts';

/** The ops that the model serves, by number. */
export const OP = { increase: 0, decrease: 1, populate: 6, exchange: 11, get: 26, put: 27 } as const;

/** The checks on a request of op 11, 26 or 27, each made once; `checkOrder` says in which order. */
export type Check =
  | 'count-beyond'
  | 'count-not-zero'
  | 'domids'
  | 'order'
  | 'extents'
  | 'sizes'
  | 'nothing-left'
  | 'list-ranges'
  | 'caller-order'
  | 'domain'
  | 'lists'
  | 'later-inputs';

/** A change to a pinned page that its own guest asks for: it is an input or an output of get or exchange, or decreased, or populated. */
export type GuestChange = 'input' | 'output' | 'decrease' | 'populate';

/** Something that must leave the pins of pages it does not name alone: an op by number, or an event. */
export type PinEvent = number | 'preemption' | 'failure' | 'write' | 'churn';

/** What an exchange was asked to do, and how it ended. */
export interface Outcome {
  readonly op: number;
  readonly rc: number;
  readonly nrIn: bigint;
  readonly nrOut: bigint;
  readonly inOrder: number;
  readonly outOrder: number;
}

/**
 * Every decision that a hypervisor's author can take wrongly, or otherwise and still rightly. The rest of the model asks
 * here and nowhere else: a faulty hypervisor, a legal variant and a profile are each a patch, `{ ...strict, scrubs: false }`.
 * Where a decision is an errno, 0 means that the check is not made. `strict` (strict.ts) is the reading of the specification.
 */
export interface Decisions {
  // The door
  /** An errno with which an op is refused unseen, 0 if it is served: ENOSYS for what is not implemented. get-works, put-works */
  refuses: (op: number) => number;
  /** What the guest finds in the register when the call is over. get-rc-zero-or-negative, put-rc-zero-or-negative, survives */
  answer: (rc: number, op: number) => number;
  /** Errno for start_extent bits in the cmd of a fresh get, put or exchange. */
  strayStart: number;

  // What the bytes say
  /** Whose layout the structs are read in. get-works, bad-address-fails */
  structArch: (arch: Arch) => Arch;
  /** The struct of get and exchange as understood. get-refuses-size-mismatch, get-refuses-domid-mismatch, get-works */
  exchangeSeen: (asked: XenGetDmaBuf) => XenGetDmaBuf;
  /** The struct of put and of ops 0, 1, 6 as understood. put-unpins, put-works, reservation-count */
  reservationSeen: (asked: XenMemoryReservation, op: number) => XenMemoryReservation;
  /** The address in a guest handle. bad-address-fails, no-stray-writes */
  pointer: (handle: bigint, arch: Arch) => bigint;
  /** Errno for a handle with bits beyond the pointer (arm32). */
  dirtyHandle: number;
  /** Bytes from one list entry to the next. get-works, no-stray-writes */
  entryBytes: (arch: Arch) => number;
  /** The frame number in a list entry, given as two 32-bit halves. bad-address-fails, put-only-listed */
  gfnOf: (low: number, high: number, arch: Arch) => number;
  /** What is done to the struct's bytes, if all of them are written back. get-in-untouched, put-in-untouched, no-stray-writes */
  structRewritten: ((bytes: Uint8Array) => void) | undefined;

  // Checks before any effect
  /** Which checks are made, in which order: which of several applicable errnos comes first. */
  checkOrder: readonly Check[];
  /** The struct does not lie in guest memory. bad-address-fails */
  structUnreadable: number;
  /** nr_exchanged > in.nr_extents. get-partial-count */
  countBeyond: number;
  /** nr_exchanged is not zero in a fresh call; unchecked, the call resumes there. */
  countNotZero: number;
  /** "@in.domid == @out.domid" as raw numbers. get-refuses-domid-mismatch */
  domidMismatch: number;
  /** The highest order there is, whoever calls. bounded-work */
  maxOrder: (arch: Arch) => number;
  /** An order above it. bounded-work */
  orderTooBig: number;
  /** The highest order for this kind of caller. bounded-work */
  callerMaxOrder: (privileged: boolean, arch: Arch) => number;
  /** An order above that. bounded-work */
  orderDenied: number;
  /** The most extents of a list. bounded-work */
  maxExtents: bigint;
  /** More extents than that. bounded-work */
  tooManyExtents: number;
  /** "@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order", exactly. get-refuses-size-mismatch */
  sizesMatch: (nrIn: bigint, inOrder: number, nrOut: bigint, outOrder: number) => boolean;
  /** The totals differ. get-refuses-size-mismatch */
  sizeMismatch: number;
  /** A list runs past the end of the address space; unchecked, addresses wrap. bad-address-fails */
  listWraps: number;
  /** A list lies partly outside guest memory, seen before any effect; unchecked, the fault comes at that entry. bad-address-fails */
  listUnmapped: number;
  /** No such domain. */
  unknownDomain: number;
  /** "Unprivileged domains can specify only DOMID_SELF". get-refuses-foreign-domid */
  foreignDomain: number;
  /** An output extent overlaps an input extent of a later chunk. */
  laterInput: number;
  /** Is a refused exchange done all the same before it is refused? get-refuses-size-mismatch, get-refuses-domid-mismatch */
  effectBeforeRefusal: boolean;

  // Checks of a chunk, before its effect
  /** The hypervisor cannot take pages away from a domain on this architecture. get-works */
  cannotSteal: (arch: Arch) => number;
  /** An extent's base is not a multiple of its size. */
  misaligned: number;
  /** An input page is not there. get-rest-untouched, frames-conserved */
  inputUnmapped: number;
  /** An input page is listed twice in a chunk. frames-conserved */
  inputTwice: number;
  /** A guest asks to change a page that is pinned. get-pinned */
  pinRefuses: (change: GuestChange) => number;
  /** An output page is there already, and not as an input of this chunk; unchecked, it is overwritten. frames-conserved */
  outputPopulated: number;
  /** Output extents of a chunk overlap. frames-conserved */
  outputTwice: number;
  /** The output gfn is outside what can be mapped; unchecked, the new page is lost to the guest. get-populates-gpfns */
  outputBeyond: number;
  /** No memory for an output extent. get-works, get-new-pages */
  noMemory: number;
  /** The domain is being torn down and gets no new page; 0: the call just ends there. get-incomplete-nonzero */
  dying: number;
  /** Are the inputs of all chunks looked at before the first is exchanged? */
  validatesAhead: boolean;

  // Memory access
  /** When the GPFNs of a chunk are read: before its effect, or after. bad-address-fails */
  readsGpfns: 'before' | 'after';
  /** An entry that faults after the effect: the chunk counts and the call ends, or it does not, or the call goes on. bad-address-fails */
  lateFault: 'counts' | 'does not count' | 'goes on';
  /** A list entry that faults: noticed, or read as zero and dropped on write. bad-address-fails, survives */
  badEntry: 'faults' | 'pretends';
  /** In whose memory list entries are written. isolation */
  writesInto: 'caller' | 'others' | 'all';

  // Progress
  /** How many chunks there are to do. get-complete-count, get-refuses-size-mismatch */
  chunks: (nrIn: bigint, inOrder: number, nrOut: bigint, outOrder: number) => number;
  /** Which chunk is done as the n-th. get-inputs-released, get-rest-untouched */
  chunkAt: (n: number, chunks: number) => number;
  /** What happens to the rest when a chunk fails. get-rest-untouched */
  afterFailure: 'stop' | 'skip';
  /** Are the inputs of a failed chunk given back? get-rest-untouched, frames-conserved */
  rollsBack: boolean;
  /** The count written to nr_exchanged: input extents. get-complete-count, get-partial-count, get-incomplete-nonzero */
  reportedCount: (done: bigint, outcome: Outcome) => bigint;
  /** Is the count written at all when the call ends so? get-complete-count, get-partial-count */
  writesCount: (rc: number) => boolean;
  /** Where it is written, from the struct's start, and how many bytes. get-in-untouched, no-stray-writes */
  countField: (offset: number, bytes: number) => readonly [offset: number, bytes: number];
  /** The return code when a chunk fails. get-incomplete-nonzero, get-rc-zero-or-negative */
  failureRc: (errno: number, done: number) => number;

  // Preemption
  /** Input extents after which the call is preempted, given what was injected. get-works */
  preemptsAfter: (injected: number | undefined) => number | undefined;
  /** The op that the continuation runs; if negative, what the guest finds instead. get-pinned, get-mfns-returned, survives */
  continuationOp: (op: number) => number;
  /** The input extent at which a continuation goes on, given nr_exchanged (or put's start_extent). get-works, put-unpins */
  resumesAt: (cursor: number, op: number) => number;

  // The lists
  /** When MFNs are written over the GPFNs. get-mfns-returned, get-partial-mfns */
  writesMfns: (op: number, arch: Arch) => 'per chunk' | 'on return' | 'on success' | 'never';
  /** What is written for an output extent. get-mfns-returned, get-partial-mfns */
  outputEntry: (mfn: number, gfn: number, k: number) => number;
  /** Which entry it is written to; a negative one is not written. get-mfns-returned, no-stray-writes */
  outputSlot: (k: number, nrOut: number) => number;
  /** Entries written after the last of a completed list. no-stray-writes */
  extraEntries: number;
  /** What the output entries of a failed chunk become. get-rest-untouched, no-stray-writes */
  failedEntry: ((gfn: number) => number) | undefined;
  /** What the input entries of a done chunk become. get-in-untouched, no-stray-writes */
  inputEntry: ((gfn: number) => number) | undefined;

  // Pins
  /** Which ops pin. get-pinned */
  pins: (op: number) => boolean;
  /** Which pages of which output extents are pinned. get-pinned */
  pinsPage: (page: number, pages: number, extent: number) => boolean;
  /** Whose gfns are pinned. get-pinned */
  pinsSide: 'outputs' | 'inputs';
  /** Are pins of pages that are not named kept through this? get-pinned, put-only-listed */
  keepsPins: (event: PinEvent) => boolean;
  /** Does sharing, paging or migration leave this page alone? get-pinned, put-unpins */
  churnSkips: (pinned: boolean) => boolean;
  /** Does a page that moves keep its content? put-keeps-pages */
  churnKeepsContent: boolean;

  // Put
  /** The page that an entry of put names, given the gfn that has this number as its machine frame. put-only-listed, put-unpins */
  putTarget: (entry: number, gfnOfFrame: () => number | undefined) => number;
  /** Which pages of a listed extent are unpinned: from, to (not included). put-unpins, put-only-listed */
  putReach: (pages: number) => readonly [from: number, to: number];
  /** A listed page is not pinned. */
  putUnpinned: number;
  /** A page is listed twice. */
  putTwice: number;
  /** Is a put with a page that is refused without any effect? */
  putAllOrNothing: boolean;
  /** What else happens to a page that is put. put-keeps-pages, isolation */
  putEffect: 'nothing' | 'unmaps' | 'frees' | 'moves' | 'clears';

  // Machine memory
  /** The address_bits that limit the new pages. get-ignores-in-address-bits, get-address-limit */
  limitBits: (inBits: number, outBits: number) => number;
  /** The first frame number that no page of an extent may have. get-address-limit */
  limitFrame: (bits: number, order: number) => number;
  /** Is memory above the limit taken when there is none below? get-address-limit */
  ignoresLimitWhenShort: boolean;
  /** The order of the blocks that an output extent is made of. get-contiguous */
  blockOrder: (order: number) => number;
  /** How far an extent lies from where it is aligned, in pages. get-aligned */
  skew: (order: number) => number;
  /** Which end of free memory is used first. */
  prefers: Preference;
  /** Are the frames of a chunk's inputs used for its outputs? get-new-pages */
  reusesInputs: boolean;
  /** Are frames taken from another domain? isolation, frames-conserved */
  takesForeignFrames: boolean;
  /** Do input gfns lose their mapping? get-inputs-released */
  unmapsInputs: boolean;
  /** What happens to the frames of a done chunk's inputs. frames-conserved */
  inputFrames: 'freed' | 'kept' | 'freed twice';
  /** What happens to output frames of a failed chunk. frames-conserved */
  failedFrames: 'freed' | 'kept' | 'lost';
  /** Is a frame cleared before another guest page gets it? */
  scrubs: boolean;
  /** Which page of the extent's memory a page of an output extent leads to; negative for none. get-populates-gpfns, get-contiguous */
  memoryOf: (page: number, pages: number) => number;

  // The neighbours, ops 0, 1 and 6
  /** Where the work starts, given start_extent. reservation-count */
  reservationStart: (start: number) => number;
  /** What is returned after `done` extents of `nr`. reservation-count */
  reservationCount: (done: number, nr: number, op: number) => number;
  /** The list entry that gets the frame of extent i; negative for none, as on translated guests. reservation-list, no-stray-writes */
  reservationSlot: (i: number, op: number) => number;
  /** Is an extent decreased as a whole or not at all? reservation-count */
  decreasesWhole: boolean;
}
