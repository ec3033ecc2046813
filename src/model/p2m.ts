import { type Arch, arches } from '../abi/arch.ts';
import { PAGE_SIZE } from '../abi/constants.ts';
import { newPage } from '../guest/page.ts';
import { release, take } from './allocator.ts';
import type { Decisions } from './decisions.ts';
import type { Domain, State } from './state.ts';

/** A guest address, split so that every part is an exact number. */
export interface At {
  readonly page: number;
  readonly offset: number;
}

const zeroPage = new Uint8Array(PAGE_SIZE);
const word = new DataView(new ArrayBuffer(8));

/** Splits an address, taken modulo 2^64. Through two words, because that is many times faster than bigint arithmetic. */
export function at(address: bigint): At {
  word.setBigUint64(0, BigInt.asUintN(64, address), true);
  const low = word.getUint32(0, true);
  return { page: word.getUint32(4, true) * 2 ** 20 + (low >>> 12), offset: low & 0xfff };
}

/** Pages that a pointer of this architecture can reach; from there on addresses wrap. */
export function pagesReached(arch: Arch): number {
  return arches[arch].pointer === 4 ? 2 ** 20 : 2 ** 52;
}

/** The gfns that can be mapped: 40-bit guest-physical addresses under LPAE, 36-bit under PAE, whatever 64 bits hold elsewhere. */
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
export function releaseFrame(state: State, mfn: number, d: Decisions): void {
  if (d.scrubs) state.content.delete(mfn);
  release(state.free, mfn);
}

/**
 * What sharing, paging and migration do: each mapped page gets another frame with the same content if there is a free one.
 * "it's guaranteed that their p2m mapping won't be changed until explicitly unpinned": a pinned page is left alone.
 */
export function churn(state: State, domain: Domain, gfn: number, pages: number, d: Decisions): void {
  if (!d.keepsPins('churn')) domain.pins.clear();
  const move = (page: number, old: number): void => {
    if (d.churnSkips(domain.pins.has(page))) return;
    const found = take(state.free, 0, Number.POSITIVE_INFINITY, d.prefers);
    if (found === undefined) return;
    movePage(state, domain, page, old, found, d);
  };
  if (pages > domain.p2m.size) {
    const inRange = [...domain.p2m].filter(([page]) => page >= gfn && page - gfn < pages);
    for (const [page, old] of inRange) move(page, old);
    return;
  }
  for (let page = gfn; page < gfn + pages; page++) {
    const old = domain.p2m.get(page);
    if (old !== undefined) move(page, old);
  }
}

/** Puts a page on another frame, which was just taken from the allocator, and frees the old one. */
export function movePage(state: State, domain: Domain, gfn: number, from: number, to: number, d: Decisions): void {
  const bytes = state.content.get(from);
  domain.p2m.set(gfn, to);
  domain.owned.delete(from);
  domain.owned.add(to);
  if (!d.churnKeepsContent) domain.changed.pages.add(gfn);
  else if (bytes) state.content.set(to, d.scrubs ? bytes : bytes.slice());
  else state.content.delete(to);
  releaseFrame(state, from, d);
}

/**
 * Bytes of guest memory, `undefined` if any of them lies on an unmapped page. Within a page it is a view of the frame, for
 * reading at once; the caller keeps and changes nothing.
 */
export function readBytes(state: State, domain: Domain, from: At, length: number): Uint8Array | undefined {
  if (from.offset + length <= PAGE_SIZE) return pageBytes(state, domain, from.page)?.subarray(from.offset, from.offset + length);
  const bytes = new Uint8Array(length);
  for (let done = 0, { page, offset } = from; done < length; page++, offset = 0) {
    const held = pageBytes(state, domain, page);
    if (!held) return undefined;
    const part = Math.min(PAGE_SIZE - offset, length - done);
    bytes.set(held.subarray(offset, offset + part), done);
    done += part;
  }
  return bytes;
}

/** A page of guest memory as it stands, for reading only; `undefined` if it is not mapped. */
export function pageBytes(state: State, domain: Domain, gfn: number): Uint8Array | undefined {
  const mfn = domain.p2m.get(gfn);
  return mfn === undefined ? undefined : (state.content.get(mfn) ?? zeroPage);
}

/** Writes guest memory; `false`, with nothing written, if any of it lies on an unmapped page. Whoever calls logs the change. */
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

function isMapped(domain: Domain, from: At, length: number): boolean {
  const pages = Math.ceil((from.offset + length) / PAGE_SIZE);
  for (let i = 0; i < pages; i++) if (!domain.p2m.has(from.page + i)) return false;
  return true;
}
