import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { data, holes, inListAddress, outListAddress, ram, type Scene, scene, structAddress } from './scene.stage.ts';
import { typeInvariant } from './state.ts';

const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const frames = (s: Scene, gfn: number, pages: number): (number | null)[] => run(gfn, pages).map((g) => s.mfn(g));
const below4G = 2 ** 20;

describe('a get that succeeds', () => {
  it('exchanges pages one for one, pins them and tells their frames', () => {
    const s = scene();
    const old = frames(s, data, 2);
    const { rc, nr_exchanged, out } = s.get({ in: [data, data + 1], out: [data, data + 1] });
    expect({ rc, nr_exchanged }).toEqual({ rc: 0, nr_exchanged: 2n });
    expect(out).toEqual(frames(s, data, 2));
    expect(out.filter((frame, i) => frame === old[i])).toEqual([]); // another chunk's old frame may come back
    expect(s.hypervisor.pages(1)).toBe(64);
    expect([s.stays(data), s.stays(data + 1), s.stays(data + 2)]).toEqual([true, true, false]);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('makes one contiguous, aligned extent of four single pages', () => {
    const s = scene();
    const { rc, nr_exchanged, out } = s.get({ in: [data, data + 3, data + 5, data + 9], out: [holes + 4], outOrder: 2 });
    expect({ rc, nr_exchanged }).toEqual({ rc: 0, nr_exchanged: 4n });
    const base = out[0] as number;
    expect(base % 4).toBe(0);
    expect(frames(s, holes + 4, 4)).toEqual(run(base, 4));
    expect([data, data + 3, data + 5, data + 9].map((g) => s.mfn(g))).toEqual([null, null, null, null]);
    expect(run(holes + 4, 4).map((g) => s.stays(g))).toEqual([true, true, true, true]);
  });

  it('makes eight single pages of two extents of four', () => {
    const s = scene();
    const outs = run(holes, 8).reverse();
    const { rc, nr_exchanged, out } = s.get({ in: [data, data + 4], out: outs, inOrder: 2 });
    expect({ rc, nr_exchanged }).toEqual({ rc: 0, nr_exchanged: 2n });
    expect(out).toEqual(outs.map((g) => s.mfn(g)));
    expect(frames(s, data, 8)).toEqual(Array(8).fill(null));
  });

  it('"contiguous and under 4G if so requested": mfn + 2^order <= 2^(bits - 12)', () => {
    const free = { low: 8, high: 64 };
    expect(scene({ free }).get({ in: [data], out: [data] }).out[0]).toBeGreaterThanOrEqual(below4G);
    const s = scene({ free });
    const { rc, out } = s.get({ in: run(data, 4), out: [holes], outOrder: 2, bits: 32 });
    expect(rc).toBe(0);
    expect((out[0] as number) + 4).toBeLessThanOrEqual(below4G);
    // the low half of memory holds 4 frames of those 8, next to its upper end: 31 bits are met
    // exactly
    const tight = scene({ free }).get({ in: run(data, 4), out: [holes], outOrder: 2, bits: 31 });
    expect(tight.out).toEqual([2 ** 19 - 4]);
    expect(scene({ free }).get({ in: run(data, 4), out: [holes], outOrder: 2, bits: 30 }).rc).toBe(-errno.ENOMEM);
    expect(scene({ free }).get({ in: [data], out: [data], bits: 12 }).rc).toBe(-errno.ENOMEM);
  });

  it('ignores in.address_bits', () => {
    const s = scene();
    expect(s.get({ in: [data], out: [data], struct: { in: { address_bits: 12 } } }).out[0]).toBeGreaterThanOrEqual(below4G);
  });

  it('does nothing, successfully, for two empty lists', () => {
    const s = scene();
    expect(s.get({ in: [], out: [] })).toEqual({ rc: 0, nr_exchanged: 0n, out: [] });
  });

  it('changes nothing in the struct but nr_exchanged, and nothing in the list of inputs', () => {
    const s = scene();
    s.get({ in: [data, data + 1], out: [holes + 1, holes] });
    const pieces = s.hypervisor.changes(1).map(({ address, length }) => [address, length]);
    expect(pieces).toEqual([
      [0x40000140n, 8],
      [0x40002000n, 8],
      [0x40002008n, 8],
      [0x40008000n, 4096],
      [0x40009000n, 4096],
      [0x50000000n, 4096],
      [0x50001000n, 4096],
    ]);
    expect(s.hypervisor.changes(1)).toEqual([]);
  });

  it('lets a privileged domain exchange the pages of another, with the lists in its own memory', () => {
    const ramOf = (gfn: number) => [{ gfn: BigInt(gfn), pages: 64 }];
    const s = scene({
      domains: [
        { domid: 1, privileged: true, ram: ramOf(ram) },
        { domid: 2, privileged: false, ram: ramOf(0x60000) },
      ],
    });
    const other = { in: { domid: 2 }, out: { domid: 2 } };
    const { rc, out } = s.get({ in: [0x60001], out: [0x60001], struct: other });
    expect([rc, out[0]]).toEqual([0, s.mfn(0x60001, 2)]);
    expect(s.get({ in: [data], out: [data], from: 2, struct: { in: { domid: 1 }, out: { domid: 1 } } }).rc).toBe(-errno.EFAULT);
  });
});

describe('a get that succeeds in part', () => {
  const four = run(data, 4);

  it.each([0, 1, 3])('stops before the chunk whose output %i finds no memory, and leaves the rest untouched', (n) => {
    const s = scene();
    for (const g of four) s.mark(g, g & 0xff);
    const old = frames(s, data, 4);
    const outs = run(holes, 4);
    const { rc, nr_exchanged, out } = s.get({ in: four, out: outs, inject: { fail_alloc: n } });
    expect({ rc, nr_exchanged }).toEqual({ rc: -errno.ENOMEM, nr_exchanged: BigInt(n) });
    expect(out).toEqual(outs.map((g, k) => (k < n ? s.mfn(g) : g)));
    expect(frames(s, data, 4)).toEqual(old.map((frame, i) => (i < n ? null : frame)));
    expect(frames(s, holes, 4).map((frame) => frame !== null)).toEqual(four.map((_, k) => k < n));
    expect(four.slice(n).map((g) => s.marked(g))).toEqual(four.slice(n).map((g) => g & 0xff));
    expect(four.slice(n).map((g) => s.stays(g))).toEqual(four.slice(n).map(() => false));
    expect(outs.slice(0, n).map((g) => s.stays(g))).toEqual(outs.slice(0, n).map(() => true));
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('counts input extents in whole chunks where outputs are larger', () => {
    const s = scene();
    const { rc, nr_exchanged, out } = s.get({ in: run(data, 8), out: [holes, holes + 4], outOrder: 2, inject: { fail_alloc: 1 } });
    expect({ rc, nr_exchanged }).toEqual({ rc: -errno.ENOMEM, nr_exchanged: 4n });
    expect(out).toEqual([s.mfn(holes), holes + 4]);
  });

  it('rolls a chunk of several outputs back as a whole where inputs are larger', () => {
    const s = scene();
    const outs = run(holes, 8);
    const { rc, nr_exchanged, out } = s.get({ in: [data, data + 4], out: outs, inOrder: 2, inject: { fail_alloc: 6 } });
    expect({ rc, nr_exchanged }).toEqual({ rc: -errno.ENOMEM, nr_exchanged: 1n });
    expect(out.slice(4)).toEqual(outs.slice(4));
    expect(frames(s, holes + 4, 4)).toEqual([null, null, null, null]);
    expect(s.hypervisor.pages(1)).toBe(64);
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
  });

  it('stops at an input that is not there, or that is listed again', () => {
    const s = scene();
    expect(s.get({ in: [data, holes + 9, data + 1], out: run(holes, 3) })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 1n });
    const again = scene().get({ in: [data, data], out: run(holes, 2) });
    expect(again).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 1n });
    expect(scene().get({ in: [data, data], out: [holes], outOrder: 1 })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 0n });
  });

  it('serves what memory there is, then says ENOMEM', () => {
    const s = scene({ free: { low: 1, high: 0 } });
    // each chunk frees the frame that the next one gets
    expect(s.get({ in: [data, data + 1], out: [data, data + 1] })).toMatchObject({ rc: 0, nr_exchanged: 2n });
    expect(s.get({ in: [data + 2], out: [holes], bits: 13 })).toMatchObject({ rc: -errno.ENOMEM, nr_exchanged: 0n });
  });
});

describe('what is written back', () => {
  it('is the count, also where the struct goes on in the next page', () => {
    const s = scene();
    s.get({ in: [data], out: [holes] }); // places lists and struct
    s.list(inListAddress, [data + 1]);
    s.list(outListAddress, [holes + 1]);
    const struct = s.hypervisor.read(1, structAddress, 64) as Uint8Array;
    s.hypervisor.write(1, 0x40003fc0n, struct);
    expect(s.hypervisor.call(1, 26, 0x40003fc0n)).toBe(0);
    expect(s.hypervisor.read(1, 0x40004000n, 2)).toEqual(Uint8Array.of(1, 0));
    expect(s.mfn(data + 1)).toBe(null);
  });

  it('is a fault where the list of outputs lies in a page that is given away: its chunk is done and counted', () => {
    const s = scene();
    const listPage = Number(outListAddress >> 12n);
    expect(s.get({ in: [listPage], out: [holes] })).toMatchObject({ rc: -errno.EFAULT, nr_exchanged: 1n });
    expect([s.mfn(listPage), s.mfn(holes) !== null, typeInvariant(s.hypervisor.state)]).toEqual([null, true, []]);
    const two = scene();
    expect(two.get({ in: [listPage - 1], out: [holes, holes + 1], inOrder: 1 })).toMatchObject({ rc: -errno.EFAULT, nr_exchanged: 1n });
    expect([two.mfn(holes) !== null, two.mfn(holes + 1) !== null]).toEqual([true, true]);
  });
});

describe('a chunk', () => {
  it('need not begin at a multiple of its size', () => {
    const s = scene();
    expect(s.get({ in: [data + 1], out: [holes + 1], inOrder: 1, outOrder: 1 }).rc).toBe(0);
    expect([s.mfn(data + 1), s.mfn(data + 2), s.mfn(holes + 3)]).toEqual([null, null, null]);
    expect((s.mfn(holes + 2) as number) - (s.mfn(holes + 1) as number)).toBe(1);
  });

  it('has no output beyond the last frame that can be mapped: 40-bit addresses on arm32', () => {
    const last = 2 ** 28;
    const arm32 = (out: number, order = 0) => scene({ arch: 'arm32' }).get({ in: [data], out: [out], inOrder: order, outOrder: order }).rc;
    expect([arm32(last - 1), arm32(last), arm32(last - 2, 1), arm32(last - 1, 1)]).toEqual([0, -errno.EINVAL, 0, -errno.EINVAL]);
  });

  it('has no output that overlaps another of its own, however they are ordered', () => {
    const outs = (...out: number[]) => scene().get({ in: [data], out, inOrder: 2, outOrder: 1 }).rc;
    expect([outs(holes, holes + 2), outs(holes + 2, holes)]).toEqual([0, 0]);
    expect([outs(holes + 1, holes), outs(holes, holes + 1)]).toEqual([-errno.EINVAL, -errno.EINVAL]);
    const across = scene().get({ in: [data, data + 2], out: [holes, holes + 1], inOrder: 1, outOrder: 1 });
    expect(across).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 1n }); // the first chunk has populated a page of it by then
  });

  it('of a domain that is being torn down is refused, with nothing changed', () => {
    const s = scene();
    (s.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
    const out = [holes, holes + 1];
    expect(s.get({ in: [data, data + 1], out })).toEqual({ rc: -errno.EINVAL, nr_exchanged: 0n, out });
    expect([s.mfn(data) !== null, typeInvariant(s.hypervisor.state)]).toEqual([true, []]);
  });

  it('that finds memory for some of its outputs gives it back', () => {
    const s = scene({ free: { low: 0, high: 3 } });
    expect(s.get({ in: [data], out: [holes, holes + 2], inOrder: 2, outOrder: 1 })).toMatchObject({ rc: -errno.ENOMEM, nr_exchanged: 0n });
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
  });
});

describe('preemption', () => {
  it.each([
    [1, 0, 0],
    [2, 0, 0],
    [3, 0, 0],
    [1, 0, 1],
    [3, 1, 0],
  ])('after each %i input extents, orders %i and %i, changes nothing but when', (preempt, inOrder, outOrder) => {
    const pages = 8;
    const ins = run(data, pages).filter((_, i) => i % 2 ** inOrder === 0);
    const outs = run(holes, pages).filter((_, i) => i % 2 ** outOrder === 0);
    const whole = scene();
    const parts = scene();
    const expected = whole.get({ in: ins, out: outs, inOrder, outOrder });
    expect(expected.rc).toBe(0);
    expect(parts.get({ in: ins, out: outs, inOrder, outOrder, inject: { preempt } })).toEqual(expected);
    expect(run(holes, pages).map((g) => parts.stays(g))).toEqual(Array(pages).fill(true));
  });

  it('counts outputs over all continuations', () => {
    const s = scene();
    const { rc, nr_exchanged } = s.get({ in: run(data, 4), out: run(data, 4), inject: { preempt: 1, fail_alloc: 2 } });
    expect({ rc, nr_exchanged }).toEqual({ rc: -errno.ENOMEM, nr_exchanged: 2n });
  });

  it.each([0, -1])('after each %i input extents is none', (preempt) => {
    const s = scene();
    expect(s.get({ in: run(data, 4), out: run(holes, 4), inject: { preempt } })).toMatchObject({ rc: 0, nr_exchanged: 4n });
  });

  it('faults where the struct lies in a page that was given away', () => {
    const s = scene();
    expect(s.get({ in: [ram, data], out: [holes, holes + 1], inject: { preempt: 1 } }).rc).toBe(-errno.EFAULT);
    expect([s.mfn(ram), s.mfn(holes) !== null, s.mfn(data) !== null, s.mfn(holes + 1)]).toEqual([null, true, true, null]);
    const whole = scene();
    expect(whole.get({ in: [ram, data], out: [holes, holes + 1] }).rc).toBe(-errno.EFAULT);
    expect([whole.mfn(data), whole.mfn(holes + 1) !== null]).toEqual([null, true]);
  });
});
