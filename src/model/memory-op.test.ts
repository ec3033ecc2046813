import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { codecFor } from '../codec/codec.ts';
import { data, holes, scene, structAddress } from './scene.stage.ts';

describe('the door', () => {
  it.each([2, 3, 5, 7, 12, 18, 25, 28, 63])('op %i is not implemented', (op) => {
    expect(scene().hypervisor.call(1, op, structAddress)).toBe(-errno.ENOSYS);
  });

  it('refuses start_extent in the cmd of 11, 26 and 27', () => {
    const s = scene();
    const one = { in: [data], out: [data] };
    expect([s.get({ ...one, op: 26 | 64 }).rc, s.get({ ...one, op: 11 | 64 }).rc]).toEqual([-errno.EINVAL, -errno.EINVAL]);
    expect(s.put([], 0, { cmd: 27 | 64 })).toBe(-errno.EINVAL);
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
