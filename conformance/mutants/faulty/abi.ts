import type { XenMemoryReservation } from '../../../src/abi/values.ts';
import { family, type Mutant } from '../mutant.ts';

const eachOf = (change: (r: XenMemoryReservation) => XenMemoryReservation) => ({
  exchangeSeen: <X extends { in: XenMemoryReservation; out: XenMemoryReservation }>(x: X): X => ({
    ...x,
    in: change(x.in),
    out: change(x.out),
  }),
  reservationSeen: change,
});
const swapped = (n: bigint, bytes: number): bigint =>
  BigInt(
    `0x${(
      BigInt.asUintN(8 * bytes, n)
        .toString(16)
        .padStart(2 * bytes, '0')
        .match(/../g) ?? []
    )
      .reverse()
      .join('')}`,
  );

/** How the bytes are read and written. */
export const abi: readonly Mutant[] = family('ABI', [
  ['has the layout of 32-bit x86', [], { structArch: () => 'x86_32' }],
  ['has list entries of four bytes on arm32', [], { entryBytes: (arch) => (arch === 'arm32' ? 4 : 8) }],
  ['has list entries of four bytes', [], { entryBytes: () => 4 }],
  ['reads counts as 32 bits', [], eachOf((r) => ({ ...r, nr_extents: BigInt.asUintN(32, r.nr_extents) }))],
  ['reads orders as signed', [], eachOf((r) => ({ ...r, extent_order: Math.max(0, r.extent_order | 0) }))],
  ['reads frame numbers with their halves swapped', [], { gfnOf: (low, high) => low * 2 ** 32 + high }],
  ['swaps in and out', [], { exchangeSeen: (x) => ({ ...x, in: x.out, out: x.in }) }],
  ['swaps order and address bits', [], eachOf((r) => ({ ...r, extent_order: r.address_bits, address_bits: r.extent_order }))],
  ['writes the count big-endian', [], { reportedCount: (done) => swapped(done, 8) }],
  ['writes the count into the padding before it', [], { countField: (offset, bytes) => [offset - 4, bytes] }],
  ['writes the count behind the struct', [], { countField: (offset, bytes) => [offset + 8, bytes] }],
  ['writes frames big-endian', [], { outputEntry: (mfn) => Number(swapped(BigInt(mfn), 4)) }],
  ['clears the padding', [], { structRewritten: (bytes) => bytes.fill(0, 26, 32) }],
  ['writes the padding', [], { structRewritten: (bytes) => bytes.fill(1, 26, 32) }],
  ['clears the address bits', [], { structRewritten: (bytes) => bytes.fill(0, 20, 24) }],
  ['names the domain instead of DOMID_SELF', [], { structRewritten: (bytes) => bytes.fill(1, 24, 25) }],
]);
