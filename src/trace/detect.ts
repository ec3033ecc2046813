import { toolOf } from './calls/tool-of.ts';
import { type InputFormat, inputFormats } from './formats.ts';
import { InputError } from './input-error.ts';
import { mayBeginPackets, packetFormat } from './packet-format.ts';
import { quoted } from './quoted.ts';
import { decodeUtf8, firstNotUtf8 } from './utf8.ts';

/** How much of an input `detect` looks at, at most, in bytes. */
export const detectWithin = 65536;

/** A short first line says little about bytes that happen to hold a line end, so at least this much is looked at. */
const atLeast = 16;

const xxdLine = /^[0-9a-f]{7,16}: (?:[0-9a-f]{2})+(?: |$)/i;
const hexdumpLine = /^[0-9a-f]{8,16} {2}[0-9a-f]{2}(?: {1,2}[0-9a-f]{2})*(?: +\|.*)?$/i;
const plainHex = /^[0-9a-f\s]+$/i;
const fullPostscriptLine = /^[0-9a-f]{60}$/i;

/** Dumps that would read as something they are not: what they look like, and what to run instead. */
const lookAlikes: readonly (readonly [RegExp, string])[] = [
  [
    /^[0-9a-f]{6,7}(?:(?: +[0-9a-f]{4})+|(?: +[0-9a-f]{8})+|(?: +[0-9a-f]{16})+|(?: +[0-7]{6})+)$/i,
    'this looks like hexdump without -C or od, which print words, not bytes: run hexdump -C or xxd instead',
  ],
  [/^[0-9a-f]{6,7}(?: +[0-9a-f]{2})+(?: +>.*)?$/i, 'this looks like od -t x1, whose offsets may be octal: run hexdump -C or xxd instead'],
  [/^[0-9a-f]{7,16}:(?: [01]{8}){6} {2}.{1,6}$/i, 'this looks like xxd -b, which prints bits: run xxd without -b'],
  [/^0x[0-9a-f]+(?: <.*>)?:/i, "this looks like a debugger's view of memory: dump the memory to a file, or run xxd on it"],
  [/^(?:0x[0-9a-f]{2},|(?:static |const |unsigned )+char )/i, 'this looks like C source (xxd -i): run xxd without -i'],
];

/**
 * The format of an input by its first bytes: a function of what comes up to the end of the first line that is not blank
 * (or 16 bytes, or 64 KiB), so the answer does not depend on how a stream is cut. `undefined` asks for more bytes, which
 * never happens with `atEnd`. Throws `InputError` for an input that is blank, and for text in no known format.
 */
export function detect(first: Uint8Array, atEnd = true): InputFormat | undefined {
  const bytes = first.subarray(0, detectWithin);
  const complete = atEnd || bytes.length === detectWithin;
  if (bytes.length < 4 && !complete && mayBeginPackets(bytes[0])) return undefined;
  const packets = packetFormat(bytes);
  if (packets) return packets;
  const start = firstNotBlank(bytes);
  if (start === undefined) {
    if (complete) throw blankInput(bytes.length);
    return undefined;
  }
  const newline = bytes.indexOf(0x0a, start);
  const lineEnd = newline < 0 ? bytes.length : newline;
  const lineIsKnown = complete || newline >= 0;
  if (bytes[start] === 0x7b || bytes[start] === 0x23) {
    if (bytes.subarray(0, lineEnd).includes(0)) return 'raw';
    return lineIsKnown ? 'ndjson' : undefined;
  }
  if (bytes[start] === 0x5b) {
    // An array of records; one of numbers is a dump.
    const next = bytes.subarray(start + 1).findIndex((byte) => !isBlank(byte));
    if (next < 0 && !complete) return undefined;
    if (bytes[start + 1 + next] === 0x7b) return 'ndjson';
  }
  const sample = bytes.subarray(0, newline < 0 ? undefined : Math.max(newline + 1, atLeast));
  const sampleIsKnown = complete || (newline >= 0 && bytes.length >= atLeast);
  const sampleIsWhole = newline >= 0 ? sampleIsKnown : atEnd && bytes.length < detectWithin;
  if (!isText(sample, sampleIsWhole)) return 'raw';
  return sampleIsKnown ? textFormat(textOf(bytes.subarray(start, lineEnd)).trimEnd(), newline >= 0) : undefined;
}

/** The error for an input in which there is nothing to read. */
export function blankInput(bytes: number): InputError {
  return new InputError(bytes === 0 ? 'the input is empty' : 'the input is blank');
}

/** The index of the first byte that is neither white space nor part of a leading byte order mark. */
export function firstNotBlank(bytes: Uint8Array): number | undefined {
  const from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const found = bytes.subarray(from).findIndex((byte) => !isBlank(byte));
  return found < 0 ? undefined : from + found;
}

function textFormat(line: string, ended: boolean): InputFormat {
  if (toolOf(line) !== undefined) return 'calls';
  const alike = lookAlikes.find(([pattern]) => pattern.test(line));
  if (alike) throw new InputError(alike[1]);
  if (xxdLine.test(line)) return 'xxd';
  if (hexdumpLine.test(line)) return 'hexdump';
  if (plainHex.test(line)) return ended && fullPostscriptLine.test(line) ? 'xxd-p' : 'hex';
  const known = Object.values(inputFormats).join(', ');
  throw new InputError(`${quoted(line)} begins none of the formats that are understood: ${known}`);
}

function textOf(bytes: Uint8Array): string {
  return decodeUtf8(bytes) ?? latin1(bytes);
}

/** No control characters but white space, and UTF-8; a sequence cut off by the end of the sample may still become it. */
function isText(sample: Uint8Array, isWhole: boolean): boolean {
  if (sample.some((byte) => (byte < 0x20 && !isBlank(byte)) || byte === 0x7f)) return false;
  const bad = firstNotUtf8(sample);
  return bad === undefined || (!isWhole && bad > sample.length - 4);
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** A byte to a character, so that a column is a byte. Only for lines of bounded length. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let from = 0; from < bytes.length; from += 4096) text += String.fromCharCode(...bytes.subarray(from, from + 4096));
  return text;
}
