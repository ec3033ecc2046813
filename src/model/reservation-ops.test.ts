import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import type { Decisions } from './decisions.ts';
import { data, holes, inListAddress, type Scene, scene, structAddress } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const [increase, decrease, populate] = [0, 1, 6];
const from = (op: number, start: number): number => op | (start << 6);

/** What real Xen 4.17 answered a translated guest: reference captures of an unprivileged arm64 guest. */
describe('ops 0, 1 and 6', () => {
  it('decrease takes pages away and counts them', () => {
    const s = scene();
    expect(s.put([data, data + 1, data + 2, data + 3], 0, { cmd: decrease })).toBe(4);
    expect([s.hypervisor.pages(1), s.mfn(data), s.hypervisor.read(1, 0x40008000n, 1)]).toEqual([60, null, undefined]);
    expect(s.put([data, data + 1, data + 2, data + 3], 0, { cmd: decrease })).toBe(0);
  });

  it('decrease stops at the first page that is not there', () => {
    const s = scene();
    expect(s.put([data, data + 1, holes, data + 2], 0, { cmd: decrease })).toBe(2);
    expect(s.mfn(data + 2)).not.toBe(null);
    expect(s.put([data + 9, data + 9, data + 9], 0, { cmd: decrease })).toBe(1);
  });

  it('populate gives holes contiguous pages, up to the allowance', () => {
    const s = scene();
    expect(s.put([holes, holes + 4], 2, { cmd: populate, address_bits: 32 })).toBe(2);
    const base = s.mfn(holes) as number;
    expect([base % 4, s.mfn(holes + 3)]).toEqual([0, base + 3]);
    expect(base + 4).toBeLessThanOrEqual(2 ** 20);
    expect(s.put([holes + 20, data, holes + 21], 0, { cmd: populate })).toBe(1);
    expect(s.put([holes + 30, 2 ** 52], 0, { cmd: populate })).toBe(1);
    const full = scene({ domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }] }] });
    expect(full.put([holes], 0, { cmd: populate })).toBe(0);
    expect(full.put([data], 0, { cmd: decrease })).toBe(1);
    expect(full.put([holes, holes + 1], 0, { cmd: populate })).toBe(1);
  });

  it('increase charges pages that no gfn leads to, and leaves the list alone', () => {
    const s = scene();
    s.hypervisor.changes(1);
    expect(s.put([0xaa, 0xaa, 0xaa], 0, { cmd: increase })).toBe(3);
    expect(s.put([], 1, { cmd: increase, extent_start: 0n, nr_extents: 2n })).toBe(2);
    expect(s.hypervisor.pages(1)).toBe(64 + 3 + 4);
    expect(s.hypervisor.changes(1)).toEqual([]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
    expect(s.put([1, 2, 3], 0, { cmd: increase, inject: { fail_alloc: 1 } })).toBe(1);
    const atTheLimit = scene({ domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }] }] });
    expect(atTheLimit.put([1, 2, 3], 0, { cmd: increase })).toBe(0);
  });

  it.each([increase, decrease, populate])('op %i starts at start_extent; any early failure returns it', (op) => {
    const s = scene();
    const gfns = op === decrease ? [data, data + 1, data + 2] : [holes, holes + 1, holes + 2];
    expect(s.put(gfns, 0, { cmd: from(op, 2) })).toBe(3);
    expect(op === increase ? null : s.mfn(gfns[0] as number) === null).toBe(op === increase ? null : op === populate);
    expect(s.put(gfns, 0, { cmd: from(op, 3) })).toBe(3);
    expect(s.put(gfns, 0, { cmd: from(op, 7) })).toBe(7);
    expect(s.hypervisor.call(1, from(op, 9), 0n)).toBe(9);
    expect(s.put(gfns, 0, { cmd: from(op, 2), domid: 5 })).toBe(2);
  });

  it.each([increase, decrease, populate])('op %i refuses by a count of 0', (op) => {
    const s = scene();
    const gfns = op === decrease ? [data] : [holes];
    const count = (other: Parameters<Scene['put']>[2]) => s.put(gfns, 0, { cmd: op, ...other });
    for (const nr_extents of [0n, 0x4000000n, 2n ** 32n + 1n, 2n ** 64n - 1n]) expect(count({ nr_extents })).toBe(0);
    for (const extent_order of [10, 19, 63, 64, 0xffffffff]) expect(count({ extent_order })).toBe(0);
    for (const domid of [5, 0x7ff1, 0x7ff2, 0x7ff4, 0xffff]) expect(count({ domid })).toBe(0);
    for (const address_bits of [1, 11, 12]) expect(count({ address_bits })).toBe(0);
    if (op !== increase) expect(count({ extent_start: 0n })).toBe(0);
    expect(s.hypervisor.call(1, op, 0x50000000n)).toBe(0);
    expect(count({ domid: 1 })).toBe(1);
  });

  it('populate on demand of oneself is refused', () => {
    expect(scene().put([holes], 0, { cmd: populate, address_bits: 1 << 16 })).toBe(0);
    expect(scene().put([data], 0, { cmd: decrease, address_bits: 1 << 16 })).toBe(1);
  });

  it('decrease takes an extent as a whole, or page by page if that is decided', () => {
    const asked = (decreasesWhole: boolean): [number, number] => {
      const s = scene({ decisions: { decreasesWhole } });
      return [s.put([0x40000 + 62, data], 2, { cmd: decrease }), s.hypervisor.pages(1)];
    };
    expect([asked(true), asked(false)]).toEqual([
      [0, 64],
      [0, 62],
    ]);
    const s = scene();
    expect([s.put([data, data + 4], 2, { cmd: decrease }), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([2, 56, []]);
  });

  it('decrease of a pinned page is refused, or takes the pin along', () => {
    for (const [refuses, count] of [
      [true, 1],
      [false, 3],
    ] as const) {
      const s = scene({ decisions: { pinRefuses: (change) => (refuses && change === 'decrease' ? errno.EINVAL : 0) } });
      expect(s.get({ in: [data + 1], out: [data + 1] }).rc).toBe(0);
      expect(s.put([data, data + 1, data + 2], 0, { cmd: decrease })).toBe(count);
      expect(s.hypervisor.state.domains.get(1)?.pins.has(data + 1)).toBe(refuses);
    }
  });

  it('populate over a page that is there is refused, for a pin alone, or lets it out of reach', () => {
    const over = (decisions: Partial<Decisions>) => {
      const s = scene({ decisions });
      expect(s.get({ in: [data], out: [data] }).rc).toBe(0);
      const count = s.put([holes, data, data + 1], 0, { cmd: populate });
      return [count, s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)];
    };
    expect(over({})).toEqual([1, 65, []]);
    expect(over({ outputPopulated: 0 })).toEqual([1, 65, []]);
    const two = scene({ decisions: { outputPopulated: 0 } });
    expect([two.put([data], 1, { cmd: populate }), two.hypervisor.pages(1), typeInvariant(two.hypervisor.state)]).toEqual([1, 66, []]);
    expect(over({ outputPopulated: 0, pinRefuses: (change) => (change === 'populate' ? 0 : errno.EINVAL) })).toEqual([3, 67, []]);
    const partly = scene();
    expect([
      partly.put([holes], 1, { cmd: populate }),
      partly.put([holes + 1], 1, { cmd: populate }),
      partly.put([holes - 1], 1, { cmd: populate }),
    ]).toEqual([1, 0, 0]);
  });

  it('populate beyond what can be mapped loses nothing, unless that goes unnoticed', () => {
    const last = 2 ** 28;
    const beyond = (decisions: Partial<Decisions>) => {
      const s = scene({ arch: 'arm32', decisions });
      return [
        s.put([last - 1], 0, { cmd: populate }),
        s.put([last - 1], 1, { cmd: populate }),
        s.hypervisor.pages(1),
        typeInvariant(s.hypervisor.state),
      ];
    };
    expect(beyond({})).toEqual([1, 0, 65, []]);
    expect(beyond({ outputBeyond: 0 })).toEqual([1, 0, 67, []]);
  });

  it('a privileged domain populates and decreases another, an unprivileged one does not', () => {
    const domains = [1, 2].map((domid) => ({
      domid,
      privileged: domid === 1,
      ram: [{ gfn: 0x40000n, pages: 64 }],
      holes: [{ gfn: BigInt(holes), pages: 8 }],
    }));
    const s = scene({ domains });
    expect([s.put([data], 0, { cmd: decrease, domid: 2 }), s.mfn(data, 2), s.mfn(data) !== null]).toEqual([1, null, true]);
    expect(s.put([holes], 0, { cmd: populate, domid: 2, address_bits: 1 << 16 })).toBe(1); // on demand, for another
    expect([s.mfn(holes, 2) !== null, s.mfn(holes)]).toEqual([true, null]);
    expect(s.put([data], 0, { cmd: decrease, domid: 1, from: 2 })).toBe(0);
    expect(scene({ domains, decisions: { foreignDomain: 0 } }).put([data], 0, { cmd: decrease, domid: 1, from: 2 })).toBe(1);
  });

  it('an extent finds memory under its limit and its allowance, and none when the domain is being torn down', () => {
    const s = scene({ free: { low: 4, high: 8 } });
    expect(s.put([holes, holes + 4], 2, { cmd: populate, address_bits: 32 })).toBe(0); // 2 + 2 frames around 2 GiB
    expect(s.put([holes, holes + 2, holes + 4], 1, { cmd: populate, address_bits: 32 })).toBe(2);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([68, []]);
    expect(s.put([holes + 8], 2, { cmd: populate })).toBe(1);
    const tight = scene({
      domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }], holes: [{ gfn: BigInt(holes), pages: 2 }] }],
    });
    expect([tight.put([holes], 2, { cmd: populate }), tight.put([holes, holes + 2], 1, { cmd: populate })]).toEqual([0, 1]);
    const dying = scene();
    (dying.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
    expect([
      dying.put([holes], 0, { cmd: populate }),
      dying.put([1], 0, { cmd: increase }),
      dying.put([data], 0, { cmd: decrease }),
    ]).toEqual([0, 0, 1]);
  });

  it('may mind where extents begin, tell their frames, or start and count otherwise', () => {
    const minding = scene({ decisions: { misaligned: errno.EINVAL } });
    expect([
      minding.put([holes + 1], 1, { cmd: populate }),
      minding.put([holes + 2], 1, { cmd: populate }),
      minding.put([data + 1], 1, { cmd: decrease }),
    ]).toEqual([0, 1, 0]);
    expect(scene().put([holes + 1], 1, { cmd: populate })).toBe(1);
    const telling = scene({ decisions: { reservationSlot: (i, op) => (op === decrease ? -1 : i + 1) } });
    const word = (s: Scene, i: number): number =>
      new DataView((s.hypervisor.read(1, inListAddress + BigInt(8 * i), 8) as Uint8Array).buffer).getUint32(0, true);
    expect(telling.put([holes, holes + 1], 0, { cmd: populate })).toBe(2); // the second entry is the frame by then, and names a hole
    expect([word(telling, 0), word(telling, 1)]).toEqual([holes, telling.mfn(holes)]);
    expect([telling.put([data], 0, { cmd: decrease }), word(telling, 0), word(telling, 1)]).toEqual([1, data, telling.mfn(holes)]);
    const decreasing = scene({ decisions: { reservationSlot: (i) => i } });
    const frame = decreasing.mfn(data);
    expect([decreasing.put([data], 0, { cmd: decrease }), word(decreasing, 0)]).toEqual([1, frame]);
    expect(scene({ decisions: { reservationStart: () => 0 } }).put([data, data + 1], 0, { cmd: from(decrease, 1) })).toBe(2);
    const counts = { reservationCount: (done: number, nr: number, op: number) => 100 * done + 10 * nr + op };
    const counting = scene({ decisions: counts });
    expect(counting.put([data, data + 1, holes], 0, { cmd: decrease })).toBe(231);
    expect(counting.put([], 0, { cmd: decrease })).toBe(1);
    expect(counting.hypervisor.call(1, from(populate, 3), 0n)).toBe(336);
  });

  it('takes as many extents, and as high an order, as there may be', () => {
    const three = { maxExtents: 3n };
    expect(
      [3, 4].map((n) =>
        scene({ decisions: three }).put(
          Array.from({ length: n }, (_, i) => data + i),
          0,
          { cmd: decrease },
        ),
      ),
    ).toEqual([3, 0]);
    const order = (n: number, privileged: boolean): number => {
      const domains = [{ domid: 1, privileged, ram: [{ gfn: 0x40000n, pages: 64 }], holes: [{ gfn: BigInt(holes), pages: 2048 }] }];
      return scene({ domains, free: { low: 0, high: 2048 } }).put([holes], n, { cmd: populate });
    };
    expect([order(9, false), order(10, false), order(10, true)]).toEqual([1, 0, 1]);
  });

  it('may write its struct back', () => {
    const s = scene({ decisions: { structRewritten: (bytes) => bytes.fill(9, 26, 28) } });
    expect(s.put([data], 0, { cmd: decrease })).toBe(1);
    expect([...(s.hypervisor.read(1, structAddress + 24n, 6) ?? [])]).toEqual([0xf0, 0x7f, 9, 9, 0, 0]);
  });

  it('finds no memory for the extent that was told so, counted over the call', () => {
    const at = (fail_alloc: number): number => scene().put([holes, holes + 1, holes + 2], 0, { cmd: populate, inject: { fail_alloc } });
    expect([at(0), at(1), at(2), at(3)]).toEqual([0, 1, 2, 3]);
  });

  it('a list that runs into a hole is done as far as it goes', () => {
    const s = scene();
    s.list(0x4003fff0n, [data, data + 1]);
    expect(s.put([], 0, { cmd: decrease, extent_start: 0x4003fff0n, nr_extents: 4n })).toBe(2);
  });
});
