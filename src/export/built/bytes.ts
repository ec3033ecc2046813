/**
 * A file that is not what it claims to be, or not of a kind we read. Says where, in bytes from the
 * start of the part it names.
 */
export class FileError extends Error {
  override readonly name = 'FileError';
}

/** Longest name worth reading, in characters. */
const longestName = 256;

/** Bytes from outside, little-endian: every read is checked against the end. `what` names them. */
export class Bytes {
  readonly data: Uint8Array;
  readonly what: string;
  readonly #view: DataView;

  constructor(data: Uint8Array, what: string) {
    this.data = data;
    this.what = what;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get length(): number {
    return this.data.length;
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#within(at, 1));
  }

  u16(at: number): number {
    return this.#view.getUint16(this.#within(at, 2), true);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#within(at, 4), true);
  }

  /** A 64-bit offset or size; one that no file can have is an error already. */
  u64(at: number): number {
    const value = this.word(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new FileError(`${this.what}: 0x${value.toString(16)} at byte ${at} is beyond any file`);
    return Number(value);
  }

  /** A 64-bit word, whatever it is: an address, a signature. */
  word(at: number): bigint {
    return this.#view.getBigUint64(this.#within(at, 8), true);
  }

  /** Are these the bytes at `at`? False beyond the end. */
  begins(at: number, wanted: readonly number[]): boolean {
    return at + wanted.length <= this.length && wanted.every((byte, i) => this.data[at + i] === byte);
  }

  /** A name that a zero ends, at most its first 256 characters, one for each byte. */
  name(at: number): string {
    let text = '';
    for (let i = at; text.length < longestName; i++) {
      const code = this.u8(i);
      if (code === 0) break;
      text += String.fromCharCode(code);
    }
    return text;
  }

  /** A part, which shares these bytes. */
  part(at: number, size: number, what: string): Bytes {
    if (!(at >= 0 && size >= 0 && at + size <= this.length)) {
      throw new FileError(`${what}: bytes ${at}..${at + size} lie outside the ${this.length} of ${this.what}`);
    }
    return new Bytes(this.data.subarray(at, at + size), what);
  }

  /** Other bytes in the place of these, as what they are when they are unpacked. */
  with(data: Uint8Array): Bytes {
    return new Bytes(data, this.what);
  }

  #within(at: number, size: number): number {
    if (!(at >= 0 && at + size <= this.length))
      throw new FileError(`${this.what}: ends after ${this.length} bytes, wanted ${at}..${at + size}`);
    return at;
  }
}

/** The bytes of a text of ASCII. */
export function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
