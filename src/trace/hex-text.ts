import { hex64 } from '../codec/hex.ts';
import { latin1 } from './detect.ts';
import { hexdumpLine, xxdLine } from './dump-line.ts';
import { blank, halfADigit, kinds, notADigit } from './hex-digit.ts';
import { InputError } from './input-error.ts';
import { linesOf } from './lines.ts';

/** Consecutive bytes of an input. */
export interface Part {
  readonly bytes: Uint8Array;
  /** The line the first of them stands on, from 1; `undefined` in an input without lines. */
  readonly line: number | undefined;
  /** True where a new dump begins. */
  readonly restart: boolean;
}

const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * Plain hex, `xxd -p` included: digit pairs with any white space between them, lines of any length. Throws `InputError` with
 * line and column (a byte's, from 1) at the first thing that is no pair; what stands before it has been yielded by then.
 */
export async function* hexParts(source: AsyncIterable<Uint8Array>): AsyncGenerator<Part> {
  const scan: Scan = { high: -1, column: 0, written: 0 };
  let line = 1;
  let marks = 0;
  for await (const chunk of source) {
    const bytes = new Uint8Array((chunk.length + 1) >> 1);
    let from = 0;
    scan.written = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (marks < byteOrderMark.length) {
        if (chunk[at] === byteOrderMark[marks++]) continue;
        if (marks > 1) throw notADigit(byteOrderMark[0] as number, 1, 1);
        marks = byteOrderMark.length;
      }
      at = scanDigits(chunk, at, bytes, scan);
      if (scan.written > from) yield { bytes: bytes.subarray(from, scan.written), line, restart: false };
      from = scan.written;
      if (at === chunk.length) break;
      const code = chunk[at] as number;
      if ((kinds[code] as number) > blank) throw notADigit(code, scan.column, line);
      if (scan.high >= 0) throw halfADigit(scan.column - 1, line);
      line++;
      scan.column = 0;
    }
  }
  if (scan.high >= 0) throw halfADigit(scan.column, line);
}

interface Scan {
  /** The first digit of a byte that is not complete, else -1. */
  high: number;
  /** Of the last character that was looked at. */
  column: number;
  written: number;
}

/** Turns digits into `bytes` up to a line end, a fault or the end of the chunk; inside the generator it would be slow. */
function scanDigits(chunk: Uint8Array, from: number, bytes: Uint8Array, scan: Scan): number {
  let { high, column, written } = scan;
  let at = from;
  for (; at < chunk.length; at++) {
    const kind = kinds[chunk[at] as number] as number;
    column++;
    if (kind < blank) {
      if (high >= 0) bytes[written++] = (high << 4) | kind;
      high = high < 0 ? kind : -1;
    } else if (kind > blank || high >= 0 || chunk[at] === 0x0a) {
      break;
    }
  }
  scan.high = high;
  scan.column = column;
  scan.written = written;
  return at;
}

/** Most bytes that the `*` lines of one input may stand for, lest a little text become data without end. */
const mostSqueezed = 64n << 20n;

/**
 * The bytes of `xxd` (any -c, -g, -u, -a) or `hexdump -C`, line by line. `*` repeats the line before it up to the offset that
 * follows. Offset 0 again begins a new dump. Throws `InputError` with the line at a gap, at half a digit, at anything else.
 */
export async function* dumpParts(source: AsyncIterable<Uint8Array>, format: 'xxd' | 'hexdump'): AsyncGenerator<Part> {
  const parse = format === 'xxd' ? xxdLine : hexdumpLine;
  let last: Uint8Array | undefined;
  let expected: bigint | undefined;
  let restart = false;
  let squeezedAt: number | undefined;
  let squeezed = 0n;
  for await (const { number: line, bytes: raw } of linesOf(source)) {
    if (!raw) throw new InputError('the line is longer than 1 MiB', line);
    const text = latin1(raw);
    if (text.trim() === '') continue;
    if (text.trim() === '*') {
      if (!last || squeezedAt !== undefined) throw new InputError('"*" follows no line that it could repeat', line);
      squeezedAt = line;
      continue;
    }
    const { offset, bytes } = parse(text, line);
    if (squeezedAt !== undefined && last && expected !== undefined) {
      const missing = offset - expected;
      if (missing <= 0n || missing % BigInt(last.length) !== 0n) {
        throw new InputError(
          `offset ${hex64(offset)} after "*" at ${hex64(expected)} is not whole lines of ${last.length} bytes later`,
          line,
        );
      }
      squeezed += missing;
      if (squeezed > mostSqueezed) throw new InputError('"*" stands for more than 64 MiB', squeezedAt);
      yield* repeated(last, Number(missing), squeezedAt);
      expected = offset;
      squeezedAt = undefined;
    }
    if (expected === undefined || (offset === 0n && expected > 0n)) {
      restart = expected !== undefined;
      expected = offset;
      last = undefined;
    }
    if (offset !== expected) throw new InputError(gap(offset, expected), line);
    if (bytes.length === 0) continue;
    yield { bytes, line, restart };
    restart = false;
    last = bytes;
    expected += BigInt(bytes.length);
  }
  if (squeezedAt !== undefined) throw new InputError('the dump ends in "*": the offset that says how far it goes is missing', squeezedAt);
}

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
