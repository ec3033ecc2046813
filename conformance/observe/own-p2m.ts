import type { JudgedOp } from '../../src/abi/ops.ts';
import type { P2m } from '../../src/trace/call.ts';
import { type CallStep, framesOf } from '../scenario/scenario.ts';
import type { DomainView } from './domain-view.ts';

// What a guest names that keeps its own p2m: what it gives away by frames, those behind its pages.

/**
 * The call of a guest that keeps its own p2m: what it gives away it names by the frames behind its
 * pages.
 */
export function inFrames(step: CallStep, op: JudgedOp, { p2m }: DomainView): CallStep {
  if (op === 'populate_physmap' || op === 'increase_reservation') return step;
  const [given, ...others] = step.lists;
  return { ...step, lists: [given?.map((gfn) => p2m.get(gfn) ?? gfn), ...others] };
}

/**
 * What was RAM of what a guest names that keeps its own p2m: what it gives away it names by frames,
 * those behind its pages.
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
