import type { Layout } from '../../../src/abi/layout.ts';

/** Numbers that are the same in every run, from 0 to 2^32 - 1. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // The low bits of such a sequence repeat soon.
    return (state ^ (state >>> 15)) >>> 0;
  };
}

/**
 * Structs of a layout as callers make them and as they do not: each field is zero, small or
 * anything, a handle now and then without its high half, and padding is mostly zero.
 */
export function structsOf(layout: Layout, count: number, seed = 1): Uint8Array[] {
  const next = numbers(seed);
  return Array.from({ length: count }, () => {
    const bytes = new Uint8Array(layout.size);
    for (const { offset, size, count: entries } of layout.fields) {
      const kind = next() % 4;
      const length = kind === 0 ? 0 : kind === 1 ? 1 : kind === 2 ? Math.min(4, size * entries) : size * entries;
      for (let i = 0; i < size * entries; i++) bytes[offset + i] = i >= length ? 0 : kind === 1 ? next() % 12 : next() >>> 24;
    }
    for (const { offset, size } of layout.padding) if (next() % 4 === 0) bytes[offset + (next() % size)] = next() >>> 24;
    return bytes;
  });
}
