import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputsPerChunk, isMultiple, outputsCovered, outputsPerChunk, pagesOf, sameTotal } from './exact.ts';

// Orders small enough that the plain formula can be worked out, on both sides of every limit.
const order = fc.oneof(fc.nat(6), fc.integer({ min: 60, max: 70 }), fc.nat(140));
const count = fc.oneof(
  fc.bigInt(0n, 12n),
  fc.bigInt(0n, (1n << 64n) - 1n),
  fc.nat(64).map((by) => (1n << BigInt(by)) - 1n),
);
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

describe('exact arithmetic is what the formulas of the specification say', () => {
  it('in.nr_extents << in.extent_order == out.nr_extents << out.extent_order', () => {
    fc.assert(
      fc.property(count, order, count, order, (a, ao, b, bo) => {
        expect(sameTotal(a, ao, b, bo)).toBe(a << BigInt(ao) === b << BigInt(bo));
        const by = BigInt(Math.abs(ao - bo));
        // Equal by making, as long as the larger count still is one of 64 bits.
        if (a << by < 1n << 64n) expect(sameTotal(ao > bo ? a : a << by, ao, ao > bo ? a << by : a, bo)).toBe(true);
      }),
    );
  });

  it('K = min((N << oi) >> oo, O), and 0 if N > I', () => {
    fc.assert(
      fc.property(count, count, order, count, order, (n, i, oi, o, oo) => {
        expect(outputsCovered(n, i, oi, o, oo)).toBe(n > i ? 0n : least((n << BigInt(oi)) >> BigInt(oo), o));
        expect(outputsCovered(i, i, oi, o, oo)).toBe(least((i << BigInt(oi)) >> BigInt(oo), o));
      }),
    );
  });

  it('a multiple of 2^order leaves nothing, and a chunk is 2^max(oi, oo) pages', () => {
    fc.assert(
      fc.property(count, order, order, (value, oi, oo) => {
        expect(isMultiple(value, oi)).toBe(value % (1n << BigInt(oi)) === 0n);
        expect(pagesOf(oi)).toBe(oi < 64 ? 1n << BigInt(oi) : undefined);
        const most = 1n << 64n; // more than any count
        const of = (up: number): bigint => pagesOf(Math.max(0, up)) ?? most;
        expect([inputsPerChunk(oi, oo), outputsPerChunk(oi, oo)]).toEqual([of(oo - oi), of(oi - oo)]);
      }),
    );
  });

  it('an order of 2^32 - 1 is compared, never shifted by', () => {
    const most = 0xffff_ffff;
    expect([sameTotal(1n, most, 1n, 0), sameTotal(0n, most, 0n, 0), sameTotal(1n, most, 1n, most)]).toEqual([false, true, true]);
    expect([outputsCovered(1n, 1n, most, 5n, 0), outputsCovered(1n, 1n, 0, 5n, most), outputsCovered(0n, 0n, most, 5n, 0)]).toEqual([
      5n,
      0n,
      0n,
    ]);
    expect([isMultiple(8n, most), isMultiple(0n, most), pagesOf(most)]).toEqual([false, true, undefined]);
  });
});
