import type { Arch } from '../../src/abi/arch.ts';
import { PAGE_SHIFT } from '../../src/abi/constants.ts';
import type { JudgedOp } from '../../src/abi/ops.ts';
import type { StructCodec } from '../../src/codec/codec.ts';
import { pointerOf } from '../../src/codec/handle.ts';
import type { Piece } from '../../src/guest/memory.ts';
import type { CallStep } from '../scenario/scenario.ts';
import type { DomainView } from './domain-view.ts';

// What a guest writes into its memory for a call.

/** Pages that are marked at most, of those that a call or a scenario names. */
export const mostMarks = 8;
const shift = BigInt(PAGE_SHIFT);

/** The marks of named pages that have none: a move after the put must keep their content. */
export function newMarks(view: DomainView, names: ReadonlySet<bigint>): Piece[] {
  const unmarked = [...names].filter((gfn) => view.mapped(gfn) && !view.isMarked(gfn));
  return unmarked.slice(0, mostMarks).map((gfn) => markOf(view.domid, gfn));
}

/** The call's lists, where they go. */
export function listsOf(step: CallStep, arch: Arch): Piece[] {
  return step.lists.flatMap((list, i) => {
    const handle = step.reservations[i]?.extent_start;
    if (list === undefined || list.length === 0 || handle === undefined) return [];
    return [{ address: pointerOf(handle, arch), bytes: new Uint8Array(new BigUint64Array(list as bigint[]).buffer) }];
  });
}

/** The call's struct. */
export function structOf(step: CallStep, op: JudgedOp, codec: StructCodec<'xen_get_dma_buf'>): Uint8Array {
  const [first, second] = step.reservations;
  const value =
    op === 'get_dma_buf' || op === 'exchange'
      ? { in: first, out: second, nr_exchanged: step.nrExchanged }
      : op === 'put_dma_buf'
        ? { in: first }
        : first;
  const padding =
    step.padding === 0
      ? undefined
      : Object.fromEntries(codec.layout.padding.map((gap) => [gap.owner, new Uint8Array(gap.size).fill(step.padding)]));
  return codec.encode(value as never, padding);
}

/** Eight bytes that no other page has, at its start. */
export function markOf(domid: number, gfn: bigint): Piece {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, 0x4d41_524b_0000_0000n ^ (BigInt(domid) << 48n) ^ gfn, true);
  return { address: gfn << shift, bytes };
}
