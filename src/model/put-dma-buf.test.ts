import { describe, expect, it } from 'vitest';
import { DOMID, errno } from '../abi/constants.ts';
import type { Decisions } from './decisions.ts';
import { data, holes, inListAddress, ram, type Scene, type Setting, scene, structAddress } from './scene.stage.ts';
import { exactKey, typeInvariant } from './state.ts';

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
    const before = exactKey(s.hypervisor.state);
    expect(s.put(listed, 2)).toBe(-errno.EINVAL);
    expect(exactKey(s.hypervisor.state)).toBe(before);
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

  it('with variants: a page that is not pinned is welcome; a prefix is put', () => {
    const welcome = pinnedScene({ decisions: { putUnpinned: 0, putTwice: 0 } });
    expect(welcome.put([holes, data, holes], 2)).toBe(0);
    expect(welcome.put([holes + 20], 9)).toBe(0);
    const prefix = pinnedScene({ decisions: { putAllOrNothing: false } });
    expect(prefix.put([holes, data], 2)).toBe(-errno.EINVAL);
    expect(staying(prefix).slice(0, 5)).toEqual([false, false, false, false, true]);
  });
});

describe('a put that is decided otherwise', () => {
  const pinned = (s: Scene): number[] => [...(s.hypervisor.state.domains.get(1)?.pins ?? [])].map((g) => g - holes).sort((a, b) => a - b);
  const left = (decisions: Partial<Decisions>, gfns: number[], order = 0, other: Parameters<Scene['put']>[2] = {}): [number, number[]] => {
    const s = pinnedScene({ decisions });
    return [s.put(gfns, order, other), pinned(s)];
  };
  const { EXDEV, ENOENT, EFAULT, EINVAL } = errno;
  const whole = run(0, 8);

  it('may mind where an extent begins', () => {
    expect(left({}, [holes + 1], 1)).toEqual([0, [0, 3, 4, 5, 6, 7]]);
    expect(left({ misaligned: EXDEV }, [holes + 1], 1)).toEqual([-EXDEV, whole]);
    expect(left({ misaligned: EXDEV }, [holes + 2, holes + 5], 1)).toEqual([-EXDEV, whole]);
    expect(left({ misaligned: EXDEV }, [holes + 2], 1)).toEqual([0, [0, 1, 4, 5, 6, 7]]);
    expect(left({ misaligned: EXDEV, putAllOrNothing: false }, [holes + 2, holes + 5, holes], 1)).toEqual([-EXDEV, [0, 1, 4, 5, 6, 7]]);
  });

  it('says which page it minds: one that is not pinned, or one listed twice', () => {
    const decisions: Partial<Decisions> = { putUnpinned: EXDEV, putTwice: ENOENT };
    expect(left(decisions, [holes, data])).toEqual([-EXDEV, whole]);
    expect(left(decisions, [holes, holes + 1, holes])).toEqual([-ENOENT, whole]);
    expect(left({ putUnpinned: 0 }, [holes, data, holes + 7])).toEqual([0, [1, 2, 3, 4, 5, 6]]);
    expect(left({ putTwice: 0 }, [holes, holes, holes + 7])).toEqual([0, [1, 2, 3, 4, 5, 6]]);
    expect(left({ putTwice: 0 }, [holes, data])).toEqual([-EINVAL, whole]);
    expect(left({ putUnpinned: 0 }, [holes + 6], 4)).toEqual([0, run(0, 6)]); // RAM ends in the midst of it
  });

  it('may stop half-way', () => {
    expect(left({ putAllOrNothing: false }, [holes, holes + 3, data, holes + 5])).toEqual([-EINVAL, [1, 2, 4, 5, 6, 7]]);
    const cut = { extent_start: 0x4003fff8n, nr_extents: 2n }; // RAM ends behind the first entry
    for (const [putAllOrNothing, pins] of [
      [true, whole],
      [false, run(1, 7)],
    ] as const) {
      const s = pinnedScene({ decisions: { putAllOrNothing, listUnmapped: 0 } });
      s.list(0x4003fff8n, [holes]);
      expect([s.put([], 0, cut), pinned(s)]).toEqual([-EFAULT, pins]);
      s.list(0x4003fff8n, [data]); // what comes first is said
      expect([s.put([], 0, cut), pinned(s)]).toEqual([-EINVAL, pins]);
    }
  });

  it('may reach too far, or not far enough', () => {
    const reach = (from: number, to: number, order = 1) => left({ putReach: () => [from, to] }, [holes + 2], order);
    expect(reach(0, 2)).toEqual([0, [0, 1, 4, 5, 6, 7]]);
    expect(reach(0, 3)).toEqual([0, [0, 1, 5, 6, 7]]);
    expect(reach(-1, 2)).toEqual([0, [0, 4, 5, 6, 7]]);
    expect(reach(-2, 4)).toEqual([0, [6, 7]]);
    expect(reach(1, 2)).toEqual([0, [0, 1, 2, 4, 5, 6, 7]]);
    expect(reach(0, 1)).toEqual([0, [0, 1, 3, 4, 5, 6, 7]]);
    expect(reach(1, 3, 2)).toEqual([0, [0, 1, 2, 5, 6, 7]]);
    expect(reach(2, 2)).toEqual([0, whole]);
    const beside = pinnedScene({ decisions: { putReach: (pages) => [0, pages === 1 ? 1 : 0] } });
    expect([beside.put([holes + 4]), beside.put([holes + 2], 1), pinned(beside)]).toEqual([0, 0, [0, 1, 2, 3, 5, 6, 7]]);
    expect(left({ putReach: () => [0, 1], putUnpinned: 0 }, [holes + 6], 2)).toEqual([0, [0, 1, 2, 3, 4, 5, 7]]); // no pin on a hole
  });

  it('may take an entry for a machine frame', () => {
    const s = pinnedScene({ decisions: { putTarget: (entry, gfnOfFrame) => gfnOfFrame() ?? entry } });
    const [frame] = s.frames as [number];
    expect([s.put([frame + 1, holes + 3]), pinned(s)]).toEqual([0, [0, 2, 4, 5, 6, 7]]);
  });

  it('may unmap, free, move or clear the pages', () => {
    const outcome = (putEffect: Decisions['putEffect']) => {
      const s = pinnedScene({ decisions: { putEffect } });
      for (const g of run(holes, 4)) s.mark(g, 7);
      const old = run(holes, 4).map((g) => s.mfn(g));
      s.hypervisor.changes(1);
      expect(s.put([holes + 1], 1)).toBe(0);
      const now = run(holes, 4).map((g, i) => (s.mfn(g) === null ? 'gone' : s.mfn(g) === old[i] ? 'stayed' : 'moved'));
      return [
        now,
        s.hypervisor.pages(1),
        run(holes, 4).map((g) => s.marked(g)),
        s.hypervisor.changes(1).length,
        typeInvariant(s.hypervisor.state),
      ];
    };
    const stayed = ['stayed', 'stayed', 'stayed', 'stayed'];
    expect(outcome('nothing')).toEqual([stayed, 64, [7, 7, 7, 7], 0, []]);
    expect(outcome('unmaps')).toEqual([['stayed', 'gone', 'gone', 'stayed'], 64, [7, undefined, undefined, 7], 2, []]);
    expect(outcome('frees')).toEqual([['stayed', 'gone', 'gone', 'stayed'], 62, [7, undefined, undefined, 7], 2, []]);
    expect(outcome('moves')).toEqual([['stayed', 'moved', 'moved', 'stayed'], 64, [7, 7, 7, 7], 0, []]);
    expect(outcome('clears')).toEqual([stayed, 64, [7, 0, 0, 7], 2, []]);
    for (const putEffect of ['unmaps', 'frees', 'moves', 'clears'] as const) {
      const s = pinnedScene({ decisions: { putEffect, putUnpinned: 0 } });
      expect([s.put([holes + 20, holes + 7], 1), typeInvariant(s.hypervisor.state)]).toEqual([0, []]);
      const two = pinnedScene({ decisions: { putEffect } });
      expect([two.put([holes + 3, holes], 0, { inject: { preempt: 1 } }), pinned(two)]).toEqual([0, [1, 2, 4, 5, 6, 7]]);
    }
    const full = pinnedScene({ decisions: { putEffect: 'moves' }, free: { low: 8, high: 0 } });
    for (const block of full.hypervisor.state.free) block.length = 0;
    expect([full.put([holes]), full.mfn(holes)]).toEqual([0, full.frames[0]]);
  });

  it('may go on elsewhere after a preemption, or lose pins by it', () => {
    const singles = run(holes, 5);
    const preempted = (decisions: Partial<Decisions>, preempt: number) => left(decisions, singles, 0, { inject: { preempt } });
    expect([1, 2, 4, 5, 6].map((preempt) => preempted({}, preempt))).toEqual(Array(5).fill([0, [5, 6, 7]]));
    expect(preempted({ resumesAt: (cursor, op) => (op === 27 ? cursor + 1 : cursor) }, 2)).toEqual([0, [2, 5, 6, 7]]);
    expect(preempted({ resumesAt: (cursor, op) => (op === 27 ? 99 : cursor) }, 2)).toEqual([0, [2, 3, 4, 5, 6, 7]]);
    expect(preempted({ resumesAt: () => 0 }, 2)).toEqual([0, [5, 6, 7]]); // never back
    const loses: Partial<Decisions> = { keepsPins: (event) => event !== 'preemption', putUnpinned: 0 };
    expect([preempted(loses, 4), preempted(loses, 5)]).toEqual([
      [0, []],
      [0, [5, 6, 7]],
    ]);
    expect(preempted({ preemptsAfter: () => 0, ...loses }, 1)).toEqual([0, [5, 6, 7]]);
    expect(preempted({ preemptsAfter: () => 1.5, ...loses }, 1)).toEqual([0, []]);
  });

  it('may write its struct back', () => {
    const s = pinnedScene({ decisions: { structRewritten: (bytes) => bytes.fill(9, 26, 28) } });
    expect(s.put([holes])).toBe(0);
    expect([...(s.hypervisor.read(1, structAddress + 24n, 6) ?? [])]).toEqual([0xf0, 0x7f, 9, 9, 0, 0]);
    s.hypervisor.changes(1);
    expect(s.put([data])).toBe(-EINVAL);
    expect(s.hypervisor.changes(1)).toEqual([{ address: structAddress, length: 32 }]);
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

  it('under the lenient profile it can, and the pin goes with the mapping', () => {
    const s = pinnedScene({ profile: 'lenient' });
    expect(s.put([holes], 0, { cmd: 1 })).toBe(1);
    expect(s.get({ in: [holes + 1], out: [holes + 1], op: 11 }).rc).toBe(0);
    expect(s.get({ in: [holes + 2], out: [holes + 2] }).rc).toBe(0);
    expect(run(holes, 8).map((g) => s.hypervisor.state.domains.get(1)?.pins.has(g))).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
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
