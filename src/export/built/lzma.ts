import { FileError } from './bytes.ts';

/** What the decoder reads, and where it writes: `out` is the dictionary too. */
export interface Window {
  readonly from: Uint8Array;
  readonly out: Uint8Array;
}

const states = 12;
const lowest = 4;
const fullBit = 11;
const moveBits = 5;
const half = 1 << (fullBit - 1);
const alignBits = 4;
const firstDirect = 4;
const behindDirect = 14;

/** How likely a bit is zero, in 2048ths, for each place that it may stand in. */
type Model = Uint16Array<ArrayBuffer>;

/** Lengths of matches: up to 8, up to 16, or more. */
interface Lengths {
  readonly choice: Model;
  readonly low: Model;
  readonly mid: Model;
  readonly high: Model;
}

/**
 * The range decoder and the model of LZMA, as `xz` has them: it decodes a chunk at a time, and is
 * reset between chunks as LZMA2 says.
 */
export class Lzma {
  readonly #from: Uint8Array;
  readonly #out: Uint8Array;
  #lc = 0;
  #literalMask = 0;
  #positionMask = 0;
  #state = 0;
  /** How far back the last four matches began, less one. */
  #back0 = 0;
  #back1 = 0;
  #back2 = 0;
  #back3 = 0;
  #literal: Model = new Uint16Array(0);
  readonly #isMatch = probabilities(states << lowest);
  readonly #isRep = probabilities(states);
  readonly #isRep0 = probabilities(states);
  readonly #isRep1 = probabilities(states);
  readonly #isRep2 = probabilities(states);
  readonly #isRep0Long = probabilities(states << lowest);
  readonly #slots = [0, 1, 2, 3].map(() => probabilities(64));
  readonly #special = probabilities(1 + 128 - behindDirect);
  readonly #align = probabilities(1 << alignBits);
  readonly #match: Lengths = lengths();
  readonly #rep: Lengths = lengths();
  #range = 0;
  #code = 0;
  #at = 0;

  constructor({ from, out }: Window) {
    this.#from = from;
    this.#out = out;
  }

  /** Takes the properties `lc`, `lp` and `pb`, in one byte. */
  setProperties(byte: number): void {
    const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)];
    if (pb > 4 || lc + lp > 4) throw new FileError('xz: properties that LZMA2 does not have');
    this.#lc = lc;
    this.#literalMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#literal = probabilities(0x300 << (lc + lp));
  }

  resetState(): void {
    this.#state = 0;
    this.#back0 = this.#back1 = this.#back2 = this.#back3 = 0;
    const { choice, low, mid, high } = this.#match;
    const { choice: choice2, low: low2, mid: mid2, high: high2 } = this.#rep;
    const all = [this.#literal, this.#isMatch, this.#isRep, this.#isRep0, this.#isRep1, this.#isRep2, this.#isRep0Long, this.#special];
    for (const one of [...all, this.#align, ...this.#slots, choice, low, mid, high, choice2, low2, mid2, high2]) one.fill(half);
  }

  /**
   * Decodes the bytes `start`..`end` of the input to `at`..`until` of the output; nothing before
   * `dictionary` is copied.
   */
  chunk(start: number, end: number, at: number, until: number, dictionary: number): void {
    const from = this.#from;
    const out = this.#out;
    this.#at = start + 1;
    this.#range = 0xffffffff;
    this.#code = 0;
    for (let i = 0; i < 4; i++) this.#code = ((this.#code << 8) | (from[this.#at++] ?? 0)) >>> 0;
    let filled = at;
    while (filled < until) {
      const position = (filled - dictionary) & this.#positionMask;
      if (this.#bit(this.#isMatch, (this.#state << lowest) + position) === 0) {
        out[filled] = this.#literalByte(filled, dictionary);
        filled++;
        continue;
      }
      const length = this.#bit(this.#isRep, this.#state) === 0 ? this.#newMatch(position) : this.#oldMatch(position);
      const back = this.#back0 + 1;
      if (back > filled - dictionary || filled + length > until) throw new FileError('xz: a copy from before the start, or past the end');
      for (let i = 0; i < length; i++, filled++) out[filled] = out[filled - back] ?? 0;
    }
    if (this.#at !== end || this.#code !== 0) throw new FileError('xz: a chunk does not end where it says');
  }

  #bit(model: Model, index: number): number {
    const probability = model[index] ?? 0;
    const bound = (this.#range >>> fullBit) * probability;
    let bit = 0;
    if (this.#code < bound) {
      this.#range = bound;
      model[index] = probability + (((1 << fullBit) - probability) >>> moveBits);
    } else {
      this.#range -= bound;
      this.#code -= bound;
      model[index] = probability - (probability >>> moveBits);
      bit = 1;
    }
    if (this.#range < 0x1000000) this.#refill();
    return bit;
  }

  #refill(): void {
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#from[this.#at++] ?? 0)) >>> 0;
  }

  /** Some bits, the highest first, each with a model of its own. */
  #tree(model: Model, bits: number, offset = 0): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(model, offset + symbol);
    return symbol - (1 << bits);
  }

  /** The same, the lowest first. */
  #reverseTree(model: Model, bits: number, offset: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(model, offset + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = ((value << 1) | bit) >>> 0;
      if (this.#range < 0x1000000) this.#refill();
    }
    return value;
  }

  #literalByte(filled: number, dictionary: number): number {
    const out = this.#out;
    const before = filled > dictionary ? (out[filled - 1] ?? 0) : 0;
    const own = 0x300 * ((((filled - dictionary) & this.#literalMask) << this.#lc) + (before >>> (8 - this.#lc)));
    let symbol = 1;
    if (this.#state >= 7) {
      let match = out[filled - this.#back0 - 1] ?? 0;
      while (symbol < 0x100) {
        const expected = (match >>> 7) & 1;
        match <<= 1;
        const bit = this.#bit(this.#literal, own + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(this.#literal, own + symbol);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
    return symbol & 0xff;
  }

  #length({ choice, low, mid, high }: Lengths, position: number): number {
    if (this.#bit(choice, 0) === 0) return 2 + this.#tree(low, 3, position << 3);
    if (this.#bit(choice, 1) === 0) return 10 + this.#tree(mid, 3, position << 3);
    return 18 + this.#tree(high, 8);
  }

  #newMatch(position: number): number {
    this.#state = this.#state < 7 ? 7 : 10;
    const length = this.#length(this.#match, position);
    const slot = this.#tree(this.#slots[Math.min(length - 2, 3)] as Model, 6);
    let back = slot;
    if (slot >= firstDirect) {
      const bits = (slot >>> 1) - 1;
      back = ((2 | (slot & 1)) << bits) >>> 0;
      if (slot < behindDirect) back += this.#reverseTree(this.#special, bits, back - slot);
      else back += this.#direct(bits - alignBits) * (1 << alignBits) + this.#reverseTree(this.#align, alignBits, 0);
    }
    this.#back3 = this.#back2;
    this.#back2 = this.#back1;
    this.#back1 = this.#back0;
    this.#back0 = back;
    return length;
  }

  #oldMatch(position: number): number {
    if (this.#bit(this.#isRep0, this.#state) === 0) {
      if (this.#bit(this.#isRep0Long, (this.#state << lowest) + position) === 0) {
        this.#state = this.#state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      let back = this.#back1;
      if (this.#bit(this.#isRep1, this.#state) === 1) {
        back = this.#back2;
        if (this.#bit(this.#isRep2, this.#state) === 1) {
          back = this.#back3;
          this.#back3 = this.#back2;
        }
        this.#back2 = this.#back1;
      }
      this.#back1 = this.#back0;
      this.#back0 = back;
    }
    const length = this.#length(this.#rep, position);
    this.#state = this.#state < 7 ? 8 : 11;
    return length;
  }
}

function probabilities(count: number): Model {
  return new Uint16Array(count).fill(half);
}

function lengths(): Lengths {
  return { choice: probabilities(2), low: probabilities(128), mid: probabilities(128), high: probabilities(256) };
}
