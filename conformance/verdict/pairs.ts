import type { Arch } from '../../src/abi/arch.ts';
import type { Hello } from '../protocol/implementation.ts';
import { pairsFor, pairsOf, type Row } from '../scenario/dimensions.ts';

/** Which pairs of values that can meet were played, on each architecture of a run. */
export class Pairs {
  readonly #at = new Map<string, number>();
  readonly #reached: Set<number> = new Set();

  constructor(arches: readonly Arch[], hello: Hello) {
    for (const arch of arches) for (const pair of pairsFor(arch, hello)) this.#at.set(`${arch} ${pair}`, this.#at.size);
  }

  /** A call with these values was made. */
  played(arch: Arch, row: Row): void {
    for (const pair of pairsOf(row)) {
      const at = this.#at.get(`${arch} ${pair}`);
      if (at !== undefined) this.#reached.add(at);
    }
  }

  get result(): PairsPlayed {
    let bits = 0n;
    for (const at of this.#reached) bits |= 1n << BigInt(at);
    return { of: this.#at.size, reached: bits.toString(16) };
  }
}

export interface PairsPlayed {
  readonly of: number;
  readonly reached: string;
}

/** How many were played. */
export function countOf({ reached }: PairsPlayed): number {
  return [...reached].reduce((sum, digit) => sum + [...Number.parseInt(digit, 16).toString(2)].filter((bit) => bit === '1').length, 0);
}

/** Those that any of two parts of a run has played. */
export function joined(a: PairsPlayed, b: PairsPlayed): PairsPlayed {
  return { of: a.of, reached: (BigInt(`0x${a.reached}`) | BigInt(`0x${b.reached}`)).toString(16) };
}

/** How many of how many, for people. */
export function pairsText(pairs: PairsPlayed): string {
  return `${countOf(pairs).toLocaleString('en')} of ${pairs.of.toLocaleString('en')} pairs`;
}
