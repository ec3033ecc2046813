import { PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, judgedOp, opNumber, startExtent } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { listBehind, readEntry } from '../../src/guest/handle.ts';
import type { ByteRange, Piece } from '../../src/guest/memory.ts';
import { emptyFreeLists, releaseRun } from '../../src/model/allocator.ts';
import type { MemoryOpOf } from '../../src/model/memory-op.ts';
import { at, readBytes, writeBytes } from '../../src/model/p2m.ts';
import { type Domain, emptyDomain, type State } from '../../src/model/state.ts';
import type { Guests } from '../../src/model/xen/release.ts';
import { xen417 } from '../../src/model/xen/xen-4.17.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import type { Event } from '../observe/observe.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Deviation, Oracle, Said } from '../twin/prediction.ts';
import { argumentIn } from './argument.ts';
import type { Cast } from './draw.ts';

let whole: { readonly first: number; readonly pages: number; readonly base: number; readonly frames: Map<number, number> } | undefined;

/** The frames behind a run of pages, so many numbers further on; kept for the next scenario. */
function framesFrom(first: number, pages: number, base: number): ReadonlyMap<number, number> {
  if (whole?.first !== first || whole.pages !== pages || whole.base !== base) {
    const frames = new Map(Array.from({ length: pages }, (_, i) => [first + i, base + first + i]));
    whole = { first, pages, base, frames };
  }
  return whole.frames;
}

type CallEvent = Event & { readonly kind: 'call' };

/** Frames that are free in the reference's machine: more than any call asks for. */
const free = [
  // Where the memory of QEMU's Arm machine lies: what is below a limit is so there too.
  [0x4_8000, 0x8000],
] as const;

/** The frames behind the guest's pages in the reference's machine: beyond any that the real one has. */
export const behind = 0x200_0000;

/**
 * Follows a real hypervisor with the reference that is written after its source, call by call: rc
 * and every byte of the guest's memory are predicted, new frames are looked at for what they have to
 * be. After each call it goes on from what the real one did.
 */
export class ReleaseOracle implements Oracle {
  readonly #answer: MemoryOpOf;
  readonly #state: State;
  readonly #domain: Domain;
  readonly #room: ByteRange;
  readonly #isDirect: boolean;
  readonly #cast: Cast;
  #lost = false;
  /** Has something been called that the release does not have? */
  #isBeyond = false;
  /** Pages that the last call brought or took. */
  #gained = 0;

  constructor({ world }: Scenario, cast: Cast, guests: Guests, answer: MemoryOpOf = xen417(guests)) {
    this.#answer = answer;
    this.#cast = cast;
    this.#isDirect = guests === 'direct-mapped';
    const [plan] = world.domains;
    const holes = plan?.holes.reduce((sum, { pages }) => sum + pages, 0) ?? 0;
    const isHole = new Set(plan?.holes.flatMap(({ gfn, pages }) => Array.from({ length: pages }, (_, i) => Number(gfn) + i)));
    const first = Number(cast.room.first);
    this.#room = { address: cast.room.first * BigInt(PAGE_SIZE), length: BigInt(cast.room.pages * PAGE_SIZE) };
    const base = guests === 'direct-mapped' ? 0 : behind;
    const frames = framesFrom(first, cast.room.pages, base);
    this.#domain = { ...emptyDomain(cast.domid, cast.privileged, cast.room.pages), p2m: new Map(frames), owned: new Set(frames.values()) };
    for (const gfn of isHole) {
      this.#domain.p2m.delete(gfn);
      // What a direct-mapped domain gives up stays its own.
      if (guests !== 'direct-mapped') this.#domain.owned.delete(base + gfn);
    }
    if (guests === 'direct-mapped') this.#domain.unaddressed = holes;
    const lists = emptyFreeLists();
    for (const [base, frames] of free) releaseRun(lists, base, frames);
    const domains = new Map([[cast.domid, this.#domain]]);
    this.#state = { arch: world.arch, domains, content: new Map(), free: lists, frames: 0 };
  }

  take(event: Event): Said {
    if (event.kind === 'skipped') this.#lost ||= event.half === true;
    if (this.#lost || event.kind !== 'call') return undefined;
    // What a release never had, the reference written after it cannot follow.
    this.#isBeyond ||= this.#cast.more.some((op) => op === judgedOp(event.call.cmd, 'dma-buf'));
    if (this.#isBeyond) return { agrees: undefined, readings: this.#unmapped(event.call) };
    const message = this.#differs(event);
    this.#lost = message !== undefined;
    return message === undefined ? { agrees: true, readings: deviationsOf(event.call, this.#gained) } : { agrees: false, message };
  }

  /** That deviation of a call which the reference did not follow: its next extent cannot be mapped. */
  #unmapped(call: ObservedCall): Deviation[] {
    const { pagesBefore, pagesAfter, arch, before, cmd, rc = 0 } = call;
    const { mappable } = this.#cast;
    const asked = askedOf(call);
    if (!asked || mappable === undefined || pagesBefore === undefined || pagesAfter === undefined) return [];
    const next = readEntry(before, listBehind(asked.extent_start, asked.nr_extents, arch), BigInt(Math.max(rc, startExtent(cmd))));
    const isUnmapped = Number(next ?? 0n) + 2 ** asked.extent_order > mappable;
    return isUnmapped ? deviationsOf(call, pagesAfter - pagesBefore) : [];
  }

  #differs({ call }: CallEvent): string | undefined {
    const { domid = 0, cmd, arg = 0n, rc } = call;
    // What can be read beside the guest's free memory may be a device.
    const pieces = call.before.known(this.#room);
    for (const piece of pieces) {
      for (const { address, bytes } of pagesOf(piece)) {
        const isThere = writeBytes(this.#state, this.#domain, at(address), bytes);
        // Where the p2m is not looked at, a page that was given away uncounted passes for memory.
        if (!isThere && call.p2mBefore.has(address >> BigInt(PAGE_SHIFT))) return `${hex64(address)} is no memory in the reference`;
      }
    }
    const { changed } = this.#domain;
    changed.pages.clear();
    changed.pieces = [];
    const owned = this.#domain.owned.size;
    const expected = this.#answer(this.#state, { domid, cmd, arg });
    const gained = this.#domain.owned.size - owned;
    this.#gained = gained;
    if (rc !== expected) return `the reference answers ${nameOf(cmd)} with ${expected}, and the hypervisor with ${rc}`;
    if (call.pagesBefore !== undefined && call.pagesAfter !== undefined && call.pagesAfter - call.pagesBefore !== gained)
      return `the domain gets ${gained} pages in the reference, and ${call.pagesAfter - call.pagesBefore} from the hypervisor`;
    for (const [gfn, mfn] of call.p2mAfter) {
      const own = this.#domain.p2m.get(Number(gfn));
      if ((own === undefined) !== (mfn === null))
        return `page ${hex64(gfn)} is ${own === undefined ? 'gone' : 'there'} in the reference only`;
      if (this.#isDirect && mfn !== null && mfn !== gfn) return `page ${hex64(gfn)} leads to ${hex64(mfn)}`;
    }
    for (const before of pieces) {
      for (const { address, bytes } of pagesOf(before)) {
        const wrong = this.#wrongIn(address, bytes.length, call.after.read(address, bytes.length));
        if (wrong !== undefined) return `${nameOf(cmd)}: ${wrong}`;
      }
    }
    return undefined;
  }

  /** What is wrong with a piece of one page after a call. */
  #wrongIn(address: bigint, length: number, real: Uint8Array | undefined): string | undefined {
    const gfn = Number(address >> BigInt(PAGE_SHIFT));
    const own = readBytes(this.#state, this.#domain, at(address), length);
    if ((own === undefined) !== (real === undefined))
      return `page ${hex64(BigInt(gfn))} is ${own ? 'there' : 'gone'} in the reference, and ${real ? 'there' : 'gone'} in the hypervisor`;
    // Of a page that is new nothing is known.
    if (!own || !real || this.#domain.changed.pages.has(gfn)) return undefined;
    return differentByte(address, own, real);
  }
}

/** What a call of op 6 asked for, where its struct was captured. */
function askedOf({ cmd, arch, arg = 0n, before }: ObservedCall): XenMemoryReservation | undefined {
  const op = judgedOp(cmd, 'dma-buf');
  const struct = op === 'populate_physmap' ? before.read(arg, layoutOf(argumentOf[op], arch).size) : undefined;
  return op && struct && argumentIn(op, arch, struct).reservations[0];
}

/** What a call shows of what 4.17 keeps of an extent that it could not map: it gained that many pages. */
function deviationsOf(call: ObservedCall, gained: number): Deviation[] {
  const asked = askedOf(call);
  if (!asked || gained <= ((call.rc ?? 0) - startExtent(call.cmd)) * 2 ** asked.extent_order) return [];
  const reading = 'the pages of an extent that could not be mapped stay with the domain';
  return [{ id: 'populate-unmapped', reading, breaks: ['reservation-effects'] }];
}

/** Where the bytes at an address differ, in a sentence. */
export function differentByte(address: bigint, own: Uint8Array, real: Uint8Array): string | undefined {
  if (Buffer.compare(own, real) === 0) return undefined;
  const off = own.findIndex((byte, i) => byte !== real[i]);
  return `the byte at ${hex64(address + BigInt(off))} is ${own[off]} in the reference, and ${real[off]} in the hypervisor`;
}

/** A call by its op. */
export function nameOf(cmd: number): string {
  const start = startExtent(cmd);
  return `${judgedOp(cmd, 'dma-buf') ?? `op ${opNumber(cmd)}`}${start > 0 ? ` from extent ${start}` : ''}`;
}

/** A piece of memory, cut where pages end. */
export function pagesOf({ address, bytes }: Piece): Piece[] {
  const found: Piece[] = [];
  for (let at = 0; at < bytes.length; ) {
    const from = address + BigInt(at);
    const part = bytes.subarray(at, at + PAGE_SIZE - Number(from % BigInt(PAGE_SIZE)));
    found.push({ address: from, bytes: part });
    at += part.length;
  }
  return found;
}
