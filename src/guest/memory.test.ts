import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differences, everywhere, inside, overlaps, type Piece, readPrefix, sparseMemory, unknownMemory } from './memory.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const piece = (address: bigint, ...values: number[]): Piece => ({ address, bytes: bytes(...values) });

describe('sparse memory', () => {
  it('reads across pieces that touch, never across a gap, never past an end', () => {
    const memory = sparseMemory([piece(0x10n, 1, 2), piece(0x12n, 3), piece(0x20n, 9)]);
    expect(memory.read(0x10n, 3)).toEqual(bytes(1, 2, 3));
    expect(memory.read(0x11n, 1)).toEqual(bytes(2));
    expect([memory.read(0x10n, 4), memory.read(0xfn, 2), memory.read(0x20n, 2), memory.read(0x30n, 1)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('where pieces overlap the later one in the list wins, wherever it lies', () => {
    expect(sparseMemory([piece(0n, 1, 1, 1), piece(1n, 2)]).read(0n, 3)).toEqual(bytes(1, 2, 1));
    expect(sparseMemory([piece(1n, 2), piece(0n, 1, 1, 1)]).read(0n, 3)).toEqual(bytes(1, 1, 1));
  });

  it('knows pieces clipped to a range, in order', () => {
    const memory = sparseMemory([piece(0x20n, 7, 8), piece(0x10n, 1, 2, 3)]);
    expect(memory.known({ address: 0x11n, length: 0x10n })).toEqual([piece(0x11n, 2, 3), piece(0x20n, 7)]);
    expect(memory.known({ address: 0x13n, length: 0xdn })).toEqual([]);
    expect(unknownMemory.known(everywhere)).toEqual([]);
  });

  it('the top of the address space is memory like any other', () => {
    const top = (1n << 64n) - 2n;
    expect(sparseMemory([piece(top, 1, 2)]).read(top, 2)).toEqual(bytes(1, 2));
  });

  it('agrees with a map of single bytes', () => {
    const pieces = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 40n }), fc.uint8Array({ maxLength: 12 })), { maxLength: 8 });
    fc.assert(
      fc.property(pieces, fc.bigInt({ min: 0n, max: 40n }), fc.nat(16), (list, address, length) => {
        const byAddress = new Map<bigint, number>();
        for (const [at, held] of list) for (const [i, byte] of held.entries()) byAddress.set(at + BigInt(i), byte);
        const wanted = Array.from({ length }, (_, i) => byAddress.get(address + BigInt(i)));
        const memory = sparseMemory(list.map(([at, held]) => ({ address: at, bytes: held })));
        const read = memory.read(address, length);
        if (length > 0) expect(read && [...read]).toEqual(wanted.includes(undefined) ? undefined : wanted);
        const known = memory.known({ address, length: BigInt(length) }).flatMap((p) => [...p.bytes]);
        expect(known).toEqual(wanted.filter((byte) => byte !== undefined));
      }),
    );
  });
});

it('the prefix of a struct that was cut is what lies at its very start', () => {
  const memory = sparseMemory([piece(0x10n, 1, 2, 3)]);
  expect(readPrefix(memory, 0x10n, 2)).toEqual(bytes(1, 2));
  expect(readPrefix(memory, 0x10n, 8)).toEqual(bytes(1, 2, 3));
  expect(readPrefix(memory, 0xfn, 8)).toEqual(bytes());
});

it('differences are runs of bytes known in both memories', () => {
  const before = sparseMemory([piece(0n, 1, 2, 3, 4, 5), piece(0x10n, 1)]);
  const after = sparseMemory([piece(1n, 9, 9, 4, 9), piece(0x20n, 1)]);
  expect(differences(before, after)).toEqual([
    { address: 1n, length: 2n },
    { address: 4n, length: 1n },
  ]);
  expect(differences(before, after, { address: 2n, length: 2n })).toEqual([{ address: 2n, length: 1n }]);
});

it('an empty range overlaps nothing and lies inside any that holds its address', () => {
  const range = { address: 8n, length: 8n };
  expect(overlaps({ address: 10n, length: 0n }, range)).toBe(false);
  expect([overlaps({ address: 0n, length: 8n }, range), overlaps({ address: 0n, length: 9n }, range)]).toEqual([false, true]);
  expect([inside({ address: 8n, length: 8n }, range), inside({ address: 8n, length: 9n }, range)]).toEqual([true, false]);
});
