import { InputError } from './input-error.ts';
import { needsMore, wideText } from './opened.ts';
import { headSize } from './peeked.ts';
import { quoted } from './quoted.ts';
import type { Reader } from './reader.ts';
import { readers } from './readers.ts';
import { firstNotUtf8 } from './utf8.ts';

/**
 * A short first line says little about bytes that happen to hold a line end, so at least this much
 * is looked at.
 */
const atLeast = 16;

/**
 * What an input is by its first bytes: a file of the table, raw bytes, or text. A function of what
 * comes up to the end of the first line that is not blank (or 16 bytes, or 64 KiB), so the answer
 * does not depend on how a stream is cut. `undefined` asks for more bytes, which never happens with
 * `atEnd`. Throws `InputError` for an input that is blank.
 */
export function natureOf(first: Uint8Array, atEnd: boolean): Reader | 'raw' | 'text' | 'utf-16le' | 'utf-16be' | undefined {
  const bytes = first.subarray(0, headSize);
  const complete = atEnd || bytes.length === headSize;
  const start = firstNotBlank(bytes);
  if (start === undefined) {
    if (complete) throw blankInput(bytes.length);
    return undefined;
  }
  const newline = bytes.indexOf(0x0a, start);
  const lineIsKnown = complete || newline >= 0;
  if (bytes[start] === 0x7b || bytes[start] === 0x23) {
    if (bytes.subarray(0, newline < 0 ? bytes.length : newline).includes(0)) return 'raw';
    return lineIsKnown ? 'text' : undefined;
  }
  if (!complete && (bytes.length < atLeast || needsMore(bytes))) return undefined;
  const file = fileWith(bytes);
  if (file) return file;
  const wide = wideText(bytes);
  if (wide) return wide;
  const sample = bytes.subarray(0, newline < 0 ? undefined : Math.max(newline + 1, atLeast));
  const sampleIsWhole = newline < 0 ? atEnd && bytes.length < headSize : newline + 1 === sample.length;
  if (!isText(sample, sampleIsWhole)) return 'raw';
  return lineIsKnown ? 'text' : undefined;
}

/** The row of a foreign file that begins so, if any does. */
export function fileWith(head: Uint8Array): Reader | undefined {
  return readers.find((reader) => reader.head?.(head) === true);
}

/** The reader of a text by a line of it, if any row of the table claims it. */
export function readerOf(text: string): Reader | undefined {
  return readers.find((reader) => reader.line?.(text) === true);
}

/** The error for a text of which no line is claimed. */
export function unknownText(line: string): InputError {
  const dumps = 'xxd FILE, gdb x/72xb ADDR, crash rd -64 ADDR 9';
  return new InputError(`${quoted(line.trim())} begins no trace and no dump of memory: give the bytes, a dump (${dumps}) or a trace`);
}

/** The error for an input in which there is nothing to read. */
export function blankInput(bytes: number): InputError {
  return new InputError(bytes === 0 ? 'the input is empty' : 'the input is blank');
}

/**
 * The index of the first byte that is neither white space nor part of a leading byte order mark.
 */
export function firstNotBlank(bytes: Uint8Array): number | undefined {
  const from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const found = bytes.subarray(from).findIndex((byte) => !isBlank(byte));
  return found < 0 ? undefined : from + found;
}

/**
 * No control characters but white space and colours, and UTF-8; a sequence cut off by the end of
 * the sample may still become it.
 */
function isText(sample: Uint8Array, isWhole: boolean): boolean {
  if (sample.some((byte, i) => (byte < 0x20 && !isBlank(byte) && !(byte === 0x1b && sample[i + 1] === 0x5b)) || byte === 0x7f))
    return false;
  const bad = firstNotUtf8(sample);
  return bad === undefined || (!isWhole && bad > sample.length - 4);
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
