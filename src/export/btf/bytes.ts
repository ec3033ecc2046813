/** A file that is not what it claims to be, or not of a kind we read. Says where, in bytes from the start of the part it names. */
export class BtfError extends Error {
  override readonly name = 'BtfError';
}

/** Bytes from outside, little-endian: every read is checked against the end. `what` names them in errors. */
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
    const value = this.#view.getBigUint64(this.#within(at, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new BtfError(`${this.what}: 0x${value.toString(16)} at byte ${at} is beyond any file`);
    return Number(value);
  }

  /** A part, which shares these bytes. */
  part(at: number, size: number, what: string): Bytes {
    if (!(at >= 0 && size >= 0 && at + size <= this.length)) {
      throw new BtfError(`${what}: bytes ${at}..${at + size} lie outside the ${this.length} of ${this.what}`);
    }
    return new Bytes(this.data.subarray(at, at + size), what);
  }

  #within(at: number, size: number): number {
    if (!(at >= 0 && at + size <= this.length))
      throw new BtfError(`${this.what}: ends after ${this.length} bytes, wanted ${at}..${at + size}`);
    return at;
  }
}
