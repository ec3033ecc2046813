import { isAround, openDump } from './dump.ts';
import { inputFormats } from './formats.ts';
import { blank, halfADigit, kinds, notADigit } from './hex-digit.ts';
import { kindOf } from './kind.ts';
import type { Part } from './part.ts';
import { headSize, peeked } from './peeked.ts';
import type { Opened, ReadOptions } from './reader.ts';
import { bareLine, latin1, type Row, rowAfter } from './row.ts';

const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * Plain hex, `xxd -p` included: digit pairs with any white space between them, lines of any length.
 * Throws `InputError` with line and column (a byte's, from 1) at the first thing that is no pair;
 * what stands before it has been yielded by then.
 */
async function* hexParts(source: AsyncIterable<Uint8Array>, apart = false): AsyncGenerator<Part> {
  const scan: Scan = { high: -1, column: 0, written: 0 };
  let line = 1;
  let marks = 0;
  let last = 0;
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
      if (scan.written > from) yield { bytes: bytes.subarray(from, scan.written), line, restart: apart && line !== last };
      if (scan.written > from) last = line;
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

/**
 * Turns digits into `bytes` up to a line end, a fault or the end of the chunk; inside the generator
 * it would be slow.
 */
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

const digits = /^[0-9a-f\s]*$/i;

/**
 * Takes up plain hex. Groups of 4, 8 or 16 digits may be words; lines that each hold a struct are
 * buffers of their own. Where other text stands around, it is a dump without offsets.
 */
export async function openHex(source: AsyncIterable<Uint8Array>, options: ReadOptions, name: string = inputFormats.hex): Promise<Opened> {
  if (options.format !== undefined) return options.wordOrder === 'little' ? openDump(source, options) : { name, parts: hexParts(source) };
  const rows: Row[] = [];
  const { value, all } = await peeked(source, (bytes) => {
    if (!bytes) return 'end';
    const text = bareLine(bytes);
    // A quote mark, a colour or a fence was taken off.
    if (text.length < bytes.length && text !== latin1(bytes)) return 'dump';
    if (text.trim() === '') return undefined;
    if (text.length <= headSize && !digits.test(text)) return rows.length === 0 || !/\d/.test(text) || isAround(text) ? 'dump' : 'bytes';
    const row = rowAfter(text, 0);
    if (!row || row.digits % 2 === 1 || row.tail.trim() !== '' || row.cells.slice(0, -1).some((text) => text.length !== row.digits))
      return 'bytes';
    rows.push(row);
    return options.structSize !== undefined && ![4, 8, 16].includes(row.digits) ? 'bytes' : undefined;
  });
  const kind = value === 'end' ? kindOf(rows, options, true) : undefined;
  if (value === 'dump' || kind?.little) return openDump(all, options);
  return { name, parts: hexParts(all, rows.length > 1 && kind?.apart === true && options.structSize === undefined) };
}
