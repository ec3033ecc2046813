import { callReaders } from './calls/readers.ts';
import { openDump } from './dump.ts';
import { inputFormats } from './formats.ts';
import { openHex } from './hex-text.ts';
import { listReaders } from './lists.ts';
import { foreignFiles } from './magic.ts';
import { readNdjson } from './ndjson.ts';
import { packetReaders } from './pcap.ts';
import type { Reader } from './reader.ts';
import { bareRow, offsetRow } from './row.ts';

/**
 * Every kind of input that is known, the narrow ones first. A reader is added by adding its row.
 */
export const readers: readonly Reader[] = [
  ...packetReaders,
  ...foreignFiles,
  ...callReaders,
  ...listReaders,
  {
    name: inputFormats.ndjson,
    format: 'ndjson',
    // An array of records too; one of numbers is a list of bytes.
    line: (text) => /^\s*(?:\{\s*(?:[^0-9\s]|$)|\[\s*\{)/.test(text),
    open: (source, { flags, plain, headers }) => ({ name: inputFormats.ndjson, calls: readNdjson(source, { flags, plain, headers }) }),
  },
  {
    name: 'xxd -b',
    line: printsBits,
    refusal: () => 'it prints bits: run xxd without -b',
  },
  {
    name: 'od -a',
    line: (text) => /^[0-7a-f]{6,} .*\b(?:nul|soh|stx|dle|del)\b/.test(text),
    refusal: () => 'it shows seven of eight bits: run od -t x1',
  },
  {
    name: 'floating point numbers of od or gdb',
    line: (text) =>
      /^(?:[0-9a-f]{6,8} |0x[0-9a-f]+(?: <[^<>]*>)?:\t)\s*(?:-?\d+(?:e[-+]\d+)?\s+)*-?\d+\.\d+(?:e[-+]\d+)?(?:\s|$)/i.test(text),
    refusal: () => 'they do not show every bit: print the bytes, with od -t x1 or x/72xb',
  },
  {
    name: "gdb's view of a struct",
    line: (text) => /\b(?:extent_start|nr_extents|nr_exchanged)\s*(?:=|:)\s/.test(text),
    refusal: () => 'it does not show the padding, and may be cut: print the bytes, with x/72xb &req',
  },
  { name: inputFormats.dump, format: 'dump', line: (text) => isDumpRow(text), open: openDump },
  { name: inputFormats.xxd, format: 'xxd', open: openDump },
  { name: inputFormats.hexdump, format: 'hexdump', open: openDump },
  {
    name: inputFormats['xxd-p'],
    format: 'xxd-p',
    line: (text) => /^[0-9a-f]{60}\s*$/i.test(text),
    open: (source, how) => openHex(source, how, inputFormats['xxd-p']),
  },
  { name: inputFormats.hex, format: 'hex', line: (text) => /^[0-9a-f\s]+$/i.test(text) && !/^\s{5,}00 01 02 /.test(text), open: openHex },
  {
    name: inputFormats.raw,
    format: 'raw',
    open: (source) => ({
      name: inputFormats.raw,
      parts: (async function* () {
        for await (const bytes of source) yield { bytes, line: undefined, restart: false };
      })(),
    }),
  },
];

function isDumpRow(text: string): boolean {
  if ((offsetRow(text)?.cells.length ?? 0) > 0) return true;
  const row = bareRow(text);
  return row !== undefined && (row.prefix.trim() !== '' || row.tail.trim() !== '' || /[^0-9a-f\s]/i.test(text));
}

/** A character for each group of eight digits: xxd -e has four of them. */
function printsBits(text: string): boolean {
  const found = /^\s*[0-9a-f]{7,16}:((?: [01]{8}){1,32}) {2,}(.*)$/i.exec(text);
  return found !== null && (found[2] as string).length <= (found[1] as string).length / ' 00000000'.length;
}
