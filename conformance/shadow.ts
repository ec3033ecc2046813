import { PAGE_SHIFT, PAGE_SIZE } from '../src/abi/constants.ts';
import type { ByteRange, GuestMemory, Piece } from '../src/guest/memory.ts';

const zeroPage = new Uint8Array(PAGE_SIZE);
const offsetMask = BigInt(PAGE_SIZE - 1);

/**
 * What a guest's memory is known to hold, page by page. A page that is absent is a hole, or its content is not known. Pages of
 * zeros are one page until they are written.
 */
export class Shadow implements GuestMemory {
  readonly #pages = new Map<bigint, Uint8Array>();
  /** What was written into a page of unknown content: one piece a page, which is what a mark needs. */
  readonly #scraps = new Map<bigint, Piece>();

  /** A page of zeros, as RAM is at the start. */
  zero(gfn: bigint): void {
    this.#scraps.delete(gfn);
    this.#pages.set(gfn, zeroPage);
  }

  /** Nothing is known of this page any more. */
  forget(gfn: bigint): void {
    this.#pages.delete(gfn);
    this.#scraps.delete(gfn);
  }

  /** The part of a page that is known, if any. */
  knownPart(gfn: bigint): ByteRange | undefined {
    if (this.#pages.has(gfn)) return { address: gfn << BigInt(PAGE_SHIFT), length: BigInt(PAGE_SIZE) };
    const scrap = this.#scraps.get(gfn);
    return scrap && { address: scrap.address, length: BigInt(scrap.bytes.length) };
  }

  /** Takes bytes in, page by page. Of a page that was not known only the last piece is. */
  learn(address: bigint, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = address + BigInt(done);
      const gfn = at >> BigInt(PAGE_SHIFT);
      const offset = Number(at & offsetMask);
      const part = bytes.subarray(done, done + PAGE_SIZE - offset);
      const page = part.length === PAGE_SIZE ? new Uint8Array(PAGE_SIZE) : this.#writable(gfn);
      if (page) {
        page.set(part, offset);
        this.#pages.set(gfn, page);
      } else {
        this.#scraps.set(gfn, { address: at, bytes: part.slice() });
      }
      done += part.length;
    }
  }

  read(address: bigint, length: number): Uint8Array | undefined {
    const gfn = address >> BigInt(PAGE_SHIFT);
    const offset = Number(address & offsetMask);
    if (offset + length <= PAGE_SIZE) return this.#pages.get(gfn)?.subarray(offset, offset + length) ?? this.#scrap(gfn, address, length);
    if (length > this.#pages.size * PAGE_SIZE) return undefined;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const from = Number(at & offsetMask);
      const part = this.#pages.get(at >> BigInt(PAGE_SHIFT))?.subarray(from, from + length - done);
      if (!part) return undefined;
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  known(range: ByteRange): readonly Piece[] {
    if (range.length <= 0n) return [];
    const whole = range.length < 1n << 24n ? this.read(range.address, Number(range.length)) : undefined;
    if (whole) return [{ address: range.address, bytes: whole }];
    const end = range.address + range.length;
    const found: Piece[] = [];
    for (const [gfn, page] of this.#pages) {
      const start = gfn << BigInt(PAGE_SHIFT);
      const from = range.address > start ? Number(range.address - start) : 0;
      const to = end < start + BigInt(PAGE_SIZE) ? Number(end - start) : PAGE_SIZE;
      if (from < to && from < PAGE_SIZE && to > 0) found.push({ address: start + BigInt(from), bytes: page.subarray(from, to) });
    }
    for (const { address, bytes } of this.#scraps.values()) {
      if (address >= range.address && address + BigInt(bytes.length) <= end) found.push({ address, bytes });
    }
    return found.sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  #scrap(gfn: bigint, address: bigint, length: number): Uint8Array | undefined {
    const scrap = this.#scraps.get(gfn);
    if (!scrap || address < scrap.address) return undefined;
    const from = Number(address - scrap.address);
    return from + length <= scrap.bytes.length ? scrap.bytes.subarray(from, from + length) : undefined;
  }

  #writable(gfn: bigint): Uint8Array | undefined {
    const page = this.#pages.get(gfn);
    return page === zeroPage ? page.slice() : page;
  }
}
