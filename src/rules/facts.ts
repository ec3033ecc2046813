import { DOMID, domidName } from '../abi/constants.ts';
import { fieldOf, layoutOf, type StructLayout } from '../abi/layout.ts';
import { argumentOf, isExchangeOp, type JudgedOp, startExtent } from '../abi/ops.ts';
import type { StructName } from '../abi/structs.ts';
import type { XenMemoryReservation } from '../abi/values.ts';
import { type CutValue, codecFor } from '../codec/codec.ts';
import { readField } from '../codec/field.ts';
import { type GuestList, knownEntries, listBehind } from '../guest/handle.ts';
import { type ByteRange, differences, type GuestMemory, overlaps, readPrefix } from '../guest/memory.ts';
import type { ObservedCall } from '../trace/call.ts';
import type { CapturePiece } from './answer.ts';
import type { Known } from './duties/expression.ts';
import { outputsCovered, pagesOf } from './exact.ts';
import { addressesOf, byBase, type Extent } from './extents.ts';

/** One `xen_memory_reservation` of the argument; a field that was not captured is `undefined`. */
export interface Reservation {
  /** `in`, `out`, or `''` where the argument is the reservation itself. */
  readonly path: '' | 'in' | 'out';
  readonly extent_start: bigint | undefined;
  readonly nr_extents: bigint | undefined;
  readonly extent_order: number | undefined;
  readonly address_bits: number | undefined;
  readonly domid: number | undefined;
  /** The list behind the handle, where handle and count are known. */
  readonly list: GuestList | undefined;
}

type CutReservation = CutValue<XenMemoryReservation>;

/** What an exchange asks for: the counts and orders of both sides, and where their lists lie. */
export interface Asked {
  readonly I: bigint;
  readonly oi: number;
  readonly O: bigint;
  readonly oo: number;
  readonly ins: GuestList;
  readonly outs: GuestList;
}

/** How far an exchange came: N input extents, which cover K output extents. */
export interface Done extends Asked {
  readonly N: bigint;
  readonly K: bigint;
}

/**
 * The words of the specification for one call (I, O, N, K, chunk), each read on first use, in exact
 * arithmetic. Nothing is read past what is known.
 */
export class Facts {
  readonly call: ObservedCall;
  readonly op: JudgedOp;
  readonly layout: StructLayout;
  /** `start_extent` of a continuation, from the upper bits of `cmd`. */
  readonly start: bigint;
  #before: Uint8Array | undefined;
  #after: Uint8Array | undefined;
  #known: Known | undefined;
  #reservations: readonly Reservation[] | undefined;
  #changes: readonly ByteRange[] | undefined;
  #committed: readonly ByteRange[] | undefined;
  // `null` until they are read.
  #N: bigint | undefined | null = null;
  #asked: Asked | undefined | null = null;
  #done: Done | undefined | null = null;
  #returned: readonly { readonly index: bigint; readonly value: bigint }[] | undefined;
  readonly #extents = new Map<Reservation, readonly Extent[]>();
  readonly #sorted = new Map<Reservation, readonly Extent[]>();

  constructor(call: ObservedCall, op: JudgedOp) {
    this.call = call;
    this.op = op;
    this.layout = layoutOf(argumentOf[op] as StructName, call.arch);
    this.start = BigInt(startExtent(call.cmd));
  }

  /** As much of the argument as was captured before the call, from its first byte on. */
  get argument(): Uint8Array {
    this.#before ??= this.call.argument?.subarray(0, this.layout.size) ?? this.#prefix(this.call.before);
    return this.#before;
  }

  /** As much of the argument as was captured after the call. */
  get argumentAfter(): Uint8Array {
    this.#after ??= this.#prefix(this.call.after);
    return this.#after;
  }

  /** What is known of the argument before the call, for duties. */
  get known(): Known {
    const bytes = this.argument;
    this.#known ??= {
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      address: this.call.arg,
      start_extent: this.start,
    };
    return this.#known;
  }

  get argumentRange(): ByteRange | undefined {
    return this.call.arg === undefined ? undefined : { address: this.call.arg, length: BigInt(this.layout.size) };
  }

  /**
   * Is the argument known not to lie wholly in guest memory? Then no hypervisor can have read it.
   */
  get unreadable(): boolean {
    const range = this.argumentRange;
    return range !== undefined && this.call.unmapped.some((hole) => overlaps(hole, range));
  }

  #prefix(memory: GuestMemory): Uint8Array {
    return this.call.arg === undefined ? new Uint8Array(0) : readPrefix(memory, this.call.arg, this.layout.size);
  }

  /** The reservations in the argument, in memory order. */
  get reservations(): readonly Reservation[] {
    this.#reservations ??= pathsOf(this.op).map((path) => this.#reservation(path));
    return this.#reservations;
  }

  /** The extents given: `in`, or the reservation itself. */
  get in(): Reservation {
    return this.reservations[0] as Reservation;
  }

  /** The extents asked for; only ops 26 and 11 have them. */
  get out(): Reservation {
    return this.reservations[1] as Reservation;
  }

  #reservation(path: Reservation['path']): Reservation {
    const whole = this.#decoded();
    const { extent_start, nr_extents, extent_order, address_bits, domid } = (path === '' ? whole : whole[path]) as CutReservation;
    const known = extent_start !== null && nr_extents !== null;
    return {
      path,
      extent_start: extent_start ?? undefined,
      nr_extents: nr_extents ?? undefined,
      extent_order: extent_order ?? undefined,
      address_bits: address_bits ?? undefined,
      domid: domid ?? undefined,
      list: known ? listBehind(extent_start, nr_extents, this.call.arch) : undefined,
    };
  }

  /** The argument's fields, `null` where they were not captured. */
  #decoded(): Record<string, unknown> {
    const codec = codecFor(this.call.arch)[this.layout.struct];
    const { argument } = this;
    return (argument.length === codec.size ? codec.decode(argument) : codec.decodeCut(argument)) as unknown as Record<string, unknown>;
  }

  #field(bytes: Uint8Array, path: string): bigint | number | undefined {
    const field = fieldOf(this.layout, path);
    if (field.offset + field.size > bytes.length) return undefined;
    return readField(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), field);
  }

  /** Does the argument have `out` and `nr_exchanged`? */
  get exchanges(): boolean {
    return this.op === 'get_dma_buf' || this.op === 'exchange';
  }

  /** `nr_exchanged` as the caller left it. */
  get nrExchangedBefore(): bigint | undefined {
    if (!this.exchanges) return undefined;
    return this.#field(this.argument, 'nr_exchanged') as bigint | undefined;
  }

  /** N: `nr_exchanged` after the call. */
  get N(): bigint | undefined {
    if (!this.exchanges) return undefined;
    if (this.#N === null) this.#N = this.#field(this.argumentAfter, 'nr_exchanged') as bigint | undefined;
    return this.#N;
  }

  /** What the exchange asks for, if all of it was captured. */
  get asked(): Asked | undefined {
    if (this.#asked === null) {
      const { nr_extents: I, extent_order: oi, list: ins } = this.in;
      const { nr_extents: O, extent_order: oo, list: outs } = this.out;
      const isKnown = I !== undefined && oi !== undefined && ins && O !== undefined && oo !== undefined && outs;
      this.#asked = isKnown ? { I, oi, O, oo, ins, outs } : undefined;
    }
    return this.#asked;
  }

  /** What it asks for and how far it came, if all of that was captured. */
  get done(): Done | undefined {
    if (this.#done === null) {
      const { asked, N } = this;
      this.#done = asked && N !== undefined ? { ...asked, N, K: outputsCovered(N, asked.I, asked.oi, asked.O, asked.oo) } : undefined;
    }
    return this.#done;
  }

  /** K: the output extents that N covers. */
  get K(): bigint | undefined {
    return this.done?.K;
  }

  /** Where `nr_exchanged` lies in guest memory. */
  get nrExchangedRange(): ByteRange | undefined {
    const { offset, size } = fieldOf(this.layout, 'nr_exchanged');
    return this.call.arg === undefined ? undefined : { address: this.call.arg + BigInt(offset), length: BigInt(size) };
  }

  /** Ranges known to have changed; of a live run also those that may have. */
  get changes(): readonly ByteRange[] {
    this.#changes ??= this.call.changes ?? differences(this.call.before, this.call.after);
    return this.#changes;
  }

  /**
   * What lacks of the struct and the list of one reservation, before and after; nothing if all of
   * memory was watched.
   */
  unseen(reservation: Reservation): CapturePiece | undefined {
    if (this.call.changes !== undefined) return undefined;
    const { size } = this.layout;
    const { list } = reservation;
    if (this.argument.length < size || list === undefined) return 'struct';
    if (this.argumentAfter.length < size) return 'struct after';
    if (!isWhole(this.call.before, list)) return listPiece(reservation);
    return isWhole(this.call.after, list) ? undefined : `${listPiece(reservation)} after`;
  }

  /** What lacks of the struct and of every list it names, before and after. */
  get unseenAtAll(): CapturePiece | undefined {
    return firstOf(this.reservations, (r) => this.unseen(r));
  }

  /**
   * The extents of a reservation whose list entries were captured before the call. Empty where the
   * order is beyond any machine.
   */
  extents(reservation: Reservation): readonly Extent[] {
    const known = this.#extents.get(reservation);
    if (known) return known;
    const { list, extent_order } = reservation;
    const pages = extent_order === undefined ? undefined : pagesOf(extent_order);
    const extents =
      list === undefined || pages === undefined
        ? []
        : knownEntries(this.call.before, list).map(({ index, value }) => ({ index, base: value, pages }));
    this.#extents.set(reservation, extents);
    return extents;
  }

  /** What lacks to know the extents of a reservation down to the last entry of its list. */
  unlisted(reservation: Reservation): CapturePiece | undefined {
    const { list, extent_order } = reservation;
    if (list === undefined) return 'struct';
    if (BigInt(this.extents(reservation).length) >= list.count) return undefined;
    return extent_order === undefined ? 'struct' : listPiece(reservation);
  }

  /** What lacks to know every extent that the struct names. */
  get unlistedAtAll(): CapturePiece | undefined {
    return firstOf(this.reservations, (r) => this.unlisted(r));
  }

  /** The entries of the output list after the call, as far as they were captured. */
  get returned(): readonly { readonly index: bigint; readonly value: bigint }[] {
    this.#returned ??= this.out.list === undefined ? [] : knownEntries(this.call.after, this.out.list);
    return this.#returned;
  }

  /** The extents in the order of their first frames. */
  sorted(reservation: Reservation): readonly Extent[] {
    const known = this.#sorted.get(reservation);
    if (known) return known;
    const extents = this.extents(reservation);
    const isSorted = extents.every(({ base }, i) => i === 0 || (extents[i - 1] as Extent).base < base);
    const sorted = isSorted ? extents : [...extents].sort(byBase);
    this.#sorted.set(reservation, sorted);
    return sorted;
  }

  /**
   * Does the struct name a domain other than the caller, so that its frames are not where the
   * caller's memory lies?
   */
  get foreign(): boolean {
    const { domid } = this.call;
    return this.reservations.some((r) => r.domid !== undefined && r.domid !== DOMID.SELF && domid !== undefined && r.domid !== domid);
  }

  /** Is it known whether the pages that the struct names are the caller's own? */
  get knowsOwner(): boolean {
    return this.call.domid !== undefined || this.reservations.every((r) => r.domid === DOMID.SELF);
  }

  /**
   * What lacks to know all pages that this call may have given, taken or exchanged, whose changed
   * content blames nobody.
   */
  get handedOverUnseen(): CapturePiece | undefined {
    if (this.call.space === 'virtual') return undefined;
    // All of memory was watched, and still a list may not have been read.
    if (this.call.changes !== undefined) return this.exchanges && this.done ? this.exchangedUnseen : undefined;
    if (this.exchanges) return this.exchangedUnseen;
    return this.op === 'put_dma_buf' ? undefined : this.unlisted(this.in);
  }

  /** What lacks to know all extents that N and K count as exchanged. */
  get exchangedUnseen(): CapturePiece | undefined {
    const { done } = this;
    if (!done) return this.asked ? 'struct after' : 'struct';
    if (done.K === 0n) return undefined;
    const lacks = (r: Reservation, upTo: bigint): CapturePiece | undefined =>
      BigInt(this.extents(r).filter((e) => e.index < upTo).length) < upTo ? listPiece(r) : undefined;
    return lacks(this.in, done.N) ?? lacks(this.out, done.K);
  }

  /**
   * The address ranges of exchanged pages: inputs counted in N, outputs counted in K. Physical
   * addresses only, else empty.
   */
  get committed(): readonly ByteRange[] {
    if (this.#committed) return this.#committed;
    const { done } = this;
    if (this.call.space === 'virtual' || this.foreign || !done) return [];
    const ranges = (reservation: Reservation, upTo: bigint): ByteRange[] =>
      this.extents(reservation)
        .filter((e) => e.index < upTo)
        .map(addressesOf);
    this.#committed = [...ranges(this.in, done.K === 0n ? 0n : done.N), ...ranges(this.out, done.K)];
    return this.#committed;
  }
}

/** The place of a field in the struct: its path, and its bytes from the struct's start. */
export function placeOf({ layout }: Facts, path: string): { where: string; bytes: [number, number] } {
  const { offset, size } = fieldOf(layout, path);
  return { where: path, bytes: [offset, offset + size] };
}

/**
 * Is there anything that the call asks for: an extent, of ops 0, 1 and 6 one from `start_extent`
 * on?
 */
export function asksForAny({ reservations, exchanges, op, start }: Facts): boolean {
  const from = exchanges || op === 'put_dma_buf' ? 0n : start;
  return reservations.some((r) => (r.nr_extents ?? 0n) > from);
}

/** A domain by its special name, else by its number. */
export function nameDomid(domid: number): string {
  return domidName(domid) ?? String(domid);
}

function pathsOf(op: JudgedOp): readonly Reservation['path'][] {
  if (isExchangeOp(op)) return ['in', 'out'];
  return op === 'put_dma_buf' ? ['in'] : [''];
}

/**
 * The piece of a capture that a reservation's list is. On ops with one list that is the in list.
 */
function listPiece({ path }: Reservation): 'in list' | 'out list' {
  return path === 'out' ? 'out list' : 'in list';
}

function firstOf<T, R>(values: readonly T[], of: (value: T) => R | undefined): R | undefined {
  for (const value of values) {
    const found = of(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isWhole(memory: GuestMemory, list: GuestList): boolean {
  const most = 1n << 30n;
  return list.count === 0n || (list.range.length < most && memory.read(list.range.address, Number(list.range.length)) !== undefined);
}
