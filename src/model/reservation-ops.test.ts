import { describe, expect, it } from 'vitest';
import { strict } from './freedoms.ts';
import { data, holes, type Scene, scene } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const [increase, decrease, populate] = [0, 1, 6];
const from = (op: number, start: number): number => op | (start << 6);

/**
 * What real Xen 4.17 answered a translated guest: reference captures of an unprivileged arm64
 * guest.
 */
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

  it('decrease takes an extent as a whole or not at all', () => {
    const s = scene();
    expect([s.put([0x40000 + 62, data], 2, { cmd: decrease }), s.hypervisor.pages(1)]).toEqual([0, 64]);
    expect([s.put([data, data + 4], 2, { cmd: decrease }), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([2, 56, []]);
  });

  it('populate of an extent that is there in part is refused', () => {
    const s = scene();
    expect([holes, holes + 1, holes - 1].map((gfn) => s.put([gfn], 1, { cmd: populate }))).toEqual([1, 0, 0]);
  });

  it('populate beyond what can be mapped loses nothing', () => {
    const last = 2 ** 28;
    const s = scene({ arch: 'arm32' });
    expect([s.put([last - 1], 0, { cmd: populate }), s.put([last - 1], 1, { cmd: populate })]).toEqual([1, 0]);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([65, []]);
  });

  it('an extent may begin anywhere', () => {
    expect(scene().put([holes + 1], 1, { cmd: populate })).toBe(1);
    expect(scene().put([data + 1], 1, { cmd: decrease })).toBe(1);
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

  it('takes as many extents, and as high an order, as there may be', () => {
    const three = { 'more-limits': { ...strict['more-limits'], max_extents: 3n } };
    expect(
      [3, 4].map((n) =>
        scene({ freedoms: three }).put(
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
