import { DOMID, errno } from '../../../src/abi/constants.ts';
import type { XenMemoryReservation } from '../../../src/abi/values.ts';
import { strict } from '../../../src/model/strict.ts';
import { family, type Mutant } from '../mutant.ts';

const shift64 = (n: bigint, by: number): bigint => BigInt.asUintN(64, n << BigInt(by & 63));
const shift32 = (n: bigint, by: number): bigint => BigInt.asUintN(32, n << BigInt(by & 31));
const order5 = (r: XenMemoryReservation): XenMemoryReservation => ({ ...r, extent_order: r.extent_order & 31 });

/** As many chunks as the outputs make, which is what there is memory for where the inputs are not. */
const chunksOfOutputs = (_i: bigint, oi: number, o: bigint, oo: number): number => Math.floor(Number(o) / 2 ** Math.max(0, oi - oo));

/** What is refused, and when. */
export const validation: readonly Mutant[] = family('validation', [
  ['takes unequal totals', ['get-refuses-size-mismatch'], { sizeMismatch: 0 }, ['no-stray-writes']],
  [
    'does what both lists have',
    ['get-refuses-size-mismatch'],
    { sizeMismatch: 0, chunks: (...of) => Math.min(strict.chunks(...of), chunksOfOutputs(...of)) },
  ],
  ['compares the counts alone', ['get-same-gfn', 'get-works'], { sizesMatch: (i, _oi, o) => i === o }, ['get-refuses-size-mismatch']],
  [
    'takes it that inputs are enough',
    ['get-refuses-size-mismatch'],
    { sizesMatch: (i, oi, o, oo) => i << BigInt(oi & 31) >= o << BigInt(oo & 31) },
    ['no-stray-writes'],
  ],
  [
    'compares totals modulo 2^64',
    ['get-refuses-size-mismatch', 'bad-address-fails'],
    {
      sizesMatch: (i, oi, o, oo) => shift64(i, oi) === shift64(o, oo),
      maxExtents: 2n ** 64n,
      listWraps: 0,
      chunks: chunksOfOutputs,
    },
  ],
  [
    'compares totals modulo 2^32',
    ['get-refuses-size-mismatch', 'bad-address-fails'],
    {
      sizesMatch: (i, oi, o, oo) => shift32(i, oi) === shift32(o, oo),
      maxExtents: 2n ** 64n,
      listWraps: 0,
      chunks: chunksOfOutputs,
    },
  ],
  ['takes two domains', ['get-refuses-domid-mismatch'], { domidMismatch: 0 }, ['get-refuses-foreign-domid', 'no-stray-writes']],
  [
    "takes it that one's own number is DOMID_SELF",
    ['get-refuses-domid-mismatch'],
    {
      exchangeSeen: (x) => ({
        ...x,
        out: { ...x.out, domid: x.out.domid === 1 ? DOMID.SELF : x.out.domid },
        in: { ...x.in, domid: x.in.domid === 1 ? DOMID.SELF : x.in.domid },
      }),
    },
  ],
  ['lets anybody name any domain', ['get-refuses-foreign-domid'], { foreignDomain: 0 }],
  ['takes an unknown domain for the caller', ['get-refuses-foreign-domid', 'no-stray-writes'], { unknownDomain: 0 }, ['get-pinned']],
  [
    'exchanges, then refuses',
    ['get-refuses-domid-mismatch', 'get-refuses-size-mismatch', 'get-refuses-foreign-domid', 'no-stray-writes'],
    { effectBeforeRefusal: true },
    ['get-in-untouched', 'bad-address-fails'],
  ],
  [
    'takes orders modulo 32',
    ['get-refuses-size-mismatch', 'bounded-work'],
    { exchangeSeen: (x) => ({ ...x, in: order5(x.in), out: order5(x.out) }) },
    ['no-stray-writes'],
  ],
  [
    'takes an order of put above the limit for 0',
    ['bounded-work'],
    { reservationSeen: (r, op) => (op === 27 && r.extent_order > 18 ? { ...r, extent_order: 0 } : r) },
  ],
  ['takes inputs that are not there', ['get-new-pages', 'frames-conserved'], { inputUnmapped: 0 }],
  ['takes an input twice', ['frames-conserved'], { inputTwice: 0 }],
  [
    'populates nothing but what was RAM at first',
    ['get-works'],
    { gfnOf: (low, high) => (low >= 0x40020 ? 2 ** 60 : high * 2 ** 32 + low) },
  ],
  ['always refuses', ['get-same-gfn', 'get-works'], { refuses: (op) => (op === 27 ? 0 : errno.EPERM) }],
  ['refuses orders that differ', ['get-same-gfn', 'get-works'], { sizesMatch: (i, oi, o, oo) => oi === oo && i === o }],
  ['refuses what is preempted', ['get-same-gfn', 'get-works'], { continuationOp: () => -errno.EBUSY }],
  [
    'refuses DOMID_SELF',
    ['get-same-gfn', 'get-works'],
    { exchangeSeen: (x) => (x.in.domid === DOMID.SELF ? { ...x, in: { ...x.in, domid: 9 }, out: { ...x.out, domid: 9 } } : x) },
  ],
]);
