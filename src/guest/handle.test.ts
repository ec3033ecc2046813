import { expect, it } from 'vitest';
import { entryRange, knownEntries, listBehind, readEntry } from './handle.ts';
import { sparseMemory } from './memory.ts';

const words = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

it('entries are 8 bytes on arm32 too, and 4 on x86_32', () => {
  expect(listBehind(0x1000n, 3n, 'arm32')).toEqual({ range: { address: 0x1000n, length: 24n }, count: 3n, stride: 8, wraps: false });
  expect(listBehind(0x1000n, 3n, 'x86_32').range.length).toBe(12n);
});

it('the pointer of an arm32 handle is its low half', () => {
  expect(listBehind(0xdeadbeef_00001000n, 1n, 'arm32').range.address).toBe(0x1000n);
});

it('a list may end where the address space does, and not past it', () => {
  expect(listBehind(0xffff_fff8n, 1n, 'arm32').wraps).toBe(false);
  expect(listBehind(0xffff_fff8n, 2n, 'arm32').wraps).toBe(true);
  expect(listBehind(0xffff_ffff_ffff_fff8n, 1n, 'arm64').wraps).toBe(false);
  expect(listBehind(0n, (1n << 61n) + 1n, 'arm64').wraps).toBe(true);
});

it('reads entries, and nothing beyond the count or the memory', () => {
  const memory = sparseMemory([{ address: 0x1000n, bytes: words(5n, (1n << 63n) + 1n, 7n) }]);
  const list = listBehind(0x1000n, 2n, 'arm64');
  expect([0n, 1n, 2n, -1n].map((i) => readEntry(memory, list, i))).toEqual([5n, (1n << 63n) + 1n, undefined, undefined]);
  expect(knownEntries(memory, list)).toEqual([
    { index: 0n, value: 5n },
    { index: 1n, value: (1n << 63n) + 1n },
  ]);
  expect(entryRange(list, 1n)).toEqual({ address: 0x1008n, length: 8n });
});

it('a count of 2^60 costs what is known, not what it claims', () => {
  const memory = sparseMemory([{ address: 0x1000n, bytes: words(5n) }]);
  expect(knownEntries(memory, listBehind(0x0ff8n, 1n << 60n, 'arm64'))).toEqual([{ index: 1n, value: 5n }]);
});

it('an entry that was captured in part is not an entry', () => {
  const memory = sparseMemory([{ address: 0x1004n, bytes: new Uint8Array(16).fill(1) }]);
  expect(knownEntries(memory, listBehind(0x1000n, 4n, 'arm64'))).toEqual([{ index: 1n, value: 0x0101010101010101n }]);
});
