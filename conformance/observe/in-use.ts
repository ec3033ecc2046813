import type { DomainView } from './domain-view.ts';

/**
 * Frames behind guest frames before a step, on either side of 4 GiB, and those that are owned and
 * no guest frame leads to.
 */
export interface InUse {
  readonly low: number;
  readonly high: number;
  readonly unmapped: number;
}

/** What is in use of the machine, if all of it is seen. */
export function inUseOf(views: readonly Pick<DomainView, 'p2m' | 'pages'>[]): InUse | undefined {
  const used = { low: 0, high: 0, unmapped: 0 };
  for (const { p2m, pages } of views) {
    if (!p2m.isWhole || pages === undefined) return undefined;
    const { low, high } = p2m.sides;
    used.low += low;
    used.high += high;
    used.unmapped += pages - low - high;
  }
  return used;
}
