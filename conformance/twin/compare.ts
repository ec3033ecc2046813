import { PAGE_SHIFT } from '../../src/abi/constants.ts';
import { fieldOf } from '../../src/abi/layout.ts';
import { isExchangeOp, startExtent } from '../../src/abi/ops.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { knownEntries } from '../../src/guest/handle.ts';
import { type ByteRange, inside } from '../../src/guest/memory.ts';
import { at, readBytes } from '../../src/model/p2m.ts';
import { type Domain, domainOf } from '../../src/model/state.ts';
import type { ObservedCall, P2m } from '../../src/trace/call.ts';
import { framesOf } from '../scenario/scenario.ts';
import { covered, type Ended, type TwinCall } from './twin.ts';

const shift = BigInt(PAGE_SHIFT);

/** A call as it was seen, and as the twin ended it. */
export interface Compared {
  readonly call: ObservedCall;
  readonly asked: TwinCall;
  /** The twin's domain that it is about, before the call. */
  readonly before: Domain;
  readonly ended: Ended;
  /** Input extents done. */
  readonly done: bigint;
}

/**
 * The first difference between what a call left behind and what it left behind in the model, up to
 * the names of new frames.
 */
export function differs(compared: Compared): string | undefined {
  return (
    p2mDiffers(compared) ??
    extentsDiffer(compared) ??
    populatedDiffers(compared) ??
    bytesDiffer(compared) ??
    othersDiffer(compared) ??
    pagesDiffer(compared)
  );
}

/**
 * Is a guest frame mapped where it is mapped in the model, and does it lead where it did wherever
 * it does so there?
 */
function p2mDiffers({ call, asked, before, ended }: Compared): string | undefined {
  const { p2mBefore, p2mAfter } = call;
  // Of a struct that cannot be read the domain it names is not known either.
  if (asked.reservations.length === 0) return isSameBut(p2mBefore, p2mAfter) ? undefined : 'the p2m changed, and not in the model';
  const { p2m, changed } = ownerIn(ended, asked);
  // A put may have let them go, wherever it ended: then they may be moved like any other.
  const put = new Set(asked.op === 'put_dma_buf' ? asked.gfns.flat() : []);
  const { pins } = before;
  for (const [gfn, frame] of p2mAfter) {
    const own = p2m.get(Number(gfn));
    // Not by its frame: the allocator may have given it back what it had.
    const same = !changed.pages.has(Number(gfn));
    if (own === undefined && frame !== null) return `guest frame ${hex64(gfn)} is a hole in the model, and here leads to ${hex64(frame)}`;
    if (own !== undefined && frame === null) return `guest frame ${hex64(gfn)} is mapped in the model, and here is a hole`;
    // A page may be moved at any time, unless it is pinned.
    if (!pins.has(Number(gfn)) || put.has(gfn)) continue;
    const old = p2mBefore.get(gfn);
    if (same && old !== undefined && old !== frame) return `guest frame ${hex64(gfn)} keeps its frame in the model, and here has another`;
  }
  return undefined;
}

/** Are extents that op 6 populated each in one piece, aligned, and below the limit? */
function populatedDiffers({ call, asked, done }: Compared): string | undefined {
  const [given] = asked.reservations;
  const [list] = asked.lists;
  if (asked.op !== 'populate_physmap' || !given || !list) return undefined;
  const pages = 1n << BigInt(given.extent_order);
  const limit = limitOf(given.address_bits);
  const named = new Map<bigint, number>();
  for (const gfn of asked.gfns[0] ?? []) named.set(gfn, (named.get(gfn) ?? 0) + 1);
  for (const { index, value: gfn } of knownEntries(call.before, list)) {
    if (index < BigInt(startExtent(call.cmd)) || index >= done) continue;
    const base = call.p2mAfter.get(gfn);
    for (let j = 0n; j < pages; j++) {
      const frame = call.p2mAfter.get(gfn + j);
      // What another extent of the list was populated over is that one's.
      if (typeof frame !== 'bigint' || typeof base !== 'bigint' || named.get(gfn + j) !== 1 || named.get(gfn) !== 1) continue;
      if (frame !== base + j) return `guest frame ${hex64(gfn + j)} leads to ${frameName(frame)}, not to ${hex64(base + j)}`;
      if (base % pages !== 0n) return `extent ${index} is at ${hex64(base)}, no multiple of ${pages}`;
      if (limit !== undefined && frame >= limit) return `extent ${index} is at ${hex64(base)}, not below ${hex64(limit)}`;
    }
  }
  return undefined;
}

/**
 * The first frame that is beyond an address limit; none of those above 255 bits, which are read in
 * more than one way.
 */
function limitOf(bits: number): bigint | undefined {
  if (bits === 0 || bits > 255) return undefined;
  return bits >= PAGE_SHIFT ? 1n << BigInt(bits - PAGE_SHIFT) : 0n;
}

/**
 * Can the new frames be renamed to the model's: in one piece, aligned, below the limit, each page
 * its own, and told to the guest?
 */
function extentsDiffer(compared: Compared): string | undefined {
  const { call, asked, done } = compared;
  const [given, wanted] = asked.reservations;
  const list = asked.lists[1];
  if (!given || !wanted || !list || done === 0n) return undefined;
  const limit = limitOf(wanted.address_bits);
  const pages = 1n << BigInt(wanted.extent_order);
  const told = new Map(knownEntries(call.after, list).map(({ index, value }) => [index, value]));
  // Where other pages are moved during the call, an input may have left its frame before it was
  // exchanged.
  const old = isMovingOthers(compared) ? new Map<bigint, bigint>() : framesGiven(call, asked);
  const taken = new Map<bigint, bigint>();
  for (const { index, value: gfn } of knownEntries(call.before, list)) {
    if (index >= covered(given, wanted, done)) break;
    const behind = call.p2mAfter.get(gfn);
    const mfn = told.get(index) ?? behind;
    if (mfn === undefined || mfn === null) continue;
    if (behind !== undefined && behind !== mfn)
      return `entry ${index} says ${hex64(mfn)}, and guest frame ${hex64(gfn)} leads to ${frameName(behind)}`;
    if (mfn % pages !== 0n) return `extent ${index} is at ${hex64(mfn)}, no multiple of ${pages}`;
    if (limit !== undefined && mfn + pages > limit) return `extent ${index} is at ${hex64(mfn)}, not below ${hex64(limit)}`;
    for (let j = 0n; j < pages; j++) {
      const frame = call.p2mAfter.get(gfn + j);
      if (frame !== undefined && frame !== mfn + j)
        return `guest frame ${hex64(gfn + j)} leads to ${frameName(frame)}, not to ${hex64(mfn + j)}`;
      if (taken.has(mfn + j)) return `frame ${hex64(mfn + j)} is given twice`;
      if (old.get(mfn + j) === chunkOf(asked, 1, index)) return `frame ${hex64(mfn + j)} was behind an input of the same chunk`;
      taken.set(mfn + j, gfn + j);
    }
  }
  const others = call.others ?? [];
  for (const [gfn, frame] of [...call.p2mAfter, ...others.flatMap(({ p2mAfter }) => [...p2mAfter])]) {
    if (frame === null) continue;
    const own = taken.get(frame);
    if (own !== undefined && (own !== gfn || frame !== call.p2mAfter.get(gfn)))
      return `frame ${hex64(frame)} is behind ${hex64(own)} and ${hex64(gfn)}`;
  }
  return undefined;
}

/** Was a page moved that the call does not name? */
function isMovingOthers({ call: { p2mBefore, p2mAfter }, asked }: Compared): boolean {
  const named = new Set(asked.gfns.flat());
  return [...p2mAfter].some(([gfn, frame]) => {
    const old = p2mBefore.get(gfn);
    return typeof old === 'bigint' && frame !== null && old !== frame && !named.has(gfn);
  });
}

/** The frames that were behind the inputs, each with the chunk it was given up in. */
function framesGiven({ before, p2mBefore }: ObservedCall, asked: TwinCall): Map<bigint, bigint> {
  const frames = new Map<bigint, bigint>();
  const [list] = asked.lists;
  for (const { index, value } of list ? knownEntries(before, list) : []) {
    for (const gfn of framesOf([value], asked.reservations[0]?.extent_order ?? 0)) {
      const frame = p2mBefore.get(gfn);
      if (frame !== undefined && frame !== null) frames.set(frame, chunkOf(asked, 0, index));
    }
  }
  return frames;
}

/**
 * In which chunk an extent of the inputs (0) or outputs (1) is done: a chunk is one extent of the
 * larger order.
 */
function chunkOf({ reservations }: TwinCall, side: 0 | 1, index: bigint): bigint {
  const [oi, oo] = reservations.map((r) => r.extent_order) as [number, number];
  return index >> BigInt(Math.max(0, side === 0 ? oo - oi : oi - oo));
}

/** Do the struct and the lists hold what they hold in the model, and has nothing else changed? */
function bytesDiffer({ call, asked, ended, done }: Compared): string | undefined {
  const caller = domainOf(ended.state, asked.caller);
  const { changed } = caller;
  const [given, wanted] = asked.reservations;
  const frames = given && wanted ? covered(given, wanted, done) : 0n;
  const start = BigInt(startExtent(call.cmd));
  const count = isExchange(asked) ? fieldOf(asked.codec.layout, 'nr_exchanged').offset : asked.codec.size;
  const kept: [what: string, range: ByteRange][] = [['the struct', { address: asked.arg, length: BigInt(count) }]];
  const told: ByteRange[] = [];
  for (const [i, { range, stride }] of asked.lists.entries()) {
    // Get tells the guest its frames, and ops 0 and 6 may: that is looked at by what the frames
    // are.
    const tells = asked.op === 'populate_physmap' || asked.op === 'increase_reservation';
    const [from, to] = i === 1 ? [0n, frames] : tells && done > start ? [start, done] : [0n, 0n];
    const entries = (first: bigint, end: bigint): ByteRange => {
      return { address: range.address + first * BigInt(stride), length: (end - first) * BigInt(stride) };
    };
    told.push(entries(from, to));
    const what = i === 1 ? 'the output list' : 'the list';
    kept.push([what, entries(0n, from)], [what, entries(to, range.length / BigInt(stride))]);
  }
  for (const [what, range] of kept) {
    for (const { address, bytes } of call.after.known(range)) {
      // A list in a page that populate_physmap was given anew.
      if (touches(changed.pages, address, bytes.length)) continue;
      const own = readBytes(ended.state, caller, at(address), bytes.length);
      const wrong = own?.findIndex((byte, i) => byte !== bytes[i]) ?? -1;
      if (wrong >= 0) return `${what} holds ${bytes[wrong]} at ${hex64(address + BigInt(wrong))}, and ${own?.[wrong]} in the model`;
    }
  }
  if (isExchange(asked)) told.push({ address: asked.arg + BigInt(count), length: BigInt(asked.codec.size - count) });
  const handedOver = new Set(isNeighbour(asked) && done > start ? asked.gfns[0] : []);
  const stray = call.changes?.find((range) => {
    const first = range.address >> shift;
    const last = (range.address + range.length - 1n) >> shift;
    if (told.some((a) => inside(range, a))) return false;
    for (let gfn = first; gfn <= last; gfn++) if (!changed.pages.has(Number(gfn)) && !handedOver.has(gfn)) return true;
    return false;
  });
  return stray && `${stray.length} bytes at ${hex64(stray.address)} changed, which stay as they are in the model`;
}

function othersDiffer({ call, ended }: Compared): string | undefined {
  for (const { domid, changes, p2mBefore, p2mAfter } of call.others ?? []) {
    if (changes.length > 0) return `the memory of domain ${domid} changed at ${hex64(changes[0]?.address ?? 0n)}`;
    const pins = ended.state.domains.get(domid)?.pins;
    if (!isSameBut(p2mBefore, p2mAfter, pins)) return `the p2m of domain ${domid} changed`;
  }
  return undefined;
}

function pagesDiffer({ call, asked, before, ended }: Compared): string | undefined {
  const { pagesBefore, pagesAfter } = call;
  if (pagesBefore === undefined || pagesAfter === undefined) return undefined;
  const gained = ownerIn(ended, asked).owned.size - before.owned.size;
  return pagesAfter - pagesBefore === gained ? undefined : `the domain owned ${pagesBefore} pages, and ${pagesAfter} afterwards`;
}

export function isExchange({ op }: TwinCall): boolean {
  return isExchangeOp(op);
}

/** Ops 0, 1 and 6. */
export function isNeighbour(asked: TwinCall): boolean {
  return !isExchange(asked) && asked.op !== 'put_dma_buf';
}

function ownerIn({ state }: Ended, { owner }: TwinCall): Domain {
  return domainOf(state, owner);
}

function touches(pages: ReadonlySet<number>, address: bigint, length: number): boolean {
  const first = Number(address >> shift);
  const last = Number((address + BigInt(length) - 1n) >> shift);
  for (let page = first; page <= last; page++) if (pages.has(page)) return true;
  return false;
}

/**
 * Are two looks at a p2m the same, but for pages that were moved? Those that are pinned may not be.
 */
export function isSameBut(a: P2m, b: P2m, pins: ReadonlySet<number> = new Set()): boolean {
  if (a === b) return true;
  for (const [gfn, frame] of a) {
    const other = b.get(gfn);
    if (other === undefined || other === frame) continue;
    if (other === null || frame === null || pins.has(Number(gfn))) return false;
  }
  return true;
}

function frameName(frame: bigint | null): string {
  return frame === null ? 'no frame' : `frame ${hex64(frame)}`;
}
