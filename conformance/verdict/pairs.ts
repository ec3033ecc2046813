import type { Arch } from '../../src/abi/arch.ts';
import type { Hello } from '../protocol/implementation.ts';
import { pairsFor, pairsOf, type Row, triplesFor, triplesOf } from '../scenario/dimensions.ts';

/** Which of some meetings of values that can be were played, on each architecture of a run. */
class Meetings {
  readonly #at = new Map<string, number>();
  readonly #reached: Set<number> = new Set();

  constructor(arches: readonly Arch[], all: (arch: Arch) => readonly string[]) {
    for (const arch of arches) for (const one of all(arch)) this.#at.set(`${arch} ${one}`, this.#at.size);
  }

  played(arch: Arch, shown: readonly string[]): void {
    for (const one of shown) {
      const at = this.#at.get(`${arch} ${one}`);
      if (at !== undefined) this.#reached.add(at);
    }
  }

  get result(): PairsPlayed {
    let bits = 0n;
    for (const at of this.#reached) bits |= 1n << BigInt(at);
    return { of: this.#at.size, reached: bits.toString(16) };
  }
}

/** Which pairs of values that can meet were played, and which triples of a chosen few. */
export class Pairs {
  readonly #pairs: Meetings;
  readonly #triples: Meetings;

  constructor(arches: readonly Arch[], hello: Hello) {
    this.#pairs = new Meetings(arches, (arch) => pairsFor(arch, hello));
    this.#triples = new Meetings(arches, (arch) => triplesFor(arch, hello));
  }

  /** A call with these values was made. */
  played(arch: Arch, row: Row): void {
    this.#pairs.played(arch, pairsOf(row));
    this.#triples.played(arch, triplesOf(row));
  }

  get result(): { readonly pairs: PairsPlayed; readonly triples: PairsPlayed } {
    return { pairs: this.#pairs.result, triples: this.#triples.result };
  }
}

/** How many of how many there are were played: a bit for each, in hex. */
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
export function pairsText(played: PairsPlayed, what = 'pairs'): string {
  return `${countOf(played).toLocaleString('en')} of ${played.of.toLocaleString('en')} ${what}`;
}
