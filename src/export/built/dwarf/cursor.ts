import { FileError } from '../bytes.ts';

/** Reads on and on in a section of debug information; reading past its end is a `FileError`. */
export class Cursor {
  readonly data: Uint8Array;
  readonly what: string;
  readonly #view: DataView;
  at: number;
  end: number;

  constructor(data: Uint8Array, what: string, at = 0, end = data.length) {
    this.data = data;
    this.what = what;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.at = at;
    this.end = Math.min(end, data.length);
  }

  skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.end) this.#ended();
  }

  u8(): number {
    if (this.at >= this.end) this.#ended();
    return this.#view.getUint8(this.at++);
  }

  u16(): number {
    this.skip(2);
    return this.#view.getUint16(this.at - 2, true);
  }

  u32(): number {
    this.skip(4);
    return this.#view.getUint32(this.at - 4, true);
  }

  /** A word of 64 bits. */
  word(): bigint {
    this.skip(8);
    return this.#view.getBigUint64(this.at - 8, true);
  }

  /** A word of 64 bits that is an offset or size; exact below 2^53, and no file reaches beyond. */
  u64(): number {
    return Number(this.word());
  }

  /** A number of this many bytes, 8 at most. */
  uint(bytes: number): number {
    if (bytes === 1) return this.u8();
    if (bytes === 2) return this.u16();
    if (bytes === 4) return this.u32();
    if (bytes === 8) return this.u64();
    let value = 0;
    for (let i = 0; i < bytes; i++) value += this.u8() * 2 ** (8 * i);
    return value;
  }

  /** A LEB128 number; one that is longer than any 64-bit word is an error. */
  uleb(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 128; byte >= 0x80; scale *= 128) {
      if (scale > 2 ** 70) throw new FileError(`${this.what}: a number without end at byte ${this.at}`);
      byte = this.u8();
      value += (byte & 0x7f) * scale;
    }
    return value;
  }

  /** A signed LEB128 number. */
  sleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (scale > 2 ** 70) throw new FileError(`${this.what}: a number without end at byte ${this.at}`);
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
    }
  }

  /** Goes behind the zero that ends a string. */
  skipString(): void {
    const zero = this.data.indexOf(0, this.at);
    if (zero < 0 || zero >= this.end) this.#ended();
    this.at = zero + 1;
  }

  #ended(): never {
    throw new FileError(`${this.what}: ends after ${this.end} bytes, in the middle of something`);
  }
}
