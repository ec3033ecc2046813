import { MAX_ORDER } from '../abi/constants.ts';
import { framesBelow4G } from '../abi/frames.ts';

/**
 * Free machine memory: for each order the bases of the free blocks of 2^order frames, ascending; a
 * block is aligned to its size.
 */
export type FreeLists = number[][];

/** The first machine frame above 4 GiB, as the numbers that frames are here. */
export const FRAMES_BELOW_4G: number = Number(framesBelow4G);

/** Free lists with nothing free. */
export function emptyFreeLists(): FreeLists {
  return Array.from({ length: MAX_ORDER + 1 }, () => []);
}

/** Makes a run of frames free, as the largest aligned blocks it holds. */
export function releaseRun(free: FreeLists, first: number, frames: number): void {
  const end = first + frames;
  for (let base = first; base < end; ) {
    let order = 0;
    while (order < MAX_ORDER && base % 2 ** (order + 1) === 0 && base + 2 ** (order + 1) <= end) order++;
    release(free, base, order);
    base += 2 ** order;
  }
}

/** Makes a block free and merges it with its buddy as long as that is free too. */
export function release(free: FreeLists, base: number, order = 0): void {
  let block = base;
  let size = order;
  for (; size < MAX_ORDER; size++) {
    const list = free[size] as number[];
    const buddy = block ^ (1 << size);
    const at = position(list, buddy);
    if (list[at] !== buddy) break;
    list.splice(at, 1);
    if (buddy < block) block = buddy;
  }
  insert(free[size] as number[], block);
}

/**
 * Takes 2^order contiguous frames, aligned to their number, with `base + 2^order <= limit`;
 * `undefined` if there are none. It looks in the highest power-of-two zone first, as Xen does,
 * there for the smallest block that is large enough, and cuts from its end; so frames taken one
 * after another never happen to be contiguous in ascending order.
 */
export function take(free: FreeLists, order: number, limit: number): number | undefined {
  const pages = 2 ** order;
  let from = -1;
  let block = -1;
  for (let size = order; size <= MAX_ORDER; size++) {
    const candidate = fitting(free[size] as number[], limit - pages);
    if (candidate < 0) continue;
    if (block < 0 || zoneOf(candidate) > zoneOf(block)) {
      from = size;
      block = candidate;
    }
  }
  if (block < 0) return undefined;
  const list = free[from] as number[];
  list.splice(position(list, block), 1);
  const end = Math.min(block + 2 ** from, limit);
  const piece = Math.floor((end - pages) / pages) * pages;
  for (let size = from - 1; size >= order; size--) {
    const half = block + 2 ** size;
    insert(free[size] as number[], piece >= half ? block : half);
    if (piece >= half) block = half;
  }
  return piece;
}

/** Number of free frames with a number below `limit`, and of all others. */
export function countFree(free: FreeLists, limit: number = FRAMES_BELOW_4G): { below: number; above: number } {
  let below = 0;
  let above = 0;
  for (const [base, order] of blocksOf(free)) {
    const under = Math.min(Math.max(limit - base, 0), 2 ** order);
    below += under;
    above += 2 ** order - under;
  }
  return { below, above };
}

/** Every free block as base and order, by order, then base. */
export function* blocksOf(free: FreeLists): Generator<readonly [base: number, order: number]> {
  for (let order = 0; order < free.length; order++) {
    for (const base of free[order] as number[]) yield [base, order];
  }
}

/** Which power of two a frame number has reached: Xen's zones, one per bit of address width. */
function zoneOf(frame: number): number {
  return 31 - Math.clz32(frame);
}

/** The highest base not above `most`; -1 for none. */
function fitting(list: number[], most: number): number {
  if (list.length === 0) return -1;
  const last = list[list.length - 1] as number;
  if (last <= most) return last;
  const at = position(list, Math.floor(most) + 1);
  return at === 0 ? -1 : (list[at - 1] as number);
}

function insert(list: number[], base: number): void {
  list.splice(position(list, base), 0, base);
}

/** Where `base` is, or would have to be. */
function position(list: number[], base: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as number) < base) low = middle + 1;
    else high = middle;
  }
  return low;
}
