import type { ByteRange } from './memory.ts';

/** Many ranges, in any order and overlapping or not, that are asked by address without trying each. */
export class Ranges {
  readonly #sorted: readonly ByteRange[];
  /** Where the furthest of the ranges up to each one ends. */
  readonly #ends: readonly bigint[];

  constructor(ranges: readonly ByteRange[]) {
    const inOrder = ranges.every(({ address }, i) => i === 0 || (ranges[i - 1]?.address ?? 0n) <= address);
    this.#sorted = inOrder ? ranges : ranges.toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    let furthest = 0n;
    this.#ends = this.#sorted.map(({ address, length }) => {
      if (address + length > furthest) furthest = address + length;
      return furthest;
    });
  }

  /** Those that share bytes with a range, by their addresses; none of them is empty. */
  *overlapping({ address, length }: ByteRange): Generator<ByteRange> {
    if (length === 0n) return;
    const end = address + length;
    for (let i = this.#firstBeyond(address); i < this.#sorted.length; i++) {
      const range = this.#sorted[i];
      if (range === undefined || range.address >= end) return;
      if (range.length > 0n && range.address + range.length > address) yield range;
    }
  }

  /** The first bytes of a range that none of these holds. */
  uncovered({ address, length }: ByteRange): ByteRange | undefined {
    const end = address + length;
    let from = address;
    for (const range of this.overlapping({ address, length })) {
      if (range.address > from) return { address: from, length: range.address - from };
      if (range.address + range.length > from) from = range.address + range.length;
    }
    return from < end ? { address: from, length: end - from } : undefined;
  }

  /** The first range that may reach beyond an address: no earlier one does. */
  #firstBeyond(address: bigint): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
