import { callReaders } from './calls/readers.ts';
import { inputFormats } from './formats.ts';
import { dumpParts, hexParts } from './hex-text.ts';
import { readNdjson } from './ndjson.ts';
import type { Reader } from './reader.ts';

/** Every kind of text that is known, the narrow ones first: what a line of it looks like, how it is read or why it is not. */
export const readers: readonly Reader[] = [
  {
    name: inputFormats.ndjson,
    format: 'ndjson',
    line: (text) => /^\{\s*(?:["}]|$)/.test(text),
    open: (source, { flags }) => ({ name: inputFormats.ndjson, calls: readNdjson(source, flags) }),
  },
  ...callReaders,
  {
    name: 'xxd -b',
    line: (text) => /^[0-9a-f]{7,16}:(?: [01]{8}){1,6} {2}/i.test(text),
    refuse: 'this looks like xxd -b, which prints bits: run xxd without -b',
  },
  {
    name: inputFormats.xxd,
    format: 'xxd',
    line: (text) => /^[0-9a-f]{7,16}: (?:[0-9a-f]{2})+(?: |$)/i.test(text),
    open: (source) => ({ name: inputFormats.xxd, parts: dumpParts(source, 'xxd') }),
  },
  {
    name: inputFormats.hexdump,
    format: 'hexdump',
    line: (text) => /^[0-9a-f]{8,16} {2}[0-9a-f]{2}(?: {1,2}[0-9a-f]{2})*(?: +\|.*)?$/i.test(text),
    open: (source) => ({ name: inputFormats.hexdump, parts: dumpParts(source, 'hexdump') }),
  },
  {
    name: inputFormats.hex,
    format: 'hex',
    line: (text) => /^[0-9a-f\s]+$/i.test(text),
    open: (source) => ({ name: inputFormats.hex, parts: hexParts(source) }),
  },
];
