import type { ByteRange, GuestMemory, Piece } from '../../src/guest/memory.ts';

/** A piece of guest memory that is written before a call and watched over it. */
export interface Window extends Piece {}

/**
 * Memory known in a few pieces that do not touch. Addresses become plain numbers, which is many
 * times faster than bigint arithmetic; one beyond 2^53 loses its last bits then, but no window lies
 * near there.
 */
export class Windows implements GuestMemory {
  readonly #windows: readonly Window[];
  readonly #starts: readonly number[];

  constructor(windows: readonly Window[]) {
    this.#windows = windows;
    this.#starts = windows.map(({ address }) => Number(address));
  }

  read(address: bigint, length: number): Uint8Array | undefined {
    const wanted = Number(address);
    for (let i = 0; i < this.#windows.length; i++) {
      const { bytes } = this.#windows[i] as Window;
      const from = wanted - (this.#starts[i] as number);
      if (from >= 0 && from + length <= bytes.length) return bytes.subarray(from, from + length);
    }
    return undefined;
  }

  known(range: ByteRange): readonly Piece[] {
    const start = Number(range.address);
    const end = start + Number(range.length);
    const found: Piece[] = [];
    for (let i = 0; i < this.#windows.length; i++) {
      const window = this.#windows[i] as Window;
      const first = this.#starts[i] as number;
      const from = Math.max(start - first, 0);
      const to = Math.min(end - first, window.bytes.length);
      if (from >= to) continue;
      const address = from === start - first ? range.address : window.address + BigInt(from);
      found.push({ address, bytes: window.bytes.subarray(from, to) });
    }
    return found;
  }
}

/** The ranges where two runs of bytes differ. */
export function differing(address: bigint, before: Uint8Array, after: Uint8Array, found: ByteRange[]): void {
  for (let i = 0; i < before.length; i++) {
    if (before[i] === after[i]) continue;
    const from = i;
    while (i < before.length && before[i] !== after[i]) i++;
    found.push({ address: address + BigInt(from), length: BigInt(i - from) });
  }
}
