import { fromHex } from '../codec/hex.ts';
import { isAround } from './dump.ts';
import { inputFormats } from './formats.ts';
import { InputError } from './input-error.ts';
import { linesOf } from './lines.ts';
import type { Part } from './part.ts';
import { quoted } from './quoted.ts';
import type { Reader } from './reader.ts';
import { bareLine, letterEscapes } from './row.ts';
import { isStructSize, senseOf } from './sane.ts';

/** Most text that is held to read a list, a string or records, in characters. */
const mostText = 16 << 20;

/** Most numbers that gdb's `<repeats N times>` may stand for. */
const mostRepeated = 1 << 16;

const number = /^(-)?(?:0x([0-9a-f]+)|0b([01]+)|0o([0-7]+)|([0-9a-f]{1,20}))(?:(ull|llu|n|_?u64)|(?:_?u32)|(_?u8)|[ul]{1,2})?$/i;
const one = '-?(?:0[xbo])?[0-9a-f]{1,20}(?:[ul]{1,3}|n|_?u(?:8|16|32|64))?';
const someNumbers = new RegExp(
  `^\\s*(?:${one}\\s*,\\s*){3}|[[{(]\\s*(?:${one}\\s*,\\s*){3}|^\\s*${one},\\s*$|\\[\\s*(?:\\d{1,20}\\s+){7}|^\\s*0x[0-9a-f]+(?:[ \\t]0x[0-9a-f]+){3}|<repeats`,
  'i',
);
const declared = /^\s*(?:static|const|unsigned|u?int\d+_t|__u\d+|u\d+|let|var|pub|char|byte)\b[^=]*=\s*[^=]*[[{(]?\s*$/;

/** Lists, strings, base64 and records of object files: short texts, read whole. */
export const listReaders: readonly Reader[] = [
  {
    name: 'a Buffer that Node cut',
    line: (text) => /<Buffer .*more bytes?>/.test(text),
    refusal: () => 'print all of it: buffer.toString("hex")',
  },
  {
    name: "a string of gdb's print",
    line: (text) => /^\$\d+ = ["']/.test(text),
    refusal: () => 'it leaves out the zero at the end: print p/x req, or x/72xb &req',
  },
  reader('ihex', (text) => /^\s*:(?:[0-9a-f]{2}){5,}\s*$/i.test(text), records),
  reader('srec', (text) => /^\s*S[0-9](?:[0-9a-f]{2}){4,}\s*$/i.test(text), records),
  reader('escapes', isEscaped, strings),
  reader('list', (text) => someNumbers.test(text) || declared.test(text) || /^\s*\{\s*"type"\s*:\s*"Buffer"/.test(text), lists),
  reader('base64', isBase64, base64),
];

interface Text {
  readonly text: string;
  readonly line: number;
}

function reader(
  format: keyof typeof inputFormats,
  line: (text: string) => boolean,
  parse: (lines: readonly Text[]) => Iterable<Part>,
): Reader {
  return { name: inputFormats[format], format, line, open: (source) => ({ name: inputFormats[format], parts: partsOf(source, parse) }) };
}

async function* partsOf(source: AsyncIterable<Uint8Array>, parse: (lines: readonly Text[]) => Iterable<Part>): AsyncGenerator<Part> {
  const lines: Text[] = [];
  let length = 0;
  for await (const { number: line, bytes } of linesOf(source)) {
    if (!bytes) throw new InputError('the line is longer than 1 MiB', line);
    length += bytes.length;
    if (length > mostText) throw new InputError(`more than ${mostText >> 20} MiB of text: give the bytes themselves`, line);
    lines.push({ text: bareLine(bytes), line });
  }
  yield* parse(lines);
}

function* lists(lines: readonly Text[]): Generator<Part> {
  const text = lines
    .map((line) => line.text.replace(/\/\/.*$|^\s*#.*$/, ''))
    .join('\n')
    .replace(/\/\*[^*]*\*\//g, (all) => all.replace(/[^\n]/g, ' '));
  const bodies = [...text.matchAll(/[[{(]([^[\]{}()]*)([\]})]|$)/g)].filter(
    ([, body = '']) => !body.includes('"') && (body.match(/[\s,]+/g)?.length ?? 0) > 2 && /^\s*-?\d|^\s*[0-9a-f]{1,2}\b/i.test(body),
  );
  if (bodies.length === 0 && lines.some((line) => isEscaped(line.text))) return yield* strings(lines);
  if (bodies.length === 0) {
    const numbers = lines.filter((line) => /^\s*-?(?:0x)?[0-9a-f]+\w*\s*(?:,|$|0x)/i.test(line.text));
    const [first] = numbers;
    if (first) yield { bytes: numbersIn(numbers.map((line) => line.text).join('\n'), ''), line: first.line, restart: false };
    return;
  }
  for (const { 0: all, 1: body = '', 2: end, index } of bodies) {
    const line = (lines[0]?.line ?? 1) + (text.slice(0, index).match(/\n/g)?.length ?? 0);
    if (end === '') throw new InputError('the list does not end', line);
    const before = text.slice(Math.max(0, text.lastIndexOf('\n', index - 2)), index);
    const bytes = numbersIn(body, before, line);
    const said = /_len = (\d+);/.exec(text.slice(index + all.length))?.[1];
    if (said !== undefined && bodies.length === 1 && Number(said) !== bytes.length)
      throw new InputError(`${said} bytes are said, ${bytes.length} are there`, line);
    yield { bytes, line, restart: true };
  }
}

const types: readonly (readonly [RegExp, number])[] = [
  [/\b(?:u?int16(?:_t)?|__u16|[ui]16|short|Uint16Array)\b/i, 2],
  [/\b(?:u?int64(?:_t)?|__u64|[ui]64|long long|BigUint64Array|xen_ulong_t|xen_pfn_t)\b/i, 8],
  [/\b(?:u?int32(?:_t)?|__u32|[ui]32|unsigned int|unsigned|int|Uint32Array)\b(?! (?:long|char))/i, 4],
  [/\b(?:u?int8(?:_t)?|__u8|[ui]8|char|byte|Uint8Array|bytes|bytearray|Buffer)\b/i, 1],
];

/**
 * The bytes of a list of numbers, little-endian, of the width that its type, its digits or its
 * length tells.
 */
function numbersIn(body: string, before: string, line?: number): Uint8Array {
  let room = mostRepeated;
  const repeated = body.replace(/([^\s,]{1,24}) <repeats (\d{1,7}) times>/g, (_, value: string, times: string) => {
    room -= Number(times);
    if (room < 0) throw new InputError(`more than ${mostRepeated} repeated numbers are no struct`, line);
    return Array(Number(times)).fill(value).join(',');
  });
  const words = repeated.split(/[\s,]+/).filter((word) => word !== '');
  const isHex = words.every((word) => /^[0-9a-f]{1,2}$/i.test(word)) && words.some((word) => /[a-f]|^0\d/i.test(word));
  let typed = types.find(([type]) => type.test(before))?.[1];
  const digits = new Set<number>();
  let filled = false;
  const values = words.map((word) => {
    const found = number.exec(word);
    if (!found) throw new InputError(`${quoted(word)} is no number`, line);
    const [, minus, hex, bits, octal, plain, long, byte] = found;
    if (!isHex && plain !== undefined && (/[a-f]/i.test(plain) || /^0\d/.test(plain)))
      throw new InputError(`${quoted(word)} may be hex or octal: write 0x`, line);
    if (long !== undefined) typed = 8;
    if (byte !== undefined) typed = 1;
    digits.add(hex?.length ?? 0);
    filled ||= (hex?.length ?? 0) > 1 && (hex as string).startsWith('0');
    const value = BigInt(hex ? `0x${hex}` : bits ? `0b${bits}` : octal ? `0o${octal}` : isHex ? `0x${plain}` : (plain as string));
    return minus ? -value : value;
  });
  if (filled && digits.size > 1 && [...digits].at(-1) === (number.exec(words.at(-1) ?? '')?.[2] ?? '').length)
    throw new InputError(`the number ${words.at(-1)} is cut`, line);
  const width = isHex ? 1 : (typed ?? widthOf(values, digits, line));
  const bytes = new Uint8Array(values.length * width);
  values.forEach((value, i) => {
    const size = 8 * width;
    if (value !== BigInt.asUintN(size, value) && value !== BigInt.asIntN(size, value))
      throw new InputError(`${value} is no number of ${width} bytes`, line);
    for (let at = 0; at < width; at++) bytes[i * width + at] = Number(BigInt.asUintN(8, value >> BigInt(8 * at)));
  });
  return bytes;
}

/** The width of numbers that only their values tell: the one that makes a struct of them. */
function widthOf(values: readonly bigint[], digits: ReadonlySet<number>, line?: number): number {
  const [printed = 0] = digits;
  if (digits.size === 1 && [2, 4, 8, 16].includes(printed)) return printed / 2;
  const fits = [1, 2, 4, 8].filter((width) =>
    values.every((value) => value === BigInt.asUintN(8 * width, value) || value === BigInt.asIntN(8 * width, value)),
  );
  if (fits[0] === 1 && values.length > 15) return 1;
  // Small numbers tell no width: a struct that has a list has an address.
  const sized = (fits[0] ?? 0) < 4 ? [] : fits.filter((width) => isStructSize(width * values.length));
  const best = sized.filter((width) => (senseOf(bytesOfWords(values, width)) ?? 0) > 0);
  const [width] = best.length > 0 ? best : sized;
  if (width !== undefined && (best.length === 1 || sized.length === 1)) return width;
  const ways = fits.map((way) => `${way * values.length} bytes (${way} each)`).join(' or ');
  throw new InputError(
    `${values.length} numbers may be ${ways}: write them all with as many digits, as 0x%0${2 * (fits[0] ?? 8)}x, or name their type`,
    line,
  );
}

function bytesOfWords(values: readonly bigint[], width: number): Uint8Array {
  return Uint8Array.from(
    values.flatMap((value) => Array.from({ length: width }, (_, at) => Number(BigInt.asUintN(8, value >> BigInt(8 * at))))),
  );
}

/** Is it a line with a string of escapes, and no object of JSON? */
function isEscaped(text: string): boolean {
  return !/^\s*\{/.test(text) && hasEscapes(text);
}

function hasEscapes(text: string): boolean {
  return /(?:\\x[0-9a-f]{2}[^\\]{0,8}){4}|(?:\\[0-7]{3}[^\\]{0,8}){4}|(?:\\0){4}|(?:\\u00[0-9a-f]{2}[^\\]{0,8}){4}/i.test(text);
}

/**
 * Does a string begin before the first escape, at the line's start or with its other quote near the
 * line's end?
 */
function isQuotedLine(text: string): boolean {
  const before = text.slice(0, text.indexOf('\\'));
  const quote = /(^\s*|[\s=(:,[&+|-])(?:b|rb|br|u|\$)?(["'])[^\\]{0,80}$/i.exec(before);
  return /^\s*(?:b|rb|br|u|\$)?["']/i.test(text) || (quote !== null && text.slice(-40).includes(quote[2] as string));
}

function* strings(lines: readonly Text[]): Generator<Part> {
  const escaped = lines.filter(({ text }) => isEscaped(text));
  const isQuoted = escaped.some(({ text }) => isQuotedLine(text));
  if (!isQuoted) {
    for (const { text, line } of escaped) {
      const content = text.replace(/^[^\\]*[:=]\s*(?=\\)|^\s*\S[^\\]*\s(?=[^\s\\]{0,8}\\)/, '');
      yield { bytes: unescaped(content, line), line, restart: true };
    }
    return;
  }
  let ended = true;
  for (const { text, line } of lines) {
    if (text.trim() === '') ended = true;
    let from = 0;
    const literals = [...text.matchAll(/(["'])((?:\\.|(?!\1)[^\\])*)(\1|$)/g)];
    for (const { 0: all, 2: content = '', 3: end, index } of literals) {
      if (/[^\s\\()+]/.test(text.slice(from, index).replace(/\b(?:b|u)$|\$$/i, ''))) ended = true;
      from = index + all.length;
      if (!hasEscapes(content) && ended) continue;
      if (end === '') throw new InputError('the string does not end', line);
      if (/^\s?\.\.\./.test(text.slice(from)))
        throw new InputError('the string is cut at its "...": print all of it (strace -s 4096)', line);
      yield { bytes: unescaped(content, line), line, restart: ended };
      ended = false;
    }
    if (/[^\s\\()+]/.test(text.slice(from))) ended = true;
  }
}

const simple: { readonly [letter: string]: number } = {
  ...letterEscapes,
  e: 27,
  "'": 39,
  '"': 34,
  '?': 63,
};

function unescaped(text: string, line: number): Uint8Array {
  const bytes: number[] = [];
  for (const [all, hex, wide, octal, letter, other] of text.matchAll(
    /\\x([0-9a-f]{2})|\\u00([0-9a-f]{2})|\\([0-7]{1,3})|\\(.?)|([^\\])/gisu,
  )) {
    const code = hex ?? wide;
    const byte =
      code !== undefined
        ? Number.parseInt(code, 16)
        : octal !== undefined
          ? Number.parseInt(octal, 8)
          : letter !== undefined
            ? simple[letter]
            : (other as string).codePointAt(0);
    if (byte === undefined || byte > 0xff || (other !== undefined && (byte < 0x20 || byte > 0x7e)))
      throw new InputError(`${quoted(all)} is no byte`, line);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** The characters of a line of base64, in the usual alphabet. */
function bare64(text: string): string {
  const bare = text.trim().replace(/^["']|["'],?$/g, '');
  return /[+/]/.test(bare) ? bare : bare.replaceAll('-', '+').replaceAll('_', '/');
}

function isBase64(text: string): boolean {
  const bare = bare64(text);
  return bare.length > 23 && bare.length % 4 === 0 && /^[a-z0-9+/]+={0,2}$/i.test(bare) && /[g-z+/=]/i.test(bare) && /[A-Z]/.test(bare);
}

function* base64(lines: readonly Text[]): Generator<Part> {
  const from = lines.findIndex(({ text }) => isBase64(text));
  let held = '';
  let began = lines[from]?.line ?? 1;
  const end = function* (): Generator<Part> {
    if (held.length % 4 === 1) throw new InputError('base64 ends within a byte', began);
    if (held !== '') yield { bytes: Uint8Array.from(atob(held), (character) => character.charCodeAt(0)), line: began, restart: true };
    held = '';
  };
  for (const { text, line } of lines.slice(from)) {
    const content = bare64(text);
    if (content === '') continue;
    if (/\s/.test(content) || isAround(content)) yield* end();
    if (/\s/.test(content) || isAround(content) || (held === '' && !isBase64(text))) continue;
    if (!/^[a-z0-9+/]+={0,2}$/i.test(content)) throw new InputError(`not a line of base64: ${quoted(content)}`, line);
    if (held === '') began = line;
    held += content.replace(/=+$/, '');
    if (content.endsWith('=')) yield* end();
  }
  yield* end();
}

/** Intel HEX and S-records: checked sums, a jump begins another buffer. */
function* records(lines: readonly Text[]): Generator<Part> {
  let base = 0;
  let expected: number | undefined;
  for (const { text, line } of lines) {
    const record = /^\s*(?:(:)|S([0-9]))((?:[0-9a-f]{2})+)\s*$/i.exec(text);
    if (!record) {
      if (/^\s*(?::|S\d)[0-9a-f]/i.test(text)) throw new InputError(`not a record: ${quoted(text.trim())}`, line);
      continue;
    }
    const [, intel, kind, digits = ''] = record;
    const all = fromHex(digits) ?? new Uint8Array(0);
    const [count = 0] = all;
    const sum = all.reduce((total, byte) => total + byte, 0) & 0xff;
    if (count + (intel ? 5 : 1) !== all.length || sum !== (intel ? 0 : 0xff))
      throw new InputError(`the record's ${count + (intel ? 5 : 1) === all.length ? 'sum' : 'length'} is wrong`, line);
    const size = intel ? 2 : Number(kind) + 1;
    const number = (from: number, length: number): number =>
      all.subarray(from, from + length).reduce((value, byte) => value * 256 + byte, 0);
    const type = intel ? number(3, 1) : Number(kind);
    if (intel && (type === 2 || type === 4)) base = number(4, 2) * (type === 2 ? 16 : 65536);
    if (intel ? type !== 0 : type < 1 || type > 3) continue;
    const address = number(1, size) + (intel ? base : 0);
    const bytes = all.subarray(intel ? 4 : 1 + size, -1);
    yield { bytes, line, restart: address !== expected };
    expected = address + bytes.length;
  }
}
