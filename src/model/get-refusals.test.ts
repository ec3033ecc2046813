import { describe, expect, it } from 'vitest';
import { DOMID, errno } from '../abi/constants.ts';
import { strict } from './freedoms.ts';
import { data, type Exchange, holes, inListAddress, machineOf, outListAddress, type Setting, scene, structAddress } from './scene.stage.ts';

const one = { in: [data], out: [data] };
const u64 = 2n ** 64n;

/**
 * A refusal leaves machine and memory as they were; what the struct's nr_exchanged held included.
 */
function expectRefusal(exchange: Exchange, rc: number, setting: Setting = {}): void {
  const s = scene(setting);
  const before = machineOf(s.hypervisor.state);
  const result = s.get(exchange);
  expect(result).toEqual({ rc, nr_exchanged: exchange.struct?.nr_exchanged ?? 0n, out: exchange.out });
  expect(machineOf(s.hypervisor.state)).toEqual(before);
}

describe('a get is refused', () => {
  it('"@in.domid == @out.domid": as raw numbers, so one\'s own number beside DOMID_SELF is refused', () => {
    expectRefusal({ ...one, struct: { out: { domid: 1 } } }, -errno.EINVAL);
    expectRefusal({ ...one, struct: { in: { domid: 1 } } }, -errno.EINVAL);
    expect(scene().get({ ...one, struct: { in: { domid: 1 }, out: { domid: 1 } } }).rc).toBe(0);
  });

  it('for another domain, or none', () => {
    const ram = [{ gfn: 0x40000n, pages: 64 }];
    const domains = [1, 2].map((domid) => ({ domid, privileged: domid === 2, ram }));
    expectRefusal({ ...one, struct: { in: { domid: 2 }, out: { domid: 2 } } }, -errno.EPERM, { domains });
    for (const domid of [3, DOMID.IO, DOMID.INVALID, 0xffff]) {
      expectRefusal({ ...one, struct: { in: { domid }, out: { domid } } }, -errno.ESRCH, { domains });
    }
  });

  it('"@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order", exactly', () => {
    expectRefusal({ in: [data, data + 1], out: [data] }, -errno.EINVAL);
    expectRefusal({ in: [data], out: [] }, -errno.EINVAL);
    expectRefusal({ in: [data], out: [holes], outOrder: 1 }, -errno.EINVAL);
    // equal modulo 2^64 is not equal
    const wrapped = { in: { nr_extents: u64 / 2n, extent_order: 1 }, out: { nr_extents: 0n } };
    expectRefusal({ in: [], out: [], struct: wrapped }, -errno.EINVAL);
    expectRefusal({ in: [], out: [], struct: wrapped }, -errno.EINVAL, {
      freedoms: { 'more-limits': { ...strict['more-limits'], max_extents: u64 } },
    });
    // nor is equal modulo 2^32
    const narrow = { in: { nr_extents: 2n ** 23n, extent_order: 9 }, out: { nr_extents: 0n } };
    expectRefusal({ in: [], out: [], struct: narrow }, -errno.EINVAL);
  });

  it.each([19, 20, 31, 32, 63, 64, 65, 0x80000000, 0xffffffff])('for order %i, at once', (extent_order) => {
    expectRefusal({ ...one, struct: { in: { extent_order }, out: { extent_order } } }, -errno.EINVAL);
    expectRefusal({ ...one, struct: { in: { extent_order } } }, -errno.EINVAL);
    expectRefusal({ ...one, struct: { out: { extent_order } } }, -errno.EINVAL);
  });

  it('for an order above 9 of an unprivileged caller, and not of a privileged one', () => {
    const orders = { in: { extent_order: 10 }, out: { extent_order: 10 } };
    expectRefusal({ ...one, struct: orders }, -errno.EPERM);
    const domains = [{ domid: 1, privileged: true, ram: [{ gfn: 0x40000n, pages: 64 }] }];
    expectRefusal({ ...one, struct: orders }, -errno.EINVAL, { domains }); // for want of 1024 pages of RAM
    const highest = { in: { extent_order: 9 }, out: { extent_order: 9 } };
    expectRefusal({ ...one, struct: highest }, -errno.EINVAL); // likewise, of 512
  });

  it('for more extents than a continuation can count', () => {
    const nr_extents = 0x4000000n;
    expectRefusal({ in: [], out: [], struct: { in: { nr_extents }, out: { nr_extents } } }, -errno.EINVAL);
    const most = 0x3ffffffn;
    expectRefusal({ in: [], out: [], struct: { in: { nr_extents: most }, out: { nr_extents: most } } }, -errno.EFAULT);
  });

  it('"THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!"', () => {
    expectRefusal({ in: [data, data + 1], out: [data, data + 1], struct: { nr_exchanged: 1n } }, -errno.EINVAL);
    expectRefusal({ ...one, struct: { nr_exchanged: 2n } }, -errno.EINVAL);
    expectRefusal({ ...one, struct: { nr_exchanged: u64 - 1n } }, -errno.EINVAL);
    const resuming = scene({ freedoms: { 'count-not-zero': 'resumed' } });
    const { rc, nr_exchanged, out } = resuming.get({ in: [data, data + 1], out: [7, data + 1], struct: { nr_exchanged: 1n } });
    expect([rc, nr_exchanged, out]).toEqual([0, 2n, [7, resuming.mfn(data + 1)]]);
  });

  it('for a page that is pinned already, as input or as output', () => {
    const s = scene();
    expect(s.get(one).rc).toBe(0);
    const frame = s.mfn(data);
    expect(s.get({ in: [data], out: [holes] })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 0n });
    expect(s.get({ in: [data + 1], out: [data] })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 0n });
    expect(s.get({ in: [data], out: [data], op: 11 }).rc).toBe(-errno.EINVAL);
    expect([s.mfn(data), s.stays(data)]).toEqual([frame, true]);
  });

  it('for an output that is there already, comes twice, is an input of a later chunk or beyond all gfns', () => {
    expectRefusal({ in: [data], out: [data + 1] }, -errno.EINVAL);
    expectRefusal({ in: [data, data + 1], out: [data + 1, holes] }, -errno.EINVAL);
    expectRefusal({ in: [data], out: [holes, holes + 1, holes + 1, holes + 2], inOrder: 2 }, -errno.EINVAL);
    expectRefusal({ in: [data], out: [2 ** 52] }, -errno.EINVAL);
    expect(scene().get({ in: [data, data + 1], out: [holes, data] }).rc).toBe(0); // an input of an earlier chunk is a hole by then
  });

  it('for an output that a later chunk takes, in long lists too', () => {
    const ins = Array.from({ length: 20 }, (_, i) => data + i);
    const outs = Array.from({ length: 20 }, (_, i) => holes + i);
    expect(scene().get({ in: ins, out: outs.with(17, data + 16) }).rc).toBe(0);
    expect(scene().get({ in: ins, out: outs.with(17, data + 18) })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 0n });
  });

  it('with start_extent bits in the cmd', () => {
    expectRefusal({ ...one, op: 26 | (1 << 6) }, -errno.EINVAL);
    expectRefusal({ ...one, op: 11 | (1 << 6) }, -errno.EINVAL);
  });
});

describe('memory that is not there', () => {
  const hole = 0x50000000n;

  it('holds no struct: nothing can be written back', () => {
    const { hypervisor } = scene();
    for (const arg of [hole, 0x4003ffd0n, 2n ** 64n - 8n, 2n ** 63n]) expect(hypervisor.call(1, 26, arg)).toBe(-errno.EFAULT);
  });

  it('holds no list', () => {
    for (const extent_start of [0n, hole, u64 - 8n, 0x40000_0000_0000n]) {
      expectRefusal({ ...one, struct: { in: { extent_start } } }, -errno.EFAULT);
      expectRefusal({ ...one, struct: { out: { extent_start } } }, -errno.EFAULT);
    }
    expect(scene().get({ in: [], out: [], struct: { in: { extent_start: 0n }, out: { extent_start: hole } } }).rc).toBe(0);
  });

  it('cuts a list: nothing is done, as both lists are looked at first', () => {
    const s = scene();
    const lastEntry = 0x4003fff8n; // RAM ends behind it
    s.list(lastEntry, [data]);
    expect(s.get({ in: [data, data + 1], out: [holes, holes + 1], struct: { in: { extent_start: lastEntry } } })).toEqual({
      rc: -errno.EFAULT,
      nr_exchanged: 0n,
      out: [holes, holes + 1],
    });
    const later = scene({ freedoms: { 'bad-list': 'part-way' } });
    later.list(lastEntry, [data]);
    const cut = later.get({ in: [data, data + 1], out: [holes, holes + 1], struct: { in: { extent_start: lastEntry } } });
    expect(cut).toEqual({ rc: -errno.EFAULT, nr_exchanged: 1n, out: [later.mfn(holes), holes + 1] });
  });

  it('is where an address wraps on arm32', () => {
    const top = [
      { gfn: 0x40000n, pages: 64 },
      { gfn: 0xffff0n, pages: 16 },
      { gfn: 0n, pages: 1 },
    ];
    const domains = [{ domid: 1, privileged: false, ram: top }];
    const wrapping = { in: [data, data + 1], out: [data, data + 1], struct: { in: { extent_start: 0xfffffff8n } } };
    expectRefusal(wrapping, -errno.EFAULT, { arch: 'arm32', domains });
    const s = scene({ arch: 'arm32', domains });
    expect(s.hypervisor.call(1, 26, 0xffffffc0n)).toBe(-errno.EFAULT);
  });

  it('is not meant by the upper half of a handle on arm32, or faults', () => {
    const dirty = { in: { extent_start: inListAddress + (0xdeadn << 32n) }, out: { extent_start: outListAddress + (1n << 32n) } };
    expect(scene({ arch: 'arm32' }).get({ ...one, struct: dirty }).rc).toBe(0);
    expectRefusal({ ...one, struct: dirty }, -errno.EFAULT, { arch: 'arm32', freedoms: { 'dirty-handle': 'refused' } });
    expectRefusal({ ...one, struct: dirty }, -errno.EFAULT, { arch: 'arm64' });
  });

  it('is no page behind a list entry of more than 52 bits', () => {
    const s = scene();
    s.get(one); // places everything
    s.list(inListAddress, [2n ** 52n + BigInt(data)]);
    s.list(outListAddress, [holes]);
    s.hypervisor.write(1, structAddress + 64n, new Uint8Array(8));
    expect(s.hypervisor.call(1, 26, structAddress)).toBe(-errno.EINVAL);
    expect(s.mfn(holes)).toBe(null);
  });
});
