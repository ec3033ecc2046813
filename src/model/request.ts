import { DOMID, PAGE_SIZE } from '../abi/constants.ts';
import type { XenMemoryReservation } from '../abi/values.ts';
import type { Check, Decisions } from './decisions.ts';
import { isListMapped, type List, listBehind, readEntry, wraps } from './lists.ts';
import { type At, at, pagesReached } from './p2m.ts';
import type { Domain, State } from './state.ts';

/** Faults asked for by a test: see the implementation protocol. */
export interface Inject {
  /** The output extent with this index, counted from 0 over all continuations of the call, finds no memory. */
  readonly fail_alloc?: number;
  /** Preempted and continued after each so many input extents (for get rounded up to a chunk). */
  readonly preempt?: number;
}

/** One hypercall on its way through the model, continuations included. */
export interface Call {
  readonly state: State;
  readonly caller: Domain;
  readonly arg: bigint;
  readonly d: Decisions;
  readonly inject: Inject;
  /** The op of this pass; a continuation may run under another. */
  op: number;
  /** False in a continuation. */
  fresh: boolean;
  /** Output extents that memory was asked for, over all passes. */
  allocations: number;
  /** Input extents done at the last preemption: the next one comes only after more. */
  reached: number;
}

/** The lists of a request and whose memory it is about. */
export interface Request {
  readonly in: XenMemoryReservation;
  /** Absent for put. */
  readonly out: XenMemoryReservation | undefined;
  readonly nrExchanged: bigint;
  readonly inList: List;
  readonly outList: List | undefined;
  /** The domain that `in.domid` names, if there is one. */
  readonly named: Domain | undefined;
}

/** A request goes through without anything to do. */
export const NOTHING_LEFT = -1;

/** Puts a request together. Nothing is judged. */
export function requestOf(call: Call, input: XenMemoryReservation, out?: XenMemoryReservation, nrExchanged = 0n): Request {
  const arch = call.d.structArch(call.state.arch);
  return {
    in: input,
    out,
    nrExchanged,
    inList: listBehind(input.extent_start, arch, call.d),
    outList: out && listBehind(out.extent_start, arch, call.d),
    named: namedDomain(call.state, call.caller, input.domid),
  };
}

/** The domain a domid names for this caller. */
export function namedDomain(state: State, caller: Domain, domid: number): Domain | undefined {
  return domid === DOMID.SELF ? caller : state.domains.get(domid);
}

/** The struct's address, or `undefined` if its range runs past the end of the address space. */
export function structAt(call: Call, size: number): At | undefined {
  const where = at(call.arg);
  return where.page + Math.ceil((where.offset + size) / PAGE_SIZE) <= pagesReached(call.state.arch) ? where : undefined;
}

/** The errno of the first check that fails, in the order decided; 0 if none does, `NOTHING_LEFT` if there is nothing to do. */
export function refusalOf(call: Call, request: Request): number {
  for (const check of call.d.checkOrder) {
    const errno = verdict(check, call, request);
    if (errno !== 0) return errno;
  }
  return 0;
}

function verdict(check: Check, call: Call, { in: input, out, nrExchanged, inList, outList, named }: Request): number {
  const { d, caller, state } = call;
  const greatest = out && out.extent_order > input.extent_order ? out.extent_order : input.extent_order;
  switch (check) {
    case 'count-beyond': // nr_exchanged is the resume cursor: it cannot lie beyond the list
      return nrExchanged > input.nr_extents ? d.countBeyond : 0;
    case 'count-not-zero': // caller-nr-exchanged-zero
      return call.fresh && nrExchanged !== 0n ? d.countNotZero : 0;
    case 'domids': // get-refuses-domid-mismatch: raw, so DOMID_SELF beside one's own number differs
      return out && out.domid !== input.domid ? d.domidMismatch : 0;
    case 'order': // bounded-work: before anything is shifted by it
      return greatest > d.maxOrder(state.arch) ? d.orderTooBig : 0;
    case 'extents': // bounded-work
      return input.nr_extents > d.maxExtents || (out && out.nr_extents > d.maxExtents) ? d.tooManyExtents : 0;
    case 'sizes': // get-refuses-size-mismatch
      return out && !d.sizesMatch(input.nr_extents, input.extent_order, out.nr_extents, out.extent_order) ? d.sizeMismatch : 0;
    case 'nothing-left':
      return out && nrExchanged === input.nr_extents ? NOTHING_LEFT : 0;
    case 'list-ranges': // bad-address-fails
      if (inList.dirty || outList?.dirty) {
        if (d.dirtyHandle !== 0) return d.dirtyHandle;
      }
      if (wraps(inList, Number(input.nr_extents))) return d.listWraps;
      return out && outList && wraps(outList, Number(out.nr_extents)) ? d.listWraps : 0;
    case 'caller-order':
      return greatest > d.callerMaxOrder(caller.privileged, state.arch) ? d.orderDenied : 0;
    case 'domain': // get-refuses-foreign-domid
      if (!named) return d.unknownDomain;
      return named !== caller && !caller.privileged ? d.foreignDomain : 0;
    case 'lists': {
      // bad-address-fails: both lists are looked at as far as they will be used
      const [ins, outs] = out ? entriesUsed(d, input, out) : [Number(input.nr_extents), 0];
      if (!isListMapped(caller, inList, ins)) return d.listUnmapped;
      return outList && !isListMapped(caller, outList, outs) ? d.listUnmapped : 0;
    }
    case 'later-inputs': // caller-out-not-later-input
      if (!call.fresh || !out || !outList || d.laterInput === 0) return 0;
      return hitsLaterInput(call, input, inList, out, outList, Number(nrExchanged)) ? d.laterInput : 0;
  }
}

/** How many input and output entries the chunks of an exchange cover. */
function entriesUsed(d: Decisions, input: XenMemoryReservation, out: XenMemoryReservation): [number, number] {
  const chunks = d.chunks(input.nr_extents, input.extent_order, out.nr_extents, out.extent_order);
  return [
    chunks * 2 ** Math.max(0, out.extent_order - input.extent_order),
    chunks * 2 ** Math.max(0, input.extent_order - out.extent_order),
  ];
}

/** Does an output extent overlap an input extent of a later chunk? Input bases are sorted, so the work is bounded by the lists. */
function hitsLaterInput(
  call: Call,
  input: XenMemoryReservation,
  inList: List,
  out: XenMemoryReservation,
  outList: List,
  from: number,
): boolean {
  const { state, caller, d } = call;
  const [ins, outs] = entriesUsed(d, input, out);
  const inPages = 2 ** input.extent_order;
  const outPages = 2 ** out.extent_order;
  const insPerChunk = 2 ** Math.max(0, out.extent_order - input.extent_order);
  const outsPerChunk = 2 ** Math.max(0, input.extent_order - out.extent_order);
  // Lists that no counter gets through are refused for their length, sooner or later.
  if (!Number.isSafeInteger(ins) || !Number.isSafeInteger(outs) || ins - from <= insPerChunk) return false;
  const bases: number[] = [];
  for (let i = from; i < ins; i++) {
    const base = readEntry(state, caller, inList, i, d);
    if (base === undefined) return false;
    bases.push(base);
  }
  const sorted = bases.length > 16 ? sortedBases(bases) : undefined;
  for (let k = Math.floor(from / insPerChunk) * outsPerChunk; k < outs; k++) {
    const gpfn = readEntry(state, caller, outList, k, d);
    if (gpfn === undefined) return false;
    const later = (Math.floor(k / outsPerChunk) + 1) * insPerChunk - from;
    const hit = (base: number): boolean => base < gpfn + outPages && gpfn < base + inPages;
    if (!sorted) {
      for (let i = later; i < bases.length; i++) if (hit(bases[i] as number)) return true;
      continue;
    }
    for (let b = firstAbove(sorted.bases, gpfn - inPages); b < sorted.bases.length && hit(sorted.bases[b] as number); b++) {
      if ((sorted.last[b] as number) >= later) return true;
    }
  }
  return false;
}

/** The distinct numbers of a list, ascending, each with the index where it comes last. */
function sortedBases(list: readonly number[]): { bases: number[]; last: number[] } {
  const lastIndex = new Map(list.map((base, i) => [base, i]));
  const bases = [...lastIndex.keys()].sort((a, b) => a - b);
  return { bases, last: bases.map((base) => lastIndex.get(base) as number) };
}

/** Index of the first of ascending numbers that is greater than `value`. */
function firstAbove(numbers: readonly number[], value: number): number {
  let low = 0;
  for (let high = numbers.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
