import { latin1 } from './detect.ts';
import { blank, halfADigit, kinds, notADigit } from './hex-digit.ts';
import { InputError } from './input-error.ts';
import { quoted } from './quoted.ts';

/** What one line of a dump says: the offset it begins with and the bytes behind it, none on the last line of `hexdump -C`. */
export interface DumpLine {
  readonly offset: bigint;
  readonly bytes: Uint8Array;
}

/** A line of `hexdump -C`: an offset, digit pairs up to `|` or the end. Throws `InputError`. */
export function hexdumpLine(text: string, line: number): DumpLine {
  const head = /^\s*([0-9a-f]{1,16})(?= |\s*$)/i.exec(text);
  if (!head) throw new InputError(`not a line of hexdump -C: ${quoted(text.trim())}`, line);
  const bytes: number[] = [];
  let at = head[0].length;
  for (; at < text.length && text[at] !== '|'; ) {
    if (isSpace(text, at)) {
      at++;
      continue;
    }
    bytes.push(pair(text, at, line));
    at += 2;
    if (at < text.length && !isSpace(text, at)) throw new InputError(`a space was expected at column ${at + 1}`, line);
  }
  return { offset: BigInt(`0x${head[1]}`), bytes: Uint8Array.from(bytes) };
}

/** A line of `xxd`: an offset, a colon, groups of digit pairs up to two spaces or the end. Throws `InputError`, for words too. */
export function xxdLine(text: string, line: number): DumpLine {
  const head = /^\s*([0-9a-f]{1,16}):(?: |\s*$)/i.exec(text);
  if (!head) throw new InputError(`not a line of xxd: ${quoted(text.trim())}`, line);
  const values: number[] = [];
  const start = head[0].length;
  let at = start;
  // Two spaces end the bytes; behind them stand their characters.
  while (at < text.length && !(isSpace(text, at) && (at + 1 >= text.length || isSpace(text, at + 1)))) {
    if (isSpace(text, at)) {
      at++;
      continue;
    }
    values.push(pair(text, at, line));
    at += 2;
  }
  const bytes = Uint8Array.from(values);
  if (bytes.length === 0) throw new InputError(`not a line of xxd: ${quoted(text.trim())}`, line);
  if (printsWords(text, start, at, bytes)) {
    throw new InputError('the characters beside the digits are in another order: xxd -e and md.l print words, run xxd without -e', line);
  }
  return { offset: BigInt(`0x${head[1]}`), bytes };
}

/**
 * Are the groups of digits little-endian words? They are where the characters on the line are those of the bytes in each
 * group backwards, and not those of the bytes as they stand (digits may have been edited without their characters).
 */
function printsWords(text: string, start: number, end: number, bytes: Uint8Array): boolean {
  if (text.length < end + 2 + bytes.length) return false;
  const characters = text.slice(-bytes.length);
  if (characters === visible(bytes)) return false;
  const groups = text.slice(start, end).split(' ');
  const width = (groups[0] as string).length / 2;
  if (groups.some((group) => group.length !== 2 * width)) return false;
  const backwards = bytes.slice();
  for (let i = 0; i < bytes.length; i += width) backwards.subarray(i, i + width).reverse();
  return characters === visible(backwards);
}

function visible(bytes: Uint8Array): string {
  return latin1(bytes.map((byte) => (byte >= 0x20 && byte < 0x7f ? byte : 0x2e)));
}

function pair(text: string, at: number, line: number): number {
  const high = kinds[text.charCodeAt(at)] as number;
  const low = at + 1 < text.length ? (kinds[text.charCodeAt(at + 1)] as number) : blank;
  if (high > blank) throw notADigit(text.charCodeAt(at), at + 1, line);
  if (low === blank) throw halfADigit(at + 1, line);
  if (low > blank) throw notADigit(text.charCodeAt(at + 1), at + 2, line);
  return (high << 4) | low;
}

function isSpace(text: string, at: number): boolean {
  return kinds[text.charCodeAt(at)] === blank;
}
