import { describe, expect, it } from 'vitest';
import type { Arch } from '../../abi/arch.ts';
import { errno } from '../../abi/constants.ts';
import type { MemoryOpOf } from '../memory-op.ts';
import { data, holes, inListAddress, type Scene, type Setting, scene } from '../scene.stage.ts';
import { typeInvariant } from '../state.ts';
import { xen44 } from './xen-4.4.ts';
import { xen417 } from './xen-4.17.ts';

// Where a released Xen departs from its own header, by hand (docs/xen-versions.md), and what else
// differs between the two releases.

const { EFAULT, EINVAL, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } = errno;
const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const on = (answer: MemoryOpOf, arch: Arch, more: Setting = {}): Scene => scene({ answer, arch, ...more });
const lastEntry = 0x4003fff8n; // RAM ends behind it

/** The frames in the list of inputs. */
const listed = (s: Scene, count: number): number[] =>
  [...new BigUint64Array((s.hypervisor.read(1, inListAddress, 8 * count) as Uint8Array).slice().buffer)].map(Number);

const owns = (s: Scene, mfn: number): boolean | undefined => s.hypervisor.state.domains.get(1)?.owned.has(mfn);

/** An x86 PV guest, with the frames of three pages that it got beyond its 64. */
function paravirtualised(release: (guests: 'pv') => MemoryOpOf): { s: Scene; mfns: [number, number, number] } {
  const s = on(release('pv'), 'x86_64');
  expect(s.put([0, 0, 0], 0, { cmd: 0 })).toBe(3);
  return { s, mfns: listed(s, 3) as [number, number, number] };
}

describe('D1, of 4.17', () => {
  it('a fault behind the commit reports a chunk as not exchanged whose input is gone', () => {
    const { s, mfns } = paravirtualised(xen417);
    s.list(lastEntry, [holes]);
    const asked = { in: mfns, out: run(holes, 3), op: 11, struct: { out: { extent_start: lastEntry } } };
    expect(s.get(asked)).toMatchObject({ rc: -EFAULT, nr_exchanged: 1n });
    expect(mfns.slice(1).map((mfn) => owns(s, mfn))).toEqual([false, true]);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([67, []]);
  });

  it('the other outputs of that chunk are there all the same', () => {
    const s = on(xen417('pv'), 'x86_64');
    s.put([0], 2, { cmd: 0 }); // four frames
    s.list(0x4003fff0n, run(holes, 2));
    const struct = { out: { extent_start: 0x4003fff0n } };
    const asked = { in: listed(s, 1), out: run(holes, 4), inOrder: 2, op: 11, struct };
    expect(s.get(asked)).toMatchObject({ rc: -EFAULT, nr_exchanged: 0n });
    const bytes = (s.hypervisor.read(1, 0x4003fff0n, 16) as Uint8Array).slice();
    expect([...new BigUint64Array(bytes.buffer)].map((mfn) => owns(s, Number(mfn)))).toEqual([true, true]);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([68, []]);
  });
});

it('D2, of 4.4: in the same case it goes on, and counts everything', () => {
  const s = on(xen44(), 'x86_64');
  s.list(lastEntry, [holes]);
  const asked = { in: run(data, 3), out: run(holes, 3), op: 11, struct: { out: { extent_start: lastEntry } } };
  expect(s.get(asked)).toMatchObject({ rc: -EFAULT, nr_exchanged: 3n });
  expect([...run(data, 3), ...run(holes, 3)].map((gfn) => s.mfn(gfn) !== null)).toEqual([false, false, false, true, false, false]);
  expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
});

it.each([
  ['4.17', xen417],
  ['4.4', xen44],
])('D3, of both: a domain that is being torn down loses its inputs and is told 0 (%s)', (_, release) => {
  const { s, mfns } = paravirtualised(release);
  const [first, second, third] = mfns;
  expect(s.get({ in: [first], out: [holes], op: 11 }).rc).toBe(0);
  (s.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
  expect(s.get({ in: [second, third], out: run(holes, 2), op: 11 })).toMatchObject({ rc: 0, nr_exchanged: 0n, out: run(holes, 2) });
  expect([owns(s, second), owns(s, third), s.hypervisor.pages(1)]).toEqual([false, true, 66]);
});

it('D4, of 4.4: that the new page cannot be mapped goes unnoticed: it is owned, and no gfn leads to it', () => {
  const s = on(xen44(), 'x86_32');
  const beyond = 2 ** 24; // 36-bit addresses
  const reservation = { nr_extents: 1n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
  const entry = (address: bigint, gfn: number) => s.hypervisor.write(1, address, new Uint8Array(Uint32Array.of(gfn).buffer));
  s.hypervisor.write(1, 0x40000100n, structOf(reservation));
  entry(0x40001000n, data);
  entry(0x40002000n, beyond);
  expect(s.hypervisor.call(1, 11, 0x40000100n)).toBe(0);
  expect([s.mfn(data), s.mfn(beyond), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([null, null, 64, []]);

  /** The 44 bytes of a 32-bit xen_memory_exchange, by hand. */
  function structOf({ domid }: typeof reservation): Uint8Array {
    const view = new DataView(new ArrayBuffer(44));
    for (const [at, list] of [
      [0, 0x40001000],
      [20, 0x40002000],
    ] as const) {
      view.setUint32(at, list, true);
      view.setUint32(at + 4, 1, true);
      view.setUint16(at + 16, domid, true);
    }
    return new Uint8Array(view.buffer);
  }
});

it('D5, of 4.17: nothing left to exchange is 0 before the domain is looked at, and nothing is written', () => {
  const asked = { in: [data], out: [data], op: 11, struct: { in: { domid: 5 }, out: { domid: 5 }, nr_exchanged: 1n } };
  expect(on(xen417(), 'arm64').get(asked).rc).toBe(0);
  expect(on(xen44(), 'arm64').get(asked).rc).toBe(-ESRCH);
  expect(on(xen417(), 'arm64').get({ ...asked, struct: { ...asked.struct, nr_exchanged: 0n } }).rc).toBe(-ESRCH);
});

describe('an exchange', () => {
  it('of a guest that keeps its own p2m works, and tells it the frames', () => {
    for (const release of [xen417, xen44]) {
      const { s, mfns } = paravirtualised(release);
      const { rc, nr_exchanged, out } = s.get({ in: mfns.slice(0, 2), out: [holes], outOrder: 1, op: 11 });
      expect([rc, nr_exchanged, owns(s, out[0] as number), owns(s, (out[0] as number) + 1)]).toEqual([0, 2n, true, true]);
      expect([...mfns.map((mfn) => owns(s, mfn)), typeInvariant(s.hypervisor.state)]).toEqual([false, false, true, []]);
    }
  });

  it('of an x86 guest whose p2m Xen keeps works in 4.4, and tells it nothing', () => {
    const hvm = on(xen44(), 'x86_64');
    expect(hvm.get({ in: [data, data + 1], out: [holes], outOrder: 1, op: 11 })).toMatchObject({ rc: 0, nr_exchanged: 2n, out: [holes] });
    expect([(hvm.mfn(holes + 1) as number) - (hvm.mfn(holes) as number), hvm.stays(holes)]).toEqual([1, false]);
    expect(typeInvariant(hvm.hypervisor.state)).toEqual([]);
  });

  it('of an x86 guest whose p2m Xen keeps does not work since XSA-217, as on Arm', () => {
    const s = on(xen417(), 'x86_64');
    expect(s.get({ in: [data], out: [holes], op: 11 })).toMatchObject({ rc: -EOPNOTSUPP, nr_exchanged: 0n });
    expect([s.get({ in: [holes], out: [holes], op: 11 }).rc, s.mfn(data) !== null]).toEqual([-EINVAL, true]);
  });

  it('does not work on Arm, where no page can be taken away; a list is read and a page looked for before that', () => {
    for (const [release, errno] of [
      [xen417, EOPNOTSUPP],
      [xen44, EINVAL],
    ] as const) {
      for (const arch of ['arm32', 'arm64'] as const) {
        const rc = (exchange: Partial<Parameters<Scene['get']>[0]>) =>
          on(release(), arch).get({ in: [data], out: [data], op: 11, ...exchange }).rc;
        expect([rc({}), rc({ in: [holes] }), rc({ struct: { in: { extent_start: 0n } } })]).toEqual([-errno, -EINVAL, -EFAULT]);
      }
    }
  });

  it('that fails part-way gives the pages of its chunk back, and the memory it had found', () => {
    const s = on(xen44(), 'x86_64');
    const asked = { in: [data, data + 2], out: run(holes, 4), inOrder: 1, op: 11 };
    expect(s.get({ ...asked, inject: { fail_alloc: 3 } })).toMatchObject({ rc: -ENOMEM, nr_exchanged: 1n });
    expect(run(data, 4).map((gfn) => s.mfn(gfn) !== null)).toEqual([false, false, true, true]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
    expect(on(xen44(), 'x86_64').get({ in: [data, data], out: [holes], outOrder: 1, op: 11 }).rc).toBe(-EINVAL);
  });

  it('is refused for what each release looks at first', () => {
    const rc = (release: () => MemoryOpOf, struct: object, op = 11) =>
      on(release(), 'arm64').get({ in: [data], out: [data], op, struct }).rc;
    const wrong = { in: { extent_order: 19 }, out: { domid: 5 } };
    expect([rc(xen417, wrong), rc(xen44, wrong)]).toEqual([-EPERM, -EINVAL]);
    const orders = (extent_order: number) => ({ in: { extent_order }, out: { extent_order } });
    expect([9, 10, 20, 21].map((order) => rc(xen44, orders(order)))).toEqual([-EINVAL, -EPERM, -EPERM, -EINVAL]);
    expect([0, 1].map((side) => rc(xen44, side ? { in: { extent_order: 21 } } : { out: { extent_order: 21 } }))).toEqual([
      -EINVAL,
      -EINVAL,
    ]);
    const far = { extent_start: 2n ** 64n - 4n };
    expect([rc(xen44, { in: far }), rc(xen44, { out: far }), rc(xen417, { out: far })]).toEqual([-EFAULT, -EFAULT, -EFAULT]);
    expect([9, 10, 20, 21].map((order) => rc(xen417, orders(order)))).toEqual([-EOPNOTSUPP, -EPERM, -EPERM, -EPERM]);
    for (const release of [xen417, xen44]) {
      expect(rc(release, { nr_exchanged: 2n })).toBe(-EINVAL);
      expect(rc(release, { out: { nr_extents: 2n } })).toBe(-EINVAL);
      expect(rc(release, { in: { domid: 1 } })).toBe(-EINVAL);
      expect(rc(release, { in: { extent_start: 2n ** 64n - 4n } })).toBe(-EFAULT);
      expect(rc(release, { in: { nr_extents: 2n ** 63n, extent_order: 1 }, out: { nr_extents: 0n } })).toBe(-EINVAL);
      expect(rc(release, {}, 11 | 64)).toBe(-EINVAL);
    }
    expect(rc(xen417, { out: { address_bits: 0x20200 } })).toBe(-EINVAL); // an unprivileged domain demands a node
  });

  it('takes a node of the guest for one of the machine, as real Xen does and ops 0, 1 and 6 do not', () => {
    const holed = [{ gfn: BigInt(holes), pages: 64 }];
    const domains = [{ domid: 1, privileged: true, ram: [{ gfn: 0x40000n, pages: 64 }], holes: holed }];
    const s = on(xen417(), 'arm64', { domains });
    const rcs = [0, 0x200, 0x20200, 0x40200, 0x60200, 0x60100].map((address_bits) => {
      return s.get({ in: [data], out: [data], op: 11, struct: { out: { address_bits } } }).rc;
    });
    expect(rcs).toEqual([-EOPNOTSUPP, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EOPNOTSUPP]); // 4.17.7, arm64 and arm32
    expect([0x200, 0x40200].map((address_bits) => s.put([holes], 0, { cmd: 6, address_bits }))).toEqual([0, 1]);
  });

  it('of another domain takes a privileged caller', () => {
    const domains = [1, 2].map((domid) => ({ domid, privileged: domid === 1, ram: [{ gfn: 0x40000n, pages: 64 }] }));
    for (const [release, passed] of [
      [xen417, -EOPNOTSUPP],
      [xen44, 0],
    ] as const) {
      const s = on(release(), 'x86_64', { domains });
      const of = (domid: number) => ({ in: { domid }, out: { domid } });
      expect(s.get({ in: [data], out: [data], op: 11, struct: of(2) }).rc).toBe(passed);
      expect(s.get({ in: [data], out: [data], op: 11, from: 2, struct: of(1) }).rc).toBe(-EPERM);
    }
  });
});

describe('ops 0, 1 and 6', () => {
  it('decrease removes page by page: what it could remove of an extent stays removed, and is not counted', () => {
    const s = on(xen417(), 'arm64');
    expect([s.put([0x40000 + 62], 2, { cmd: 1 }), s.hypervisor.pages(1), s.mfn(0x40000 + 63)]).toEqual([0, 62, null]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('populate beyond what the p2m has room for counts nothing, and the page stays', () => {
    const s = on(xen417('translated', 2 ** 32), 'arm64');
    expect([s.put([2 ** 32 - 1, 2 ** 32], 0, { cmd: 6 }), s.hypervisor.pages(1)]).toEqual([1, 66]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('populate of a page that is there gives another, and charges both', () => {
    const s = on(xen417(), 'arm64');
    const old = s.mfn(data);
    expect([s.put([data], 0, { cmd: 6 }), s.hypervisor.pages(1), s.mfn(data) === old]).toEqual([1, 65, false]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it.each([
    ['fails', '4.17', xen417, 0],
    ['is counted', '4.4', xen44, 1],
  ] as const)('populate beyond what can be mapped %s in %s, and keeps the page charged', (_, __, release, rc) => {
    const s = on(release(), 'arm32');
    expect([s.put([2 ** 28], 0, { cmd: 6 }), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([rc, 65, []]);
  });

  it('decrease in 4.4 is bound by the highest order that there is, not by what the caller may have', () => {
    // 56 pages from there on, and then a hole, at which it ends.
    const left = (release: () => MemoryOpOf, arch: Arch, order: number) => {
      const s = on(release(), arch);
      return [s.put([data], order, { cmd: 1 }), s.hypervisor.pages(1)];
    };
    expect([9, 10].map((order) => left(xen417, 'arm64', order))).toEqual([
      [0, 8],
      [0, 64],
    ]);
    expect([10, 20, 21].map((order) => left(xen44, 'arm64', order))).toEqual([
      [0, 8],
      [0, 8],
      [0, 64],
    ]);
    expect([18, 19].map((order) => left(xen44, 'x86_64', order))).toEqual([
      [0, 8],
      [0, 64],
    ]);
  });

  it('a 32-bit Xen is taken to drop the upper half of a list entry', () => {
    const dropped = (arch: Arch) => on(xen417(), arch).put([2 ** 32 + data], 0, { cmd: 1 });
    expect([dropped('arm32'), dropped('arm64')]).toEqual([1, 0]);
  });

  it('increase tells a guest that keeps its own p2m which frames it got, unless it gave no list', () => {
    const pv = on(xen417('pv'), 'x86_64');
    expect(pv.put([7, 7], 0, { cmd: 0 })).toBe(2);
    expect(listed(pv, 2).map((mfn) => owns(pv, mfn))).toEqual([true, true]);
    expect(pv.put([], 0, { cmd: 0, extent_start: 0n, nr_extents: 2n })).toBe(2);
    const arm = on(xen417(), 'arm64');
    expect(arm.put([7, 7], 0, { cmd: 0 })).toBe(2);
    expect(arm.hypervisor.read(1, inListAddress, 1)).toEqual(Uint8Array.of(7));
  });

  it('increase in 4.4 tells a guest whose p2m Xen keeps too, and ends where its list does', () => {
    const s = on(xen44(), 'arm64');
    expect([s.put([7, 7], 0, { cmd: 0 }), ...listed(s, 2).map((mfn) => owns(s, mfn))]).toEqual([2, true, true]);
    expect([s.put([], 0, { cmd: 0, extent_start: 0n, nr_extents: 2n }), s.hypervisor.pages(1)]).toEqual([2, 68]);
    expect([s.put([], 0, { cmd: 0, extent_start: lastEntry, nr_extents: 3n }), s.hypervisor.pages(1)]).toEqual([1, 70]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('of another domain end where they start, in 4.4 with an errno', () => {
    const domains = [1, 2].map((domid) => ({ domid, privileged: domid === 1, ram: [{ gfn: 0x40000n, pages: 64 }] }));
    const foreign = (release: () => MemoryOpOf) => on(release(), 'arm64', { domains }).put([data], 0, { cmd: 1, domid: 1, from: 2 });
    expect([foreign(xen417), foreign(xen44)]).toEqual([0, -EPERM]);
  });
});

it('26 and 27 are no calls of the patch', () => {
  const both = (release: () => MemoryOpOf) => {
    const s = on(release(), 'arm64');
    return [s.get({ in: [data], out: [data] }).rc, s.put([data]), s.put([data], 0, { cmd: 2 })];
  };
  expect(both(xen44)).toEqual([-ENOSYS, -ENOSYS, -ENOSYS]);
  expect(both(xen417)).toEqual([-EINVAL, -EINVAL, -ENOSYS]);
});
