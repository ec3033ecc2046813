import { type Bytes, FileError } from './bytes.ts';

const blockMagic = [0x314159, 0x265359] as const;
const endMagic = [0x177245, 0x385090] as const;
const longestCode = 20;
const symbolsInGroup = 50;

/**
 * Unpacks what `bzip2` packed: each block is a list of Huffman codes, which undo to runs and places
 * in a list of bytes, which undo to the last column of all turns of the text.
 */
export function unpackBzip2(packed: Bytes, most: number): Uint8Array {
  const level = packed.u8(3) - 0x30;
  if (packed.u8(2) !== 0x68 || level < 1 || level > 9) throw new FileError('bzip2: a header that it does not write');
  const bits = new Bits(packed, 4);
  const column = new Uint32Array(level * 100_000);
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const [high, low, sum] = [bits.take(24), bits.take(24), bits.take(32)];
    if (high === endMagic[0] && low === endMagic[1]) break;
    if (high !== blockMagic[0] || low !== blockMagic[1]) throw new FileError('bzip2: neither a block nor the end');
    const made = withRuns(turned(block(bits, column)), most - total);
    if (crc(made) !== sum) throw new FileError('bzip2: the check sum is wrong: the file is damaged');
    total += made.length;
    parts.push(made);
  }
  const whole = new Uint8Array(total);
  let filled = 0;
  for (const part of parts) {
    whole.set(part, filled);
    filled += part.length;
  }
  return whole;
}

interface Block {
  /** The last column, a byte each. */
  readonly column: Uint32Array;
  readonly length: number;
  /** The turn that the text is. */
  readonly start: number;
}

function block(bits: Bits, column: Uint32Array): Block {
  if (bits.bit() === 1) throw new FileError('bzip2: a block as bzip2 0.9 made it');
  const start = bits.take(24);
  const list = usedBytes(bits);
  const codes = codesOf(bits, list.length + 2);
  const end = list.length + 1;
  let length = 0;
  let [run, weight] = [0, 1];
  for (let i = 0; ; i++) {
    const tree = codes.trees[codes.selectors[Math.floor(i / symbolsInGroup)] ?? -1];
    if (!tree) throw new FileError('bzip2: a block longer than it says');
    const symbol = tree.next(bits);
    if (symbol < 2) {
      run += weight << symbol;
      weight *= 2;
      if (run > column.length - length) throw new FileError('bzip2: a block longer than a block can be');
      continue;
    }
    column.fill(list[0] ?? 0, length, length + run);
    length += run;
    [run, weight] = [0, 1];
    if (symbol === end) break;
    const [byte = 0] = list.splice(symbol - 1, 1);
    list.unshift(byte);
    if (length === column.length) throw new FileError('bzip2: a block longer than a block can be');
    column[length++] = byte;
  }
  if (start >= length) throw new FileError('bzip2: a block that begins behind its end');
  return { column, length, start };
}

/** The bytes that a block has, in two maps of bits. */
function usedBytes(bits: Bits): number[] {
  const rows = bits.take(16);
  const used: number[] = [];
  for (let row = 0; row < 16; row++) {
    const columns = ((rows >>> (15 - row)) & 1) === 1 ? bits.take(16) : 0;
    for (let i = 0; i < 16; i++) if (((columns >>> (15 - i)) & 1) === 1) used.push(16 * row + i);
  }
  return used;
}

function codesOf(bits: Bits, symbols: number): { trees: Codes[]; selectors: Uint8Array } {
  const count = bits.take(3);
  const selectors = new Uint8Array(bits.take(15));
  if (count < 2 || count > 6 || selectors.length === 0) throw new FileError('bzip2: a block without codes');
  const order = [0, 1, 2, 3, 4, 5].slice(0, count);
  for (let i = 0; i < selectors.length; i++) {
    let place = 0;
    while (bits.bit() === 1) if (++place >= count) throw new FileError('bzip2: a code that there is not');
    const [tree = 0] = order.splice(place, 1);
    order.unshift(tree);
    selectors[i] = tree;
  }
  const trees = Array.from({ length: count }, () => {
    let length = bits.take(5);
    const lengths = Array.from({ length: symbols }, () => {
      while (bits.bit() === 1) length += bits.bit() === 1 ? -1 : 1;
      if (length < 1 || length > longestCode) throw new FileError('bzip2: a code of no length');
      return length;
    });
    return new Codes(lengths);
  });
  return { trees, selectors };
}

/** Canonical Huffman codes: of one length they follow one another. */
class Codes {
  readonly #symbols: Uint16Array;
  /** The first code of each length, what it is less its place among the symbols, and how many. */
  readonly #first = new Int32Array(longestCode + 2);
  readonly #place = new Int32Array(longestCode + 2);
  readonly #count = new Int32Array(longestCode + 2);

  constructor(lengths: readonly number[]) {
    this.#symbols = new Uint16Array(lengths.length);
    let [code, place] = [0, 0];
    for (let length = 1; length <= longestCode; length++) {
      this.#first[length] = code;
      this.#place[length] = place;
      for (const [symbol, own] of lengths.entries()) if (own === length) this.#symbols[place++] = symbol;
      this.#count[length] = place - (this.#place[length] ?? 0);
      code = (code + (this.#count[length] ?? 0)) << 1;
    }
  }

  next(bits: Bits): number {
    let code = 0;
    for (let length = 1; length <= longestCode; length++) {
      code = (code << 1) | bits.bit();
      const place = code - (this.#first[length] ?? 0);
      if (place < (this.#count[length] ?? 0)) return this.#symbols[(this.#place[length] ?? 0) + place] ?? 0;
    }
    throw new FileError('bzip2: bits that are no code');
  }
}

/** The text, of the last column of its turns: whoever precedes a byte is found by counting. */
function turned({ column, length, start }: Block): Uint8Array {
  const firsts = new Uint32Array(257);
  for (let i = 0; i < length; i++) {
    const behind = ((column[i] ?? 0) & 0xff) + 1;
    firsts[behind] = (firsts[behind] ?? 0) + 1;
  }
  for (let byte = 0; byte < 256; byte++) firsts[byte + 1] = (firsts[byte + 1] ?? 0) + (firsts[byte] ?? 0);
  for (let i = 0; i < length; i++) {
    const byte = (column[i] ?? 0) & 0xff;
    const place = firsts[byte] ?? 0;
    firsts[byte] = place + 1;
    // The byte stays in the low eight bits, above it is what comes next.
    column[place] = ((column[place] ?? 0) & 0xff) | (i << 8);
  }
  const text = new Uint8Array(length);
  let at = (column[start] ?? 0) >>> 8;
  for (let i = 0; i < length; i++) {
    const entry = column[at] ?? 0;
    text[i] = entry & 0xff;
    at = entry >>> 8;
  }
  return text;
}

/** Behind four like bytes stands how many more there are. */
function withRuns(text: Uint8Array, most: number): Uint8Array {
  const total = runsInto(text, undefined);
  if (total > most) throw new FileError(`bzip2: more than ${most} bytes`);
  const made = new Uint8Array(total);
  runsInto(text, made);
  return made;
}

/** Writes the text with its runs, where there is room given, and says how long it is. */
function runsInto(text: Uint8Array, made: Uint8Array | undefined): number {
  let filled = 0;
  let alike = 0;
  let before = -1;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i] ?? 0;
    if (alike === 4) {
      made?.fill(before, filled, filled + byte);
      filled += byte;
      alike = 0;
      before = -1;
      continue;
    }
    alike = byte === before ? alike + 1 : 1;
    before = byte;
    if (made) made[filled] = byte;
    filled++;
  }
  return filled;
}

/** Bits, the highest of each byte first. */
class Bits {
  readonly #from: Bytes;
  #at: number;
  #held = 0;
  #count = 0;

  constructor(from: Bytes, at: number) {
    this.#from = from;
    this.#at = at;
  }

  bit(): number {
    if (this.#count === 0) {
      this.#held = this.#from.u8(this.#at++);
      this.#count = 8;
    }
    return (this.#held >>> --this.#count) & 1;
  }

  /** At most 32 bits. */
  take(bits: number): number {
    let value = 0;
    for (let wanted = bits; wanted > 0; ) {
      if (this.#count === 0) {
        this.#held = this.#from.u8(this.#at++);
        this.#count = 8;
      }
      const taken = Math.min(wanted, this.#count);
      this.#count -= taken;
      value = value * (1 << taken) + ((this.#held >>> this.#count) & ((1 << taken) - 1));
      wanted -= taken;
    }
    return value;
  }
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let i = 0; i < 8; i++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

function crc(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum << 8) ^ (table[(sum >>> 24) ^ byte] ?? 0);
  return ~sum >>> 0;
}
