import type { XenGetDmaBuf } from '../abi/values.ts';
import type { GuestList } from '../guest/handle.ts';
import { type Call, domainNamed, listOf, readEntries } from './call.ts';
import type { Domain } from './state.ts';

/**
 * An exchange as it was asked for. A chunk is the smallest unit of it: 2^max(in order, out order)
 * pages.
 */
export interface Exchange extends XenGetDmaBuf {
  /** Whose pages are exchanged; `undefined` where the struct names no domain. */
  readonly named: Domain | undefined;
  readonly ins: GuestList;
  readonly outs: GuestList;
  /** Pages of an extent. */
  readonly inPages: number;
  readonly outPages: number;
  /** Extents of a chunk. */
  readonly insPerChunk: number;
  readonly outsPerChunk: number;
}

/** What a struct asks for. Nothing is judged. */
export function exchangeOf(call: Call, asked: XenGetDmaBuf): Exchange {
  const { in: given, out: wanted } = asked;
  return {
    in: given,
    out: wanted,
    nr_exchanged: asked.nr_exchanged,
    named: domainNamed(call, given.domid),
    ins: listOf(call, given),
    outs: listOf(call, wanted),
    inPages: 2 ** given.extent_order,
    outPages: 2 ** wanted.extent_order,
    insPerChunk: 2 ** Math.max(0, wanted.extent_order - given.extent_order),
    outsPerChunk: 2 ** Math.max(0, given.extent_order - wanted.extent_order),
  };
}

/**
 * Does an output extent overlap an input extent of a later chunk? That chunk would take the new
 * pages away again. Inputs are sorted by their bases, so the work is bounded by the pages asked
 * for.
 */
export function overlapsLaterInput(call: Call, x: Exchange): boolean {
  const { ins, outs, inPages, outPages, insPerChunk, outsPerChunk } = x;
  if (Number(ins.count) <= insPerChunk) return false; // there is one chunk
  const first = Math.floor(Number(x.nr_exchanged) / insPerChunk);
  const bases = readEntries(call, ins, 0, Number(ins.count));
  const gpfns = readEntries(call, outs, 0, Number(outs.count));
  if (!bases || !gpfns) return false; // found when the chunk is reached
  const lastChunk = new Map(bases.map((base, i) => [base, Math.floor(i / insPerChunk)]));
  const sorted = [...lastChunk.keys()].sort((a, b) => a - b);
  return gpfns.some((gpfn, k) => {
    const chunk = Math.floor(k / outsPerChunk);
    for (let i = firstAbove(sorted, gpfn - inPages); chunk >= first && i < sorted.length; i++) {
      const base = sorted[i] as number;
      if (base >= gpfn + outPages) return false;
      if ((lastChunk.get(base) as number) > chunk) return true;
    }
    return false;
  });
}

/** The index of the first of ascending numbers that is greater than `value`. */
function firstAbove(numbers: readonly number[], value: number): number {
  let low = 0;
  for (let high = numbers.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
