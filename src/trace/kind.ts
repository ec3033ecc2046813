import { InputError } from './input-error.ts';
import type { ReadOptions } from './reader.ts';
import { bytesOf, type Row, shows } from './row.ts';
import { isStructSize, senseOf } from './sane.ts';

/** How the rows of one dump are read. */
export interface Kind {
  /** What it is called after "read as". */
  readonly name: string;
  readonly base: 2 | 8 | 10 | 16;
  /** Bytes of a cell; 0 for runs of digit pairs of any length. */
  readonly width: number;
  /** Are the cells words, their lowest byte first in memory? */
  readonly little: boolean;
  /** Columns of a number that is printed in columns; 0 elsewhere. */
  readonly column: number;
  /** Is each row a buffer of its own? */
  readonly apart: boolean;
  /** Are numbers filled up with zeros, so that one of fewer digits is cut? */
  readonly filled: boolean;
  /** False where the offsets are no offsets, as hashed pointers. */
  readonly counted: boolean;
}

/**
 * A row pattern: what such a row is called, and whether its cells are words where they are longer
 * than a byte.
 */
interface Pattern {
  readonly name: string;
  readonly is: (row: Row) => boolean;
  readonly words: boolean | undefined;
}

const prefixedBySpaces = (row: Row): boolean => row.prefix.trim() === '';

const patterns: readonly Pattern[] = [
  { name: 'gdb x/', is: ({ tab, debugger: is, offset }) => offset !== undefined && tab && is, words: true },
  { name: 'words with 0x', is: ({ prefixed }) => prefixed, words: true },
  { name: 'tcpdump -x', is: (r) => r.debugger && r.mark === ':' && r.wide && r.offset?.length === 4 && r.digits === 4, words: false },
  { name: 'radare2 px', is: (r) => r.debugger && r.mark === '' && r.wide && r.digits === 4, words: undefined },
  { name: 'objdump -s or readelf -x', is: (r) => r.mark === '' && !r.wide && r.digits === 8 && /^ +[^ |>]/.test(r.tail), words: undefined },
  { name: "a debugger's dump", is: (row) => row.debugger, words: true },
  { name: 'a log of words', is: (row) => row.offset === undefined && !prefixedBySpaces(row) && row.digits !== 4, words: true },
  { name: 'plain hex', is: ({ offset }) => offset === undefined, words: undefined },
  { name: 'print_hex_dump', is: ({ prefix, digits }) => prefix !== '' && digits !== 4, words: true },
  { name: 'crash rd', is: ({ mark, wide }) => mark === ':' && wide, words: true },
  {
    name: 'U-Boot md',
    // Behind two spaces xxd's text may begin with two more: then it ends two columns sooner.
    is: ({ mark, cells, digits, tail }) => mark !== '' && (cells.length * digits) / 2 === 16 && /^ {4}/.test(tail) && tail.length !== 18,
    words: true,
  },
  { name: 'J-Link mem', is: ({ mark }) => mark === '=' || mark === '|', words: true },
  { name: 'xxd', is: ({ mark }) => mark === ':', words: undefined },
  { name: 'hexdump -C', is: (row) => row.digits === 2 && /^\s*\|/.test(row.tail), words: false },
  { name: 'hexdump or od', is: () => true, words: true },
];

/** The number that an offset is; `undefined` where it has other digits. */
export function offsetIn(digits: string, radix: number): bigint | undefined {
  if (radix === 16) return BigInt(`0x${digits}`);
  if (radix === 8) return /^[0-7]+$/.test(digits) ? BigInt(`0o${digits}`) : undefined;
  return /^\d+$/.test(digits) ? BigInt(digits) : undefined;
}

/**
 * What the offsets of such a row may count in: od prints seven octal or decimal digits, hexdump
 * seven hex, xxd -d decimal ones.
 */
export function radixesOf({ offset, debugger: isDebugger, mark, digits }: Row): number[] {
  if (isDebugger) return [16];
  if (mark !== '') return [16, 10];
  if (offset?.length !== 7) return [16];
  return digits > 2 && digits < 7 ? [16, 8, 10] : [8, 10];
}

/** Rows with the same key are read alike. */
export function shapeOf({ offset, debugger: isDebugger, tab, mark, prefixed, digits }: Row, numbers = false): string {
  return `${offset === undefined} ${isDebugger} ${tab} ${mark} ${prefixed} ${numbers || digits}`;
}

/**
 * How rows of one shape are read. `undefined` where more rows may tell; with `atEnd` there are
 * none, and what may be read in two ways is an `InputError` that names both.
 */
export function kindOf(rows: readonly Row[], options: ReadOptions, atEnd: boolean): Kind | undefined {
  const full = rows.filter((row) => row.cells.length > 0);
  const [first] = full;
  if (!first) return undefined;
  const pattern = patterns.find(({ is }) => is(first)) as Pattern;
  const column = first.tab || first.mark !== '' || first.offset === undefined ? 0 : columnOf(first);
  const filled = full.some(({ cells }) => cells.some((text) => text.length > 1 && text.startsWith('0')));
  const made = { name: pattern.name, apart: false, counted: true, little: true, column, filled };
  const base = baseOf(full, first);
  const padded =
    base === 16 ? first.digits / 2 : base === 8 ? ({ 3: 1, 6: 2, 11: 4, 22: 8 }[first.digits] ?? 0) : base === 2 ? first.digits / 8 : 0;
  if (base !== 16 || (first.prefixed && ![1, 2, 4, 8].includes(padded))) {
    if (!atEnd) return undefined;
    if (padded > 0 && base !== 16) return { ...made, base, width: padded };
    const width = base === 10 && first.digits === 5 && first.cells.every((text) => text.length === 5) ? 2 : widthByOffsets(rows);
    if (width !== undefined) return { ...made, base, width };
    throw new InputError('the text does not tell how many bytes each number stands for: print it in hex (gdb: x/9gx ADDR, od -t x1)');
  }
  const sizes = full.map((row) => bytesOf(row, false).length);
  const apart = first.offset === undefined && (full.length === 1 || sizes.every(isStructSize));
  const counted = !areHashed(full);
  if ((first.offset === undefined || (full.length === 1 && hashed.test(first.offset))) && !atEnd) return undefined;
  if (![2, 4, 8].includes(padded))
    return { ...made, name: nameOf(pattern, first), base, width: padded === 1 ? 1 : 0, little: false, column: 0, apart, counted };
  const little = isLittle(full, pattern, options, atEnd, apart);
  if (little === undefined) return undefined;
  const name = little ? `${pattern.name}, little-endian words of ${padded} bytes` : nameOf(pattern, first);
  return { name, base, width: padded, little, column: 0, apart, counted, filled };
}

function nameOf({ name }: Pattern, { digits, tail }: Row): string {
  if (name === 'hexdump or od' && digits === 2) return tail.trim().startsWith('|') ? 'hexdump -C' : 'bytes with offsets';
  return name === 'a log of words' ? 'bytes behind text' : name;
}

/** Columns that the last cell of a row takes, its spaces included. */
function columnOf({ lastGap, cells }: Row): number {
  return lastGap + (cells.at(-1)?.length ?? 0);
}

/** A decimal number as it is printed: no zeros before it. */
const decimal = /^-?(?:0|[1-9]\d*)$/;

function baseOf(rows: readonly Row[], first: Row): Kind['base'] {
  if (first.prefixed) return 16;
  const every = (pattern: RegExp): boolean => rows.every(({ cells }) => cells.every((text) => pattern.test(text)));
  if (first.tab && first.debugger) return every(/^(?:[01]{8}){1,8}$/) ? 2 : every(/^0[0-7]*$/) && !every(/^0$/) ? 8 : 10;
  if (first.mark === '' && !first.debugger && first.offset !== undefined) {
    if ([3, 6, 11, 22].includes(first.digits) && every(new RegExp(`^[0-7]{${first.digits}}$`))) return 8;
    const columns = rows.every(
      ({ lastGap, cells }) => lastGap > 1 && cells.length > 1 && [4, 5, 6, 7, 11, 12, 21].includes(lastGap + (cells.at(-1)?.length ?? 0)),
    );
    if (columns && (every(decimal) || every(/^\d{5}$/))) return 10;
  }
  const uneven = rows.some(({ digits }) => digits % 2 === 1 || digits === 0);
  // Behind an address of sixteen digits stand words of hex: one of fewer digits is cut.
  if (uneven && first.offset?.length === 16 && !first.debugger) return 16;
  return uneven && (every(decimal) || (every(/^\d{5}$/) && first.mark === '')) ? 10 : 16;
}

/** Bytes of a number, by how far the offsets go on from row to row. */
function widthByOffsets(rows: readonly Row[]): number | undefined {
  const [first] = rows;
  for (const radix of first ? radixesOf({ ...first, digits: 0 }) : []) {
    const widths = new Set<number>();
    rows.forEach((row, i) => {
      const next = rows[i + 1];
      const [from, to] = [row, next].map((r) => (r?.offset === undefined ? undefined : offsetIn(r.offset, radix)));
      // The last word may be filled up, beyond the last offset.
      const ends = next?.cells.length === 0 && widths.size > 0;
      if (from !== undefined && to !== undefined && to > from && !ends) widths.add(Number(to - from) / row.cells.length);
    });
    const [width = 0] = widths;
    if (widths.size === 1 && [1, 2, 4, 8].includes(width)) return width;
  }
  return undefined;
}

const hashed = /^0{8}[0-9a-f]{8}$/i;

/** Kernels print pointers hashed: 32 bits of nonsense in 16 digits. */
function areHashed(rows: readonly Row[]): boolean {
  if (rows.length < 2 || !rows.every(({ offset }) => offset !== undefined && hashed.test(offset))) return false;
  return rows.every((row, i) => {
    const next = rows[i + 1];
    return next === undefined || BigInt(`0x${next.offset}`) !== BigInt(`0x${row.offset}`) + BigInt(bytesOf(row, false).length);
  });
}

const question =
  'these groups of digits may be bytes in the order of memory (--word-order big) or little-endian words (--word-order little)';

/**
 * Are the groups words? Characters beside them tell, else what prints so, else which of the two
 * makes sense.
 */
function isLittle(
  rows: readonly Row[],
  { words }: Pattern,
  { wordOrder, format, structSize }: ReadOptions,
  atEnd: boolean,
  apart: boolean,
): boolean | undefined {
  if (wordOrder !== undefined) return wordOrder === 'little';
  let same = true;
  for (const row of rows) {
    const [big, little] = [bytesOf(row, false), bytesOf(row, true)];
    if (big.every((byte, i) => byte === little[i])) continue;
    same = false;
    const [asBig, asLittle] = [shows(row.tail, big), shows(row.tail, little)];
    if (asBig !== asLittle) return asLittle;
  }
  if (words === false) return false;
  if (words === undefined && format === 'xxd') return false;
  if (!atEnd) return undefined;
  if (same) return false;
  const [big, little] = [false, true].map((order) => senseOfRows(rows, order, structSize, apart));
  if (words === true) {
    if ((little ?? 2) >= (big ?? 0)) return true;
  } else if (big !== little) {
    return (little ?? 0) > (big ?? 0);
  }
  throw new InputError(question);
}

/** The least sense that the buffers of some rows make. */
function senseOfRows(rows: readonly Row[], little: boolean, structSize: number | undefined, apart: boolean): number | undefined {
  const buffers: number[][] = [];
  let expected: bigint | undefined;
  for (const row of rows) {
    const bytes = [...bytesOf(row, little)];
    const offset = row.offset === undefined ? undefined : BigInt(`0x${row.offset}`);
    const last = buffers.at(-1);
    if (!last || apart || (offset !== undefined && offset === 0n && expected !== 0n)) buffers.push(bytes);
    else last.push(...bytes);
    expected = offset;
  }
  const senses = buffers
    .flatMap((bytes) =>
      structSize === undefined
        ? [bytes]
        : Array.from({ length: bytes.length / structSize }, (_, i) => bytes.slice(i * structSize, (i + 1) * structSize)),
    )
    .map((bytes) => senseOf(Uint8Array.from(bytes)))
    .filter((sense) => sense !== undefined);
  return senses.length === 0 ? undefined : Math.min(...senses);
}

const digitsOf = { 2: /^[01]+$/, 8: /^[0-7]+$/, 10: /^\d+$/, 16: /^[0-9a-f]+$/i } as const;

/** The bytes of a row. Throws `InputError` for half a cell and for a number that does not fit. */
export function rowBytes(row: Row, { base, width, little, column, filled }: Kind, line: number): Uint8Array {
  if (row.cells.length === 0) return new Uint8Array(0);
  if (base === 16 && row.prefixed && filled && row.digits > 0 && row.digits < 2 * width)
    throw new InputError(`half a word: ${row.cells.at(-1)}`, line);
  if (base === 16 && !(row.prefixed && row.digits !== 2 * width)) {
    const last = row.cells.at(-1) ?? '';
    const uneven = row.digits === 0 || row.digits % 2 === 1 || (width > 0 && row.digits !== 2 * width);
    if (uneven && row.cells.length > 1) throw new InputError('the groups of digits are not of one width', line);
    if (row.cells.some((text) => text.startsWith('-'))) throw new InputError('a minus stands in the digits', line);
    if (last.length % 2 === 1) throw new InputError(`half a hex digit at ${last}: two make a byte`, line);
    if (little && last.length < 2 * width && row.lastGap !== 1 + 2 * width - last.length)
      throw new InputError(`half a word: ${last}`, line);
    return bytesOf(row, little);
  }
  if (column > 0 && row.tail.trim() === '' && columnOf(row) !== column) throw new InputError(`the number ${row.cells.at(-1)} is cut`, line);
  const bytes = new Uint8Array(row.cells.length * width);
  row.cells.forEach((text, i) => {
    const digits = text.replace('-', '');
    if (!digitsOf[base].test(digits))
      throw new InputError(`${text} is no ${base === 10 ? 'decimal' : base === 8 ? 'octal' : 'binary'} number`, line);
    let value = BigInt(base === 16 ? `0x${digits}` : base === 8 ? `0o${digits}` : base === 2 ? `0b${digits}` : digits);
    if (text.startsWith('-')) value = -value;
    const size = 8 * width;
    if (value !== BigInt.asUintN(size, value) && value !== BigInt.asIntN(size, value))
      throw new InputError(`${text} is no number of ${width} bytes`, line);
    for (let at = 0; at < width; at++) bytes[i * width + at] = Number(BigInt.asUintN(8, value >> BigInt(8 * at)));
  });
  return bytes;
}
