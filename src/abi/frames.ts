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
