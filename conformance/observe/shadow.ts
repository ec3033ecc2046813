import { PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import type { ByteRange, GuestMemory, Piece } from '../../src/guest/memory.ts';
import { newPage } from '../../src/guest/page.ts';

const zeroPage = new Uint8Array(PAGE_SIZE);
const shift = BigInt(PAGE_SHIFT);
const offsetMask = BigInt(PAGE_SIZE - 1);
/** Pieces of a page that are kept. */
const mostScraps = 6;

/**
 * What a guest's memory is known to hold, page by page. A page that is absent is a hole, or its
 * content is not known. Pages of zeros are one page until they are written. Inside, pages go by
 * plain numbers: of a 64-bit address they have 52 bits.
 */
export class Shadow implements GuestMemory {
  readonly #pages = new Map<number, Uint8Array>();
  /** What was written into a page of unknown content: a struct, its lists, a mark. */
  readonly #scraps = new Map<number, readonly Piece[]>();

  /** A page of zeros, as RAM is at the start. */
  zero(gfn: bigint): void {
    this.#scraps.delete(Number(gfn));
    this.#pages.set(Number(gfn), zeroPage);
  }

  /** Nothing is known of this page any more. */
  forget(gfn: bigint): void {
    this.#pages.delete(Number(gfn));
    this.#scraps.delete(Number(gfn));
  }

  /** What is known, a range a page at most. */
  knownRanges(): ByteRange[] {
    return [
      ...[...this.#pages.keys()].map((page) => ({ address: BigInt(page) << shift, length: BigInt(PAGE_SIZE) })),
      ...[...this.#scraps.values()].flat().map(({ address, bytes }) => ({ address, length: BigInt(bytes.length) })),
    ];
  }

  /** Takes bytes in, page by page. Of a page that was not known only the last pieces are. */
  learn(address: bigint, bytes: Uint8Array): void {
    let offset = Number(address & offsetMask);
    for (let done = 0, page = Number(address >> shift); done < bytes.length; page++, offset = 0) {
      const part = bytes.subarray(done, done + PAGE_SIZE - offset);
      const held = part.length === PAGE_SIZE ? newPage() : this.#writable(page);
      if (held) {
        held.set(part, offset);
        this.#pages.set(page, held);
      } else {
        this.#keep(page, { address: address + BigInt(done), bytes: part.slice() });
      }
      done += part.length;
    }
  }

  read(address: bigint, length: number): Uint8Array | undefined {
    let page = Number(address >> shift);
    let offset = Number(address & offsetMask);
    if (offset + length <= PAGE_SIZE) return this.#pages.get(page)?.subarray(offset, offset + length) ?? this.#scrap(page, address, length);
    if (length > this.#pages.size * PAGE_SIZE) return undefined;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; page++, offset = 0) {
      const part = this.#pages.get(page)?.subarray(offset, offset + length - done);
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
    for (const [page, bytes] of this.#pages) {
      const start = BigInt(page) << shift;
      const from = range.address > start ? Number(range.address - start) : 0;
      const to = end < start + BigInt(PAGE_SIZE) ? Number(end - start) : PAGE_SIZE;
      if (from < to && from < PAGE_SIZE && to > 0) found.push({ address: start + BigInt(from), bytes: bytes.subarray(from, to) });
    }
    for (const { address, bytes } of [...this.#scraps.values()].flat()) {
      const from = range.address > address ? Number(range.address - address) : 0;
      const to = Math.min(bytes.length, Number(end - address));
      if (from < to) found.push({ address: address + BigInt(from), bytes: bytes.subarray(from, to) });
    }
    return found.sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  #scrap(page: number, address: bigint, length: number): Uint8Array | undefined {
    const holding = this.#scraps.get(page)?.find((scrap) => isWithin(scrap, address, length));
    const from = holding && Number(address - holding.address);
    return from === undefined ? undefined : holding?.bytes.subarray(from, from + length);
  }

  /** Keeps a piece with those that it does not touch, or in the one that it is a part of. */
  #keep(page: number, piece: Piece): void {
    const { address, bytes } = piece;
    const held = this.#scraps.get(page) ?? [];
    const around = held.find((scrap) => isWithin(scrap, address, bytes.length));
    if (around) {
      around.bytes.set(bytes, Number(address - around.address));
      return;
    }
    const end = address + BigInt(bytes.length);
    const apart = held.filter((scrap) => scrap.address >= end || scrap.address + BigInt(scrap.bytes.length) <= address);
    this.#scraps.set(page, [...apart.slice(1 - mostScraps), piece]);
  }

  #writable(page: number): Uint8Array | undefined {
    const held = this.#pages.get(page);
    return held === zeroPage ? newPage() : held;
  }
}

function isWithin(piece: Piece, address: bigint, length: number): boolean {
  return address >= piece.address && address + BigInt(length) <= piece.address + BigInt(piece.bytes.length);
}
