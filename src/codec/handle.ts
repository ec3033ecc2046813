import { type Arch, addressLimit, handleArgumentSize } from '../abi/arch.ts';

/**
 * The address a guest handle's word points to. On arm32 the pointer is the low 32 bits; "always 8
 * bytes sizes and 8 bytes aligned" (arch-arm.h) is about the word, whose other half a well-behaved
 * caller has zeroed.
 */
export function pointerOf(handle: bigint, arch: Arch): bigint {
  return handle & (addressLimit(arch) - 1n);
}

/**
 * The bits of a handle's word that are not part of the pointer, shifted down: 0 from any caller
 * that used the setter macro.
 */
export function strayBits(handle: bigint, arch: Arch): bigint {
  return handle / addressLimit(arch);
}

/**
 * The register form of a handle (`XEN_GUEST_HANDLE_PARAM`): 4 bytes on arm32 and x86_32, else 8;
 * little-endian.
 */
export function encodeHandleArgument(pointer: bigint, arch: Arch): Uint8Array {
  if (pointer < 0n || pointer >= addressLimit(arch)) {
    throw new RangeError(`a handle argument on ${arch} is 0..0x${(addressLimit(arch) - 1n).toString(16)}, got ${pointer}`);
  }
  const bytes = new Uint8Array(handleArgumentSize(arch));
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number((pointer >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** The pointer in a handle's register form; a `RangeError` for any other number of bytes. */
export function decodeHandleArgument(bytes: Uint8Array, arch: Arch): bigint {
  const size = handleArgumentSize(arch);
  if (bytes.length !== size) throw new RangeError(`a handle argument on ${arch} is ${size} bytes, got ${bytes.length}`);
  return bytes.reduceRight((high, byte) => (high << 8n) | BigInt(byte), 0n);
}
