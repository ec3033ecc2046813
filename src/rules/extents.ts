import { PAGE_SHIFT } from '../abi/constants.ts';
import type { ByteRange } from '../guest/memory.ts';

/** A run of guest pages. */
export interface Extent {
  readonly index: bigint;
  readonly base: bigint;
  readonly pages: bigint;
}

/** The addresses of an extent's pages where addresses are physical: gfn = address >> 12. */
export function addressesOf(extent: Extent): ByteRange {
  return { address: extent.base << BigInt(PAGE_SHIFT), length: extent.pages << BigInt(PAGE_SHIFT) };
}

/** The order of extents by their first pages. */
export function byBase(a: Extent, b: Extent): number {
  return a.base < b.base ? -1 : 1;
}

/**
 * Upper bound on the pages of one call that are tracked individually. Larger calls are not tracked.
 */
export const mostPages: bigint = 1n << 14n;

/** The guest frames of extents, or `undefined` if they are too many to be followed one by one. */
export function pagesOfExtents(extents: readonly Pick<Extent, 'base' | 'pages'>[]): bigint[] | undefined {
  const first = extents[0];
  if (first === undefined) return [];
  if (first.pages * BigInt(extents.length) > mostPages) return undefined;
  const gfns: bigint[] = [];
  for (const { base, pages } of extents) for (let j = 0n; j < pages; j++) gfns.push(base + j);
  return gfns;
}
