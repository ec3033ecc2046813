import { hex64 } from '../codec/hex.ts';
import { InputError } from './input-error.ts';
import { type Kind, kindOf, offsetIn, radixesOf, rowBytes, shapeOf } from './kind.ts';
import { linesOf } from './lines.ts';
import type { Part } from './part.ts';
import { peeked } from './peeked.ts';
import { quickRow } from './quick-row.ts';
import { quoted } from './quoted.ts';
import type { Opened, ReadOptions } from './reader.ts';
import { bareLine, bareRow, bytesOf, holdsCells, offsetRow, type Row, rowAfter, shows } from './row.ts';
import { isStructSize } from './sane.ts';

/**
 * Most bytes that the `*` lines of one input may stand for, lest a little text become data without
 * end.
 */
const mostSqueezed = 64n << 20n;

/** A jump this far is no gap in a dump but another dump. */
const farAway = 4096n;

const squeeze = /^\|?\s*\*[\s|]*$|^\s*\.\.\. ↓.*skipped/;
const prompt =
  /^\s*(?:\S*[$#%>]\s|=>|\([a-z]+\)|crash>|\d*: kd>|(?:md[bwhd]|md\.[bwlq]|x\/|xp ?\/|rd|px[wq]?|d[bdqc]|xxd|hexdump|od|devmem|memory read)\s)/;
const around = /^\s*(?:#|```|~~~|--|\/\/|\$$)/;

/** Is this a comment, a fence or a prompt? */
export function isAround(text: string): boolean {
  return around.test(text) || prompt.test(text);
}

/** The rows of a head by shape, and how each shape is read, found out when it is first needed. */
class Kinds {
  readonly #options: ReadOptions;
  readonly #groups = new Map<string, Row[]>();
  readonly #known = new Map<string, Kind>();

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  add(row: Row): void {
    const key = shapeOf(row, true);
    const group = this.#groups.get(key);
    if (group) group.push(row);
    else this.#groups.set(key, [row]);
  }

  /** How a row is read; `undefined` where more rows may tell, with `atEnd` an `InputError`. */
  of(row: Row, atEnd: boolean): Kind | undefined {
    const known = this.#known.get(shapeOf(row, true)) ?? this.#known.get(shapeOf(row));
    if (known) return known;
    const group = this.#groups.get(shapeOf(row, true)) ?? [row];
    const numbers = areNumbers(group);
    const alike = numbers ? group : group.filter(({ digits, cells }) => digits === row.digits || cells.length === 0);
    const found = kindOf(alike.length > 0 ? alike : [row], this.#options, atEnd);
    if (found) this.#known.set(shapeOf(row, numbers), found);
    return found;
  }
}

/** Are the cells decimal or octal numbers, whose digits vary from row to row? */
function areNumbers(rows: readonly Row[]): boolean {
  const full = rows.filter(({ cells }) => cells.length > 0);
  const widths = new Set(full.filter(({ cells }) => cells.length > 1).map(({ digits }) => digits));
  const vary =
    widths.size > 1 &&
    full.every(
      ({ mark, tab, offset, cells }) => (mark === '' || tab) && offset !== undefined && cells.every((text) => /^-?\d+$/.test(text)),
    );
  return vary || full.some(({ digits }) => digits % 2 === 1 || digits === 0);
}

/** Enough rows to see what a dump is, where they tell it at all. */
const soonRows = 8;

/**
 * Takes up dumps of memory in any of the row patterns: `*` is expanded, offsets are checked,
 * several dumps are told apart, what stands around is passed over. Throws `InputError` for what may
 * be read in two ways, at a gap, half a byte or half a word.
 */
export async function openDump(source: AsyncIterable<Uint8Array>, options: ReadOptions): Promise<Opened> {
  const kinds = new Kinds(options);
  const rows = new Rows();
  let first: Row | undefined;
  let seen = 0;
  const { value: kind, all } = await peeked(source, (bytes) => {
    const row = bytes && rows.of(bareLine(bytes));
    const atEnd = bytes === undefined;
    if (row) {
      kinds.add(row);
      if (row.cells.length > 0) first ??= row;
      seen++;
    }
    return first && (atEnd || (row && seen <= soonRows)) ? kinds.of(first, atEnd) : undefined;
  });
  if (!kind) throw new InputError('no line of a dump of memory is in the input');
  return { name: kind.name, parts: dumpParts(all, kinds, options) };
}

/**
 * Finds the rows of successive lines; a line without an offset is one where it begins as the one
 * before it did.
 */
class Rows {
  #prefix: string | undefined;
  #counted = false;

  of(text: string): Row | undefined {
    const row = offsetRow(text);
    // A number alone is the end of a dump only where offsets came before.
    if (row && (row.cells.length > 0 || this.#counted)) {
      this.#counted = true;
      return row;
    }
    const length = this.#prefix?.length ?? 0;
    const alike = this.#prefix !== undefined && shapeOfPrefix(text.slice(0, length)) === shapeOfPrefix(this.#prefix);
    const found = (alike ? rowAfter(text, length) : undefined) ?? bareRow(text) ?? (plain.test(text) ? rowAfter(text, 0) : undefined);
    if (found) [this.#prefix, this.#counted] = [found.prefix, false];
    return found;
  }
}

const plain = /^\s{0,4}[0-9a-f]{2,}(?:\s+[0-9a-f]{2,})*\s*$/i;

const shapeOfPrefix = (text: string): string => text.replace(/\d/g, '0');

async function* dumpParts(source: AsyncIterable<Uint8Array>, kinds: Kinds, options: ReadOptions): AsyncGenerator<Part> {
  const rows = new Rows();
  const place = new Place(options);
  let kind: Kind | undefined;
  let quick = false;
  let full = 0;
  let mark = '';
  let prefix = '';
  let wasCounted = false;
  /** Of the buffer so far; did two of its rows stand together? */
  let length = 0;
  let together = false;
  // Words at the end of od and hexdump may be filled up with zeros, beyond the offset that follows.
  let held: Part | undefined;
  for await (const { number: line, bytes: raw } of linesOf(source)) {
    if (!raw) throw new InputError('the line is longer than 1 MiB', line);
    const fast = quick && place.expected !== undefined ? quickRow(raw, mark !== '', full, (kind?.width ?? 0) > 1) : undefined;
    if (fast && fast.offset === place.expected) {
      place.expected += fast.bytes.length;
      place.last = fast.bytes;
      if (held) yield held;
      held = undefined;
      place.separated = false;
      yield { bytes: fast.bytes, line, restart: false };
      continue;
    }
    const text = bareLine(raw);
    if (text.trim() === '') {
      place.separated ||= true;
      continue;
    }
    if (squeeze.test(text)) {
      place.squeeze(line);
      continue;
    }
    const row = rows.of(text);
    if (!row) {
      refuseDamaged(text, kind, place, prefix, line);
      place.separated = true;
      // What stands between rows without offsets parts them.
      place.prompted ||= !wasCounted || prompt.test(text);
      continue;
    }
    const partial = kind?.base === 16 && row.cells.length === 1 && (kind.width === 0 || row.digits < 2 * kind.width) && !row.prefixed;
    const before = kind;
    if (row.cells.length > 0 && !partial) kind = kinds.of(row, true);
    if (!kind) continue;
    const bytes = rowBytes(row, kind, line);
    checkOrder(row, kind, line);
    const excess = bytes.length === 0 && held && row.offset !== undefined ? place.excess(row, kind.width) : 0;
    if (held) {
      yield withoutExcess(held, excess, row, line);
      held = undefined;
    }
    // A kernel prints the bytes of a last row that is not whole words.
    const rest = before?.little === true && !row.prefixed && row.digits === 2 && bytes.length < full && bytes.length % before.width !== 0;
    let restart: boolean =
      (kind.apart && !rest) ||
      (row.offset === undefined &&
        (place.prompted || (place.separated && together && isStructSize(length)) || shapeOfPrefix(row.prefix) !== shapeOfPrefix(prefix)));
    const counted: boolean = row.offset !== undefined && kind.counted && !(rest && !wasCounted);
    if (counted) {
      const repeated = place.squeezed(row, line);
      if (repeated) yield* repeated;
      restart = place.go(row, bytes.length, line);
      if (row.tail.includes(`${place.expectedText()}${row.mark || ' '}`))
        throw new InputError('rows stand in one line: the line ends were lost', line);
    }
    // One dump is not of words in its first rows and of bytes behind a line between
    if (before && before !== kind && !restart && !rest && (!place.separated || before.little !== kind.little))
      throw new InputError(`not a line of ${before.name}: ${quoted(text.trim())}`, line);
    if (full > 0 && counted !== wasCounted) restart = true;
    wasCounted = counted;
    const wasSeparated = place.separated;
    place.separated = place.prompted = false;
    if (bytes.length === 0) continue;
    prefix = row.prefix;
    const part = { bytes, line, restart };
    together = !restart && length > 0 && (together || !wasSeparated);
    length = bytes.length + (restart ? 0 : length);
    if (kind.width > 1 && counted && row.mark === '') held = part;
    else yield part;
    place.last = bytes;
    if (bytes.length >= full) full = bytes.length;
    mark = row.mark;
    quick = kind.base === 16 && !kind.little && row.prefix === '' && !row.debugger && !row.prefixed && row.offset !== undefined;
  }
  if (held) yield held;
  place.end();
}

/** Throws for a line that is no row and stands where one is expected, or is a damaged one. */
function refuseDamaged(text: string, kind: Kind | undefined, place: Place, prefix: string, line: number): void {
  if ((kind && isDamaged(text, kind, place, prefix)) || holdsCells(text))
    throw new InputError(`not a line of ${kind?.name ?? 'a dump'}: ${quoted(text.trim())}`, line);
  if (/^\s*\{\s*"/.test(text)) throw new InputError('a record stands in the dump: give the two apart', line);
}

/** A part without the zeros that fill up its last word, beyond the offset of the row after it. */
function withoutExcess(held: Part, excess: number, row: Row, line: number): Part {
  const length = held.bytes.length - excess;
  if (held.bytes.subarray(length).some((byte) => byte !== 0))
    throw new InputError(`offset ${row.offset} is before the end of the row`, line);
  return { ...held, bytes: held.bytes.subarray(0, length) };
}

/** Is at least every other character a hex digit, and one a decimal digit? */
function isMostlyHex(text: string): boolean {
  return /\d/.test(text) && 2 * (text.match(/[0-9a-f]/gi)?.length ?? 0) >= text.replace(/\s/g, '').length;
}

/** Does a line that is no row stand where one is expected? */
function isDamaged(text: string, { counted, apart }: Kind, place: Place, prefix: string): boolean {
  const expected = place.expectedText();
  if (expected === undefined) return !counted || apart ? false : prefix.length < 2 && !isAround(text) && isMostlyHex(text);
  return text.toLowerCase().includes(expected);
}

/**
 * The characters of a later row may say that the words are in the other order than those of the
 * first rows.
 */
function checkOrder(row: Row, { base, width, little }: Kind, line: number): void {
  if (base !== 16 || width < 2 || row.tail === '') return;
  if (!shows(row.tail, bytesOf(row, little)) && shows(row.tail, bytesOf(row, !little))) {
    throw new InputError('the characters beside the digits are in another order than in the lines before', line);
  }
}

/** Where in a dump a row stands. */
class Place {
  readonly #options: ReadOptions;
  /** The next offset by each radix that all offsets so far agree with, and the first. */
  #next = new Map<number, bigint>();
  #start = new Map<number, bigint>();
  #digits = 0;
  #squeezedAt: number | undefined;
  #squeezedBytes = 0n;
  last: Uint8Array | undefined;
  /** Has a blank or foreign line come since the last row, has a prompt? */
  separated = false;
  prompted = false;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  /** The next offset where it is known to be hex and a number can hold it. */
  get expected(): number | undefined {
    const next = this.#next.get(16);
    if (this.#next.size !== 1 || next === undefined || this.#squeezedAt !== undefined || this.prompted) return undefined;
    this.#fast ??= next < 1n << 52n ? Number(next) : undefined;
    return this.#fast;
  }

  set expected(offset: number) {
    this.#fast = offset;
  }

  #fast: number | undefined;

  /** Takes over what the quick way has counted. */
  #settle(): void {
    if (this.#fast !== undefined) this.#next.set(16, BigInt(this.#fast));
    this.#fast = undefined;
  }

  /** The digits that the next offset is written with. */
  expectedText(): string | undefined {
    this.#settle();
    const [next] = this.#next;
    return next?.[1].toString(next[0]).padStart(this.#digits, '0');
  }

  squeeze(line: number): void {
    this.#settle();
    if (!this.last || this.#squeezedAt !== undefined) throw new InputError('"*" follows no line that it could repeat', line);
    this.#squeezedAt = line;
  }

  /** The bytes that "*" before this row stands for. */
  squeezed(row: Row, line: number): Generator<Part> | undefined {
    const at = this.#squeezedAt;
    const last = this.last;
    if (at === undefined || !last) return undefined;
    const size = BigInt(last.length);
    const missing = [...this.#next].flatMap(([radix, next]) => {
      const value = offsetIn(row.offset as string, radix);
      const bytes = value === undefined ? 0n : value - next;
      return bytes > 0n && bytes % size === 0n ? [{ radix, bytes, value: value as bigint }] : [];
    });
    const [one] = missing;
    if (!one) {
      const [[radix, next] = [16, 0n]] = this.#next;
      const offset = hex64(offsetIn(row.offset as string, radix) ?? 0n);
      throw new InputError(`offset ${offset} after "*" at ${hex64(next)} is not whole lines of ${last.length} bytes later`, line);
    }
    if (missing.length > 1) {
      const ways = missing.map(({ radix, bytes }) => `--offset-radix ${radixNames[radix]}: ${bytes + (this.#next.get(radix) ?? 0n)} bytes`);
      throw new InputError(`offset ${row.offset} after "*" may be read in two ways: ${ways.join('; ')}`, line);
    }
    this.#squeezedBytes += one.bytes;
    if (this.#squeezedBytes > mostSqueezed) throw new InputError('"*" stands for more than 64 MiB', at);
    this.#next = new Map([[one.radix, one.value]]);
    this.#squeezedAt = undefined;
    return repeated(last, Number(one.bytes), at);
  }

  /**
   * How many bytes before the next offset, less than a word, the last offset of a dump is; it goes
   * on from there.
   */
  excess({ offset }: Row, width: number): number {
    this.#settle();
    for (const [radix, next] of this.#next) {
      const excess = next - (offsetIn(offset as string, radix) ?? next);
      if (excess <= 0n || excess >= BigInt(width)) continue;
      this.#next = new Map([[radix, next - excess]]);
      return Number(excess);
    }
    return 0;
  }

  /** Checks the offset of a row of some bytes; true where another dump begins with it. */
  go(row: Row, length: number, line: number): boolean {
    this.#settle();
    const offset = row.offset as string;
    const advance = (from: Map<number, bigint>): void => {
      this.#next = new Map([...from].map(([radix, value]) => [radix, value + BigInt(length)]));
    };
    const agreeing = new Map([...this.#next].filter(([radix, value]) => offsetIn(offset, radix) === value));
    if (agreeing.size > 0 && !(this.prompted && length > 0)) {
      advance(agreeing);
      return false;
    }
    const fresh = this.#next.size === 0;
    const [[radix, next] = [16, 0n]] = this.#next;
    const value = offsetIn(offset, radix) ?? 0n;
    const start = this.#start.get(radix) ?? 0n;
    if (length === 0 && this.separated) return false;
    if (!fresh && (length === 0 || !(this.separated || value <= start || value >= next + farAway))) {
      throw new InputError(gap(value, next), line);
    }
    if (length === 0) return false;
    const given = this.#options.offsetRadix;
    const radixes = (given ? [radixOf[given]] : radixesOf(row)).filter((r) => offsetIn(offset, r) !== undefined);
    this.#start = new Map(radixes.map((r) => [r, offsetIn(offset, r) as bigint]));
    this.#digits = offset.length;
    this.last = undefined;
    advance(this.#start);
    return !fresh;
  }

  end(): void {
    const line = this.#squeezedAt;
    if (line !== undefined) throw new InputError('the dump ends in "*": the offset that says how far it goes is missing', line);
  }
}

const radixOf = { hex: 16, octal: 8, decimal: 10 } as const;
const radixNames: { readonly [radix: number]: string } = { 16: 'hex', 8: 'octal', 10: 'decimal' };

function* repeated(bytes: Uint8Array, length: number, line: number): Generator<Part> {
  const times = Math.min(Math.ceil(4096 / bytes.length), length / bytes.length);
  const block = new Uint8Array(times * bytes.length);
  for (let i = 0; i < times; i++) block.set(bytes, i * bytes.length);
  for (let left = length; left > 0; left -= block.length) yield { bytes: block.subarray(0, left), line, restart: false };
}

function gap(offset: bigint, expected: bigint): string {
  const why = offset > expected ? `${offset - expected} bytes are missing` : 'the dump goes back';
  return `offset ${hex64(offset)} where ${hex64(expected)} was expected: ${why}`;
}
