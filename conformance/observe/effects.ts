import { PAGE_SHIFT } from '../../src/abi/constants.ts';
import { isExchangeOp, type JudgedOp, startExtent } from '../../src/abi/ops.ts';
import type { StructCodec } from '../../src/codec/codec.ts';
import { readField } from '../../src/codec/field.ts';
import { entryRange, knownEntries, listBehind } from '../../src/guest/handle.ts';
import type { GuestMemory } from '../../src/guest/memory.ts';
import type { World } from '../protocol/implementation.ts';
import { type CallStep, framesOf } from '../scenario/scenario.ts';
import type { DomainView } from './domain-view.ts';

/** A call that was made, and how it ended. */
export interface EndedCall {
  readonly step: CallStep;
  readonly op: JudgedOp;
  readonly rc: number;
  /** `nr_exchanged` as the call left it, where it can be read. */
  readonly N: bigint | undefined;
}

/** `nr_exchanged` in the struct's bytes, if it is one that has it and they are all there. */
export function countIn({ layout }: StructCodec<'xen_get_dma_buf'>, bytes: Uint8Array | undefined): bigint | undefined {
  const field = layout.fields.find((f) => f.path === 'nr_exchanged');
  if (!field || bytes?.length !== layout.size) return undefined;
  return readField(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), field) as bigint;
}

/**
 * Which frames the call may have populated, by what its list really held: that can be more than was
 * written for it.
 */
export function spill(view: DomainView, { step, op, rc, N }: EndedCall, before: GuestMemory, arch: World['arch']): void {
  const exchanges = isExchangeOp(op);
  if (exchanges ? N === 0n : op !== 'populate_physmap' || rc <= startExtent(step.cmd)) return;
  const populates = step.reservations[exchanges ? 1 : 0];
  if (!populates) return;
  const list = listBehind(populates.extent_start, populates.nr_extents, arch);
  const bases = knownEntries(before, list).map((e) => e.value);
  const gfns = new Set(framesOf(bases, populates.extent_order));
  for (const gfn of gfns) view.populated(gfn);
  // Of a list in a page that it populates the call may have read anything.
  const isOwn = bases.some((_, i) => gfns.has(entryRange(list, BigInt(i)).address >> BigInt(PAGE_SHIFT)));
  if (isOwn || BigInt(bases.length) < list.count) view.populated(-1n);
}

/**
 * The pages that a call may have given, taken or exchanged, by what its lists really held: those
 * hold nobody knows what afterwards. Any other page with another frame behind it was only moved.
 */
export function touchedBy({ step, op, rc, N }: EndedCall, before: GuestMemory, arch: World['arch']): (gfn: bigint) => boolean {
  const exchanges = isExchangeOp(op);
  const isIdle = exchanges ? rc < 0 && N === 0n : op === 'put_dma_buf' || op === 'increase_reservation' || rc <= startExtent(step.cmd);
  if (isIdle) return () => false;
  const gfns = new Set<bigint>();
  for (const { extent_start, nr_extents, extent_order } of step.reservations) {
    const list = listBehind(extent_start, nr_extents, arch);
    const bases = knownEntries(before, list).map((e) => e.value);
    if (BigInt(bases.length) < list.count) return () => true;
    for (const gfn of framesOf(bases, extent_order)) gfns.add(gfn);
  }
  return (gfn) => gfns.has(gfn);
}

/**
 * At level 0 the p2m is not observable: infers from rc and nr_exchanged which of the named frames
 * are mapped now.
 */
export function believe(view: DomainView, { step, op, rc, N }: EndedCall): void {
  if (op === 'put_dma_buf') return;
  const [inputs = [], outputs = []] = step.reservations.map((r, i) => framesOf(step.lists[i] ?? [], r.extent_order));
  if (isExchangeOp(op)) {
    if (N === 0n && rc <= 0) return;
    const sure = rc === 0 && N === step.reservations[0]?.nr_extents && step.lists.every((list) => list !== undefined);
    for (const gfn of inputs) view.believe(gfn, sure ? false : undefined);
    for (const gfn of outputs) view.believe(gfn, sure ? true : undefined);
    return;
  }
  if (rc <= startExtent(step.cmd)) return;
  const sure = BigInt(rc) === step.reservations[0]?.nr_extents && startExtent(step.cmd) === 0 && op !== 'increase_reservation';
  for (const gfn of inputs) view.believe(gfn, sure ? op === 'populate_physmap' : undefined);
}
