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
  [
    'has the layout of 32-bit x86',
    ['get-same-gfn', 'get-works'],
    { structArch: () => 'x86_32' },
    ['get-refuses-foreign-domid', 'bad-address-fails'],
  ],
  [
    'has list entries of four bytes on arm32',
    ['get-mfns-returned', 'get-populates-gpfns', 'get-same-gfn', 'get-works', 'bad-address-fails', 'no-stray-writes'],
    { entryBytes: (arch) => (arch === 'arm32' ? 4 : 8) },
    ['get-address-limit', 'get-inputs-released', 'put-works'],
  ],
  [
    'has list entries of four bytes',
    ['get-mfns-returned', 'get-populates-gpfns', 'get-address-limit', 'get-same-gfn', 'get-works', 'bad-address-fails', 'no-stray-writes'],
    { entryBytes: () => 4 },
    ['get-inputs-released', 'put-works'],
  ],
  [
    'reads counts as 32 bits',
    ['get-refuses-size-mismatch', 'bad-address-fails'],
    eachOf((r) => ({ ...r, nr_extents: BigInt.asUintN(32, r.nr_extents) })),
  ],
  [
    'reads orders as signed',
    ['get-refuses-size-mismatch', 'bounded-work'],
    eachOf((r) => ({ ...r, extent_order: Math.max(0, r.extent_order | 0) })),
    ['no-stray-writes', 'get-aligned', 'get-address-limit'],
  ],
  ['reads frame numbers as 32 bits', ['get-works'], { gfnOf: (low) => low }, ['get-rest-untouched', 'get-same-gfn']],
  ['takes frame number 0 for none', ['get-works'], { gfnOf: (low, high) => (low + high === 0 ? 2 ** 60 : high * 2 ** 32 + low) }],
  [
    'reads frame numbers with their halves swapped',
    ['get-partial-mfns', 'get-populates-gpfns', 'get-same-gfn', 'get-works'],
    { gfnOf: (low, high) => low * 2 ** 32 + high },
  ],
  [
    'swaps in and out',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-partial-count',
      'get-mfns-returned',
      'get-partial-mfns',
      'get-inputs-released',
      'get-rest-untouched',
      'get-in-untouched',
      'get-works',
      'no-stray-writes',
    ],
    { exchangeSeen: (x) => ({ ...x, in: x.out, out: x.in }) },
    ['get-new-pages', 'get-populates-gpfns', 'get-contiguous', 'get-pinned', 'get-ignores-in-address-bits', 'get-same-gfn'],
  ],
  [
    'swaps order and address bits',
    ['get-same-gfn', 'get-works', 'put-ignores-address-bits'],
    eachOf((r) => ({ ...r, extent_order: r.address_bits, address_bits: r.extent_order })),
    ['get-ignores-in-address-bits', 'get-refuses-size-mismatch', 'put-works', 'no-stray-writes', 'bounded-work', 'get-aligned'],
  ],
  [
    'writes the count big-endian',
    [
      'get-complete-count',
      'get-partial-count',
      'get-inputs-released',
      'get-rest-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'no-stray-writes',
    ],
    { reportedCount: (done) => swapped(done, 8) },
    ['get-in-untouched', 'get-same-gfn', 'get-works'],
  ],
  [
    'writes the count into the padding before it',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'no-stray-writes',
      'bad-address-fails',
    ],
    { countField: (offset, bytes) => [offset - 4, bytes] },
    ['get-mfns-returned'],
  ],
  [
    'writes the count behind the struct',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'no-stray-writes',
    ],
    { countField: (offset, bytes) => [offset + 8, bytes] },
    ['get-mfns-returned', 'bad-address-fails'],
  ],
  [
    'writes frames big-endian',
    ['get-mfns-returned', 'get-partial-mfns', 'get-address-limit'],
    { outputEntry: (mfn) => Number(swapped(BigInt(mfn), 4)) },
  ],
  [
    'clears the padding',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'bad-address-fails',
    ],
    { structRewritten: (bytes) => bytes.fill(0, 26, 32) },
    ['reservation-list', 'put-keeps-pages'],
  ],
  [
    'writes the padding',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'bad-address-fails',
    ],
    { structRewritten: (bytes) => bytes.fill(1, 26, 32) },
    ['reservation-list', 'put-keeps-pages'],
  ],
  [
    'clears the address bits',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'bad-address-fails',
    ],
    { structRewritten: (bytes) => bytes.fill(0, 20, 24) },
    ['reservation-list'],
  ],
  [
    'names the domain instead of DOMID_SELF',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'bad-address-fails',
    ],
    { structRewritten: (bytes) => bytes.fill(1, 24, 25) },
    ['put-works', 'reservation-list', 'put-keeps-pages'],
  ],
]);
