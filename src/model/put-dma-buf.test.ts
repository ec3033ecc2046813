import { describe, expect, it } from 'vitest';
import { DOMID, errno } from '../abi/constants.ts';
import { data, holes, inListAddress, machineOf, ram, type Scene, type Setting, scene } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);

/** A scene in which two extents of four pages at `holes` are pinned. */
function pinnedScene(setting: Setting = {}): Scene & { frames: number[] } {
  const s = scene(setting);
  const { rc, out } = s.get({ in: [data, data + 4], out: [holes, holes + 4], inOrder: 2, outOrder: 2 });
  expect(rc).toBe(0);
  return { ...s, frames: out };
}

const staying = (s: Scene): boolean[] => run(holes, 8).map((g) => s.stays(g));
const all = (stays: boolean): boolean[] => Array(8).fill(stays);

describe('a put', () => {
  it('"unpins a set of pages": afterwards they move, and only they', () => {
    const s = pinnedScene();
    expect(staying(s)).toEqual(all(true));
    expect(s.put([holes], 2)).toBe(0);
    expect(staying(s)).toEqual([false, false, false, false, true, true, true, true]);
    expect(s.put([holes + 4], 2)).toBe(0);
    expect(staying(s)).toEqual(all(false));
  });

  it('"The pages are still accessible from the guest": no mapping, content or page count changes', () => {
    const s = pinnedScene();
    for (const g of run(holes, 8)) s.mark(g, g & 0xff);
    const frames = run(holes, 8).map((g) => s.mfn(g));
    s.hypervisor.changes(1);
    expect(s.put([holes, holes + 4], 2)).toBe(0);
    expect(run(holes, 8).map((g) => s.mfn(g))).toEqual(frames);
    expect(run(holes, 8).map((g) => s.marked(g))).toEqual(run(holes, 8).map((g) => g & 0xff));
    expect(s.hypervisor.changes(1)).toEqual([]);
    staying(s); // moves them
    expect(run(holes, 8).map((g) => s.marked(g))).toEqual(run(holes, 8).map((g) => g & 0xff));
    expect(s.hypervisor.pages(1)).toBe(64);
  });

  it('may name the pages in other extents than the get did', () => {
    const s = pinnedScene();
    expect(s.put([holes + 6, holes + 1, holes + 3])).toBe(0);
    expect(staying(s)).toEqual([true, false, true, false, true, true, false, true]);
    expect(pinnedScene().put([holes], 3)).toBe(0);
    expect(pinnedScene().put([holes + 2], 1)).toBe(0);
  });

  it.each([
    ['a page that never was', () => [data + 20]],
    ['a page behind the pinned ones', () => [holes + 5]],
    ['a hole', () => [holes + 20]],
    ['a pinned extent and then one that is not', () => [holes, data + 20]],
    ['one extent twice', () => [holes, holes]],
    ['the frames that get returned', (s: { frames: number[] }) => s.frames],
  ])('that lists %s changes nothing', (_, gfns) => {
    const s = pinnedScene();
    const listed = gfns(s);
    const before = machineOf(s.hypervisor.state);
    expect(s.put(listed, 2)).toBe(-errno.EINVAL);
    expect(machineOf(s.hypervisor.state)).toEqual(before);
  });

  it('is over for good: the second one finds nothing pinned', () => {
    const s = pinnedScene();
    expect([s.put([holes, holes + 4], 2), s.put([holes, holes + 4], 2)]).toEqual([0, -errno.EINVAL]);
    expect(s.get({ in: [holes], out: [holes], inOrder: 2, outOrder: 2 }).rc).toBe(0);
  });

  it.each([1, 2, 3, 4, 7])('gives the same result when preempted after each %i extents', (preempt) => {
    const s = pinnedScene();
    expect(s.put(run(holes, 4), 0, { inject: { preempt } })).toBe(0);
    expect(staying(s)).toEqual([false, false, false, false, true, true, true, true]);
    expect(s.put([holes + 5, holes + 4, data], 0, { inject: { preempt } })).toBe(-errno.EINVAL);
    expect(s.stays(holes + 5)).toBe(true);
  });

  it('ignores in.address_bits', () => {
    expect(pinnedScene().put([holes], 2, { address_bits: 1 })).toBe(0);
  });

  it('of nothing succeeds', () => {
    expect(scene().put([])).toBe(0);
  });

  it('is refused for its domid, order, number of extents, addresses', () => {
    const s = pinnedScene();
    const refused = (other: Parameters<Scene['put']>[2]) => s.put([holes], 2, other);
    expect(refused({ domid: 7 })).toBe(-errno.ESRCH);
    expect(refused({ domid: DOMID.IO })).toBe(-errno.ESRCH);
    expect(refused({ domid: 1 })).toBe(0);
    expect(refused({ extent_order: 10 })).toBe(-errno.EPERM);
    expect(refused({ extent_order: 9 })).toBe(-errno.EINVAL); // for want of 512 pinned pages
    for (const extent_order of [19, 32, 64, 0xffffffff]) expect(refused({ extent_order })).toBe(-errno.EINVAL);
    expect(refused({ nr_extents: 0x4000000n })).toBe(-errno.EINVAL);
    expect(refused({ extent_start: 0n })).toBe(-errno.EFAULT);
    expect(refused({ extent_start: 2n ** 64n - 4n })).toBe(-errno.EFAULT);
    expect(refused({ nr_extents: 0x3ffffffn })).toBe(-errno.EFAULT);
    expect(refused({ cmd: 27 | (1 << 6) })).toBe(-errno.EINVAL);
    expect(s.hypervisor.call(1, 27, 0x50800000n)).toBe(-errno.EFAULT);
  });

  it('of another domain takes a privileged caller', () => {
    const domains = [1, 2].map((domid) => ({ domid, privileged: domid === 1, ram: [{ gfn: BigInt(ram), pages: 64 }] }));
    const s = scene({ domains });
    expect(s.get({ in: [data], out: [data], from: 2 }).rc).toBe(0);
    expect(s.put([data], 0, { domid: 2 })).toBe(0);
    expect(s.put([data], 0, { domid: 1, from: 2 })).toBe(-errno.EPERM);
  });
});

describe('the neighbours of a pin', () => {
  it('a guest cannot decrease or populate a pinned page, and is told by a short count', () => {
    const s = pinnedScene();
    expect(s.put([data + 20, holes, data + 21], 0, { cmd: 1 })).toBe(1);
    expect([s.mfn(data + 20), s.mfn(data + 21) === null]).toEqual([null, false]);
    expect(s.put([data + 24], 2, { cmd: 1 })).toBe(1);
    expect(s.put([data + 20, holes + 3], 0, { cmd: 6 })).toBe(1);
    expect(staying(s)).toEqual(all(true));
  });

  it('churn gives pages another frame and keeps their content, but for pinned ones', () => {
    const s = pinnedScene();
    const before = s.hypervisor.translate(1, BigInt(holes - 8), 16);
    s.mark(data + 30, 7);
    const [control, pinned] = [s.mfn(data + 30), s.mfn(holes)];
    s.hypervisor.churn(1, 0n, 2 ** 40);
    expect(s.mfn(data + 30)).not.toBe(control);
    expect(s.marked(data + 30)).toBe(7);
    expect(s.mfn(holes)).toBe(pinned);
    expect(s.hypervisor.translate(1, BigInt(holes - 8), 16)).toEqual(before);
    expect(s.hypervisor.read(1, inListAddress, 8)).toEqual(Uint8Array.of(0x08, 0, 4, 0, 0, 0, 0, 0)); // data, still there
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('no page moves when no frame is free', () => {
    const s = scene({ free: { low: 0, high: 0 } });
    expect(s.stays(data)).toBe(true);
    expect(s.get({ in: [data], out: [data] })).toMatchObject({ rc: -errno.ENOMEM, nr_exchanged: 0n });
  });
});
