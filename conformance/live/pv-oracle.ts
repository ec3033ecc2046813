import { errno, PAGE_SHIFT, PAGE_SIZE, XENMEMF } from '../../src/abi/constants.ts';
import { fieldOf, layoutOf, type StructLayout } from '../../src/abi/layout.ts';
import { argumentOf, type JudgedOp, judgedOp, startExtent } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { entriesIn, type GuestList, listBehind } from '../../src/guest/handle.ts';
import { type ByteRange, overlaps } from '../../src/guest/memory.ts';
import { emptyFreeLists, releaseRun } from '../../src/model/allocator.ts';
import type { MemoryOpOf } from '../../src/model/memory-op.ts';
import { at, readBytes, writeBytes } from '../../src/model/p2m.ts';
import { cloneState, domainOf, emptyDomain, type State } from '../../src/model/state.ts';
import { xen417 } from '../../src/model/xen/xen-4.17.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import type { Event } from '../observe/observe.ts';
import { mostOrder, type Scenario } from '../scenario/scenario.ts';
import type { Deviation, Oracle, Said } from '../twin/prediction.ts';
import { covered } from '../twin/twin.ts';
import { argumentIn, mostLooked } from './argument.ts';
import { type Cast, isControl } from './draw.ts';
import { behind, differentByte, nameOf, pagesOf } from './oracle.ts';
import { memory } from './setups.ts';

/**
 * Frames that are free in the reference's machine: beyond any that the real one has, like those
 * behind the guest's pages. What the guest works with are the real ones.
 */
const free = { first: 0x100_0000, frames: 0x1_0000 } as const;
/** The real machine's memory lies from 0 on: its frames have lower numbers than this. */
const mostFrames = memory / PAGE_SIZE;

/** A call as the reference reads it. */
interface Asked {
  readonly op: JudgedOp;
  readonly reservations: readonly XenMemoryReservation[];
  readonly layout: StructLayout;
  /** The list that new frames are written to, if one is. */
  readonly told: { readonly list: GuestList; readonly of: XenMemoryReservation } | undefined;
}

/**
 * Follows a PV guest of a real hypervisor with the reference of its release. Return codes, counts
 * and what is left alone are predicted; of a new frame it is looked at whether it may be one.
 */
export class PvOracle implements Oracle {
  readonly #answer: MemoryOpOf;
  readonly #arch: Scenario['world']['arch'];
  readonly #cast: Cast;
  readonly #room: ByteRange;
  readonly #elsewhere: () => ReadonlySet<number>;
  /** The real frames that the guest owns. */
  #owned: Set<number> | undefined;
  /** Frames that the guest was given and not told of, as where the list cannot be written (D1). */
  #untold = 0;
  /** Frames that the last call took away. */
  #freed = 0;
  #lost = false;

  /** `elsewhere`: frames that the guest has beside its free memory, asked for when a call is seen. */
  constructor({ world }: Scenario, cast: Cast, answer: MemoryOpOf = xen417('pv'), elsewhere = (): ReadonlySet<number> => new Set()) {
    this.#elsewhere = elsewhere;
    this.#answer = answer;
    this.#arch = world.arch;
    this.#cast = cast;
    this.#room = { address: cast.room.first * BigInt(PAGE_SIZE), length: BigInt(cast.room.pages * PAGE_SIZE) };
  }

  take(event: Event): Said {
    if (event.kind === 'skipped') this.#lost ||= event.half === true;
    if (this.#lost || event.kind !== 'call') return undefined;
    const { call } = event;
    // Where the guest cannot tell what it has, nobody can.
    if (call.p2mBefore.size === 0 || call.p2mAfter.size === 0) return this.#lose();
    this.#owned ??= new Set([...call.p2mBefore].flatMap(([gfn, mfn]) => (mfn === null || this.#isKept(gfn) ? [] : [Number(mfn)])));
    const before = this.#stateOf(call, this.#owned);
    if (typeof before !== 'object') return this.#lose(before);
    const asked = this.#asked(call, before);
    // Whether such a frame can be taken depends on what the guest uses it for.
    if (asked && this.#takesFromElsewhere(asked, before)) return this.#lose();
    const wrong = this.#differs(call, this.#owned, asked, before);
    if (wrong !== undefined && asked && (this.#takesWhatItGave(call, asked, before) || this.#takesUntold(asked, before)))
      return this.#lose();
    this.#lost = wrong !== undefined;
    return wrong === undefined
      ? { agrees: true, readings: deviationsOf(call, asked, this.#freed) }
      : { agrees: false, message: `${nameOf(call.cmd)}: ${wrong}` };
  }

  #lose(message?: string): Said {
    this.#lost = true;
    return message === undefined ? undefined : { agrees: false, message };
  }

  /** Pages of structs and lists: their frames are never free to be taken. */
  #isKept(gfn: bigint): boolean {
    return isControl(gfn, this.#cast.room);
  }

  #differs(call: ObservedCall, owned: Set<number>, asked: Asked | undefined, before: State): string | undefined {
    const ended = this.#played(call, asked, before);
    if (ended.rc !== call.rc) return `the reference answers ${ended.rc}, and the hypervisor ${call.rc}`;
    const domain = domainOf(ended.state, this.#cast.domid);
    const gained = domain.owned.size - owned.size;
    if (call.pagesBefore !== undefined && call.pagesAfter !== undefined && call.pagesAfter - call.pagesBefore !== gained)
      return `the domain gets ${gained} pages in the reference, and ${call.pagesAfter - call.pagesBefore} from the hypervisor`;
    const kept = new Set([...owned].filter((mfn) => domain.owned.has(mfn)));
    this.#freed = owned.size - kept.size;
    const given = asked?.told ? this.#given(call, ended.state, asked.told, kept) : [];
    if (typeof given === 'string') return given;
    this.#owned = new Set([...kept, ...given]);
    this.#untold += domain.owned.size - kept.size - given.length;
    return this.#wrongPages(call, kept, asked) ?? this.#wrongBytes(call, ended.state, asked, kept);
  }

  /**
   * Does a chunk take a frame that an earlier one was given? A call that names a frame twice, or one
   * that is not the guest's own, may meet it again, or not: that depends on the allocator.
   */
  #takesWhatItGave({ after }: ObservedCall, { op, reservations, told }: Asked, before: State): boolean {
    const [given] = reservations;
    if (op !== 'exchange' || !given || !told) return false;
    const inputs = listBehind(given.extent_start, given.nr_extents, this.#arch);
    if (overlaps(inputs.range, told.list.range)) return true; // what it is given it takes for an input
    const domain = domainOf(before, this.#cast.domid);
    const [perIn, perOut] = [given.extent_order, told.of.extent_order].map((of, i, both) => 2 ** Math.max(0, (both[1 - i] ?? 0) - of));
    const gave = new Map<number, number>();
    for (const [k, base] of entriesOf(told.list, (address, length) => after.read(address, length)).entries())
      for (const frame of framesOf(base, told.of.extent_order)) gave.set(frame, Math.floor(k / (perOut ?? 1)));
    const listed = entriesOf(inputs, (address, length) => readBytes(before, domain, at(address), length));
    return listed.some((base, i) => {
      return framesOf(base, given.extent_order).some(
        (frame) => (gave.get(frame) ?? Number.POSITIVE_INFINITY) < Math.floor(i / (perIn ?? 1)),
      );
    });
  }

  /** Does a call name a frame that is the guest's, and none of its free memory? */
  #takesFromElsewhere(asked: Asked, before: State): boolean {
    const elsewhere = this.#elsewhere();
    return this.#taken(asked, before).some((frame) => elsewhere.has(frame));
  }

  /** Does it name one that may be the guest's without anybody knowing? */
  #takesUntold(asked: Asked, before: State): boolean {
    if (this.#untold === 0) return false;
    return this.#taken(asked, before).some((frame) => frame < mostFrames && !domainOf(before, this.#cast.domid).owned.has(frame));
  }

  /** The frames that a call names to give them away. */
  #taken({ op, reservations: [given] }: Asked, before: State): number[] {
    if (!given || (op !== 'exchange' && op !== 'decrease_reservation')) return [];
    const list = listBehind(given.extent_start, given.nr_extents, this.#arch);
    const domain = domainOf(before, this.#cast.domid);
    const listed = entriesOf(list, (address, length) => readBytes(before, domain, at(address), length));
    return listed.flatMap((base) => framesOf(base, given.extent_order));
  }

  /** The reference's machine as the call finds it. */
  #stateOf({ p2mBefore, before }: ObservedCall, owned: ReadonlySet<number>): State | string | undefined {
    const domain = emptyDomain(this.#cast.domid, this.#cast.privileged, Number.POSITIVE_INFINITY);
    for (const [gfn, mfn] of p2mBefore) if (mfn !== null) domain.p2m.set(Number(gfn), behind + Number(gfn));
    for (const mfn of owned) domain.owned.add(mfn);
    domain.unaddressed = owned.size;
    const lists = emptyFreeLists();
    releaseRun(lists, free.first, free.frames);
    const state: State = { arch: this.#arch, domains: new Map([[domain.domid, domain]]), content: new Map(), free: lists, frames: 0 };
    for (const piece of before.known(this.#room)) {
      for (const { address, bytes } of pagesOf(piece)) {
        if (writeBytes(state, domain, at(address), bytes)) continue;
        // Of a page that is not looked at nobody knows whether it is there.
        return p2mBefore.has(address >> BigInt(PAGE_SHIFT)) ? `${hex64(address)} is no memory in the reference` : undefined;
      }
    }
    return state;
  }

  #asked({ cmd, arg = 0n }: ObservedCall, state: State): Asked | undefined {
    const op = judgedOp(cmd, 'upstream');
    if (!op) return undefined;
    const layout = layoutOf(argumentOf[op], this.#arch);
    const bytes = readBytes(state, domainOf(state, this.#cast.domid), at(arg), layout.size);
    if (!bytes) return undefined;
    const { reservations } = argumentIn(op, this.#arch, bytes);
    const of = reservations.at(-1) as XenMemoryReservation;
    const told = op === 'decrease_reservation' ? undefined : { list: listBehind(of.extent_start, of.nr_extents, this.#arch), of };
    return { op, reservations, layout, told };
  }

  /**
   * The call on the reference. Whether there is memory of a size, or under a limit, is the real
   * machine's affair: where that had none, the reference has none either.
   */
  #played(call: ObservedCall, asked: Asked | undefined, before: State): { readonly rc: number; readonly state: State } {
    const run = (fail_alloc?: number): { readonly rc: number; readonly state: State } => {
      const state = cloneState(before);
      const restore = asked ? this.#withoutLimit(state, call.arg ?? 0n, asked) : () => {};
      const inject = fail_alloc === undefined ? {} : { inject: { fail_alloc } };
      const rc = this.#answer(state, { domid: this.#cast.domid, cmd: call.cmd, arg: call.arg ?? 0n, ...inject });
      restore();
      return { rc, state };
    };
    const ended = run();
    if (ended.rc === call.rc || !asked?.told || call.rc === undefined) return ended;
    const { extent_order, address_bits } = asked.told.of;
    if (extent_order === 0 && XENMEMF.address_bits(address_bits) === 0) return ended;
    if (asked.op !== 'exchange') return run(call.rc - startExtent(call.cmd));
    if (call.rc !== -errno.ENOMEM) return ended;
    const { offset, size } = fieldOf(asked.layout, 'nr_exchanged');
    const { of } = asked.told;
    const [given] = asked.reservations;
    // So many extents had it got before there was none, beyond those of an earlier call.
    const [had = 0, got = 0] = [call.before, call.after].map((memory) => {
      const bytes = memory.read((call.arg ?? 0n) + BigInt(offset), size);
      const [N = 0n] = bytes ? entriesIn(bytes, size) : [];
      return given ? Number(covered(given, of, N)) : 0;
    });
    return run(got - had);
  }

  /** Takes the limit on addresses out of the struct, where it is one; puts it back afterwards. */
  #withoutLimit(state: State, arg: bigint, { layout, reservations, op }: Asked): () => void {
    const bits = reservations.at(-1)?.address_bits ?? 0;
    if (XENMEMF.address_bits(bits) <= PAGE_SHIFT) return () => {};
    const { offset } = fieldOf(layout, op === 'exchange' ? 'out.address_bits' : 'address_bits');
    const put = (value: number): boolean => {
      return writeBytes(state, domainOf(state, this.#cast.domid), at(arg + BigInt(offset)), new Uint8Array([value]));
    };
    put(0);
    return () => void put(XENMEMF.address_bits(bits));
  }

  /** The real frames that the guest was told of, or what is wrong with one. */
  #given(call: ObservedCall, state: State, { list, of }: NonNullable<Asked['told']>, kept: ReadonlySet<number>): number[] | string {
    const given: number[] = [];
    const seen = new Set<number>();
    for (const { index, entry } of this.#newEntries(state, list)) {
      const real = call.after.read(list.range.address + BigInt(index * list.stride), list.stride);
      if (!real) return `entry ${index} of the list was not seen`;
      const mfn = Number(entriesIn(real, list.stride)[0]);
      const bits = XENMEMF.address_bits(of.address_bits);
      const size = 2 ** of.extent_order;
      if (mfn === entry) return `entry ${index} of the list is ${mfn}, a frame of the reference`;
      if (mfn % size !== 0) return `entry ${index} of the list is ${hex64(BigInt(mfn))}, no multiple of ${size}`;
      if (bits !== 0 && mfn + size > 2 ** (bits - PAGE_SHIFT))
        return `entry ${index} of the list is ${hex64(BigInt(mfn))}, above 2^${bits}`;
      for (let frame = mfn; frame < mfn + size; frame++) {
        if (seen.has(frame) || kept.has(frame)) return `entry ${index} of the list holds ${hex64(BigInt(frame))}, which the guest owns`;
        seen.add(frame);
        given.push(frame);
      }
    }
    return given;
  }

  /** Entries of a list that the reference has overwritten with new frames. */
  *#newEntries(state: State, { range, stride, count }: GuestList): Generator<{ readonly index: number; readonly entry: number }> {
    const domain = domainOf(state, this.#cast.domid);
    for (let index = 0; BigInt(index) < count; index++) {
      const bytes = readBytes(state, domain, at(range.address + BigInt(index * stride)), stride);
      if (!bytes) return;
      const entry = Number(entriesIn(bytes, stride)[0]);
      if (entry >= free.first && entry < free.first + free.frames && domain.owned.has(entry)) yield { index, entry };
    }
  }

  /** Does each page lead to the frame that it led to, unless it was given away or populated? */
  #wrongPages(call: ObservedCall, kept: ReadonlySet<number>, asked: Asked | undefined): string | undefined {
    const { p2mBefore, p2mAfter, before } = call;
    const listed = asked?.told ? entriesOf(asked.told.list, (address, length) => before.read(address, length)) : [];
    const populated = new Set(listed.flatMap((gfn) => framesOf(gfn, asked?.told?.of.extent_order ?? 0)));
    for (const [gfn, mfn] of p2mAfter) {
      const old = p2mBefore.get(gfn);
      const isOwn = (frame: bigint): boolean => this.#isKept(gfn) || this.#owned?.has(Number(frame)) === true;
      if (typeof mfn === 'bigint' && !isOwn(mfn)) return `page ${hex64(gfn)} leads to ${hex64(mfn)}, which is not the guest's own`;
      const stays = this.#isKept(gfn) || (typeof old === 'bigint' && kept.has(Number(old)));
      if (stays && mfn !== old && !populated.has(Number(gfn))) return `page ${hex64(gfn)} leads elsewhere, and its frame was not taken`;
    }
    return undefined;
  }

  #wrongBytes(call: ObservedCall, state: State, asked: Asked | undefined, kept: ReadonlySet<number>): string | undefined {
    const domain = domainOf(state, this.#cast.domid);
    if (asked?.told) {
      const { list } = asked.told;
      for (const { index } of [...this.#newEntries(state, list)]) {
        const address = list.range.address + BigInt(index * list.stride);
        const real = call.after.read(address, list.stride);
        if (real) writeBytes(state, domain, at(address), real);
      }
    }
    for (const before of call.before.known(this.#room)) {
      for (const { address, bytes } of pagesOf(before)) {
        const { length } = bytes;
        const gfn = address >> BigInt(PAGE_SHIFT);
        // Its frame was given away, or the guest has led it to another.
        const mfn = call.p2mBefore.get(gfn);
        if (mfn !== call.p2mAfter.get(gfn) || (!this.#isKept(gfn) && !kept.has(Number(mfn)))) continue;
        const [own, real] = [readBytes(state, domain, at(address), length), call.after.read(address, length)];
        if (!real || !own) return `page ${hex64(gfn)} was not seen`;
        const wrong = differentByte(address, own, real);
        if (wrong !== undefined) return wrong;
      }
    }
    return undefined;
  }
}

/** What a chunk breaks that was exchanged, told or not, and is not counted. */
const brokenByLateFault = ['get-inputs-released', 'get-rest-untouched', 'no-stray-writes', 'bad-address-fails', 'frames-conserved'];

/**
 * What a call shows of the ways in which 4.17 leaves its own header (docs/xen-versions.md). The
 * reference did the same.
 */
function deviationsOf({ rc, arg = 0n, after }: ObservedCall, asked: Asked | undefined, freed: number): Deviation[] {
  if (asked?.op !== 'exchange') return [];
  const [given] = asked.reservations;
  const { offset, size } = fieldOf(asked.layout, 'nr_exchanged');
  const bytes = after.read(arg + BigInt(offset), size);
  const N = bytes && entriesIn(bytes, size)[0];
  if (!given || N === undefined) return [];
  const isLate = rc === -errno.EFAULT && freed > Number(N) * 2 ** given.extent_order;
  if (isLate) return [{ id: 'exchange-late-fault', reading: 'D1: a chunk that was exchanged is not counted', breaks: brokenByLateFault }];
  const isIdle = rc === 0 && N > 0n && N === given.nr_extents && freed === 0;
  return isIdle ? [{ id: 'exchange-all-done', reading: 'D5: 0 before domain and lists are looked at' }] : [];
}

/** The entries of a list, as far as they can be read, and not too many of them. */
function entriesOf({ range, stride, count }: GuestList, read: (address: bigint, length: number) => Uint8Array | undefined): number[] {
  const entries: number[] = [];
  while (BigInt(entries.length) < count && entries.length < mostLooked) {
    const bytes = read(range.address + BigInt(entries.length * stride), stride);
    if (!bytes) break;
    entries.push(Number(entriesIn(bytes, stride)[0]));
  }
  return entries;
}

function framesOf(base: number, order: number): number[] {
  return Array.from({ length: 2 ** Math.min(order, mostOrder) }, (_, j) => base + j);
}
