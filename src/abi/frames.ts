import { PAGE_SHIFT } from './constants.ts';

declare const frame: unique symbol;

/**
 * Frame numbers that cannot be mixed, in Xen's words (`xen/include/xen/mm.h`): a `Gfn` is a guest
 * frame (the header's GPFN, and the GMFN it names on input); an `Mfn` is a machine frame (what the
 * header calls GMFN or MFN in results). Both are page numbers, not addresses.
 */
export type Gfn = bigint & { readonly [frame]: 'gfn' };
export type Mfn = bigint & { readonly [frame]: 'mfn' };

/** Take a raw number to be a guest frame. */
export function gfn(raw: bigint): Gfn {
  return raw as Gfn;
}

/** Take a raw number to be a machine frame. */
export function mfn(raw: bigint): Mfn {
  return raw as Mfn;
}

/** As many frames as 64-bit addresses have. */
export const framesInAll: bigint = 1n << BigInt(64 - PAGE_SHIFT);

/** The address bits that end at 4 GiB: "contiguous and under 4G if so requested". */
export const bitsBelow4G = 32;
/** Frames below this one lie below 4 GiB. */
export const framesBelow4G: bigint = 1n << BigInt(bitsBelow4G - PAGE_SHIFT);

/** A side of 4 GiB. A hypervisor may move pages within their side of it only. */
export type Side = 'low' | 'high';

/** On which side of 4 GiB a machine frame lies. */
export function sideOf(frame: bigint): Side {
  return frame < framesBelow4G ? 'low' : 'high';
}
