import { PAGE_SHIFT } from './constants.ts';
import type { Word } from './structs.ts';

/**
 * The architectures. arm32 means EABI (AAPCS): `xen_ulong_t`, `xen_pfn_t` and a guest handle in a
 * struct are 64-bit there, "always 8 bytes sizes and 8 bytes aligned" (arch-arm.h), so arm32 and
 * arm64 are byte-identical. What differs on arm32 is the handle in a register, and that a pointer
 * is only the low 32 bits of the handle's word. All are little-endian. `physical`: bits of the
 * widest address of memory that the architecture has.
 */
export const arches = {
  arm32: { word: 8, pointer: 4, physical: 40 },
  arm64: { word: 8, pointer: 8, physical: 52 },
  x86_64: { word: 8, pointer: 8, physical: 52 },
  x86_32: { word: 4, pointer: 4, physical: 52 },
} as const;

/** The name of an architecture in the table. */
export type Arch = keyof typeof arches;

/** Every architecture, in the table's order. */
export const archNames: readonly Arch[] = Object.keys(arches) as Arch[];

/** True for the name of an architecture in the table. */
export function isArch(name: string): name is Arch {
  return Object.hasOwn(arches, name);
}

/** Bytes of a C scalar in a struct. */
export function sizeOfType(type: Word, arch: Arch): number {
  if (type.startsWith('XEN_GUEST_HANDLE_64(')) return 8;
  if (type.startsWith('XEN_GUEST_HANDLE(')) return arches[arch].word;
  switch (type) {
    case 'xen_ulong_t':
    case 'xen_pfn_t':
      return arches[arch].word;
    case 'uint64_t':
    case 'uint64_aligned_t':
      return 8;
    case 'uint16_t':
    case 'domid_t':
      return 2;
    case 'uint8_t':
      return 1;
    default:
      return 4;
  }
}

/**
 * What the offset of a C scalar in a struct is a multiple of: its size, but that on i386 a 64-bit
 * word is 4-aligned, unless its type asks for more.
 */
export function alignOfType(type: Word, arch: Arch): number {
  return type === 'uint64_t' && arch === 'x86_32' ? 4 : sizeOfType(type, arch);
}

/** True for the type of a guest handle. */
export function isHandle(type: string): boolean {
  return type.startsWith('XEN_GUEST_HANDLE');
}

/**
 * True for the words that may hold 64 bits and are therefore a `bigint` in every value, on every
 * architecture.
 */
export function isWord(type: string): boolean {
  return isHandle(type) || type.startsWith('xen_') || type.startsWith('uint64_');
}

/**
 * Bytes of a guest handle passed as a hypercall argument (`XEN_GUEST_HANDLE_PARAM`): 4 on arm32
 * though 8 in a struct.
 */
export function handleArgumentSize(arch: Arch): number {
  return arches[arch].pointer;
}

/** The first address that does not exist for a guest of this architecture: 2^32 or 2^64. */
export function addressLimit(arch: Arch): bigint {
  return 1n << BigInt(8 * arches[arch].pointer);
}

/** Bits of the widest frame number: of an address of memory without its place in the page. */
export function frameBits(arch: Arch): number {
  return arches[arch].physical - PAGE_SHIFT;
}
