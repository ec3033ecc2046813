import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, countFree, emptyFreeLists, type FreeLists, release, releaseRun, take } from './allocator.ts';

const freeRun = (first: number, frames: number): FreeLists => {
  const free = emptyFreeLists();
  releaseRun(free, first, frames);
  return free;
};
const unlimited = Number.POSITIVE_INFINITY;
const taking = (free: FreeLists) => (order: number) => take(free, order, unlimited);

describe('the buddy allocator', () => {
  it('holds a run as the largest aligned blocks', () => {
    // 3 | 4..7 | 8..15 | 16..17 | 18
    expect([...blocksOf(freeRun(3, 16))]).toEqual([
      [3, 0],
      [18, 0],
      [16, 1],
      [4, 2],
      [8, 3],
    ]);
  });

  it('cuts from the end of the highest zone, so that singles come in descending order', () => {
    const free = freeRun(0x100000, 4);
    releaseRun(free, 0x80000, 4);
    expect([0, 0, 1, 0, 2].map((order) => take(free, order, unlimited))).toEqual([0x100003, 0x100002, 0x100000, 0x80003, undefined]);
  });

  it('base + 2^order <= limit, exactly', () => {
    expect(take(freeRun(16, 16), 2, 32)).toBe(28);
    expect(take(freeRun(16, 16), 2, 31)).toBe(24);
    expect(take(freeRun(16, 16), 2, 20)).toBe(16);
    expect(take(freeRun(16, 16), 2, 19)).toBe(undefined);
    expect([17, 16].map((limit) => take(freeRun(16, 16), 0, limit))).toEqual([16, undefined]);
    expect(take(freeRun(0, 16), 0, 0.5)).toBe(undefined);
  });

  it('merges what is freed with its buddy, in any order', () => {
    const free = freeRun(0, 0);
    for (const frame of [3, 0, 1, 2, 7, 5, 6]) release(free, frame);
    expect([...blocksOf(free)]).toEqual([
      [5, 0],
      [6, 1],
      [0, 2],
    ]);
    release(free, 4);
    expect([...blocksOf(free)]).toEqual([[0, 3]]);
  });

  it('counts what is free on either side of a limit', () => {
    expect(countFree(freeRun(0xffff0, 0x20))).toEqual({ below: 0x10, above: 0x10 });
    expect(countFree(freeRun(0, 16), 5)).toEqual({ below: 5, above: 11 });
  });

  it('has no block above order 18, and those that are not merged', () => {
    const free = freeRun(0, 2 ** 20);
    expect([...blocksOf(free)]).toEqual([0, 1, 2, 3].map((n) => [n * 2 ** 18, 18]));
    expect(take(free, 18, unlimited)).toBe(3 * 2 ** 18);
    release(free, 3 * 2 ** 18, 18);
    expect([...blocksOf(free)]).toEqual([0, 1, 2, 3].map((n) => [n * 2 ** 18, 18]));
  });

  it('takes frame 0 like any other', () => {
    expect([0, 0, 0].map(taking(freeRun(0, 2)))).toEqual([1, 0, undefined]);
    const one = freeRun(0, 1);
    releaseRun(one, 4, 4);
    expect([2, 0, 0].map(taking(one))).toEqual([4, 0, undefined]);
  });

  it('prefers the highest zone, in it the smallest block that is large enough', () => {
    const free = freeRun(0x40, 1);
    releaseRun(free, 0x60, 8);
    releaseRun(free, 0x20, 1);
    expect([0, 0, 3].map((order) => take(free, order, unlimited))).toEqual([0x40, 0x67, undefined]);
    const low = freeRun(0x20, 1);
    releaseRun(low, 0x40, 8);
    expect(take(low, 0, unlimited)).toBe(0x47); // a larger block of a higher zone
    expect(take(low, 0, 0x43)).toBe(0x42);
    expect(take(low, 0, 0x41)).toBe(0x40);
    expect(take(low, 0, 0x40)).toBe(0x20);
  });

  it('agrees with a set of frames, whatever is taken and freed', () => {
    const step = fc.record({
      order: fc.integer({ min: 0, max: 3 }),
      limit: fc.constantFrom(unlimited, 100, 64, 37, 8),
      give: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const free = freeRun(5, 90);
        const frames = new Set(Array.from({ length: 90 }, (_, i) => i + 5));
        const taken: [number, number][] = [];
        for (const { order, limit, give } of steps) {
          const base = take(free, order, limit);
          const candidates = Array.from({ length: 128 >> order }, (_, i) => i << order).filter(
            (b) => b + 2 ** order <= limit && Array.from({ length: 2 ** order }, (_, j) => b + j).every((f) => frames.has(f)),
          );
          if (base === undefined) {
            expect(candidates).toEqual([]);
          } else {
            expect(candidates).toContain(base);
            for (let j = 0; j < 2 ** order; j++) frames.delete(base + j);
            taken.push([base, order]);
          }
          if (give % 3 === 0 && taken.length > 0) {
            const [[block, size] = [0, 0]] = taken.splice(give % taken.length, 1);
            release(free, block, size);
            for (let j = 0; j < 2 ** size; j++) frames.add(block + j);
          }
          expect(countFree(free, 0).above).toBe(frames.size);
        }
        for (const [block, size] of taken) release(free, block, size);
        expect([...blocksOf(free)]).toEqual([...blocksOf(freeRun(5, 90))]);
      }),
    );
  });
});
