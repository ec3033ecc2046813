import type { JudgedOp } from '../../src/abi/ops.ts';
import type { P2m } from '../../src/trace/call.ts';
import { type CallStep, framesOf } from '../scenario/scenario.ts';
import type { DomainView } from './domain-view.ts';

// A guest that keeps its own p2m names what it gives away by the frames behind its pages.

/** The call of such a guest, where `step` names pages. */
export function inFrames(step: CallStep, op: JudgedOp, { p2m }: DomainView): CallStep {
  if (op === 'populate_physmap' || op === 'increase_reservation') return step;
  const [given, ...others] = step.lists;
  return { ...step, lists: [given?.map((gfn) => p2m.get(gfn) ?? gfn), ...others] };
}

/**
 * Which of the frames that such a call names were RAM: of what it gives away those that a page had
 * behind it, of what it takes those that were `mapped`.
 */
export function namedBefore(
  { lists, reservations }: CallStep,
  p2m: P2m,
  mapped: ((gfn: bigint) => boolean | undefined) | undefined,
): (gfn: bigint) => boolean | undefined {
  const [given, taken] = [0, 1].map((i) => new Set(framesOf(lists[i] ?? [], reservations[i]?.extent_order ?? 0)));
  const behind = new Set(p2m.values());
  return (frame) => (given?.has(frame) ? behind.has(frame) || undefined : taken?.has(frame) ? mapped?.(frame) : undefined);
}
