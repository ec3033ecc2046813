import type { Arch } from '../../src/abi/arch.ts';
import type { Hello } from '../protocol/implementation.ts';
import { buffers, call, fitting, type Kind, type Stage, shift } from './kind.ts';
import type { Scenario } from './scenario.ts';

// Scenarios that chance would hardly ever make: each was a fault that a run of thousands did not
// find. They come now and then, and the smaller their number the oftener each.

/** Free frames of a machine that has enough of them. */
const plenty = { low: 16, high: 16 } as const;

const rares: readonly Kind[] = [
  {
    // Frames got for a chunk that then failed are free again: each of two gets fails with one of
    // two frames in hand.
    ops: buffers,
    order: 1,
    extents: 2,
    highest: 0x41fn,
    needs: ['free', 'fail-alloc'],
    make: () => {
      const s = { base: 0x400n };
      const at = (page: bigint): bigint => (s.base + page) << shift;
      const one = (first: bigint, hole: bigint) => {
        const outs = { at: at(2n), of: [s.base + hole, s.base + hole + 1n] };
        return call('get_dma_buf', s, [{ at: at(1n), of: [s.base + first], order: 1 }, outs], { inject: { fail_alloc: 1 } });
      };
      const last = [
        { at: at(1n), of: [s.base + 12n] },
        { at: at(2n), of: [s.base + 20n] },
      ];
      return { base: s.base, world: { free: { low: 0, high: 2 } }, steps: [one(8n, 16n), one(10n, 18n), call('get_dma_buf', s, last)] };
    },
  },
  {
    // A list of two entries that begins with the last word there is: the first call writes that
    // one, the second the one at 0.
    ops: buffers,
    only: 'arm32',
    extents: 2,
    pages: 18,
    highest: 0xfffffn,
    make: () => {
      const s = { base: 0x400n };
      const [last, page] = [0xffff_fff8n, (n: bigint): bigint => s.base + n];
      const ram = [
        { gfn: s.base, pages: 16 },
        { gfn: 0xfffffn, pages: 1 },
        { gfn: 0n, pages: 1 },
      ];
      return {
        base: s.base,
        world: { ram, free: plenty },
        steps: [
          call('put_dma_buf', s, [{ at: last, of: [page(8n)], count: 0n }]),
          call('put_dma_buf', s, [{ at: 0n, of: [page(9n)], count: 0n }]),
          call('get_dma_buf', s, [
            { at: last, of: undefined, count: 2n },
            { at: page(2n) << shift, of: [page(16n), page(17n)] },
          ]),
        ],
      };
    },
  },
  // Frame numbers of more than 32 bits, and the frame number 0, are numbers like any other.
  { ops: buffers, only: 'arm64', extents: 3, highest: 0x1_0000_041fn, make: () => lifeAt(0x1_0000_0400n) },
  { ops: buffers, extents: 3, highest: 0x1fn, make: () => lifeAt(0n) },
];

/** One scenario in so many is one of these. */
const oneIn = 32;

/** The one that a number stands for, if it stands for one that this implementation has room for. */
export function rareFor(number: number, arch: Arch, hello: Hello): Scenario | undefined {
  if (number % oneIn !== oneIn - 1) return undefined;
  const all = fitting(rares, arch, hello);
  return all[Math.floor(number / oneIn) % all.length]?.();
}

/** Pages got, by names that lie at the start of memory too, and put. */
function lifeAt(base: bigint): ReturnType<Kind['make']> {
  const s: Pick<Stage, 'base'> = { base };
  const inputs = [base, base + 8n, base + 9n];
  const outputs = [base + 16n, base, base + 17n];
  const at = (page: bigint): bigint => (base + page) << shift;
  const got = [
    { at: at(2n), of: inputs },
    { at: at(3n), of: outputs },
  ];
  const how = { arg: at(1n) };
  return {
    base,
    world: { free: plenty },
    steps: [call('get_dma_buf', s, got, how), call('put_dma_buf', s, [{ at: at(2n), of: outputs }], how)],
  };
}
