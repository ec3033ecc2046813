import { hex64 } from '../codec/hex.ts';
import { InputError } from './input-error.ts';
import { quoted } from './quoted.ts';

/** The kind of a white space character. */
export const blank = 16;

/** By character code: a hex digit's value, `blank`, or something larger. */
export const kinds: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) return blank;
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
  return digit < 0 ? 255 : digit;
});

/**
 * The error for a character (its code below 256) that is no hex digit; the column counts bytes from
 * 1.
 */
export function notADigit(code: number, column: number, line: number): InputError {
  const what = code < 0x80 ? quoted(String.fromCharCode(code)) : `byte ${hex64(BigInt(code))}`;
  return new InputError(`${what} at column ${column} is not a hex digit`, line);
}

/** The error for a digit without the other one of its byte. */
export function halfADigit(column: number, line: number): InputError {
  return new InputError(`half a hex digit at column ${column}: two make a byte`, line);
}
