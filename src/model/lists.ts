import { type Arch, arches } from '../abi/arch.ts';
import { PAGE_SIZE } from '../abi/constants.ts';
import { strayBits } from '../codec/handle.ts';
import type { Decisions } from './decisions.ts';
import { at, pageBytes, pagesReached, readBytes, storeBytes } from './p2m.ts';
import type { Domain, State } from './state.ts';

/** The first number that is no guest frame of any address space: 64 bits less the page offset. */
const beyondFrames = 2 ** 52;

/** Where the array behind a guest handle lies. */
export interface List {
  readonly page: number;
  readonly offset: number;
  /** Bytes from entry to entry. */
  readonly stride: number;
  readonly arch: Arch;
  /** Pages of the address space: from there on addresses wrap. */
  readonly reach: number;
  /** Does the handle's word have bits that are not part of the pointer? */
  readonly dirty: boolean;
}

/** The array behind a handle. Nothing is read. */
export function listBehind(handle: bigint, arch: Arch, d: Decisions): List {
  const { page, offset } = at(d.pointer(handle, arch));
  const dirty = arches[arch].pointer < 8 && strayBits(handle, arch) !== 0n;
  return { page, offset, stride: d.entryBytes(arch), arch, reach: pagesReached(arch), dirty };
}

/** Does the array run past the end of the address space? */
export function wraps(list: List, count: number): boolean {
  const bytes = list.offset + count * list.stride;
  return count > 0 && list.page + Math.ceil(bytes / PAGE_SIZE) > list.reach;
}

/** Are the first `count` entries wholly in guest memory? */
export function isListMapped(domain: Domain, list: List, count: number): boolean {
  const pages = count > 0 ? Math.ceil((list.offset + count * list.stride) / PAGE_SIZE) : 0;
  for (let i = 0; i < pages; i++) if (!domain.p2m.has(wrapped(list.page + i, list))) return false;
  return true;
}

/** The frame number in an entry; `undefined` if the entry does not lie in guest memory. */
export function readEntry(state: State, domain: Domain, list: List, index: number, d: Decisions): number | undefined {
  const byte = list.offset + index * list.stride;
  const page = wrapped(list.page + Math.floor(byte / PAGE_SIZE), list);
  let from = byte % PAGE_SIZE;
  let bytes: Uint8Array | undefined;
  if (from + list.stride <= PAGE_SIZE) {
    bytes = pageBytes(state, domain, page);
  } else {
    bytes = readBytes(state, domain, { page, offset: from }, list.stride);
    from = 0;
  }
  if (!bytes) return d.badEntry === 'pretends' ? 0 : undefined;
  // Beyond any guest frame every number is as good as another; clamped, so that counting on from it stays exact.
  return Math.min(d.gfnOf(word(bytes, from), list.stride === 8 ? word(bytes, from + 4) : 0, list.arch), beyondFrames);
}

/** Writes a frame number to an entry; `false` if the entry does not lie in guest memory. */
export function writeEntry(state: State, domain: Domain, list: List, index: number, frame: number, d: Decisions): boolean {
  const byte = list.offset + index * list.stride;
  const page = wrapped(list.page + Math.floor(byte / PAGE_SIZE), list);
  const entry = new Uint8Array(list.stride);
  for (let i = 0, rest = frame; i < entry.length; i++, rest = Math.floor(rest / 0x100)) entry[i] = rest % 0x100;
  return storeBytes(state, domain, { page, offset: byte % PAGE_SIZE }, entry) || d.badEntry === 'pretends';
}

/** Where addresses go on behind the last page there is. */
function wrapped(page: number, { reach }: List): number {
  return page < reach ? page : page % reach;
}

/** A little-endian 32-bit number. */
function word(bytes: Uint8Array, from: number): number {
  const [a, b, c, e] = [bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]] as [number, number, number, number];
  return (a | (b << 8) | (c << 16) | (e << 24)) >>> 0;
}
