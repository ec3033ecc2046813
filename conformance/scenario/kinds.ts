import type { Arch } from '../../src/abi/arch.ts';
import type { Hello } from '../protocol/implementation.ts';
import { beyond, buffers, call, churnsToMove, first, fitting, got, hole, type Kind, moved, put, ramPages, shift } from './kind.ts';
import { kindsAtEnds } from './kinds-at-ends.ts';
import { kindsOfDomains } from './kinds-of-domains.ts';
import { kindsOfHistories } from './kinds-of-histories.ts';
import type { CallStep, Scenario } from './scenario.ts';

// Kinds of meetings that chance makes too seldom: of domains, of calls that follow each other, of
// lists and structs with the ends of memory, of numbers with their limits. Each shows faults that
// others thought of and that runs of thousands did not find.

const balloon = ['decrease_reservation', 'populate_physmap'] as const;

const kinds: readonly Kind[] = [
  ...kindsOfDomains,
  // A put that must be refused as a whole, or stops in the middle: what stands behind stays pinned.
  {
    ops: buffers,
    order: 1,
    make: (s) => {
      const a = s.base + first;
      const all = [a, a + 2n, a + 4n];
      const steps = [
        got(s, all, {}, 1),
        put(s, [a], {}, beyond(s)),
        ...moved(s),
        put(s, [a + 3n]),
        put(s, all, {}, 1),
        ...moved(s, 1, churnsToMove),
      ];
      return { steps };
    },
  },
  // A page in the middle of an extent is not pinned: what stands behind that extent stays pinned.
  {
    ops: buffers,
    order: 1,
    make: (s) => {
      const a = s.base + first;
      const all = [a, a + 2n, a + 4n];
      return {
        steps: [got(s, all, {}, 1), put(s, [a + 1n]), put(s, all, {}, 1), ...moved(s, 1, churnsToMove), put(s, [a + 2n, a + 4n], {}, 1)],
      };
    },
  },
  {
    ops: buffers,
    make: (s) => {
      const a = s.base + first;
      const end = ((s.base + hole) << shift) - 8n;
      return {
        steps: [got(s, [a, a + 1n]), call('put_dma_buf', s, [{ of: [a], at: end, count: 2n }]), ...moved(s, 1, 2), put(s, [a, a + 1n])],
      };
    },
  },
  // Page by page, many puts one after the other: what was not listed stays.
  {
    ops: buffers,
    make: (s) => {
      const gfns = Array.from({ length: 8 }, (_, i) => s.base + first + BigInt(i));
      return {
        steps: [...gfns.map((gfn) => got(s, [gfn])), ...gfns.slice(0, 6).map((gfn) => put(s, [gfn])), ...moved(s, 1, churnsToMove)],
      };
    },
  },
  // Structs at the very end of memory, where the next page is a hole.
  {
    ops: [...buffers, ...balloon],
    make: (s) => {
      const end = (s.base + hole) << shift;
      const a = s.base + first;
      return {
        steps: [
          got(s, [a], { arg: end - 72n }),
          put(s, [a], { arg: end - 32n }),
          call('decrease_reservation', s, [{ of: [a + 1n] }], { arg: end - 32n }),
          call('populate_physmap', s, [{ of: [a + 1n] }], { arg: end - 32n }),
        ],
      };
    },
  },
  // A list of which only the first entry is there: the first chunk is done, and the call still fails.
  {
    ops: ['get_dma_buf'],
    make: (s) => {
      const end = ((s.base + hole) << shift) - 8n;
      const [a, b] = [s.base + first, s.base + hole + 4n];
      const outs = { of: [b, b + 1n] };
      return {
        steps: [
          call('get_dma_buf', s, [{ of: [a], at: end, count: 2n }, outs]),
          call('get_dma_buf', s, [{ of: [a + 1n, a + 2n] }, { of: [b + 2n], at: end, count: 2n }]),
        ],
      };
    },
  },
  // Ops 0 and 6 for another guest, and with a list at address 0.
  {
    ops: ['increase_reservation', 'populate_physmap'],
    domains: 2,
    make: (s) => {
      const h = s.base + hole;
      return {
        world: { privileged: [1] },
        steps: [
          call('increase_reservation', s, [{ of: [h, h + 1n] }], { domid: 2 }),
          call('populate_physmap', s, [{ of: [h + 2n] }], { domid: 2 }),
          call('decrease_reservation', s, [{ of: [s.base + first] }], { domid: 2 }),
        ],
      };
    },
  },
  {
    ops: ['increase_reservation'],
    make: (s) => ({
      base: 0n,
      steps: [call('increase_reservation', { ...s, base: 0n }, [{ of: [], at: 0n, count: 2n }], { arg: 4n << shift })],
    }),
  },
  // Extents of which a page is amiss: a hole, a pinned page, a page that is mapped.
  {
    ops: [...buffers, ...balloon],
    order: 1,
    make: (s) => {
      const a = s.base + first;
      return {
        world: {
          holes: [{ gfn: s.base + hole, pages: 1 }],
          ram: [
            { gfn: s.base, pages: 15 },
            { gfn: s.base + hole + 1n, pages: 3 },
          ],
        },
        steps: [
          got(s, [a + 1n]),
          call('decrease_reservation', s, [{ of: [a], order: 1 }]),
          call('decrease_reservation', s, [{ of: [a + 2n, a + 6n], order: 1 }]),
          call('populate_physmap', s, [{ of: [s.base + hole], order: 1 }]),
        ],
      };
    },
  },
  // Extents that begin at no multiple of their size: refused, or just those pages.
  {
    ops: [...buffers, ...balloon],
    order: 1,
    make: (s) => {
      const [a, h] = [s.base + first, s.base + hole];
      return {
        steps: [
          call('decrease_reservation', s, [{ of: [a + 1n], order: 1 }]),
          call('populate_physmap', s, [{ of: [h + 3n], order: 1 }]),
          got(s, [a + 4n, a + 6n], {}, 1),
          put(s, [a + 5n], {}, 1),
          ...moved(s, 1, churnsToMove),
        ],
      };
    },
  },
  // Memory fails for an extent of several pages, in ops 0 and 6.
  {
    ops: ['populate_physmap', 'increase_reservation'],
    order: 1,
    needs: ['fail-alloc'],
    make: (s) => {
      const h = s.base + hole;
      const of = [h, h + 2n, h + 4n];
      return {
        steps: [0, 1, 2].flatMap((n) => [
          call('populate_physmap', s, [{ of, order: 1 }], { inject: { fail_alloc: n } }),
          call('increase_reservation', s, [{ of, order: 1 }], { inject: { fail_alloc: n } }),
        ]),
      };
    },
  },
  // Preempted after each extent, or each second one, the last included.
  ...[1, 2].flatMap((preempt) =>
    [0, 1].map(
      (order): Kind => ({
        ops: [...buffers, ...balloon, 'increase_reservation'],
        needs: ['preempt'],
        order,
        make: (s) => {
          const of = Array.from({ length: 4 }, (_, i) => BigInt(i * 2 ** order));
          const [ins, outs] = [of.map((i) => s.base + first + i), of.map((i) => s.base + hole + i)];
          const inject = { preempt };
          return {
            steps: [
              got(s, ins, { inject }, order),
              ...moved(s),
              put(s, ins, { inject }, order),
              call('decrease_reservation', s, [{ of: ins, order }], { inject }),
              call('populate_physmap', s, [{ of: outs, order }], { inject }),
              call('increase_reservation', s, [{ of: ins, order }], { inject }),
              call(
                'get_dma_buf',
                s,
                [
                  { of: outs, order },
                  { of: ins, order },
                ],
                { inject },
              ),
              ...moved(s),
            ],
          };
        },
      }),
    ),
  ),
  // Limits in the whole byte, of which most limit nothing.
  {
    ops: ['get_dma_buf'],
    make: (s) => ({
      steps: [64, 77, 96, 128, 141, 192, 205, 254].map((bits, i) =>
        call('get_dma_buf', s, [{ of: [s.base + first + BigInt(i)] }, { of: [s.base + first + BigInt(i)], bits }]),
      ),
    }),
  },
  // Frames that are another one's in their low bits.
  ...[20n, 28n, 32n, 40n, 52n].map(
    (bits): Kind => ({
      ops: [...buffers, ...balloon],
      make: (s) => {
        const a = s.base + first;
        const far = (gfn: bigint): bigint => gfn + (1n << bits);
        return {
          steps: [
            got(s, [a]),
            got(s, [far(a + 1n)]),
            call('get_dma_buf', s, [{ of: [a + 2n] }, { of: [far(a + 3n)] }]),
            put(s, [far(a)]),
            call('decrease_reservation', s, [{ of: [far(a + 4n)] }]),
            ...moved(s),
          ],
        };
      },
    }),
  ),
  // The same, where both frames are there: what is pinned is told by all bits.
  ...[16n, 32n].map(
    (bits): Kind => ({
      ops: [...buffers, ...balloon],
      highest: (1n << bits) + 0x4_0040n,
      ...(bits > 20n && { only: 'arm64' as const }),
      make: (s) => {
        const [a, b] = [s.base + first, s.base + first + (1n << bits)];
        const ram = [s.base, s.base + (1n << bits)].map((gfn) => ({ gfn, pages: ramPages }));
        return {
          world: { ram },
          steps: [got(s, [a]), got(s, [b]), put(s, [b]), ...moved(s), call('decrease_reservation', s, [{ of: [b] }]), put(s, [a])],
        };
      },
    }),
  ),
  // All of it between 2 and 4 GiB, where a sign would show.
  {
    ops: [...buffers, ...balloon],
    highest: 0x9_0040n,
    make: (stage) => {
      const s = { ...stage, base: 0x9_0000n };
      const a = s.base + first;
      return {
        base: s.base,
        steps: [
          got(s, [a]),
          ...moved(s),
          put(s, [a]),
          call('decrease_reservation', s, [{ of: [a] }]),
          call('populate_physmap', s, [{ of: [a] }]),
        ],
      };
    },
  },
  // More than 256 entries.
  {
    ops: [...buffers, ...balloon],
    pages: 340,
    extents: 300,
    make: (s) => {
      const of = Array.from({ length: 300 }, (_, i) => s.base + first + BigInt(i));
      const ram = [{ gfn: s.base, pages: 320 }];
      return {
        world: { ram, holes: [{ gfn: s.base + 320n, pages: 16 }], free: { low: 340, high: 340 } },
        steps: [
          got(s, of),
          ...moved(s, 1, 1, 336),
          put(s, of),
          call('decrease_reservation', s, [{ of }]),
          call('populate_physmap', s, [{ of }]),
        ],
      };
    },
  },
  // Extents of many pages, up to the largest that is said to be had.
  ...[5, 6, 9].map(
    (order): Kind => ({
      ops: [...buffers, ...balloon],
      order,
      pages: 2 ** (order + 1) + 16,
      make: (s) => {
        const size = 2n ** BigInt(order);
        const from = ((s.base + first + size - 1n) / size) * size;
        const to = from + size;
        const ram = [{ gfn: s.base, pages: Number(to - s.base) }];
        const whole = Number(to + size - s.base);
        return {
          world: { ram, holes: [{ gfn: to, pages: Number(size) }], free: { low: 4 * 2 ** order, high: 2 * 2 ** order } },
          steps: [
            call('get_dma_buf', s, [
              { of: [from], order },
              { of: [to], order },
            ]),
            ...moved(s, 1, 1, whole),
            put(s, [to], {}, order),
            ...moved(s, 1, churnsToMove, whole),
            call('decrease_reservation', s, [{ of: [to], order }]),
            call('populate_physmap', s, [{ of: [from], order }]),
          ],
        };
      },
    }),
  ),
  // A page with lists gets another frame between two calls that use it: by an exchange, by op 1 and 6.
  ...(['get_dma_buf', 'exchange'] as const).map(
    (op): Kind => ({
      ops: [...buffers, op],
      make: (s) => {
        const list = (s.base + 6n) << shift;
        const [a, h] = [s.base + first, s.base + hole];
        const using = (from: bigint, to: bigint): CallStep =>
          call('get_dma_buf', s, [
            { of: [from], at: list },
            { of: [to], at: list + 0x800n },
          ]);
        const away = call(op, s, [{ of: [s.base + 6n] }, { of: [s.base + 6n] }]);
        return { steps: [using(a, h), away, using(a + 1n, h + 1n), put(s, [h]), using(a + 2n, h + 2n)] };
      },
    }),
  ),
  {
    ops: [...buffers, ...balloon],
    make: (s) => {
      const [own, list] = [s.base + 6n, (s.base + 6n) << shift];
      const [a, h] = [s.base + first, s.base + hole];
      const using = (from: bigint, to: bigint): CallStep =>
        call('get_dma_buf', s, [
          { of: [from], at: list },
          { of: [to], at: list + 0x800n },
        ]);
      const [gone, back] = [call('decrease_reservation', s, [{ of: [own] }]), call('populate_physmap', s, [{ of: [own] }])];
      return { steps: [using(a, h), gone, using(a + 1n, h + 1n), back, using(a + 2n, h + 2n)] };
    },
  },
  // Chunks that fail with memory in hand give all of it back.
  {
    ops: ['get_dma_buf', 'populate_physmap'],
    order: 2,
    needs: ['fail-alloc'],
    make: (s) => {
      const [a, h] = [s.base + first, s.base + hole];
      const fails = call(
        'get_dma_buf',
        s,
        [
          { of: [a], order: 2 },
          { of: [h, h + 2n], order: 1 },
        ],
        { inject: { fail_alloc: 1 } },
      );
      const rest = call('populate_physmap', s, [{ of: Array.from({ length: 8 }, (_, i) => h + 4n + BigInt(i)) }]);
      return { world: { free: { low: 0, high: 6 } }, steps: [fails, fails, rest] };
    },
  },
  ...kindsAtEnds,
  ...kindsOfHistories,
];

/** The scenarios of all kinds that such an implementation has room for. */
export function kindsFor(arch: Arch, hello: Hello): readonly (() => Scenario)[] {
  return fitting(kinds, arch, hello);
}
