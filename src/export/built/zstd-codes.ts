import { FileError } from './bytes.ts';

/**
 * Bits that are read from the end of a stream to its start, as the codes of zstd are: the last byte
 * has a one above the first bit.
 */
export class Backwards {
  readonly #from: Uint8Array;
  readonly #start: number;
  /** How many bits are left; below zero once more were read than there are. */
  left: number;

  constructor(from: Uint8Array, start: number, end: number) {
    const last = end > start ? (from[end - 1] ?? 0) : 0;
    if (last === 0) throw new FileError('zstd: a stream without its end mark');
    this.#from = from;
    this.#start = start;
    this.left = 8 * (end - start) - 1 - Math.clz32(last << 24);
  }

  /** The next `count` bits, at most 24, which stay; those before the start are any. */
  peek(count: number): number {
    const from = this.#from;
    const first = this.left - count;
    const at = this.#start + (first >> 3);
    const word = (from[at] ?? 0) | ((from[at + 1] ?? 0) << 8) | ((from[at + 2] ?? 0) << 16) | ((from[at + 3] ?? 0) << 24);
    return (word >>> (first & 7)) & ((1 << count) - 1);
  }

  /** Takes the next `count` bits, at most 31. */
  take(count: number): number {
    const high = count > 16 ? this.#taken(count - 16) * 65536 : 0;
    return high + this.#taken(Math.min(count, 16));
  }

  #taken(count: number): number {
    const bits = this.peek(count);
    this.left -= count;
    return bits;
  }
}

/** A table of finite state entropy: what each state stands for, and the states that follow. */
export interface States {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** The table of one symbol, which takes no bits. */
export function onlyState(symbol: number): States {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** The table of how often each symbol comes, in 2^`log`ths; -1 is less than one. */
export function statesOf(counts: readonly number[], log: number): States {
  const size = 1 << log;
  const made = { log, symbols: new Uint8Array(size), bits: new Uint8Array(size), bases: new Uint16Array(size) };
  let rare = size;
  const next = counts.map((count, symbol) => {
    if (count === -1) made.symbols[--rare] = symbol;
    return Math.abs(count);
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      made.symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= rare);
    }
  }
  for (let state = 0; state < size; state++) {
    const symbol = made.symbols[state] ?? 0;
    const rank = next[symbol] ?? 0;
    next[symbol] = rank + 1;
    const bits = log - (31 - Math.clz32(rank));
    made.bits[state] = bits;
    made.bases[state] = (rank << bits) - size;
  }
  return made;
}

/** Limits of a table of states. */
export interface Limits {
  readonly log: number;
  readonly symbol: number;
}

/** Reads the description of a table of states, at `start`; says where it ends. */
export function readStates(from: Uint8Array, start: number, limits: Limits): { states: States; end: number } {
  let bit = start * 8;
  const take = (count: number): number => {
    const at = bit >>> 3;
    const word = (from[at] ?? 0) | ((from[at + 1] ?? 0) << 8) | ((from[at + 2] ?? 0) << 16);
    const bits = (word >>> (bit & 7)) & ((1 << count) - 1);
    bit += count;
    return bits;
  };
  const log = take(4) + 5;
  if (log > limits.log) throw new FileError('zstd: a table of codes that is larger than one can be');
  const counts: number[] = [];
  let left = 1 << log;
  while (left > 0 && counts.length <= limits.symbol) {
    const width = 32 - Math.clz32(left + 1);
    const low = (1 << (width - 1)) - 1;
    const short = (1 << width) - 1 - (left + 1);
    let value = take(width);
    if ((value & low) < short) {
      bit--;
      value &= low;
    } else if (value > low) value -= short;
    const count = value - 1;
    left -= Math.abs(count);
    counts.push(count);
    for (let zeros = count === 0 ? 3 : 0; zeros === 3; ) {
      zeros = take(2);
      for (let i = 0; i < zeros; i++) counts.push(0);
    }
  }
  const end = (bit + 7) >>> 3;
  if (left !== 0 || counts.length > limits.symbol + 1 || end > from.length)
    throw new FileError('zstd: a table of codes that does not add up');
  return { states: statesOf(counts, log), end };
}

/** A Huffman code: the symbol that the next `log` bits begin with, and how many bits it has. */
export interface Huffman {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

const longestCode = 11;
const weightLimits: Limits = { log: 6, symbol: 12 };

/** Reads the description of a Huffman code, at `start`; says where it ends. */
export function readHuffman(from: Uint8Array, start: number): { huffman: Huffman; end: number } {
  const head = from[start] ?? 0;
  const size = head < 128 ? head : (head - 126) >> 1;
  const end = start + 1 + size;
  if (end > from.length) throw new FileError('zstd: a code that ends behind its block');
  if (head < 128) return { huffman: huffmanOf(packedWeights(from.subarray(0, end), start + 1)), end };
  const weights = Array.from({ length: head - 127 }, (_, i) => ((from[start + 1 + (i >> 1)] ?? 0) >> (i % 2 === 0 ? 4 : 0)) & 15);
  return { huffman: huffmanOf(weights), end };
}

/** Weights that two states in turn tell, until there are no more bits. */
function packedWeights(from: Uint8Array, start: number): number[] {
  const { states, end } = readStates(from, start, weightLimits);
  const bits = new Backwards(from, end, from.length);
  const both = [bits.take(states.log), bits.take(states.log)];
  const weights: number[] = [];
  for (let turn = 0; bits.left >= 0; turn ^= 1) {
    const state = both[turn] ?? 0;
    weights.push(states.symbols[state] ?? 0);
    if (weights.length > 254) throw new FileError('zstd: a code of more symbols than a byte has');
    both[turn] = (states.bases[state] ?? 0) + bits.take(states.bits[state] ?? 0);
    if (bits.left < 0) weights.push(states.symbols[both[turn ^ 1] ?? 0] ?? 0);
  }
  return weights;
}

/** The weight of the last symbol is what is left; symbols of little weight come first. */
function huffmanOf(weights: number[]): Huffman {
  const shareOf = (weight: number): number => (weight === 0 ? 0 : 1 << (weight - 1));
  const sum = weights.reduce((all, weight) => all + shareOf(weight), 0);
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (sum === 0 || log > longestCode || (rest & (rest - 1)) !== 0) throw new FileError('zstd: a code that does not add up');
  const all = [...weights, 32 - Math.clz32(rest)];
  const symbols = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    for (const [symbol, own] of all.entries()) {
      if (own !== weight) continue;
      const end = at + shareOf(weight);
      symbols.fill(symbol, at, end);
      bits.fill(log + 1 - weight, at, end);
      at = end;
    }
  }
  return { log, symbols, bits };
}
