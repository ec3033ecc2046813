import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codecFor } from '../codec/codec.ts';
import type { World } from '../guest/world.ts';
import { countFree } from './allocator.ts';
import { createHypervisor } from './hypervisor.ts';
import { data, holes, inListAddress, machineOf, outListAddress, ram, scene, structAddress } from './scene.stage.ts';
import { cloneState, type Domain, type State, typeInvariant } from './state.ts';
import { buildWorld } from './world.ts';

const world: World = {
  arch: 'arm64',
  domains: [
    { domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 16 }], holes: [{ gfn: 0x50000n, pages: 16 }] },
    {
      domid: 2,
      privileged: true,
      ram: [
        { gfn: 0x40000n, pages: 16 },
        { gfn: 0x80000n, pages: 1 },
      ],
      holes: [],
    },
  ],
  free: { low: 5, high: 7 },
};
const domain = (state: State, domid = 1): Domain => state.domains.get(domid) as Domain;

describe('a world', () => {
  const state = buildWorld(world);
  const frames = [...domain(state).p2m.values()];

  it('is what was asked for', () => {
    expect([domain(state).p2m.size, domain(state, 2).p2m.size, state.frames]).toEqual([16, 17, 16 + 17 + 5 + 7]);
    expect(countFree(state.free)).toEqual({ below: 5, above: 7 });
    expect(typeInvariant(state)).toEqual([]);
  });

  it('has a p2m that is neither the identity nor monotone, without contiguous neighbours', () => {
    expect([...domain(state).p2m].filter(([gfn, mfn]) => gfn === mfn)).toEqual([]);
    const steps = frames.slice(1).map((frame, i) => frame - (frames[i] as number));
    expect(steps.some((step) => step > 0) && steps.some((step) => step < 0)).toBe(true);
    expect(steps).not.toContain(1);
    expect(frames.some((f) => f < 2 ** 20) && frames.some((f) => f >= 2 ** 20)).toBe(true);
  });

  it('cannot be everything', () => {
    const wish = (other: object) => () => buildWorld({ ...world, ...other });
    const one = (ram: object[]) => wish({ domains: [{ domid: 1, privileged: false, ram, holes: [] }] });
    expect(
      one([
        { gfn: 1n, pages: 2 },
        { gfn: 2n, pages: 1 },
      ]),
    ).toThrow(new RangeError('gfn 2 is listed twice'));
    expect(one([{ gfn: 1n, pages: -1 }])).toThrow(new RangeError('-1 is not a number of pages'));
    expect(one([{ gfn: (1n << 52n) - 1n, pages: 2 }])).toThrow(/outside the address space/);
    expect(one([{ gfn: 0n, pages: 2 ** 23 }])).toThrow(/at most/);
    expect(wish({ free: { low: 2 ** 19, high: 0 } })).toThrow(/at most/);
    expect(wish({ domains: [...world.domains, ...world.domains] })).toThrow(/ordinary, unused/);
    expect(wish({ domains: [{ domid: 0x7ff0, privileged: false, ram: [], holes: [] }] })).toThrow(/ordinary, unused/);
  });
});

describe('the invariant', () => {
  const broken = (change: (state: State) => void): string[] => {
    const state = buildWorld(world);
    change(state);
    return typeInvariant(state);
  };
  const frameOf = (state: State, gfn: number, domid = 1): number => domain(state, domid).p2m.get(gfn) as number;
  const rename = (s: State, gfn: number): void => {
    const { p2m } = domain(s);
    p2m.set(gfn, frameOf(s, 0x40000));
    p2m.delete(0x40000);
  };
  const split = (s: State): void => {
    const order = s.free.findLastIndex((list) => list.length > 0);
    const base = s.free[order]?.pop() as number;
    s.free[order - 1]?.push(base, base + 2 ** (order - 1));
  };

  it.each<[string, (state: State) => void, string[]]>([
    ['a pinned hole', (s) => domain(s).pins.add(0x50000), ['a pinned page is mapped']],
    ['a frame lost', (s) => s.free[0]?.pop(), ['frames are conserved']],
    ['a page leaked', (s) => domain(s).p2m.delete(0x40000), ['an owned frame is mapped or counted as unaddressed']],
    [
      'a frame of two owners',
      (s) => domain(s, 2).owned.add(frameOf(s, 0x40000)),
      ['no frame has two owners', 'an owned frame is mapped or counted as unaddressed', 'frames are conserved'],
    ],
    ['a frame behind two gfns', (s) => domain(s).p2m.set(0x40000, frameOf(s, 0x40001)), ['no frame is mapped twice']],
    [
      'a stale mapping',
      (s) => {
        domain(s).owned.delete(frameOf(s, 0x40000));
        s.free[0]?.push(frameOf(s, 0x40000));
      },
      ['no frame is both free and mapped', 'a mapped frame is owned by that domain', 'an owned frame is mapped or counted as unaddressed'],
    ],
    ['a frame freed twice', (s) => s.free[0]?.push(s.free[0][0] as number), ['no frame is free twice', 'frames are conserved']],
    ['a block off its place', (s) => s.free[1]?.splice(0, 1, (s.free[1][0] as number) + 1), ['a free block is aligned to its size']],
    ['a gfn beyond 64-bit addresses', (s) => rename(s, 2 ** 52), ['a gfn fits the address space']],
    ['a gfn below zero', (s) => rename(s, -1), ['a gfn fits the address space']],
    ['a gfn that is no number of a page', (s) => rename(s, 0.5), ['a gfn fits the address space']],
    ['a block that was not joined with its buddy', split, ['a free block and its buddy are one block']],
  ])('notices %s', (_, change, names) => {
    expect(broken(change)).toEqual(expect.arrayContaining(names));
    if (names.length > 1 || names[0] !== 'a free block is aligned to its size') expect(broken(change)).toEqual(names);
  });
});

describe('a state as a value', () => {
  it('can be cloned and goes its own way', () => {
    const s = scene();
    s.mark(data, 5);
    const before = cloneState(s.hypervisor.state);
    const key = machineOf(before);
    expect(machineOf(s.hypervisor.state)).toEqual(key);
    expect(s.get({ in: [data], out: [holes] }).rc).toBe(0);
    s.mark(data + 1, 6);
    const later = cloneState(s.hypervisor.state);
    s.mark(data + 1, 7);
    expect(machineOf(before)).toEqual(key);
    s.hypervisor.state = before;
    expect([s.mfn(holes), s.marked(data)]).toEqual([null, 5]);
    s.hypervisor.state = later;
    expect(s.marked(data + 1)).toBe(6);
    expect(s.hypervisor.changes(1)).not.toEqual([]); // what the get wrote
  });

  it('forgets no change and takes on none', () => {
    const s = scene();
    expect(s.get({ in: [data], out: [holes] }).rc).toBe(0);
    const copy = cloneState(s.hypervisor.state);
    const pieces = copy.domains.get(1)?.changed.pieces.length;
    expect(pieces).toBeGreaterThan(0);
    expect(s.get({ in: [data + 1], out: [holes + 1] }).rc).toBe(0);
    expect(copy.domains.get(1)?.changed.pieces.length).toBe(pieces);
  });
});

describe('whatever guests do', () => {
  const gfn = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: data, max: data + 12 }) },
    { weight: 4, arbitrary: fc.integer({ min: holes, max: holes + 12 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, ram, ram + 1, ram + 2, 2 ** 28, 2 ** 52) },
  );
  const list = fc.oneof(fc.uniqueArray(gfn, { maxLength: 5 }), fc.array(gfn, { maxLength: 5 }));
  const order = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 19, 0xffffffff);
  const inject = fc.record({ fail_alloc: fc.nat(6), preempt: fc.integer({ min: -1, max: 4 }) }, { requiredKeys: [] });
  const bits = fc.constantFrom(0, 0, 0, 12, 13, 31, 32, 33, 64, 256, 0xffffffff);
  const from = fc.constantFrom(1, 2);
  const domid = fc.constantFrom(0x7ff0, 0x7ff0, 0x7ff0, 1, 2, 3);
  const exchange = fc.record({
    kind: fc.constant('get' as const),
    op: fc.constantFrom(26, 26, 11),
    in: list,
    out: list,
    inOrder: order,
    outOrder: order,
    bits,
    inject,
    from,
    domid,
  });
  const plain = fc
    .record({
      from,
      op: fc.constantFrom(26, 26, 11),
      order: fc.nat(2),
      picks: fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 4 }),
      inject,
    })
    .chain(({ from, op, order, picks, inject }) => {
      const run = (first: number, step: number): number[] => picks.map((i) => first + i * step);
      const extents = run(data, 2 ** order).filter((g) => g < data + 12);
      const usual = { kind: 'get' as const, op, bits: 0, inject, from, domid: 0x7ff0, in: extents };
      const singles = extents.flatMap((g) => Array.from({ length: 2 ** order }, (_, j) => g + j));
      return fc.constantFrom(
        { ...usual, out: extents, inOrder: order, outOrder: order },
        { ...usual, out: singles, inOrder: order, outOrder: 0 },
        { ...usual, in: singles, out: extents, inOrder: 0, outOrder: order },
      );
    });
  const reservation = fc.record({
    kind: fc.constant('put' as const),
    cmd: fc.constantFrom(27, 27, 0, 1, 6, 6 + 64),
    gfns: list,
    order,
    inject,
    from,
    domid,
  });
  const churn = fc.record({ kind: fc.constant('churn' as const), gfn, pages: fc.nat(20), from });
  const wild = fc.record({
    kind: fc.constant('wild' as const),
    cmd: fc.oneof(fc.constantFrom(0, 1, 6, 11, 26, 27), fc.integer({ min: 0, max: 0xffffffff })),
    bytes: fc.uint8Array({ minLength: 72, maxLength: 72 }),
    arg: fc.oneof(fc.constant(structAddress), fc.constantFrom(inListAddress, outListAddress), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    from,
  });
  const any = fc.oneof(
    { weight: 4, arbitrary: plain },
    { weight: 3, arbitrary: exchange },
    { weight: 4, arbitrary: reservation },
    { weight: 1, arbitrary: churn },
    { weight: 1, arbitrary: wild },
  );
  const steps = fc.array(any, { maxLength: 25, size: 'max' });
  const arch = fc.constantFrom('arm64' as const, 'arm32' as const);

  it('no state breaks an invariant, no pinned page moves, nothing throws, every answer is a return code', () => {
    let successes = 0;
    fc.assert(
      fc.property(arch, steps, (arch, steps) => {
        const domains = [1, 2].map((domid) => ({
          domid,
          privileged: domid === 2,
          ram: [{ gfn: BigInt(ram), pages: 32 }],
          holes: [{ gfn: BigInt(holes), pages: 8 }],
        }));
        const s = scene({ arch, domains, free: { low: 9, high: 14 } });
        const h = s.hypervisor;
        for (const step of steps) {
          const pinned = [...h.state.domains].flatMap(([domid, d]) => [...d.pins].map((g) => [domid, g, d.p2m.get(g)] as const));
          let rc = 0;
          let isPut = false;
          if (step.kind === 'get') {
            const struct = { in: { domid: step.domid }, out: { domid: step.domid } };
            rc = s.get({ ...step, struct }).rc;
            if (rc === 0 && step.in.length > 0) successes++;
          } else if (step.kind === 'put') {
            rc = s.put(step.gfns, step.order, { cmd: step.cmd, domid: step.domid, inject: step.inject, from: step.from });
            isPut = step.cmd === 27;
          } else if (step.kind === 'churn') {
            h.churn(step.from, BigInt(step.gfn), step.pages);
          } else {
            h.write(step.from, structAddress, step.bytes);
            rc = h.call(step.from, step.cmd, step.arg);
            isPut = (step.cmd & 63) === 27;
          }
          expect(Number.isInteger(rc) && (rc <= 0 || step.kind !== 'get')).toBe(true);
          expect(typeInvariant(h.state)).toEqual([]);
          for (const [domid, g, mfn] of pinned) {
            expect(h.state.domains.get(domid)?.p2m.get(g)).toBe(mfn);
            if (!isPut) expect(h.state.domains.get(domid)?.pins.has(g)).toBe(true);
          }
        }
      }),
      { numRuns: 400 },
    );
    expect(successes).toBeGreaterThan(300);
  });

  it('get after put after get keeps succeeding', () => {
    const h = createHypervisor();
    h.reset(world);
    const reservation = (extent_start: bigint) => ({ extent_start, nr_extents: 1n, extent_order: 0, address_bits: 0, domid: 0x7ff0 });
    const codecs = codecFor('arm64');
    h.write(1, inListAddress, Uint8Array.of(0x09, 0, 4));
    h.write(1, structAddress + 128n, codecs.xen_put_dma_buf.encode({ in: reservation(inListAddress) }));
    for (let i = 0; i < 50; i++) {
      h.write(1, outListAddress, Uint8Array.of(0x09, 0, 4, 0, 0, 0, 0, 0));
      const struct = { in: reservation(inListAddress), out: reservation(outListAddress), nr_exchanged: 0n };
      h.write(1, structAddress, codecs.xen_get_dma_buf.encode(struct));
      expect([h.call(1, 26, structAddress), h.call(1, 27, structAddress + 128n)]).toEqual([0, 0]);
    }
  });
});
