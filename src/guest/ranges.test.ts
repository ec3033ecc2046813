import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteRange, overlaps } from './memory.ts';
import { Ranges } from './ranges.ts';

const range = fc.record({ address: fc.bigInt(0n, 40n), length: fc.bigInt(0n, 12n) });
const holds = ({ address, length }: ByteRange, byte: bigint): boolean => address <= byte && byte < address + length;
const bytesOf = ({ address, length }: ByteRange): bigint[] => Array.from({ length: Number(length) }, (_, i) => address + BigInt(i));

describe('ranges', () => {
  it('that share bytes with one are those that share bytes with it one by one', () => {
    fc.assert(
      fc.property(fc.array(range), range, (ranges, of) => {
        const found = [...new Ranges(ranges).overlapping(of)];
        expect(new Set(found)).toEqual(new Set(ranges.filter((one) => overlaps(one, of))));
        expect(found.map(({ address }) => address)).toEqual(found.map(({ address }) => address).toSorted((a, b) => Number(a - b)));
      }),
    );
  });

  it('leave uncovered the first run of bytes that none of them holds', () => {
    fc.assert(
      fc.property(fc.array(range), range, (ranges, of) => {
        const bare = bytesOf(of).filter((byte) => !ranges.some((one) => holds(one, byte)));
        const left = new Ranges(ranges).uncovered(of);
        const run = bare.findIndex((byte, i) => byte !== (bare[0] ?? 0n) + BigInt(i));
        expect(left === undefined ? [] : bytesOf(left)).toEqual(run === -1 ? bare : bare.slice(0, run));
      }),
    );
  });

  it('are told apart at their very ends', () => {
    const page = new Ranges([{ address: 0x1000n, length: 0x1000n }]);
    expect(page.uncovered({ address: 0x1000n, length: 0x1000n })).toBeUndefined();
    expect(page.uncovered({ address: 0xfffn, length: 2n })).toEqual({ address: 0xfffn, length: 1n });
    expect(page.uncovered({ address: 0x1ff8n, length: 16n })).toEqual({ address: 0x2000n, length: 8n });
    expect([...page.overlapping({ address: 0x2000n, length: 1n })]).toEqual([]);
  });
});
