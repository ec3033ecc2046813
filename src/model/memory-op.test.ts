import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { codecFor } from '../codec/codec.ts';
import type { Decisions } from './decisions.ts';
import { profiles } from './profiles.ts';
import { data, holes, type Scene, scene, structAddress } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const [increase, decrease, populate] = [0, 1, 6];
const from = (op: number, start: number): number => op | (start << 6);

describe('the door', () => {
  it.each([2, 3, 5, 7, 12, 18, 25, 28, 63])('op %i is not implemented', (op) => {
    expect(scene().hypervisor.call(1, op, structAddress)).toBe(-errno.ENOSYS);
  });

  it('knows only the domains of its world', () => {
    const { hypervisor } = scene();
    expect(() => hypervisor.call(9, 26, 0n)).toThrow(new RangeError('no domain 9 in this world'));
    expect(() => hypervisor.read(9, 0n, 1)).toThrow(RangeError);
  });

  it('leaves guest memory to the guest: reads and writes fault across the end of RAM', () => {
    const { hypervisor } = scene();
    expect(hypervisor.write(1, 0x4003fffcn, Uint8Array.of(1, 2, 3, 4, 5))).toBe(false);
    expect(hypervisor.write(1, 0x40007ffcn, Uint8Array.of(1, 2, 3, 4, 5))).toBe(true);
    expect(hypervisor.read(1, 0x40007ffcn, 6)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 0));
    expect(hypervisor.read(1, 0x4003fffcn, 5)).toBe(undefined);
    expect(hypervisor.read(1, 2n ** 64n - 1n, 1)).toBe(undefined);
    expect(hypervisor.changes(1)).toEqual([]);
  });
});

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
  });

  it('a list that runs into a hole is done as far as it goes', () => {
    const s = scene();
    s.list(0x4003fff0n, [data, data + 1]);
    expect(s.put([], 0, { cmd: decrease, extent_start: 0x4003fff0n, nr_extents: 4n })).toBe(2);
  });
});

describe('exchange', () => {
  it('is get without the pin', () => {
    const s = scene();
    const { rc, nr_exchanged, out } = s.get({ in: [data], out: [holes], op: 11 });
    expect({ rc, nr_exchanged, out }).toEqual({ rc: 0, nr_exchanged: 1n, out: [s.mfn(holes)] });
    expect(s.stays(holes)).toBe(false);
  });
});

describe('what has shipped', () => {
  it('does not know 26 and 27, or takes them for other calls', () => {
    const one = { in: [data], out: [data] };
    const old = scene({ profile: 'xen-4.4' });
    expect([old.get(one).rc, old.put([data])]).toEqual([-errno.ENOSYS, -errno.ENOSYS]);
    const now = scene({ profile: 'xen-now' });
    expect([now.get(one).rc, now.put([data])]).toEqual([-errno.EINVAL, -errno.EINVAL]);
  });

  it('cannot exchange on Arm, and rounds nr_exchanged down to whole output chunks', () => {
    const asked = { in: [data, data + 1, data + 2, data + 3], op: 11 };
    for (const nr_exchanged of [1n, 2n, 3n]) {
      const now = scene({ profile: 'xen-now' });
      expect(now.get({ ...asked, out: [holes], outOrder: 2, struct: { nr_exchanged } })).toMatchObject({ rc: -95, nr_exchanged: 0n });
      expect(now.get({ ...asked, out: asked.in, struct: { nr_exchanged } })).toMatchObject({ rc: -95, nr_exchanged });
    }
    expect(scene({ profile: 'xen-4.4' }).get({ ...asked, out: [holes], outOrder: 2 })).toMatchObject({ rc: -22, nr_exchanged: 0n });
  });

  it('today looks at the order first, and returns 0 at once when nothing is left (D5)', () => {
    const now = (struct: object, op = 11) => scene({ profile: 'xen-now' }).get({ in: [data], out: [data], op, struct }).rc;
    expect(now({ in: { extent_order: 19 }, out: { domid: 5 } })).toBe(-errno.EPERM);
    expect(now({ in: { domid: 5 }, out: { domid: 5 }, nr_exchanged: 1n })).toBe(0);
    expect(now({ in: { domid: 5 }, out: { domid: 5 } })).toBe(-errno.ESRCH);
    expect(now({}, 11 | (1 << 6))).toBe(-errno.EINVAL);
    const then = scene({ profile: 'xen-4.4' }).get({ in: [data], out: [data], op: 11, struct: { in: { extent_order: 21, domid: 5 } } });
    expect(then.rc).toBe(-errno.EINVAL);
  });

  describe('where it can take pages away', () => {
    const works: Partial<Decisions> = { cannotSteal: () => 0, writesMfns: () => 'per chunk' };
    const lastEntry = 0x4003fff8n;
    const cutList = (s: Scene) => {
      s.list(lastEntry, [holes]);
      return s.get({ in: [data, data + 1], out: [holes, holes], op: 11, struct: { out: { extent_start: lastEntry } } });
    };

    it('D1: a fault behind the commit reports a chunk as not exchanged whose input is gone', () => {
      const s = scene({ profile: 'xen-now', decisions: works });
      expect(cutList(s)).toMatchObject({ rc: -errno.EFAULT, nr_exchanged: 1n });
      expect([s.mfn(data), s.mfn(data + 1), s.hypervisor.pages(1)]).toEqual([null, null, 64]);
    });

    it('D2: 4.4 goes on, and counts everything', () => {
      const s = scene({ profile: 'xen-4.4', decisions: works });
      expect(cutList(s)).toMatchObject({ rc: -errno.EFAULT, nr_exchanged: 2n });
      expect([s.mfn(data + 1), s.hypervisor.pages(1)]).toEqual([null, 64]);
    });

    it('D3: a dying domain gets 0 though nothing was exchanged', () => {
      const dying = (decisions: object, op: number) => {
        const s = scene({ decisions });
        (s.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
        return s.get({ in: [data], out: [data], op });
      };
      expect(dying({ ...profiles['xen-now'], ...works }, 11)).toMatchObject({ rc: 0, nr_exchanged: 0n });
      expect(dying({}, 26)).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 0n });
    });

    it('D4: 4.4 does not notice that a page could not be mapped', () => {
      const s = scene({ profile: 'xen-4.4', decisions: works });
      expect(s.get({ in: [data], out: [2 ** 52], op: 11 })).toMatchObject({ rc: 0, nr_exchanged: 1n });
      expect([s.mfn(data), s.hypervisor.pages(1)]).toEqual([null, 64]);
    });
  });
});

describe('other layouts', () => {
  it('x86_32 has 44-byte structs and 4-byte entries', () => {
    const { hypervisor } = scene({ arch: 'x86_32' });
    const reservation = { nr_extents: 1n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
    const struct = {
      in: { extent_start: 0x40001000n, ...reservation },
      out: { extent_start: 0x40002000n, ...reservation },
      nr_exchanged: 0n,
    };
    hypervisor.write(1, structAddress, codecFor('x86_32').xen_get_dma_buf.encode(struct));
    for (const list of [0x40001000n, 0x40002000n]) hypervisor.write(1, list, Uint8Array.of(0x08, 0, 4, 0, 0xff, 0xff));
    expect(hypervisor.call(1, 26, structAddress)).toBe(0);
    expect(hypervisor.read(1, structAddress + 40n, 8)).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
    const entry = new DataView((hypervisor.read(1, 0x40002000n, 6) as Uint8Array).buffer);
    expect([entry.getUint32(0, true), entry.getUint16(4)]).toEqual([Number(hypervisor.translate(1, 0x40008n, 1)[0]), 0xffff]);
  });
});
