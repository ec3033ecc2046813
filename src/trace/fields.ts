import { fromHex } from '../codec/hex.ts';
import { quoted } from './quoted.ts';

/**
 * A record with a field that cannot be what it says. `message` begins with where, as
 * `before[1][0]`.
 */
export class RecordError extends Error {
  override readonly name = 'RecordError';

  constructor(where: string, what: string) {
    super(`${where}: ${what}`);
  }
}

export const u64: bigint = (1n << 64n) - 1n;

const numeral = /^(-?)(?:0x0*([0-9a-f]+)|0*([0-9]+))$/i;
const mostDigits = 20;

/** An integer of 0..2^64-1: a JSON number up to 2^53 - 1, a 0x-hex or a decimal string. */
export function word(value: unknown, where: string): bigint {
  const number = integer(value, where);
  if (number < 0n) throw new RecordError(where, `${shown(value)} is negative`);
  if (number > u64) throw new RecordError(where, `${shown(value)} is over 2^64 - 1`);
  return number;
}

/** An integer of 0..`most`, which `named` is the name of; written as any `word` may be. */
export function count(value: unknown, where: string, most: number, named: string): number {
  const number = integer(value, where);
  if (number < 0n) throw new RecordError(where, `${shown(value)} is negative`);
  if (number > BigInt(most)) throw new RecordError(where, `${shown(value)} is over ${named}`);
  return Number(number);
}

/**
 * A return code: an integer that a JSON number can hold, written as any `word` may be, with a sign.
 * A string may also be the register as it was printed without a sign, `"0xffffffffffffffea"`;
 * `width` is that of the register in bits.
 */
export function returnCode(value: unknown, where: string, width = 64): number {
  const given = integer(value, where);
  const number = typeof value === 'string' && given > 0n && given < 1n << BigInt(width) ? BigInt.asIntN(width, given) : given;
  if (Number.isSafeInteger(Number(number))) return Number(number);
  throw new RecordError(where, `${shown(value)} is beyond 2^53 - 1; a refusal is written as a negative number, -22`);
}

/** True or false. */
export function flag(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new RecordError(where, `${shown(value)} is neither true nor false`);
  return value;
}

/** An object, its keys not looked at. */
export function object(value: unknown, where: string): { readonly [key: string]: unknown } {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as { readonly [key: string]: unknown };
  throw new RecordError(where, `${shown(value)} is not an object`);
}

/** One of the known names. */
export function oneOf<T extends string>(value: unknown, where: string, names: readonly T[]): T {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new RecordError(where, `${shown(value)} is not one of ${names.join(', ')}`);
  return found;
}

/** Bytes as a string of hex digit pairs. */
export function bytesOf(value: unknown, where: string): Uint8Array {
  if (typeof value !== 'string') throw new RecordError(where, `${shown(value)} is not a string of hex digits`);
  const bytes = fromHex(value);
  if (bytes) return bytes;
  const bad = value.search(/[^0-9a-f]/i);
  if (bad < 0) throw new RecordError(where, `an odd number of hex digits (${value.length})`);
  throw new RecordError(where, `${quoted(String.fromCodePoint(value.codePointAt(bad) as number))} at digit ${bad + 1} is not a hex digit`);
}

/**
 * A list of pairs, each read by `read`, which is told where each half stands. `shape` is how a pair
 * is written.
 */
export function pairs<T>(
  value: unknown,
  where: string,
  shape: string,
  read: (first: unknown, second: unknown, at: string) => T,
): readonly T[] {
  if (!Array.isArray(value)) throw new RecordError(where, `${shown(value)} is not a list of ${shape}`);
  return value.map((pair: unknown, i) => {
    const at = `${where}[${i}]`;
    if (!Array.isArray(pair) || pair.length !== 2) throw new RecordError(at, `${shown(pair)} is not ${shape}`);
    return read(pair[0], pair[1], at);
  });
}

/** A foreign value as a message may show it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function integer(value: unknown, where: string): bigint {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value);
    if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) throw new RecordError(where, `${value} is not a whole number`);
    throw new RecordError(where, 'a JSON number beyond 2^53 - 1 has lost digits: 64-bit numbers are written as strings, "0x…"');
  }
  if (typeof value !== 'string') throw new RecordError(where, `${shown(value)} is not a number`);
  const parts = numeral.exec(value);
  if (!parts) throw new RecordError(where, `${quoted(value)} is neither a 0x-hex nor a decimal number`);
  const [, sign, hex, decimal] = parts;
  const digits = hex ?? decimal ?? '';
  // Enough to be seen as too large; turning a megabyte of digits into a number is not worth the
  // time.
  const most = digits.length > mostDigits ? digits.slice(0, mostDigits + 1) : digits;
  const magnitude = BigInt(hex === undefined ? most : `0x${most}`);
  return sign ? -magnitude : magnitude;
}
