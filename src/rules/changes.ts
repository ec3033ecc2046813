import type { Field, Padding, StructLayout } from '../abi/layout.ts';
import { hex64 } from '../codec/hex.ts';
import { entryRange } from '../guest/handle.ts';
import { type ByteRange, inside, overlaps } from '../guest/memory.ts';
import { Ranges } from '../guest/ranges.ts';
import type { ObservedCall, P2m } from '../trace/call.ts';
import type { Violation } from './answer.ts';
import type { Facts, Reservation } from './facts.ts';

/**
 * What a call may not change but did: the first changed bytes, inside `where` if given, that no
 * allowed range accounts for.
 */
export function strayChange(facts: Facts, allowed: readonly ByteRange[], where?: readonly ByteRange[]): ByteRange | undefined {
  if (facts.changes.length === 0) return undefined;
  const [mayChange, watched] = [new Ranges(allowed), where && new Ranges(where)];
  for (const change of facts.changes) {
    for (const range of watched?.overlapping(change) ?? [change]) {
      const stray = mayChange.uncovered(common(change, range));
      if (stray) return stray;
    }
  }
  return undefined;
}

/** The part of a list that a call may write: entries `from` up to `to`. */
export function entriesRange(reservation: Reservation, from: bigint, to: bigint): ByteRange[] {
  const { list } = reservation;
  if (list === undefined) return [];
  const end = to < list.count ? to : list.count;
  if (from >= end) return [];
  const { address, length } = entryRange(list, from);
  return [{ address, length: (end - from) * length }];
}

/**
 * Anything known to have changed, for a call that must change nothing: bytes of guest memory, which
 * of the observed frames are mapped, and the number of pages owned.
 */
export function anyChange(facts: Facts): Violation | undefined {
  const change = facts.changes[0];
  if (change) return describe(facts, change);
  const other = firstRemapped(facts.call.p2mBefore, facts.call.p2mAfter);
  if (other) return { message: other };
  const gained = pagesGained(facts.call);
  return gained === undefined ? undefined : { message: gained };
}

/** That a domain was seen to own more pages after a call than before it, or fewer, in words. */
export function pagesGained({ pagesBefore, pagesAfter }: Pick<ObservedCall, 'pagesBefore' | 'pagesAfter'>): string | undefined {
  if (pagesBefore === undefined || pagesAfter === undefined || pagesBefore === pagesAfter) return undefined;
  return `the domain owned ${pagesBefore} pages before and ${pagesAfter} after`;
}

/**
 * The first guest frame that one of two looks at a p2m shows mapped and the other one does not, in
 * words. Another frame behind it is a move, and no change: a hypervisor may move any page that is
 * not pinned (pins.ts sees to those).
 */
export function firstRemapped(before: P2m, after: P2m, of = '', isExempt: (gfn: bigint) => boolean = () => false): string | undefined {
  // Most calls change nothing, and a live run then shows one map twice.
  if (before === after) return undefined;
  for (const [gfn, old] of before) {
    const now = after.get(gfn);
    if (now !== undefined && isRemapped(old, now) && !isExempt(gfn)) return `guest frame ${hex64(gfn)}${of} ${moved(old, now)}`;
  }
  return undefined;
}

/** Was a guest frame mapped or unmapped, and not only moved? */
export function isRemapped(before: bigint | null, after: bigint | null): boolean {
  return (before === null) !== (after === null);
}

/** A changed range in words, placed in the struct where it lies there. */
export function describe(facts: Facts, change: ByteRange): Violation {
  const own = facts.argumentRange;
  if (own && inside(change, own)) {
    const start = Number(change.address - own.address);
    const end = start + Number(change.length);
    return { message: `bytes ${start}..${end} of the struct changed`, where: nameAt(facts.layout, start, end), bytes: [start, end] };
  }
  const list = facts.reservations.find((r) => r.list !== undefined && overlaps(change, r.list.range));
  if (list?.list) {
    const index = (change.address - list.list.range.address) / BigInt(list.list.stride);
    return { message: `entry ${index < 0n ? 0n : index} of the ${list.path === '' ? '' : `${list.path} `}list changed` };
  }
  return { message: `${bytes(change.length)} at ${hex64(change.address)} changed` };
}

/**
 * The first field, or else the padding, that has bytes of a range of the struct: every byte is of
 * one of them.
 */
function nameAt({ fields, padding }: StructLayout, start: number, end: number): string {
  return ([...fields, ...padding].find((part) => start < part.offset + part.size && part.offset < end) as Field | Padding).path;
}

/** A number of bytes in words. */
export function bytes(count: bigint): string {
  return count === 1n ? '1 byte' : `${count} bytes`;
}

/** How a mapping differs, in words. */
export function moved(before: bigint | null, after: bigint | null): string {
  const name = (frame: bigint | null): string => (frame === null ? 'no frame' : `frame ${hex64(frame)}`);
  return `had ${name(before)} behind it and now has ${name(after)}`;
}

/** What two ranges share, which overlap. */
function common(a: ByteRange, b: ByteRange): ByteRange {
  const address = a.address > b.address ? a.address : b.address;
  const [endA, endB] = [a.address + a.length, b.address + b.length];
  return { address, length: (endA < endB ? endA : endB) - address };
}
