import type { Arch } from '../abi/arch.ts';
import { PAGE_SIZE } from '../abi/constants.ts';
import { newPage } from '../guest/page.ts';
import { release, take } from './allocator.ts';
import type { Domain, State } from './state.ts';

/** A guest address, split so that every part is an exact number. */
export interface At {
  readonly page: number;
  readonly offset: number;
}

const zeroPage = new Uint8Array(PAGE_SIZE);
const word = new DataView(new ArrayBuffer(8));

/**
 * Splits an address, taken modulo 2^64. Through two words, because that is many times faster than
 * bigint arithmetic.
 */
export function at(address: bigint): At {
  word.setBigUint64(0, BigInt.asUintN(64, address), true);
  const low = word.getUint32(0, true);
  return { page: word.getUint32(4, true) * 2 ** 20 + (low >>> 12), offset: low & 0xfff };
}

/**
 * The gfns that can be mapped: 40-bit guest-physical addresses under LPAE, 36-bit under PAE,
 * whatever 64 bits hold elsewhere.
 */
export function mappableGfns(arch: Arch): number {
  if (arch === 'arm32') return 2 ** 28;
  return arch === 'x86_32' ? 2 ** 24 : 2 ** 52;
}

/** Leads a gfn to a frame. */
export function mapPage(domain: Domain, gfn: number, mfn: number): void {
  domain.p2m.set(gfn, mfn);
  domain.changed.pages.add(gfn);
}

/** Takes a page out of the p2m; a pin that was on it goes with the mapping. */
export function unmapPage(domain: Domain, gfn: number): void {
  domain.p2m.delete(gfn);
  domain.pins.delete(gfn);
  domain.changed.pages.add(gfn);
}

/** Gives a frame back to the allocator, cleared. */
export function releaseFrame(state: State, mfn: number): void {
  state.content.delete(mfn);
  release(state.free, mfn);
}

/** Takes a page from the domain: out of its p2m, and back to the allocator. */
export function giveUp(state: State, domain: Domain, gfn: number): void {
  const mfn = domain.p2m.get(gfn) as number;
  unmapPage(domain, gfn);
  domain.owned.delete(mfn);
  releaseFrame(state, mfn);
}

/**
 * What sharing, paging and migration do: each mapped page gets another frame with the same content
 * if there is a free one. "it's guaranteed that their p2m mapping won't be changed until explicitly
 * "unpinned"": a pinned page is left alone.
 */
export function churn(state: State, domain: Domain, gfn: number, pages: number, neighbours: 'moved' | 'left' = 'moved'): void {
  const { pins } = domain;
  const isLeft = (page: number): boolean => neighbours === 'left' && (pins.has(page - 1) || pins.has(page + 1)); // neighbour-of-pinned
  const move = (page: number): void => {
    const old = domain.p2m.get(page);
    if (old === undefined || pins.has(page) || isLeft(page)) return; // get-pinned
    const found = take(state.free, 0, Number.POSITIVE_INFINITY);
    if (found !== undefined) movePage(state, domain, page, old, found);
  };
  if (pages <= domain.p2m.size) for (let page = gfn; page < gfn + pages; page++) move(page);
  else for (const page of [...domain.p2m.keys()]) if (page >= gfn && page - gfn < pages) move(page);
}

/** Puts a page on another frame, which was just taken from the allocator, and frees the old one. */
function movePage(state: State, domain: Domain, gfn: number, from: number, to: number): void {
  const bytes = state.content.get(from);
  domain.p2m.set(gfn, to);
  domain.owned.delete(from);
  domain.owned.add(to);
  if (bytes) state.content.set(to, bytes); // put-keeps-pages
  releaseFrame(state, from);
}

/**
 * Bytes of guest memory, `undefined` if any of them lies on an unmapped page. Within a page it is a
 * view of the frame, for reading at once; the caller keeps and changes nothing.
 */
export function readBytes(state: State, domain: Domain, from: At, length: number): Uint8Array | undefined {
  if (from.offset + length <= PAGE_SIZE) return pageBytes(state, domain, from.page)?.subarray(from.offset, from.offset + length);
  if (!isMapped(domain, from, length)) return undefined;
  const bytes = new Uint8Array(length);
  for (let done = 0, { page, offset } = from; done < length; page++, offset = 0) {
    const part = Math.min(PAGE_SIZE - offset, length - done);
    bytes.set((pageBytes(state, domain, page) as Uint8Array).subarray(offset, offset + part), done);
    done += part;
  }
  return bytes;
}

/** A page of guest memory as it stands, for reading only; `undefined` if it is not mapped. */
export function pageBytes(state: State, domain: Domain, gfn: number): Uint8Array | undefined {
  const mfn = domain.p2m.get(gfn);
  return mfn === undefined ? undefined : (state.content.get(mfn) ?? zeroPage);
}

/**
 * Writes guest memory; `false`, with nothing written, if any of it lies on an unmapped page.
 * Whoever calls logs the change.
 */
export function writeBytes(state: State, domain: Domain, to: At, bytes: Uint8Array): boolean {
  const { length } = bytes;
  if (to.offset + length <= PAGE_SIZE) {
    const mfn = domain.p2m.get(to.page);
    if (mfn === undefined) return false;
    const page = frameBytes(state, mfn);
    if (length > 64) page.set(bytes, to.offset);
    else for (let i = 0; i < length; i++) page[to.offset + i] = bytes[i] as number;
    return true;
  }
  if (!isMapped(domain, to, length)) return false;
  for (let done = 0, { page, offset } = to; done < length; page++, offset = 0) {
    const part = Math.min(PAGE_SIZE - offset, length - done);
    frameBytes(state, domain.p2m.get(page) as number).set(bytes.subarray(done, done + part), offset);
    done += part;
  }
  return true;
}

/** Writes guest memory as the hypervisor does: the guest did not change this itself. */
export function storeBytes(state: State, domain: Domain, to: At, bytes: Uint8Array): boolean {
  if (!writeBytes(state, domain, to, bytes)) return false;
  const { pages, pieces } = domain.changed;
  if (!pages.has(to.page) || to.offset + bytes.length > PAGE_SIZE) pieces.push(to.page, to.offset, bytes.length);
  if (pieces.length > 3 * 1024) {
    for (let i = 0; i < pieces.length; i += 3) {
      const end = (pieces[i + 1] as number) + (pieces[i + 2] as number);
      for (let p = 0; p * PAGE_SIZE < end; p++) pages.add((pieces[i] as number) + p);
    }
    domain.changed.pieces = [];
  }
  return true;
}

function frameBytes(state: State, mfn: number): Uint8Array {
  const known = state.content.get(mfn);
  if (known) return known;
  const bytes = newPage();
  state.content.set(mfn, bytes);
  return bytes;
}

/** Does a range of addresses lie wholly in guest memory? */
export function isMapped(domain: Domain, from: At, length: number): boolean {
  const pages = Math.ceil((from.offset + length) / PAGE_SIZE);
  for (let i = 0; i < pages; i++) if (!domain.p2m.has(from.page + i)) return false;
  return true;
}
