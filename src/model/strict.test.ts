import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { strict } from './strict.ts';

describe('the strict reading', () => {
  it('of in.nr_extents << in.extent_order == out.nr_extents << out.extent_order is exact', () => {
    const count = fc.oneof(
      fc.bigInt(0n, 9n),
      fc.nat(64).map((by) => (1n << BigInt(by)) - 1n),
      fc.nat(63).map((by) => 1n << BigInt(by)),
    );
    const order = fc.oneof(fc.nat(5), fc.integer({ min: 60, max: 70 }), fc.nat(200));
    fc.assert(
      fc.property(count, order, count, order, (a, ao, b, bo) => {
        expect(strict.sizesMatch(a, ao, b, bo)).toBe(a << BigInt(ao) === b << BigInt(bo));
        const by = BigInt(Math.abs(ao - bo));
        const [large, small] = [Math.max(ao, bo), Math.min(ao, bo)];
        if (a << by < 1n << 64n)
          expect([strict.sizesMatch(a, large, a << by, small), strict.sizesMatch(a << by, small, a, large)]).toEqual([true, true]);
      }),
      { numRuns: 500 },
    );
    expect([
      strict.sizesMatch(0n, 0xffff_ffff, 0n, 0),
      strict.sizesMatch(1n, 0xffff_ffff, 1n, 0),
      strict.sizesMatch(1n, 0, 0n, 0xffff_ffff),
    ]).toEqual([true, false, false]);
    expect([
      strict.sizesMatch(1n, 64, 1n << 64n, 0),
      strict.sizesMatch(1n << 64n, 0, 1n, 64),
      strict.sizesMatch(1n, 65, 1n << 64n, 0),
    ]).toEqual([true, true, false]);
  });

  it('of a limit is a number of frames', () => {
    expect([0, 12, 13, 32].map((bits) => strict.limitFrame(bits, 0))).toEqual([Number.POSITIVE_INFINITY, 1, 2, 2 ** 20]);
  });
});
