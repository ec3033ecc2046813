import { buffers, call, churnsToMove, first, got, hole, type Kind, moved, put, shift } from './kind.ts';

const balloon = ['decrease_reservation', 'populate_physmap'] as const;
const reservations = [...balloon, 'increase_reservation'] as const;

/** Meetings of calls with what was done before: by others, by the same call in part, or refused. */
export const kindsOfHistories: readonly Kind[] = [
  // What is refused, or allowed, of a pinned page leaves it pinned or gives it up, and nothing else.
  ...[0, 1].map(
    (order): Kind => ({
      ops: [...buffers, ...balloon],
      order,
      make: (s) => {
        const size = 2n ** BigInt(order);
        const at = (i: bigint): bigint => s.base + first + i * size;
        const [a, b, c, d] = [at(0n), at(1n), at(2n), at(3n)];
        const lists = (from: bigint, to: bigint) => [
          { of: [from], order },
          { of: [to], order },
        ];
        return {
          steps: [
            got(s, [a, b, c, d], {}, order),
            got(s, [a], {}, order),
            call('get_dma_buf', s, lists(s.base + 6n, b)),
            call('decrease_reservation', s, [{ of: [c], order }]),
            call('populate_physmap', s, [{ of: [d], order }]),
            ...moved(s),
            put(s, [a, b, d], {}, order),
            ...moved(s, 1, churnsToMove),
          ],
        };
      },
    }),
  ),
  // A page that is given up takes its pin along: what is populated there is like any other.
  ...[0, 1].map(
    (order): Kind => ({
      ops: [...buffers, ...balloon],
      order,
      make: (s) => {
        const of = [s.base + first];
        const [gone, back] = [call('decrease_reservation', s, [{ of, order }]), call('populate_physmap', s, [{ of, order }])];
        return { steps: [got(s, of, {}, order), gone, back, ...moved(s), got(s, of, {}, order), put(s, of, {}, order)] };
      },
    }),
  ),
  // Extents behind one that ops 1 and 6 cannot do, and before one.
  {
    ops: [...balloon, 'increase_reservation'],
    make: (s) => {
      const [a, h] = [s.base + first, s.base + hole];
      return {
        steps: [
          call('populate_physmap', s, [{ of: [h, a, h + 1n] }]),
          call('decrease_reservation', s, [{ of: [a, h + 1n, a + 1n] }]),
          call('populate_physmap', s, [{ of: [h + 2n, h + 3n, a + 1n, h + 4n] }], { start: 1 }),
          call('decrease_reservation', s, [{ of: [a + 2n, a + 3n, h + 8n, a + 4n] }], { start: 1 }),
        ],
      };
    },
  },
  // Continuations of ops 0, 1 and 6 that are preempted themselves.
  ...[1, 2].map(
    (preempt): Kind => ({
      ops: reservations,
      needs: ['preempt'],
      make: (s) => {
        const of = [0n, 1n, 2n, 3n, 4n, 5n].map((i) => s.base + first + i);
        return {
          steps: [1, 3].flatMap((start) => [
            call('decrease_reservation', s, [{ of }], { start, inject: { preempt } }),
            call('populate_physmap', s, [{ of }], { start, inject: { preempt } }),
            call('increase_reservation', s, [{ of }], { start, inject: { preempt } }),
          ]),
        };
      },
    }),
  ),
  // Continuations of what must be refused: of a stranger, of nobody, of an order, of no struct.
  ...reservations.map(
    (op): Kind => ({
      ops: [op],
      domains: 2,
      make: (s) => {
        const from = s.base + (op === 'decrease_reservation' ? first : hole);
        const of = [0n, 1n, 2n].map((i) => from + i);
        return {
          steps: [2, 5, 0x102].flatMap((domid) => [
            call(op, s, [{ of }], { start: 1, domid }),
            call(op, s, [{ of, order: 40 }], { start: 1 }),
            call(op, s, [{ of }], { start: 2, arg: (s.base + hole + 8n) << shift }),
          ]),
        };
      },
    }),
  ),
  // All six ops for another guest, preempted: each part is about that guest.
  ...[1, 2].map(
    (preempt): Kind => ({
      ops: [...buffers, ...reservations],
      domains: 2,
      needs: ['preempt'],
      make: (s) => {
        const of = [0n, 1n, 2n, 3n].map((i) => s.base + first + i);
        const how = { domid: 2, inject: { preempt } };
        return {
          world: { privileged: [1] },
          steps: [
            got(s, of, how),
            ...moved(s, 2),
            put(s, of, how),
            ...moved(s, 2, churnsToMove),
            ...reservations.map((op) => call(op, s, [{ of }], how)),
          ],
        };
      },
    }),
  ),
  // All pages that a guest has, for which another calls.
  {
    ops: buffers,
    domains: 2,
    order: 4,
    make: (s) => ({
      world: { privileged: [1] },
      steps: [got(s, [s.base], { domid: 2 }, 4), ...moved(s, 2), put(s, [s.base], { domid: 2 }, 4)],
    }),
  },
  // Op 11 is preempted, and pins nothing.
  {
    ops: [...buffers, ...balloon, 'exchange'],
    needs: ['preempt'],
    make: (s) => {
      const of = [0n, 1n, 2n, 3n].map((i) => s.base + first + i);
      return {
        steps: [
          call('exchange', s, [{ of }, { of }], { inject: { preempt: 1 } }),
          ...moved(s),
          got(s, of),
          put(s, of),
          call('decrease_reservation', s, [{ of }]),
        ],
      };
    },
  },
];
