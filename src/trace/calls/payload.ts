import { fromHex } from '../../codec/hex.ts';

/**
 * Bytes that a line prints, or why they cannot be told. `start` is where in the line they begin.
 */
export type Payload = { readonly start: number; readonly bytes: Uint8Array } | { readonly start: number; readonly problem: string };

const escaped = /\\x[0-9a-f]{2}/i;
const list = /(?:^|[\s(])(\w+)=\{((?:0x[0-9a-f]{1,16}|-?\d{1,20})(?:,(?:0x[0-9a-f]{1,16}|-?\d{1,20}))*)\}/i;
/** What makes it plain that the bytes begin behind it. */
const markBefore = /(?:^|[:=]|=\S+)\s*$/;
const numberKey = /(?:^|[\s,(])(?:cmd|op|rc|ret|retval|domid|dom|tid|pid|cpu|len|nr)=$/i;
/** Where a dump of several lines says how far it has come: such a line is no record of its own. */
const offsetBefore = /(?:^|\s)[0-9a-f]{4,16}: *$/i;

/**
 * The bytes of a line; `sizes` are those that a struct may have here, the op's alone where that is
 * known.
 */
export function payloadIn(line: string, sizes: readonly number[]): Payload | undefined {
  const first = line.search(escaped);
  if (first >= 0) return line.includes('"') ? undefined : escapedBytes(line, first, sizes);
  const array = list.exec(line);
  if (array) return arrayBytes(array, sizes);
  const mem = /(?:^|\s)mem=((?:[0-9a-f]{2})+)(?=\s|$)/i.exec(line);
  if (mem) return inHex(mem.index + mem[0].indexOf('=') + 1, mem[1] as string);
  const end = line.trimEnd().length;
  const start = pairsBefore(line, end);
  if (end - start < 4 || offsetBefore.test(line.slice(Math.max(0, start - 20), start))) return undefined;
  const found = inHex(start, line.slice(start, end).replaceAll(' ', ''));
  // A number in front, as in `len 72 00 00`, may look like the first byte.
  if (found && 'bytes' in found && !markBefore.test(line.slice(Math.max(0, start - 40), start)) && !sizes.includes(found.bytes.length)) {
    return { start, problem: `${found.bytes.length} bytes, which no struct here has: print a colon before the first` };
  }
  return found;
}

function inHex(start: number, digits: string): Payload | undefined {
  const bytes = fromHex(digits);
  return bytes && { start, bytes };
}

/**
 * Where the pairs of digits begin that end a line, backwards from `end`: a pattern would look at a
 * long line again and again.
 */
function pairsBefore(line: string, end: number): number {
  let start = end;
  for (let at = end - 2; at >= 0; at -= 3) {
    if (!/^[0-9a-f]{2}$/i.test(line.slice(at, at + 2))) break;
    const before = line[at - 1] ?? ' ';
    if (before === '=' && numberKey.test(line.slice(Math.max(0, at - 12), at))) break;
    if (before === ' ' || before === '\t' || before === '=') start = at;
    if (before !== ' ') break;
  }
  return start;
}

/**
 * The bytes of bpftrace's `%rx` and `%r`, which leaves what is printable as it is and a backslash
 * without a mark. So the length must be one that a struct has; then there is only one way to read
 * it.
 */
function escapedBytes(line: string, first: number, sizes: readonly number[]): Payload {
  const key = line.slice(0, first).endsWith('mem=') ? first : line.search(/(?:^|\s)mem=(?=\S)/);
  const marked = key >= 0 && key < first ? line.indexOf('=', key) + 1 : first;
  if (/\\(?:x[0-9a-f]?)?$/i.test(line)) return { start: marked, problem: 'the line is cut within a byte' };
  const bytes = unescaped(line.slice(marked));
  const mixed = line.length - marked !== 4 * bytes.length;
  const fits = sizes.includes(bytes.length) || (sizes.length === 1 && bytes.length > (sizes[0] as number));
  if (!mixed && fits) return { start: marked, bytes };
  // The first bytes may be printable too: as many as make it a size, if they begin where something
  // can begin.
  const before = line.slice(Math.max(0, first - 8), first);
  const longer = Array.from(before, (_, i) => before.length - i).filter(
    (k) => sizes.includes(bytes.length + k) && /^[^=:]*$/.test(before.slice(-k)) && /^[\s:=]?$/.test(line[first - k - 1] ?? ''),
  );
  const ways = [...(fits ? [0] : []), ...(marked === first && key !== first ? longer : [])];
  const [more, another] = ways;
  if (more !== undefined && another === undefined) return { start: marked - more, bytes: unescaped(line.slice(marked - more)) };
  // Less than a struct is a cut, and no tool cuts at an odd place.
  if (!mixed && more === undefined && bytes.length % 4 === 0) return { start: marked, bytes };
  return { start: marked, problem: `${bytes.length} bytes, if each \\xNN is one: bpftrace's %r leaves that open, print with %rx` };
}

function unescaped(text: string): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const two = text.startsWith('\\x', at) ? text.slice(at + 2, at + 4) : '';
    const byte = /^[0-9a-f]{2}$/i.test(two) ? Number.parseInt(two, 16) : undefined;
    bytes.push(byte ?? text.charCodeAt(at) & 0xff);
    if (byte !== undefined) at += 3;
  }
  return Uint8Array.from(bytes);
}

/**
 * The words of an array of ftrace, little-endian. How wide they are is not printed: their number
 * and the struct's size tell.
 */
function arrayBytes({ 1: key = '', 2: text = '', index }: RegExpExecArray, sizes: readonly number[]): Payload {
  const words = text.split(',').map((word) => BigInt(word));
  const named = /^mem(8|16|32|64)(?:_\d+)?$/.exec(key)?.[1];
  const needed = words.reduce((most, word) => (word > most ? word : most), 0n).toString(16).length / 2;
  const widths = [1, 2, 4, 8].filter((width) => width >= needed && sizes.includes(width * words.length));
  const [width, another] = named === undefined ? (widths.length === 0 && needed > 4 ? [8] : widths) : [Number(named) / 8];
  if (width === undefined || another !== undefined || needed > width) {
    return { start: index, problem: `${words.length} words in ${key} make no struct's size: name the array mem8, mem16, mem32 or mem64` };
  }
  const bytes = new Uint8Array(width * words.length);
  for (const [i, word] of words.entries()) {
    for (let k = 0; k < width; k++) bytes[i * width + k] = Number((BigInt.asUintN(64, word) >> BigInt(8 * k)) & 0xffn);
  }
  return { start: index, bytes };
}
