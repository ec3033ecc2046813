import { addressLimit } from '../abi/arch.ts';
import { DOMID, errno, PAGE_SHIFT, XENMEMF } from '../abi/constants.ts';
import { fieldOf } from '../abi/layout.ts';
import type { StructName } from '../abi/structs.ts';
import type { ValueOf, XenMemoryReservation } from '../abi/values.ts';
import { codecFor } from '../codec/codec.ts';
import { strayBits } from '../codec/handle.ts';
import { entriesIn, entryBytes, entryRange, type GuestList, listBehind } from '../guest/handle.ts';
import type { Inject } from '../guest/world.ts';
import type { Freedoms } from './freedoms.ts';
import { at, isMapped, readBytes, storeBytes } from './p2m.ts';
import type { Domain, State } from './state.ts';

/**
 * One hypercall on its way through the model. Its struct and its lists lie in the caller's memory.
 */
export interface Call {
  readonly state: State;
  readonly caller: Domain;
  /** The address of the argument struct. */
  readonly arg: bigint;
  readonly inject: Inject;
  readonly freedoms: Freedoms;
  /** How many output extents memory was asked for so far, continuations included. */
  allocations: number;
}

const { EPERM, ESRCH } = errno;

/**
 * No guest frame has this number or a higher one: 64 address bits less the page offset. Below it
 * numbers are exact.
 */
const BEYOND_FRAMES = 2 ** 52;

/** The struct at `arg`; `undefined` where a byte of it does not lie in guest memory. */
export function readStruct<S extends StructName>({ state, caller, arg }: Call, struct: S): ValueOf<S> | undefined {
  const codec = codecFor(state.arch)[struct];
  if (arg + BigInt(codec.size) > addressLimit(state.arch)) return undefined;
  const bytes = readBytes(state, caller, at(arg), codec.size);
  return bytes && (codec.decode(bytes) as ValueOf<S>);
}

/**
 * "[OUT]": writes the one field of the struct that is; false where it does not lie in guest memory
 * any more.
 */
export function writeNrExchanged({ state, caller, arg }: Call, nrExchanged: bigint): boolean {
  const { layout } = codecFor(state.arch).xen_get_dma_buf;
  const { offset, size } = fieldOf(layout, 'nr_exchanged');
  return storeBytes(state, caller, at(arg + BigInt(offset)), entryBytes(nrExchanged, size));
}

/** The domain that a struct names. */
export function domainNamed({ state, caller }: Call, domid: number): Domain | undefined {
  return domid === DOMID.SELF ? caller : state.domains.get(domid);
}

/** What stands against that a caller names this domain so, as an errno, or 0. */
export function refusedDomain({ caller, freedoms }: Call, named: Domain | undefined, domid: number): number {
  if (!named) return ESRCH; // get-refuses-foreign-domid: a domain that does not exist is nobody's own
  // "Unprivileged domains can specify only DOMID_SELF"
  if (named !== caller && !caller.privileged) return EPERM; // get-refuses-foreign-domid
  const isLetter = freedoms['own-number'] === 'refused' && !caller.privileged;
  if (isLetter && domid !== DOMID.SELF) return EPERM; // caller-self-only
  return 0;
}

/** The list of a reservation. Nothing is read. */
export function listOf({ state }: Call, { extent_start, nr_extents }: XenMemoryReservation): GuestList {
  return listBehind(extent_start, nr_extents, state.arch);
}

/** Is a handle's word more than a pointer, and is that refused? */
export function isRefusedHandle({ state, freedoms }: Call, { extent_start }: XenMemoryReservation): boolean {
  return freedoms['dirty-handle'] === 'refused' && strayBits(extent_start, state.arch) !== 0n;
}

/** Does every entry of a list lie in guest memory? */
export function isReadable({ caller }: Call, { range }: GuestList): boolean {
  return range.length === 0n || isMapped(caller, at(range.address), Number(range.length));
}

/**
 * The frame numbers in some entries of a list; `undefined` where one of them does not lie in guest
 * memory.
 */
export function readEntries({ state, caller }: Call, list: GuestList, first: number, count: number): number[] | undefined {
  if (count === 0) return [];
  const { address } = entryRange(list, BigInt(first));
  const length = count * list.stride;
  if (address + BigInt(length) > addressLimit(state.arch)) return undefined;
  const bytes = readBytes(state, caller, at(address), length);
  return bytes && entriesIn(bytes, list.stride).map((entry) => Math.min(Number(entry), BEYOND_FRAMES));
}

/** Overwrites an entry of a list; false where it does not lie in guest memory any more. */
export function writeEntry({ state, caller }: Call, list: GuestList, index: number, frame: number): boolean {
  return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entryBytes(BigInt(frame), list.stride));
}

/** Is the base of an extent no multiple of its size, and is that refused? */
export function isMisaligned({ freedoms }: Call, bases: readonly number[], pages: number): boolean {
  return freedoms['misaligned-frame'] === 'refused' && bases.some((base) => base % pages !== 0);
}

/** The pages of extents, in list order. */
export function* pagesOf(bases: readonly number[], pages: number): Generator<number> {
  for (const base of bases) for (let page = base; page < base + pages; page++) yield page;
}

/** After how much work a test wants the call preempted, in units of so many input extents. */
export function preemptedAfter({ inject: { preempt = 0 } }: Call, unit = 1): number {
  return preempt > 0 ? Math.ceil(preempt / unit) : Number.POSITIVE_INFINITY;
}

/**
 * The first frame that no new page may reach: "If zero then the user has no addressing
 * restriction".
 */
export function frameLimit(addressBits: number): number {
  const bits = XENMEMF.address_bits(addressBits);
  return bits === 0 ? Number.POSITIVE_INFINITY : 2 ** (bits - PAGE_SHIFT);
}
