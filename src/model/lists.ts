import type { Arch } from '../abi/arch.ts';
import { PAGE_SIZE } from '../abi/constants.ts';
import { strayBits } from '../codec/handle.ts';
import type { Decisions } from './decisions.ts';
import { at, isMapped, pagesReached, readBytes, storeBytes } from './p2m.ts';
import type { Domain, State } from './state.ts';

/** Where the array behind a guest handle lies. */
export interface List {
  readonly page: number;
  readonly offset: number;
  /** Bytes from entry to entry. */
  readonly stride: number;
  /** Pages of the address space: from there on addresses wrap. */
  readonly reach: number;
  /** Does the handle's word have bits that are not part of the pointer? */
  readonly dirty: boolean;
}

/** The array behind a handle. Nothing is read. */
export function listBehind(handle: bigint, arch: Arch, d: Decisions): List {
  const { page, offset } = at(d.pointer(handle, arch));
  return { page, offset, stride: d.entryBytes(arch), reach: pagesReached(arch), dirty: strayBits(handle, arch) !== 0n };
}

/** Does the array run past the end of the address space? */
export function wraps(list: List, count: number): boolean {
  const bytes = list.offset + count * list.stride;
  return count > 0 && list.page + Math.ceil(bytes / PAGE_SIZE) > list.reach;
}

/** Are the first `count` entries wholly in guest memory? */
export function isListMapped(domain: Domain, list: List, count: number): boolean {
  return count <= 0 || isMapped(domain, list, count * list.stride);
}

/** The frame number in an entry; `undefined` if the entry does not lie in guest memory. */
export function readEntry(state: State, domain: Domain, list: List, index: number, d: Decisions): number | undefined {
  const bytes = readBytes(state, domain, entryAt(list, index), list.stride);
  if (!bytes) return d.badEntry === 'pretends' ? 0 : undefined;
  const low = bytes[0]! + bytes[1]! * 0x100 + bytes[2]! * 0x10000 + bytes[3]! * 0x1000000;
  const high = list.stride === 8 ? bytes[4]! + bytes[5]! * 0x100 + bytes[6]! * 0x10000 + bytes[7]! * 0x1000000 : 0;
  return d.gfnOf(low, high);
}

/** Writes a frame number to an entry; `false` if the entry does not lie in guest memory. */
export function writeEntry(state: State, domain: Domain, list: List, index: number, frame: number, d: Decisions): boolean {
  const bytes = new Uint8Array(list.stride);
  let rest = frame;
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = rest % 0x100;
    rest = Math.floor(rest / 0x100);
  }
  return storeBytes(state, domain, entryAt(list, index), bytes) || d.badEntry === 'pretends';
}

function entryAt(list: List, index: number): { page: number; offset: number } {
  const byte = list.offset + index * list.stride;
  return { page: (list.page + Math.floor(byte / PAGE_SIZE)) % list.reach, offset: byte % PAGE_SIZE };
}
