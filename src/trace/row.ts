import { decodeUtf8 } from './utf8.ts';

/**
 * A line of a dump of memory, taken apart: what stands before, an offset, cells, what stands behind
 * them.
 */
export interface Row {
  /** Text before the offset, or before the cells where there is none. */
  readonly prefix: string;
  /** The digits of the offset or address; `undefined` where the line has none. */
  readonly offset: string | undefined;
  /** Was the offset written with 0x, or a symbol behind it, as a debugger does? */
  readonly debugger: boolean;
  /** Does a tab stand behind the offset, as gdb has it? */
  readonly tab: boolean;
  /** `:`, `=`, `|`, or nothing between the offset and the cells. */
  readonly mark: string;
  /** Do two spaces or more stand between the offset and the cells? */
  readonly wide: boolean;
  readonly cells: readonly string[];
  /** Digits of a whole cell; 0 where cells have no common width and so are numbers. */
  readonly digits: number;
  /** Are the cells written with 0x? */
  readonly prefixed: boolean;
  /** Spaces before the last cell. */
  readonly lastGap: number;
  /** What stands behind the cells, the spaces before it included: their characters, if anything. */
  readonly tail: string;
}

const escapeCode = String.fromCharCode(27);
const colours = new RegExp(`${escapeCode}\\[[0-9;]*[A-Za-z]`, 'g');
const quotes =
  /^(?:\s*>)+ ?|^\s*(?:(?:-+>|=+>|→|▸)\s|\((?:gdb|lldb|qemu)\) ?|[+-])(?=(?:0x)?[0-9a-f]{4,16}\b[ :|<]|(?:[0-9a-f]{2}[ -]){4}|\d{6,8}$)|^\d{1,4},\d+,\d+,[-cf];/i;
/** The head of a table, which counts its columns, or names them. */
const heads =
  /^\s*(?:- offset -|offset\(h\)|address\|_|87654321 {2}0011 )|^\W*(?:00 ?01 ?02 ?03 ?04 ?05 |0 {1,2}1 {1,2}2 {1,2}3 {1,2}4 ).*\b0123456789abcdef|^(?:\s{5,}|hex view +)00 01 02 03 04 05 06 07 [ 0-9a-f]*$|^\s*(?:\{(?:noformat|code)[^{}]*\}|<\/?(?:pre|code)>)\s*$/i;
/** pwndbg and peda: where, and what is there; a name may be in between. */
const telescope =
  /^\s*(?:[0-9a-f]{2,4}:)?[0-9a-f]{4}\|\S{0,8}\s+(?:[a-z]\w{1,9}\s+)?(0x[0-9a-f]+) (?:◂—|—▸|-->|<--) (?:0x)?([0-9a-f]+)(?=\s|$).*$/i;

/**
 * A line without what terminals, mails and prompts put around it; boxes are drawn with `|` alone.
 */
export function bareLine(bytes: Uint8Array): string {
  return bare(decodeUtf8(bytes) ?? latin1(bytes));
}

/** See `bareLine`. */
export function bare(line: string): string {
  let text = line.includes(escapeCode) ? line.replace(colours, '') : line;
  if (/[│┃┊┆]/.test(text)) text = text.replace(/ ?[┊┆] ?/g, '  ').replace(/[│┃]/g, '|');
  text = text.replace(/^\|([0-9a-f]{8}\|.*) \| (?=(?:[0-9a-f]{2} | {3}){8}\|)/i, '|$1  ');
  text = text.replace(quotes, '').replace(/^\+[0-9a-f]+ (?=0x)/i, '');
  if (heads.test(text)) return '';
  return text
    .replace(telescope, (_, at: string, value: string) => `${at}: 0x${value.padStart(at.length > 10 ? 16 : 8, '0')}`)
    .replace(/^\s*\| (.*) \|\s*$/, '$1')
    .replace(/^(\s*\w+:[0-9a-f]{8,16}\|)>/i, '$1 ');
}

/** A byte to a character, so that a column is a byte. Only for lines of bounded length. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let from = 0; from < bytes.length; from += 4096) text += String.fromCharCode(...bytes.subarray(from, from + 4096));
  return text;
}

const offsets =
  /(?:^|[\s|:])(0x)?([0-9a-f]{1,16}|[0-9a-f]{8}`[0-9a-f]{8})(\s?<[^<>]{0,200}>|\|\+0x[0-9a-f]+(?:\|\+\d+)?(?: <[^<>]{0,200}>)?)?( ?[:=](?=\s|$)| ?\||(?=\s|$))/gi;

/**
 * Takes a line apart at its offset; `undefined` for a line that has no offset, or no cells and more
 * than an offset.
 */
export function offsetRow(text: string): Row | undefined {
  if (text.length > 65536) return undefined;
  for (const found of text.matchAll(offsets)) {
    const digits = (found[2] as string).replace('`', '');
    const mark = (found[4] as string).trim();
    const prefix = text.slice(0, found.index).replace(/^[\s|]+/, '');
    const rest = text.slice(found.index + found[0].length);
    const spaces = /^\s*/.exec(rest)?.[0] ?? '';
    const wide = spaces.length > 1 || spaces === '\t';
    const isDebugger = found[1] !== undefined || found[3] !== undefined;
    const made = { prefix, offset: digits, debugger: isDebugger, tab: spaces.startsWith('\t'), mark, wide } as const;
    if (prefix !== '' && mark === '' && !(found[1] && wide)) continue;
    if (digits.length < 4 && !isDebugger && !(mark === ':' && /^\s{5,}$/.test(text.slice(0, found.index + 1)))) continue;
    if (rest.trim() === '') {
      if (prefix === '' && mark === '' && digits.length > 5) return { ...made, ...noCells };
      continue;
    }
    const cells = mark === '' && !isDebugger ? (charactersIn(rest) ?? cellsIn(rest)) : cellsIn(rest);
    if (!cells || (mark === '' && !isDebugger && !standsApart(digits, wide, cells))) continue;
    return { ...made, ...cells };
  }
  return undefined;
}

const noCells = { cells: [], digits: 0, prefixed: false, lastGap: 0, tail: '' } as const;

/** Is a number without a mark an offset, not the first of the cells? */
function standsApart(offset: string, wide: boolean, { cells, digits }: Cells): boolean {
  if (offset.length === digits && !wide) return false;
  return (
    wide ||
    (offset.length > 4 && offset.length < 8) ||
    (offset.length > 7 && ((digits === 2 && cells.length > 3) || (digits !== 0 && digits < 8 && cells.length > 7)))
  );
}

/** The bytes that a letter behind a backslash stands for in C. */
export const letterEscapes: { readonly [name: string]: number } = { '0': 0, a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '\\': 92 };

/**
 * The cells of od -c and hexdump -c, four columns a byte, as the octal numbers that stand for them.
 */
function charactersIn(rest: string): Cells | undefined {
  if (!/^(?: {2}\\[0abtnvfr\\]| [0-7]{3}| {3}[ -~])+ *$/.test(rest) || !rest.includes('\\')) return undefined;
  const cells = (
    rest
      .trimEnd()
      .padEnd(4 * Math.ceil(rest.trimEnd().length / 4))
      .match(/.{4}/g) ?? []
  ).map((field) => {
    const text = field.slice(1).trim();
    const code = /^\d{3}$/.test(text) ? Number.parseInt(text, 8) : text[0] === '\\' ? letterEscapes[text[1] ?? ''] : text.charCodeAt(0);
    return (Number.isNaN(code) ? 32 : (code ?? 0)).toString(8).padStart(3, '0');
  });
  return { ...noCells, cells, digits: 3 };
}

type Cells = Pick<Row, 'cells' | 'digits' | 'prefixed' | 'lastGap' | 'tail'>;

const cell =
  /([\s,]*)(0x)?(-?[0-9a-f]+(?:`[0-9a-f]+)?)(?:\s'[^']{1,8}')?(?:\s?<(?![0-9a-f]{2}>)[^<>]{0,200}>)?(?:,|-(?=[0-9a-f]{2})|(?=[\s|>]|$))/giy;

/**
 * The cells that a text begins with: numbers of one width, the last possibly narrower, or decimal
 * numbers of any.
 */
function cellsIn(rest: string): Cells | undefined {
  const all: { text: string; gap: number; end: number; prefixed: boolean }[] = [];
  cell.lastIndex = 0;
  for (let found = cell.exec(rest); found; found = cell.exec(rest)) {
    const text = (found[3] as string).replace('`', '');
    const end = cell.lastIndex;
    all.push({ text, gap: (found[1] as string).length, end, prefixed: found[2] !== undefined });
  }
  const first = all[0];
  if (!first) return undefined;
  const width = first.text.length;
  let uniform = all.findIndex(({ text, prefixed }) => text.length !== width || prefixed !== first.prefixed);
  if (uniform < 0) uniform = all.length;
  else if ((all[uniform]?.text.length ?? 0) < width && (all[uniform]?.prefixed ?? false) === first.prefixed) uniform++;
  const row = (count: number, digits: number): Cells => ({
    cells: all.slice(0, count).map(({ text }) => text),
    digits,
    prefixed: first.prefixed,
    lastGap: all[count - 1]?.gap ?? 0,
    tail: rest.slice(all[count - 1]?.end ?? 0),
  });
  // Characters may look like cells; they follow a gap and are those of the bytes before it.
  for (let count = 1; count < Math.min(all.length, uniform + 1, 256); count++) {
    const made = (all[count]?.gap ?? 0) > 1 && width % 2 === 0 ? row(count, width) : undefined;
    if (made && (shows(made.tail, bytesOf(made, false)) || shows(made.tail, bytesOf(made, true)))) return made;
  }
  const numbers = all.every(({ text, prefixed }) => prefixed === first.prefixed && (prefixed || /^-?\d+$/.test(text)));
  if (uniform < all.length && numbers) return row(all.length, 0);
  if (/^-/.test(first.text)) return row(all.length, 0);
  const made = row(uniform, width);
  const behind = made.tail.trim();
  const isSpaced = /^\s{2}|^\t/.test(made.tail) && !(width % 2 === 1 && /^[0-9a-f]+(?:\s|$)/i.test(behind));
  if (behind !== '' && !/^[|>*]/.test(behind) && !isSpaced && !shows(made.tail, bytesOf(made, false))) return undefined;
  return made;
}

/** The bytes of hex cells, each taken backwards where they are little-endian words. */
export function bytesOf({ cells }: Pick<Row, 'cells'>, little: boolean): Uint8Array {
  const bytes: number[] = [];
  for (const text of cells) {
    const start = bytes.length;
    for (let at = 0; at < text.length; at += 2) bytes.push(Number.parseInt(text.slice(at, at + 2), 16));
    if (little) bytes.push(...bytes.splice(start).reverse());
  }
  return Uint8Array.from(bytes);
}

/** Are these the characters of the bytes, as tools print them beside the digits? */
export function shows(tail: string, bytes: Uint8Array): boolean {
  const spaces = /^ */.exec(tail)?.[0].length ?? 0;
  const drawn = /^\s*[|>*](.*?)[|<*]?\s*$/.exec(tail)?.[1];
  if (drawn !== undefined) {
    return [drawn, drawn.replaceAll('|', ''), withoutGap(drawn)].some((text) => areCharacters(text, bytes));
  }
  if (tail.trim() === '') return false;
  for (let from = 1; from <= spaces; from++) {
    const text = tail.slice(from);
    if (areCharacters(text, bytes) || areCharacters(withoutGap(text), bytes)) return true;
  }
  return false;
}

/** Characters without what parts the first eight from the others, where something does. */
function withoutGap(text: string): string {
  return text.replace(/^(.{8})[ |]/, '$1');
}

function areCharacters(text: string, bytes: Uint8Array): boolean {
  if (text.trimEnd().length > bytes.length) return false;
  return bytes.every((byte, i) => {
    const code = text.charCodeAt(i);
    if (Number.isNaN(code)) return byte === 0x20;
    return byte < 0x20 || byte > 0x7e ? code === 0x2e || code === 0x20 || code > 0x7e : code === byte || (byte === 0x20 && code === 0x2e);
  });
}

const bytesApart =
  /(?:^|[\s=([<]|(?<![0-9a-f]{2}):)(?=(?:[0-9a-f]{2} {1,2}){7}[0-9a-f]{2}(?:\s|[\])>|]|$)|(?:[0-9a-f]{2}[:-]){7}[0-9a-f]{2})/i;
const wordsApart =
  /(?:^|\s)(?=[0-9a-f]{16} {1,2}[0-9a-f]{16}(?:\s|$)|(?:[0-9a-f]{8} ){3}[0-9a-f]{8}(?:\s|$)|(?:[0-9a-f]{4} ){7}[0-9a-f]{4}(?:\s|$))/i;
const run = /(?:^|[\s:=(["'[]|0x)(?=(?:[0-9a-f]{2}){20,}\W*$)/i;
const ruler = /^\s*00 01 02 03 04 05 06 07 /;

/** Are there 16 bytes of cells in a line? If it is no row, then it is a damaged one. */
export function holdsCells(text: string): boolean {
  return text.length <= 65536 && (bytesApart.test(text) || wordsApart.test(text));
}

/**
 * Takes a line apart that has cells but no offset: bytes or words after any text, 16 bytes at
 * least.
 */
export function bareRow(text: string): Row | undefined {
  if (text.length > 65536) return undefined;
  const found = bytesApart.exec(text) ?? wordsApart.exec(text) ?? run.exec(text);
  if (!found) return undefined;
  const from = found.index + found[0].length;
  // The head of a table counts its columns.
  return from > 4 && ruler.test(text.slice(from)) ? undefined : rowAfter(text, from);
}

/** The row whose cells begin at a column. */
export function rowAfter(text: string, from: number): Row | undefined {
  const rest = text.slice(from).replace(/[\])>"',;]+\s*$/, '');
  const joined = /^(?:[0-9a-f]{2}[:-])+[0-9a-f]{2}\b/i.exec(rest)?.[0];
  const cells = cellsIn(joined ? joined.replace(/[:-]/g, ' ') + rest.slice(joined.length) : rest);
  if (!cells) return undefined;
  return { prefix: text.slice(0, from), offset: undefined, debugger: false, tab: false, mark: '', wide: false, ...cells };
}
