import { type Arch, archNames } from '../abi/arch.ts';
import { DOMID } from '../abi/constants.ts';
import { layoutOf, type StructLayout } from '../abi/layout.ts';
import { argumentOf, betterFit, opNumber, type Profile, XENMEM } from '../abi/ops.ts';
import { structNames } from '../abi/structs.ts';

/**
 * Bytes that bpftrace's buf() and the kernels' %*ph show at most: exactly `nr_exchanged` falls off.
 */
export const usualCut = 64;

/** Each size that a struct has on some architecture, with a layout of that size. */
const layouts = new Map<number, StructLayout>(
  archNames.flatMap((arch: Arch) => structNames.map((struct) => [layoutOf(struct, arch).size, layoutOf(struct, arch)] as const)),
);

/** Is this the size of a struct on some architecture, or of one that is usually cut there? */
export function isStructSize(size: number): boolean {
  return layouts.has(size) || size === usualCut;
}

/** The largest order, count of extents and flags that anybody would ask for. */
const most = { extent_order: 63n, nr_extents: 1n << 40n, nr_exchanged: 1n << 40n, address_bits: 0x7ffffn };

/**
 * How much sense bytes make as a struct of their size: 0 none (a count, order or domain that nobody
 * has), 1 some, 2 much (padding is zero and lists are aligned, too). `undefined` where no struct
 * has that size.
 */
export function senseOf(bytes: Uint8Array): 0 | 1 | 2 | undefined {
  const size = bytes.length === usualCut ? Math.max(...layouts.keys()) : bytes.length;
  const layout = layouts.get(size);
  if (!layout) return undefined;
  const number = (offset: number, length: number): bigint =>
    bytes.subarray(offset, offset + length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  let clean = layout.padding.every(({ offset, size }) => number(offset, size) === 0n);
  for (const { name, offset, size } of layout.fields) {
    const value = number(offset, size);
    if (name === 'domid' && !isKnownDomid(Number(value))) return 0;
    if (Object.hasOwn(most, name) && value > most[name as keyof typeof most]) return 0;
    if (name === 'extent_start' && value % BigInt(size) !== 0n) clean = false;
  }
  return clean ? 2 : 1;
}

/** Does Xen give this number to a domain, or a meaning of its own? */
function isKnownDomid(domid: number): boolean {
  return domid < DOMID.FIRST_RESERVED || Object.values<number>(DOMID).includes(domid);
}

/**
 * Most vNUMA nodes, virtual CPUs and ranges that a domain may have, for get_vnumainfo to make
 * sense.
 */
const mostVnuma = 1 << 20;

/**
 * Whose op 26 or 27 a capture shows that does not say its profile, by the bytes at its argument: a
 * length that only upstream's argument has decides, else what makes sense. `unsure` where both do
 * or neither, `undefined` where nothing was captured.
 */
export function profileOf(cmd: number, arch: Arch, bytes: Uint8Array): Profile | 'unsure' | undefined {
  if (bytes.length === 0) return undefined;
  const better = betterFit(cmd, 'dma-buf', arch, bytes.length);
  if (better) return better.profile;
  const number = (offset: number, length: number): number =>
    bytes.subarray(offset, offset + length).reduceRight((value, byte) => value * 256 + byte, 0);
  const isVnuma = isKnownDomid(number(0, 2)) && number(2, 2) === 0 && [4, 8, 12].every((offset) => number(offset, 4) <= mostVnuma);
  const upstream = opNumber(cmd) === XENMEM.upstream.get_vnumainfo ? isVnuma : number(0, 4) <= 1;
  const { size } = layoutOf(argumentOf[opNumber(cmd) === XENMEM.upstream.get_vnumainfo ? 'get_dma_buf' : 'put_dma_buf'], arch);
  const proposal = (senseOf(bytes.subarray(0, size)) ?? 0) > 0;
  return upstream === proposal ? 'unsure' : upstream ? 'upstream' : 'dma-buf';
}
