import { type Arch, addressLimit, sizeOfType } from '../abi/arch.ts';
import { pointerOf } from '../codec/handle.ts';
import type { ByteRange, GuestMemory } from './memory.ts';

/** An array of `xen_pfn_t` behind a guest handle: 8-byte entries, on arm32 too. */
export interface GuestList {
  /** Where it lies. The length is exact and may exceed any address space: ask `wraps`. */
  readonly range: ByteRange;
  /** Number of entries the struct says there are. */
  readonly count: bigint;
  /** Bytes per entry. */
  readonly stride: number;
  /** Does the range run past the end of the address space (2^32 on arm32, else 2^64)? */
  readonly wraps: boolean;
}

/** The list that a handle and a count describe. Nothing is read. */
export function listBehind(handle: bigint, count: bigint, arch: Arch): GuestList {
  const stride = sizeOfType('xen_pfn_t', arch);
  const range = { address: pointerOf(handle, arch), length: count * BigInt(stride) };
  return { range, count, stride, wraps: range.address + range.length > addressLimit(arch) };
}

/** Where one entry of a list lies. */
export function entryRange(list: GuestList, index: bigint): ByteRange {
  return { address: list.range.address + index * BigInt(list.stride), length: BigInt(list.stride) };
}

/** One entry, or `undefined` if the list has no such entry or its bytes are not known. */
export function readEntry(memory: GuestMemory, list: GuestList, index: bigint): bigint | undefined {
  if (index < 0n || index >= list.count) return undefined;
  const bytes = memory.read(list.range.address + index * BigInt(list.stride), list.stride);
  return bytes && entryAt(bytes, 0, list.stride);
}

/**
 * The entries whose bytes are wholly known, with their index, in order. Bounded by what is known,
 * whatever the count says.
 */
export function knownEntries(memory: GuestMemory, list: GuestList): { index: bigint; value: bigint }[] {
  const stride = BigInt(list.stride);
  const found: { index: bigint; value: bigint }[] = [];
  for (const piece of memory.known(list.range)) {
    const skew = (piece.address - list.range.address) % stride;
    const first = skew === 0n ? 0n : stride - skew;
    let index = (piece.address + first - list.range.address) / stride;
    for (let at = Number(first); at + list.stride <= piece.bytes.length; at += list.stride) {
      found.push({ index, value: entryAt(piece.bytes, at, list.stride) });
      index += 1n;
    }
  }
  return found;
}

/** The entries in bytes that hold nothing else, little-endian. */
export function entriesIn(bytes: Uint8Array, stride: number): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: bigint[] = [];
  for (let at = 0; at < bytes.length; at += stride)
    entries.push(stride === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  return entries;
}

/** A number as the bytes of an entry, little-endian; what does not fit is cut off. */
export function entryBytes(value: bigint, stride: number): Uint8Array {
  const bytes = new Uint8Array(stride);
  const view = new DataView(bytes.buffer);
  if (stride === 8) view.setBigUint64(0, value, true);
  else view.setUint32(0, Number(BigInt.asUintN(32, value)), true);
  return bytes;
}

function entryAt(bytes: Uint8Array, at: number, stride: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, stride);
  return stride === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
}
