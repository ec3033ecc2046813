import { DOMID } from '../../src/abi/constants.ts';
import { buffers, call, churnsToMove, first, got, hole, type Kind, type Listed, moved, put } from './kind.ts';

/** Meetings of domains: who pins, who puts, who may, and who is nobody. */
export const kindsOfDomains: readonly Kind[] = [
  // One put lists pages of two gets.
  {
    ops: buffers,
    make: (s) => {
      const [a, b] = [s.base + first, s.base + first + 1n];
      return { steps: [got(s, [a]), got(s, [b]), ...moved(s), put(s, [a, b]), ...moved(s, 1, churnsToMove)] };
    },
  },
  // A guest pins, and who may puts for it; or pins for it, and the guest itself puts.
  {
    ops: buffers,
    domains: 2,
    make: (s) => {
      const [a, b] = [s.base + first, s.base + first + 1n];
      const steps = [got(s, [a], { by: 2 }), got(s, [b], { domid: 2 }), ...moved(s, 2), put(s, [a], { domid: 2 }), put(s, [b], { by: 2 })];
      return { world: { privileged: [1] }, steps: [...steps, ...moved(s, 2, churnsToMove)] };
    },
  },
  // A stranger puts what another guest has pinned, by that guest's number and by the same frame of its own.
  {
    ops: buffers,
    domains: 2,
    make: (s) => {
      const [a, b] = [s.base + first, s.base + first + 1n];
      const strange = [put(s, [a, b], { domid: 2 }), ...moved(s, 2), put(s, [b]), put(s, [b, a]), ...moved(s, 2, 2), ...moved(s)];
      return { steps: [got(s, [a, b], { by: 2 }), ...strange] };
    },
  },
  // A stranger names a guest that has more rights than itself, also right after that guest's own call.
  ...(['get_dma_buf', 'put_dma_buf', 'decrease_reservation', 'populate_physmap', 'increase_reservation'] as const).map(
    (op): Kind => ({
      ops: [...buffers, op],
      domains: 2,
      make: (s) => {
        const a = s.base + first;
        const lists = (gfn: bigint): Listed[] => (op === 'get_dma_buf' ? [{ of: [gfn] }, { of: [gfn] }] : [{ of: [gfn] }]);
        const gfn = op === 'populate_physmap' ? s.base + hole : op === 'put_dma_buf' ? a : a + 2n;
        const asked = call(op, s, lists(gfn), { domid: 2 });
        return { world: { privileged: [2] }, steps: [asked, got(s, [a], { by: 2 }), asked, ...moved(s, 2)] };
      },
    }),
  ),
  // Numbers that no domain has, though parts of them are one's.
  ...(['get_dma_buf', 'put_dma_buf', 'decrease_reservation', 'populate_physmap', 'increase_reservation'] as const).flatMap((op) =>
    [true, false].map(
      (isRaised): Kind => ({
        ops: [...buffers, op],
        make: (s) => {
          const a = s.base + first;
          const lists = (gfn: bigint): Listed[] => (op === 'get_dma_buf' ? [{ of: [gfn] }, { of: [gfn] }] : [{ of: [gfn] }]);
          const gfn = op === 'populate_physmap' ? s.base + hole : op === 'put_dma_buf' ? a : a + 1n;
          const asked = [0, 0x8001, 0x101, 0xffff, 0x7fef, DOMID.SELF | 0x8000, DOMID.SELF & 0xff, DOMID.INVALID, DOMID.IDLE].map((domid) =>
            call(op, s, lists(gfn), { domid }),
          );
          return { world: { privileged: isRaised ? [1] : [] }, steps: [got(s, [a]), ...asked, ...moved(s)] };
        },
      }),
    ),
  ),
  // Two numbers that are one in a part of their bits.
  ...(['get_dma_buf', 'exchange'] as const).map(
    (op): Kind => ({
      ops: [op],
      make: (s) => {
        const of = [s.base + first];
        const parts = [
          [DOMID.SELF, DOMID.SELF & 0xff],
          [DOMID.SELF, DOMID.SELF | 0x8000],
          [1, 0x101],
          [1, 0x8001],
        ] as const;
        const steps = parts.flatMap(([one, other]) => [
          call(op, s, [
            { of, domid: one },
            { of, domid: other },
          ]),
          call(op, s, [
            { of, domid: other },
            { of, domid: one },
          ]),
        ]);
        return { world: { privileged: [1] }, steps };
      },
    }),
  ),
];
