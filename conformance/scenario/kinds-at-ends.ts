import { layoutOf } from '../../src/abi/layout.ts';
import type { StructName } from '../../src/abi/structs.ts';
import { buffers, call, churnsToMove, first, got, hole, type Kind, moved, put, shift } from './kind.ts';

const balloon = ['decrease_reservation', 'populate_physmap'] as const;
const endOfSpace = 1n << 32n;

/** Meetings of structs, lists and frames with the ends of pages, of memory and of numbers. */
export const kindsAtEnds: readonly Kind[] = [
  // Structs of which the last bytes do not lie in memory: padding, or the count.
  ...[1n, 6n, 8n].map(
    (missing): Kind => ({
      ops: [...buffers, ...balloon],
      make: (s) => {
        const end = ((s.base + hole) << shift) + missing;
        const a = s.base + first;
        const before = (name: StructName) => ({ arg: end - BigInt(layoutOf(name, s.arch).size) });
        const [larger, smaller] = [before('xen_get_dma_buf'), before('xen_put_dma_buf')];
        return {
          steps: [
            got(s, [a]),
            got(s, [a + 1n], larger),
            put(s, [a], smaller),
            call('decrease_reservation', s, [{ of: [a + 2n] }], smaller),
            call('populate_physmap', s, [{ of: [s.base + hole] }], smaller),
            ...moved(s),
            put(s, [a]),
          ],
        };
      },
    }),
  ),
  // Structs that end where addresses do.
  {
    ops: [...buffers, ...balloon],
    only: 'arm32',
    highest: 0xfffffn,
    make: (s) => {
      const a = s.base + first;
      const ram = [
        { gfn: s.base, pages: 16 },
        { gfn: 0xffffen, pages: 2 },
      ];
      const one = { arg: endOfSpace - BigInt(layoutOf('xen_put_dma_buf', s.arch).size) };
      return {
        world: { ram },
        steps: [
          got(s, [a], { arg: endOfSpace - BigInt(layoutOf('xen_get_dma_buf', s.arch).size) }),
          put(s, [a], one),
          call('decrease_reservation', s, [{ of: [a] }], one),
          call('populate_physmap', s, [{ of: [a] }], one),
        ],
      };
    },
  },
  // Lists at no multiple of anything, so that an entry lies in two pages.
  ...[1n, 2n].map(
    (left): Kind => ({
      ops: [...buffers, ...balloon],
      make: (s) => {
        const at = (page: bigint): bigint => ((s.base + page) << shift) - left;
        const [a, b] = [s.base + first, s.base + hole];
        return {
          steps: [
            call('get_dma_buf', s, [
              { of: [a], at: at(2n) },
              { of: [b], at: at(4n) },
            ]),
            call('get_dma_buf', s, [
              { of: [a + 1n, a + 2n], at: at(2n) },
              { of: [b + 1n, b + 2n], at: at(4n) - 8n },
            ]),
            call('put_dma_buf', s, [{ of: [b, b + 1n], at: at(2n) }]),
            call('decrease_reservation', s, [{ of: [a + 3n, a + 4n], at: at(2n) - 8n }]),
            call('populate_physmap', s, [{ of: [a + 3n, a + 4n], at: at(2n) }]),
          ],
        };
      },
    }),
  ),
  // Guest frame 0 is pinned and put like any other.
  {
    ops: buffers,
    highest: 0x1fn,
    make: (stage) => {
      const s = { ...stage, base: 0n };
      const how = { arg: 5n << shift };
      return {
        base: 0n,
        steps: [got(s, [0n, first], how), ...moved(s), put(s, [first, 0n], how), ...moved(s, 1, churnsToMove)],
      };
    },
  },
  // Orders above every limit that are small ones in their low bits, of a page that is there.
  {
    ops: [...buffers, ...balloon],
    make: (s) => {
      const a = s.base + first;
      const orders = [32, 64, 256, 0x1_0000, 0x8000_0000].map((order) => ({ order }));
      return {
        steps: [
          got(s, [a]),
          ...orders.flatMap(({ order }) => [
            put(s, [a], {}, order),
            got(s, [a + 1n], {}, order),
            call('decrease_reservation', s, [{ of: [a + 2n], order }]),
            call('populate_physmap', s, [{ of: [s.base + hole], order }]),
          ]),
          ...moved(s),
        ],
      };
    },
  },
  // Totals that differ by an extent, on either side, of single pages and of larger ones.
  ...(['get_dma_buf', 'exchange'] as const).flatMap((op) =>
    [
      [0, 0],
      [0, 1],
      [1, 0],
    ].map(
      ([oi = 0, oo = 0]): Kind => ({
        ops: [op],
        order: Math.max(oi, oo),
        make: (s) => {
          const list = (from: bigint, extents: number, order: number) => ({
            of: Array.from({ length: extents }, (_, i) => from + BigInt(i * 2 ** order)),
            order,
          });
          const [perIn, perOut] = [2 ** Math.max(0, oo - oi), 2 ** Math.max(0, oi - oo)];
          const more = [
            [perIn, perOut + 1],
            [perIn + 1, perOut],
            [0, perOut],
            [perIn, 0],
          ];
          return {
            steps: more.map(([ins = 0, outs = 0]) => call(op, s, [list(s.base + first, ins, oi), list(s.base + hole, outs, oo)])),
          };
        },
      }),
    ),
  ),
  // The last frame that is free.
  ...[
    { low: 1, high: 0 },
    { low: 0, high: 1 },
    { low: 2, high: 0 },
  ].map(
    (free): Kind => ({
      ops: [...buffers, 'populate_physmap'],
      needs: ['free'],
      make: (s) => {
        const a = s.base + first;
        return {
          world: { free },
          steps: [
            got(s, [a]),
            got(s, [a + 1n, a + 2n]),
            call('populate_physmap', s, [{ of: [s.base + hole, s.base + hole + 1n, s.base + hole + 2n] }]),
            got(s, [a + 3n]),
          ],
        };
      },
    }),
  ),
];
