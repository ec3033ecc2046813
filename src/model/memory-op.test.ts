import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { codecFor } from '../codec/codec.ts';
import type { Decisions } from './decisions.ts';
import { profiles } from './profiles.ts';
import { data, holes, type Scene, scene, structAddress } from './scene.stage.ts';

describe('the door', () => {
  it.each([2, 3, 5, 7, 12, 18, 25, 28, 63])('op %i is not implemented', (op) => {
    expect(scene().hypervisor.call(1, op, structAddress)).toBe(-errno.ENOSYS);
  });

  it('has nothing behind it for what is let through and not implemented', () => {
    expect(scene({ decisions: { refuses: () => 0 } }).hypervisor.call(1, 5, structAddress)).toBe(-errno.ENOSYS);
    expect(scene({ decisions: { refuses: (op) => op } }).put([data], 0, { cmd: 27 })).toBe(-27);
    expect(
      scene({ decisions: { answer: (rc, op) => 100 * op + rc, refuses: (op) => (op === 5 ? 7 : 0) } }).hypervisor.call(1, 5, structAddress),
    ).toBe(493);
  });

  it('minds start_extent in the cmd of 11, 26 and 27, or not', () => {
    const one = { in: [data], out: [data] };
    const codes = (strayStart: number): number[] => {
      const s = scene({ decisions: { strayStart } });
      return [s.get({ ...one, op: 26 | 64 }).rc, s.put([data], 0, { cmd: 27 | 64 }), s.get({ ...one, op: 11 | 64 }).rc];
    };
    expect([codes(0), codes(errno.EINVAL), codes(errno.EXDEV)]).toEqual([
      [0, 0, 0],
      [-22, -22, -22],
      [-18, -18, -18],
    ]);
  });

  it('may lose the pins of all pages by an op, those that it makes not', () => {
    const s = scene({ decisions: { keepsPins: (event) => event !== 26 } });
    const pins = (): number[] => [...(s.hypervisor.state.domains.get(1)?.pins ?? [])];
    expect([s.get({ in: [data], out: [data] }).rc, pins()]).toEqual([0, [data]]);
    expect([s.get({ in: [data + 1], out: [data + 1] }).rc, pins()]).toEqual([0, [data + 1]]);
    expect([s.put([data + 9], 0, { cmd: 1 }), pins()]).toEqual([1, [data + 1]]);
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
    expect([now.get(one).rc, now.put([data]), now.put([])]).toEqual([-errno.EINVAL, -errno.EINVAL, -errno.EINVAL]);
    expect(old.put([])).toBe(-errno.ENOSYS);
  });

  it('exchanges on x86, tells the frames there, and pins nothing', () => {
    for (const profile of ['xen-4.4', 'xen-now'] as const) {
      const x86 = scene({ profile, arch: 'x86_64' });
      const { rc, out } = x86.get({ in: [data], out: [data], op: 11 });
      expect([rc, out]).toEqual([0, [x86.mfn(data)]]);
      expect(x86.stays(data)).toBe(false);
      const refused = profile === 'xen-now' ? -95 : -22;
      for (const arch of ['arm32', 'arm64'] as const)
        expect(scene({ profile, arch }).get({ in: [data], out: [data], op: 11 }).rc).toBe(refused);
    }
  });

  it('drops the upper half of a list entry on arm32', () => {
    const dropped = (arch: 'arm32' | 'arm64' | 'x86_64') => scene({ profile: 'xen-now', arch }).put([2 ** 32 + data], 0, { cmd: 1 });
    expect([dropped('arm32'), dropped('arm64'), dropped('x86_64')]).toEqual([1, 0, 0]);
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
