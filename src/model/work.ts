import { type List, writeEntry } from './lists.ts';
import type { Call, Request } from './request.ts';
import type { Domain } from './state.ts';

/** An exchange under way. A chunk is the smallest unit that can be exchanged: 2^max(in order, out order) pages. */
export interface Work {
  readonly call: Call;
  /** Whose pages are exchanged; lists and struct lie in the caller's memory. */
  readonly domain: Domain;
  readonly inList: List;
  readonly outList: List;
  readonly outOrder: number;
  readonly inPages: number;
  readonly outPages: number;
  readonly inPerChunk: number;
  readonly outPerChunk: number;
  readonly chunks: number;
  readonly nrOut: number;
  /** The first frame number that an output page must not have. */
  readonly limit: number;
  /** Inputs of the chunk: gfns, and the frames taken from them. */
  gfns: number[];
  frames: number[];
  /** Outputs of the chunk: bases of the extents, and of the blocks they are made of. */
  gpfns: number[];
  blocks: number[];
  source: 'allocator' | 'inputs' | 'foreign';
  /** MFNs still to be written: slot, frame, and again. */
  pending: number[];
  /** Errno of a list entry that faulted when the chunk could not be undone any more. */
  lateFault: number;
  /** The domain can get no more pages: the call ends here, whatever it returns. */
  ended: boolean;
}

/** The work that a request asks for, with nothing done. */
export function workOf(call: Call, { in: input, out = input, inList, outList = inList, named }: Request): Work {
  const { d } = call;
  return {
    call,
    domain: named ?? call.caller,
    inList,
    outList,
    outOrder: out.extent_order,
    inPages: power(input.extent_order),
    outPages: power(out.extent_order),
    inPerChunk: power(out.extent_order - input.extent_order),
    outPerChunk: power(input.extent_order - out.extent_order),
    chunks: d.chunks(input.nr_extents, input.extent_order, out.nr_extents, out.extent_order),
    nrOut: Number(out.nr_extents),
    limit: d.limitFrame(d.limitBits(input.address_bits, out.address_bits), out.extent_order),
    gfns: [],
    frames: [],
    gpfns: [],
    blocks: [],
    source: 'allocator',
    pending: [],
    lateFault: 0,
    ended: false,
  };
}

/** 2^order, at least 1; finite even where a decision lets an order of 2^32 - 1 through. */
function power(order: number): number {
  return 2 ** Math.min(Math.max(0, order), 63);
}

/** Writes an entry of the output list. */
export function writeOutput(w: Work, slot: number, frame: number): boolean {
  const { state, caller, d } = w.call;
  if (d.writesInto !== 'caller') {
    for (const other of state.domains.values()) if (other !== caller) writeEntry(state, other, w.outList, slot, frame, d);
  }
  return d.writesInto === 'others' || writeEntry(state, caller, w.outList, slot, frame, d);
}
