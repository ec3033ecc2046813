import { PAGE_SHIFT } from '../abi/constants.ts';

/**
 * Exact arithmetic on counts and orders. Orders come from guest memory as any 32-bit number, so
 * they are compared before anything is shifted: an order of 2^32 - 1 must not become a shift of
 * that many bits.
 */

const wordBits = 64;

/** Is `a << ao == b << bo` as exact integers? Counts are u64, orders u32. */
export function sameTotal(a: bigint, ao: number, b: bigint, bo: number): boolean {
  if (a === 0n || b === 0n) return a === b;
  const up = Math.abs(ao - bo);
  if (up >= wordBits) return false;
  return ao >= bo ? a << BigInt(up) === b : b << BigInt(up) === a;
}

/**
 * `2^order` pages, or `undefined` above 64 bits, where it cannot be a number of pages anyone owns.
 */
export function pagesOf(order: number): bigint | undefined {
  return order < wordBits ? 1n << BigInt(order) : undefined;
}

/** Do so many pages from a frame on end at or below `2^bits` bytes, that is at frame 2^(bits-12)? */
export function endsBelow(frame: bigint, pages: bigint, bits: number): boolean {
  return frame + pages <= (1n << BigInt(bits)) >> BigInt(PAGE_SHIFT);
}

/** Is `value` a multiple of `2^order`? */
export function isMultiple(value: bigint, order: number): boolean {
  if (value === 0n || order === 0) return true;
  return order < wordBits && BigInt.asUintN(order, value) === 0n;
}

/**
 * K: the output extents that `n` exchanged inputs cover, `min((n << oi) >> oo, o)`, and 0 if `n >
 * i`.
 */
export function outputsCovered(n: bigint, i: bigint, oi: number, o: bigint, oo: number): bigint {
  if (n > i || n === 0n) return 0n;
  const up = oi - oo;
  if (up >= wordBits) return o;
  const covered = up >= 0 ? n << BigInt(up) : -up >= wordBits ? 0n : n >> BigInt(-up);
  return covered < o ? covered : o;
}

/**
 * Input extents per chunk, the smallest exchange unit of 2^max(oi,oo) pages. Above 64 bits it is
 * 2^64: more than any count.
 */
export function inputsPerChunk(oi: number, oo: number): bigint {
  return 1n << BigInt(Math.min(wordBits, Math.max(0, oo - oi)));
}

/** Output extents per chunk, with the same bound. */
export function outputsPerChunk(oi: number, oo: number): bigint {
  return inputsPerChunk(oo, oi);
}
