import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Call } from './call.ts';
import { exchangeOf, overlapsLaterInput } from './exchange.ts';
import { strict } from './freedoms.ts';
import { data, holes, inListAddress, outListAddress, type Scene, scene } from './scene.stage.ts';
import { type Domain, domainOf } from './state.ts';

const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);

/** Does a get with these lists populate what one of its later chunks takes? */
function later(s: Scene, ins: number[], outs: number[], { inOrder = 0, outOrder = 0, from = 0 } = {}): boolean {
  s.list(inListAddress, ins);
  s.list(outListAddress, outs);
  const { state } = s.hypervisor;
  const call: Call = { state, caller: domainOf(state, 1) as Domain, arg: 0n, inject: {}, freedoms: strict, allocations: 0 };
  const reservation = { address_bits: 0, domid: 0x7ff0 };
  const given = { ...reservation, extent_start: inListAddress, nr_extents: BigInt(ins.length), extent_order: inOrder };
  const wanted = { ...reservation, extent_start: outListAddress, nr_extents: BigInt(outs.length), extent_order: outOrder };
  return overlapsLaterInput(call, exchangeOf(call, { in: given, out: wanted, nr_exchanged: BigInt(from) }));
}

describe('an output that a later chunk would take away', () => {
  it('is found, and nothing else is, whatever the lists', () => {
    const order = fc.integer({ min: 0, max: 2 });
    const lists = fc.record({
      inOrder: order,
      outOrder: order,
      chunks: fc.integer({ min: 1, max: 9 }),
      seed: fc.infiniteStream(fc.nat(40)),
    });
    const s = scene();
    let found = 0;
    fc.assert(
      fc.property(lists, ({ inOrder, outOrder, chunks, seed }) => {
        const larger = Math.max(inOrder, outOrder);
        const [perIn, perOut] = [2 ** (larger - inOrder), 2 ** (larger - outOrder)];
        const next = (): number => data + (seed.next().value as number);
        const ins = Array.from({ length: chunks * perIn }, next);
        const outs = Array.from({ length: chunks * perOut }, next);
        // The sentence itself, pair by pair.
        const wanted = outs.some((out, k) =>
          ins.some((base, i) => {
            const overlaps = base < out + 2 ** outOrder && out < base + 2 ** inOrder;
            return overlaps && Math.floor(i / perIn) > Math.floor(k / perOut);
          }),
        );
        expect([ins, outs, later(s, ins, outs, { inOrder, outOrder })]).toEqual([ins, outs, wanted]);
        found += wanted ? 1 : 0;
      }),
      { numRuns: 300, seed: 1 },
    );
    expect([found > 50, found < 290]).toEqual([true, true]);
  });

  it('is one of those from where the call goes on', () => {
    const s = scene();
    expect(later(s, run(data, 3), [data + 2, holes, holes + 1], { from: 1 })).toBe(false);
    expect(later(s, run(data, 3), [holes, data + 2, holes + 1], { from: 1 })).toBe(true);
    expect(later(s, run(data, 4), [holes, data + 3], { outOrder: 1, from: 3 })).toBe(false);
  });

  it('is none where a list cannot be read: that is found when its chunk is reached', () => {
    const s = scene();
    const beyond = 0x4003fff8n;
    s.list(beyond, [data]);
    const { state } = s.hypervisor;
    const call: Call = { state, caller: domainOf(state, 1) as Domain, arg: 0n, inject: {}, freedoms: strict, allocations: 0 };
    const two = { nr_extents: 2n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
    s.list(inListAddress, [data, data + 1]);
    s.list(outListAddress, [data + 1, holes]);
    const of = (given: bigint, wanted: bigint) =>
      overlapsLaterInput(
        call,
        exchangeOf(call, { in: { ...two, extent_start: given }, out: { ...two, extent_start: wanted }, nr_exchanged: 0n }),
      );
    expect([of(inListAddress, outListAddress), of(beyond, outListAddress), of(inListAddress, beyond)]).toEqual([true, false, false]);
  });
});
