import type { ObservedCall, Setting } from './call.ts';

/** Most pieces of memory of one record that are told apart here: what a struct and its lists need. */
const mostPieces = 8;

/** What stands for a character that is no digit. */
const noDigit = 0xff;
/** A number of so many digits is exact. */
const mostDigits = 15;

/** The value of each hex digit by its character, else `noDigit`. */
const digitOf = new Uint8Array(256).fill(noDigit);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  digitOf[digit.charCodeAt(0)] = value;
  digitOf[digit.toUpperCase().charCodeAt(0)] = value;
}

const [quote, comma, colon, open, close, brace, endBrace] = [0x22, 0x2c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d];
const [zero, minus, point, letterX] = [0x30, 0x2d, 0x2e, 0x78];

/** The keys that a plain record may have, in the order of their bits in `PlainRecord.has`. */
const keyNames = ['seq', 'domid', 'cmd', 'arg', 'rc', 'before', 'after', 'ts'] as const;
type Key = (typeof keyNames)[number];
const keys = keyNames.map((name) => Uint8Array.from(`${name}"`, (letter) => letter.charCodeAt(0)));

/** The bit of `PlainRecord.has` that says whether a record has a key. */
export const keyBit = Object.fromEntries(keyNames.map((name, i) => [name, 1 << i])) as { readonly [key in Key]: number };
const known = (name: Key): number => keyNames.indexOf(name);
const [seqKey, domidKey, cmdKey, argKey, rcKey, beforeKey, afterKey, tsKey] = keyNames.map(known) as number[];

/**
 * A record of a trace as most are, read from its bytes into numbers and one buffer that is used
 * again for the next: only the keys above, each once, words as `"0x…"`, numbers of at most 15
 * digits. `read` says `false` of any other, and then nothing here is to be looked at: the reader of
 * records takes it, who is the oracle of this one.
 */
export class PlainRecord {
  /** Which keys it has. */
  has = 0;
  seq = 0;
  domid = 0;
  cmd = 0;
  rc = 0;
  argLow = 0;
  argHigh = 0;
  /** Pieces of memory before the call and after it; those after come behind those before. */
  beforeCount = 0;
  afterCount = 0;
  /** The address of each piece in halves, and which bytes it has: from a multiple of 8 on. */
  readonly low: Uint32Array = new Uint32Array(2 * mostPieces);
  readonly high: Uint32Array = new Uint32Array(2 * mostPieces);
  readonly from: Uint32Array = new Uint32Array(2 * mostPieces);
  readonly length: Uint32Array = new Uint32Array(2 * mostPieces);
  bytes: Uint8Array = new Uint8Array(0);
  words: Uint32Array = new Uint32Array(0);

  #number = 0;
  #low = 0;
  #high = 0;
  #used = 0;

  /** Reads the bytes of a line from `from` up to `to`; is it a plain record, and nothing else? */
  read(line: Uint8Array, from: number, to: number): boolean {
    // Two digits make a byte; a piece takes up to 8 bytes more, which its brackets make up for.
    if (this.bytes.length < to - from) {
      this.bytes = new Uint8Array(Math.max(4096, (2 * (to - from) + 7) & ~7));
      this.words = new Uint32Array(this.bytes.buffer);
    }
    this.has = 0;
    this.beforeCount = 0;
    this.afterCount = 0;
    this.#used = 0;
    let at = blank(line, from, to);
    if (line[at] !== brace) return false;
    at = blank(line, at + 1, to);
    for (;;) {
      if (line[at] !== quote) return false;
      const key = keyAt(line, at + 1);
      if (key < 0 || (this.has & (1 << key)) !== 0) return false;
      this.has |= 1 << key;
      at = blank(line, at + 1 + (keys[key] as Uint8Array).length, to);
      if (line[at] !== colon) return false;
      at = this.#value(key, line, blank(line, at + 1, to), to);
      if (at < 0) return false;
      at = blank(line, at, to);
      if (line[at] === endBrace) break;
      if (line[at] !== comma) return false;
      at = blank(line, at + 1, to);
    }
    return blank(line, at + 1, to) === to;
  }

  /** Reads the value of a key; where it ends, or -1. */
  #value(key: number, line: Uint8Array, from: number, to: number): number {
    if (key === argKey) {
      const at = this.#word(line, from, to);
      this.argLow = this.#low;
      this.argHigh = this.#high;
      return at;
    }
    if (key === beforeKey || key === afterKey) return this.#memory(key === afterKey, line, from, to);
    const at = this.#count(line, from, to, key === tsKey);
    const value = this.#number;
    if (key === rcKey) this.rc = value;
    else if (value < 0) return -1;
    else if (key === seqKey) this.seq = value;
    else if (key === domidKey) {
      if (value > 0xffff) return -1;
      this.domid = value;
    } else if (key === cmdKey) {
      if (value > 0xffff_ffff) return -1;
      this.cmd = value;
    }
    return at;
  }

  /** A number of few digits, with a fraction if it `mayBreak`, which is not kept. */
  #count(line: Uint8Array, from: number, to: number, mayBreak: boolean): number {
    const isNegative = line[from] === minus;
    const first = isNegative ? from + 1 : from;
    let at = first;
    let value = 0;
    for (; at < to; at++) {
      const digit = (line[at] as number) - zero;
      if (digit < 0 || digit > 9) break;
      value = 10 * value + digit;
    }
    const length = at - first;
    if (length === 0 || length > mostDigits || (line[first] === zero && (length > 1 || isNegative))) return -1;
    this.#number = isNegative ? -value : value;
    if (line[at] !== point) return at;
    if (!mayBreak) return -1;
    const fraction = at + 1;
    for (at = fraction; at < to; at++) {
      const digit = (line[at] as number) - zero;
      if (digit < 0 || digit > 9) break;
    }
    return at > fraction && at - first <= mostDigits ? at : -1;
  }

  /** A word of 64 bits, as `"0x1f"`. */
  #word(line: Uint8Array, from: number, to: number): number {
    if (line[from] !== quote || line[from + 1] !== zero || line[from + 2] !== letterX) return -1;
    let low = 0;
    let high = 0;
    let at = from + 3;
    for (; at < to; at++) {
      const digit = digitOf[line[at] as number] as number;
      if (digit === noDigit) break;
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    const length = at - from - 3;
    if (length === 0 || length > 16 || line[at] !== quote) return -1;
    this.#low = low >>> 0;
    this.#high = high >>> 0;
    return at + 1;
  }

  /** Pieces of memory, as `[["0x40000100","00ff"]]`. */
  #memory(isAfter: boolean, line: Uint8Array, from: number, to: number): number {
    if (line[from] !== open) return -1;
    const base = isAfter ? mostPieces : 0;
    let count = 0;
    let at = blank(line, from + 1, to);
    while (line[at] !== close) {
      if (count === mostPieces || line[at] !== open) return -1;
      at = this.#word(line, blank(line, at + 1, to), to);
      if (at < 0) return -1;
      this.low[base + count] = this.#low;
      this.high[base + count] = this.#high;
      at = blank(line, at, to);
      if (line[at] !== comma) return -1;
      at = blank(line, at + 1, to);
      if (line[at] !== quote) return -1;
      this.from[base + count] = this.#used;
      at = this.#hex(line, at + 1);
      if (at < 0) return -1;
      this.length[base + count] = this.#used - (this.from[base + count] as number);
      this.#used = (this.#used + 7) & ~7;
      count++;
      at = blank(line, at, to);
      if (line[at] !== close) return -1;
      at = blank(line, at + 1, to);
      if (line[at] === comma) {
        at = blank(line, at + 1, to);
        if (line[at] === close) return -1;
      } else if (line[at] !== close) return -1;
    }
    if (isAfter) this.afterCount = count;
    else this.beforeCount = count;
    return at + 1;
  }

  /** Pairs of hex digits up to a quote; where that ends, or -1. */
  #hex(line: Uint8Array, from: number): number {
    const { bytes } = this;
    let into = this.#used;
    for (let at = from; ; at += 2) {
      const high = digitOf[line[at] as number] as number;
      if (high === noDigit) {
        if (line[at] !== quote) return -1;
        this.#used = into;
        return at + 1;
      }
      const low = digitOf[line[at + 1] as number] as number;
      if (low === noDigit) return -1;
      bytes[into++] = (high << 4) | low;
    }
  }
}

/** The index in the arrays of pieces at which those after the call begin. */
export const afterFrom: number = mostPieces;

/** The next place that is not blank. */
function blank(line: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0d)) at++;
  return at;
}

/** Which key stands here, with the quote behind it; -1 if none does. */
function keyAt(line: Uint8Array, at: number): number {
  for (let key = 0; key < keys.length; key++) {
    const letters = keys[key] as Uint8Array;
    let i = 0;
    while (i < letters.length && letters[i] === line[at + i]) i++;
    if (i === letters.length) return key;
  }
  return -1;
}

/**
 * Is shown a plain record before any other reader, with the number of its line, what holds for it,
 * and what the exact reader makes of it. The record is used again for the next. Where it says
 * `true` it has taken the record, and nobody else sees it.
 */
export type PlainTaker = (record: PlainRecord, line: number, setting: Setting, exact: () => ObservedCall | undefined) => boolean;
