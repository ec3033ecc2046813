import { MAX_ORDER, PAGE_SIZE } from '../../src/abi/constants.ts';
import { fieldOf } from '../../src/abi/layout.ts';
import { argumentOf, isExchangeOp, type JudgedOp } from '../../src/abi/ops.ts';
import type { XenGetDmaBuf, XenMemoryReservation } from '../../src/abi/values.ts';
import { codecFor, type StructCodec } from '../../src/codec/codec.ts';
import { entriesIn, type GuestList, knownEntries, listBehind } from '../../src/guest/handle.ts';
import type { ByteRange } from '../../src/guest/memory.ts';
import { type Freedoms, strict } from '../../src/model/freedoms.ts';
import { memoryOp } from '../../src/model/memory-op.ts';
import { at, readBytes, writeBytes } from '../../src/model/p2m.ts';
import { cloneState, type Domain, domainOf, type State } from '../../src/model/state.ts';
import { buildWorld } from '../../src/model/world.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import { type Hello, presumedMaxOrder, type World } from '../protocol/implementation.ts';
import { framesOf } from '../scenario/scenario.ts';

/**
 * Frames free in the twin's machine on either side of 4 GiB: more than any call that is followed
 * asks for.
 */
const plenty = 0x8000;
/** Pages that one list may name, and the order of its extents; a call on more is not followed. */
const most = { pages: 1 << 13, order: 12 };

/** What a call asks for, as the twin reads it from guest memory. */
export interface TwinCall {
  readonly op: JudgedOp;
  readonly cmd: number;
  readonly arg: bigint;
  readonly caller: number;
  /**
   * Whose pages it is about: the domain that the struct names, or the caller where there is none of
   * that number.
   */
  readonly owner: number;
  /** The struct's reservations, in memory order. */
  readonly reservations: readonly XenMemoryReservation[];
  readonly lists: readonly GuestList[];
  /**
   * The guest frames that each list names, as far as it was seen; none of any where there are too
   * many.
   */
  readonly gfns: readonly (readonly bigint[])[];
  readonly isTooMuch: boolean;
  readonly codec: StructCodec<'xen_get_dma_buf'>;
  /** The struct of an exchange. */
  readonly value: XenGetDmaBuf | undefined;
  readonly struct: Uint8Array;
  readonly failAlloc: number | undefined;
}

/** How the twin ended a call. */
export interface Ended {
  readonly rc: number;
  /** Input extents done, of the ops that have `nr_exchanged`. */
  readonly N: bigint;
  readonly state: State;
}

/**
 * The reference model beside an implementation under test: the same guests with the same bytes in
 * their memory, on a machine of its own. It knows how far a call can be carried out at most, and
 * which calls must be.
 */
export class Twin {
  readonly #willing: Freedoms;
  readonly #least: Freedoms;
  #state: State;
  /** Pages that may be pinned, by domain; those in the state surely are. */
  readonly #maybePinned: Map<number, Set<number>>;

  constructor(world: World, { limits }: Hello) {
    const state = buildWorld({ ...world, free: { low: plenty, high: plenty } });
    for (const [domid, domain] of state.domains) state.domains.set(domid, { ...domain, allowance: Number.POSITIVE_INFINITY });
    this.#state = state;
    this.#maybePinned = new Map([...state.domains.keys()].map((domid) => [domid, new Set()]));
    const order = limits.max_order ?? presumedMaxOrder;
    const { max_order_unprivileged, max_extents } = strict['more-limits'];
    this.#least = {
      ...strict,
      'misaligned-frame': 'refused',
      'more-limits': { max_order: Math.min(order, MAX_ORDER), max_order_unprivileged, max_extents: limits.max_extents ?? max_extents },
    };
    // Each freedom of the specification taken towards doing what was asked.
    this.#willing = {
      ...strict,
      'more-limits': { max_order: order, max_order_unprivileged: order, max_extents },
      'start-extent-bits': 'ignored',
      'bad-list': 'part-way',
      'later-input': 'accepted',
      'populated-output': 'overwritten',
      'guest-changes-pinned': 'accepted',
      'put-not-pinned': 'accepted',
    };
  }

  domain(domid: number): Domain {
    return domainOf(this.#state, domid);
  }

  /**
   * Takes over what the guest had in its memory for a call, and reads it; `undefined` where that
   * was not all seen.
   */
  ask(call: ObservedCall, op: JudgedOp, failAlloc: number | undefined): TwinCall | undefined {
    const { domid, arg, cmd, arch, before } = call;
    if (domid === undefined || arg === undefined) return undefined;
    const codec = codecFor(arch)[argumentOf[op]] as unknown as StructCodec<'xen_get_dma_buf'>;
    const caller = this.domain(domid);
    if (!this.#takeOver(call, caller, { address: arg, length: BigInt(codec.size) })) return undefined;
    const struct = before.read(arg, codec.size);
    const common = { op, cmd, arg, caller: domid, codec, failAlloc };
    if (!struct)
      return {
        ...common,
        owner: domid,
        reservations: [],
        lists: [],
        gfns: [],
        isTooMuch: false,
        value: undefined,
        struct: new Uint8Array(0),
      };
    const value = codec.decode(struct);
    const reservations = isExchangeOp(op) ? [value.in, value.out] : [value.in ?? (value as unknown as XenMemoryReservation)];
    const lists = reservations.map(({ extent_start, nr_extents }) => listBehind(extent_start, nr_extents, arch));
    if (!lists.every(({ range }) => this.#takeOver(call, caller, range))) return undefined;
    const extents = lists.map((list, i) => {
      return { bases: knownEntries(before, list).map((entry) => entry.value), order: reservations[i]?.extent_order ?? 0 };
    });
    const isTooMuch = extents.some(({ bases, order }) => order > most.order || bases.length * 2 ** order > most.pages);
    const gfns = isTooMuch ? [] : extents.map(({ bases, order }) => framesOf(bases, order));
    const id = reservations[0]?.domid;
    const owner = id !== undefined && this.#state.domains.has(id) ? id : domid; // DOMID_SELF is the number of no domain
    return { ...common, owner, reservations, lists, gfns, isTooMuch, value: reservations.length > 1 ? value : undefined, struct };
  }

  /** nr_exchanged as the call left it; `undefined` where that was not seen. */
  nrExchanged({ after }: ObservedCall, { arg, codec }: TwinCall): bigint | undefined {
    const { offset, size } = fieldOf(codec.layout, 'nr_exchanged');
    const bytes = after.read(arg + BigInt(offset), size);
    return bytes && entriesIn(bytes, size)[0];
  }

  /**
   * The bytes of a range as the guest had them; false if there are any in its RAM that were not
   * seen.
   */
  #takeOver({ before }: ObservedCall, caller: Domain, range: ByteRange): boolean {
    let seen = 0n;
    for (const { address, bytes } of before.known(range)) {
      if (!writeBytes(this.#state, caller, at(address), bytes)) return false;
      seen += BigInt(bytes.length);
    }
    if (seen === range.length) return true;
    // The rest is nobody's, or else it is RAM of which nothing is known.
    const end = range.address + range.length;
    const known = before.known(range);
    for (const gfn of caller.p2m.keys()) {
      const page = BigInt(gfn) * BigInt(PAGE_SIZE);
      const from = page > range.address ? page : range.address;
      const to = page + BigInt(PAGE_SIZE) < end ? page + BigInt(PAGE_SIZE) : end;
      if (from < to && !known.some((p) => p.address <= from && to <= p.address + BigInt(p.bytes.length))) return false;
    }
    return true;
  }

  /** The call as the most willing hypervisor carries it out. */
  atMost(asked: TwinCall): Ended {
    const state = cloneState(this.#state);
    if (asked.value) writeStruct(state, asked, unlimited(asked.value));
    return this.#run(asked, this.#willing, state);
  }

  /**
   * The call as the least willing hypervisor that is still right: where this one succeeds, everyone
   * must.
   */
  atLeast(asked: TwinCall): Ended {
    const state = cloneState(this.#state);
    for (const [domid, domain] of state.domains) for (const gfn of this.#maybePinned.get(domid) ?? []) domain.pins.add(gfn);
    return this.#run(asked, this.#least, state);
  }

  /**
   * The call as one that ended after so many extents: what that leaves behind is what the same call
   * for no more than these does. `undefined` if no hypervisor carries even these out.
   */
  upTo(asked: TwinCall, extents: bigint): Ended | undefined {
    const state = cloneState(this.#state);
    for (const { changed } of state.domains.values()) {
      changed.pages.clear();
      changed.pieces = [];
    }
    if (extents === 0n) return { rc: 0, N: 0n, state };
    const { reservations, op, value } = asked;
    const [given, wanted] = reservations as readonly [XenMemoryReservation, XenMemoryReservation?];
    const less = { ...given, nr_extents: extents };
    const fewer =
      wanted && value
        ? unlimited({ ...value, in: less, out: { ...wanted, nr_extents: covered(given, wanted, extents) }, nr_exchanged: 0n })
        : op === 'put_dma_buf'
          ? { in: less }
          : less;
    if (!writeStruct(state, asked, fewer)) return undefined;
    const ended = this.#run(asked, this.#willing, state);
    if (wanted ? ended.rc !== 0 || ended.N !== extents : op !== 'put_dma_buf' && ended.rc !== Number(extents)) return undefined;
    writeBytes(state, domainOf(state, asked.caller), at(asked.arg), asked.struct);
    return ended;
  }

  /**
   * The put as the least willing hypervisor takes it: of pages that are surely pinned, in whole
   * extents.
   */
  leastPut(asked: TwinCall): Ended {
    return this.#run(asked, this.#least, cloneState(this.#state));
  }

  #run({ caller, cmd, arg, failAlloc, codec, reservations }: TwinCall, freedoms: Freedoms, state: State): Ended {
    const rc = memoryOp(
      state,
      { domid: caller, cmd, arg, ...(failAlloc !== undefined && { inject: { fail_alloc: failAlloc } }) },
      freedoms,
    );
    const after = reservations.length > 1 ? readBytes(state, domainOf(state, caller), at(arg), codec.size) : undefined;
    return { rc, N: after ? codec.decode(after).nr_exchanged : 0n, state };
  }

  /**
   * The implementation did this: the twin has done it too. What becomes of the pin of a page that
   * its own guest changed is left open.
   */
  follow({ state }: Ended, op: JudgedOp): void {
    for (const [domid, { pins, changed }] of state.domains) {
      const maybe = this.#maybePinned.get(domid) as Set<number>;
      for (const gfn of pins) maybe.add(gfn);
      if (op !== 'get_dma_buf') for (const gfn of changed.pages) pins.delete(gfn);
    }
    this.#state = state;
  }

  /** May a page be pinned? */
  isPerhapsPinned(domid: number, gfn: bigint): boolean {
    return this.#maybePinned.get(domid)?.has(Number(gfn)) === true;
  }

  /** These pages are not pinned any more. */
  unpinned(domid: number, gfns: Iterable<number>): void {
    for (const gfn of gfns) {
      this.domain(domid).pins.delete(gfn);
      this.#maybePinned.get(domid)?.delete(gfn);
    }
  }

  /** Of these pages it cannot be told whether they are pinned. */
  perhapsUnpinned(domid: number, gfns: Iterable<number>): void {
    for (const gfn of gfns) this.domain(domid).pins.delete(gfn);
  }
}

/**
 * An exchange without a limit on addresses. Whether there is memory under one is each machine's own
 * affair: that the frames keep it is looked at by what they are.
 */
function unlimited(value: XenGetDmaBuf): XenGetDmaBuf {
  return { ...value, out: { ...value.out, address_bits: 0 } };
}

/** Puts another struct where the guest's own was; false where that is no memory. */
function writeStruct(state: State, { caller, arg, codec }: TwinCall, value: object): boolean {
  return writeBytes(state, domainOf(state, caller), at(arg), codec.encode(value as XenGetDmaBuf));
}

/**
 * The output extents that so many input extents are exchanged for; one too many where that is not a
 * whole number.
 */
export function covered({ extent_order: oi }: XenMemoryReservation, { extent_order: oo }: XenMemoryReservation, inputs: bigint): bigint {
  if (oi >= oo) return inputs << BigInt(Math.min(oi - oo, 64));
  const per = 1n << BigInt(Math.min(oo - oi, 64));
  return (inputs + per - 1n) / per;
}
