import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import type { Decisions } from './decisions.ts';
import { data, type Exchange, holes, inListAddress, outListAddress, ram, type Scene, scene, structAddress } from './scene.stage.ts';
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
    // the low half of memory holds 4 frames of those 8, next to its upper end: 31 bits are met exactly
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

describe('a get that is decided otherwise', () => {
  const eight = { in: run(data, 8), out: [holes, holes + 4], outOrder: 2 };
  const failing = { ...eight, inject: { fail_alloc: 1 } };
  const bytesAt = (s: Scene, address: bigint, length: number): number[] => [...(s.hypervisor.read(1, address, length) ?? [])];

  it('may return what it has done, and report it from all that it knows', () => {
    expect(scene({ decisions: { failureRc: (_errno, done) => done } }).get(failing).rc).toBe(4);
    const all: Decisions['reportedCount'] = (done, { op, rc, nrIn, nrOut, inOrder, outOrder }) =>
      [done, nrIn, nrOut, BigInt(inOrder), BigInt(outOrder), BigInt(op), BigInt(-rc)].reduce((sum, n) => 100n * sum + n);
    expect(scene({ decisions: { reportedCount: all } }).get(failing).nr_exchanged).toBe(4080200022612n);
    const wide = scene({ decisions: { reportedCount: () => 0x0102_0304_0506_0708n } });
    wide.get(eight);
    expect(bytesAt(wide, structAddress + 64n, 9)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });

  it('may write the count elsewhere, in more bytes or fewer, or not at all', () => {
    const counted = (countField: Decisions['countField']): number[] => {
      const s = scene({ decisions: { countField, reportedCount: () => 0x0102_0304_0506_0708n } });
      s.hypervisor.write(1, structAddress + 72n, Uint8Array.of(9, 9, 9, 9));
      s.get(eight);
      return bytesAt(s, structAddress + 60n, 16);
    };
    expect(counted((offset) => [offset, 4])).toEqual([0, 0, 0, 0, 8, 7, 6, 5, 0, 0, 0, 0, 9, 9, 9, 9]);
    expect(counted((offset) => [offset - 4, 8])).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 9, 9, 9, 9]);
    expect(counted((offset) => [offset, 12])).toEqual([0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]);
    const onSuccess = { writesCount: (rc: number) => rc === 0 };
    expect([scene({ decisions: onSuccess }).get(eight), scene({ decisions: onSuccess }).get(failing)].map((r) => r.nr_exchanged)).toEqual([
      8n,
      0n,
    ]);
  });

  it('writes the count where the struct goes on in the next page', () => {
    const s = scene();
    s.get({ in: [data], out: [holes] }); // places lists and struct
    s.list(inListAddress, [data + 1]);
    s.list(outListAddress, [holes + 1]);
    const struct = s.hypervisor.read(1, structAddress, 64) as Uint8Array;
    s.hypervisor.write(1, 0x40003fc0n, struct);
    expect([s.hypervisor.call(1, 26, 0x40003fc0n), bytesAt(s, 0x40004000n, 2), s.mfn(data + 1)]).toEqual([0, [1, 0], null]);
  });

  it('may lose pins by a failure, and by nothing else', () => {
    const decisions: Partial<Decisions> = { keepsPins: (event) => event !== 'failure' };
    const s = scene({ decisions });
    const pins = (): number | undefined => s.hypervisor.state.domains.get(1)?.pins.size;
    expect([s.get(eight).rc, pins()]).toEqual([0, 8]);
    expect([s.get({ in: [data + 10], out: [holes + 10], inject: { fail_alloc: 0 } }).rc, pins()]).toEqual([-errno.ENOMEM, 0]);
  });

  it('may write its struct back, where it still is', () => {
    const decisions: Partial<Decisions> = { structRewritten: (bytes) => bytes.fill(9, 26, 28) };
    const s = scene({ decisions });
    expect([s.get(eight).rc, bytesAt(s, structAddress + 24n, 6)]).toEqual([0, [0xf0, 0x7f, 9, 9, 0, 0]]);
    expect(scene({ decisions }).get({ in: [ram], out: [holes] }).rc).toBe(-errno.EFAULT);
  });

  it('may go on after a chunk that failed', () => {
    const s = scene({ decisions: { afterFailure: 'skip' } });
    const { rc, nr_exchanged } = s.get({ in: [data, holes + 9, data + 1], out: run(holes, 3) });
    expect([rc, nr_exchanged, s.mfn(data), s.mfn(data + 1), s.mfn(holes + 1)]).toEqual([0, 2n, null, null, null]);
  });

  it('may do what it refuses, once', () => {
    const s = scene({ decisions: { effectBeforeRefusal: true } });
    expect(s.get({ ...eight, struct: { out: { domid: 1 } } })).toMatchObject({ rc: -errno.EINVAL, nr_exchanged: 8n });
    expect([s.mfn(data), s.mfn(holes) !== null]).toEqual([null, true]);
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

  it('loses the tail of the pins where the continuation is issued as the plain exchange', () => {
    const s = scene({ decisions: { continuationOp: () => 11 } });
    expect(s.get({ in: run(data, 3), out: run(data, 3), inject: { preempt: 1 } }).rc).toBe(0);
    expect(run(data, 3).map((g) => s.stays(g))).toEqual([true, false, false]);
  });

  const losing = (preempt: number, exchange: Exchange): number[] => {
    const s = scene({ decisions: { keepsPins: (event) => event !== 'preemption' } });
    expect(s.get({ ...exchange, inject: { preempt } }).rc).toBe(0);
    return [...(s.hypervisor.state.domains.get(1)?.pins ?? [])].sort();
  };

  it('comes between chunks, and not after the last', () => {
    const singles = { in: run(data, 4), out: run(holes, 4) };
    expect([1, 2, 3, 4, 5].map((preempt) => losing(preempt, singles).length)).toEqual([1, 2, 1, 4, 4]);
    const fours = { in: run(data, 12), out: [holes, holes + 4, holes + 8], outOrder: 2 };
    expect([1, 4, 5, 8, 9].map((preempt) => losing(preempt, fours).length)).toEqual([4, 4, 4, 4, 12]);
    expect(losing(1, fours)).toEqual(run(holes + 8, 4));
  });

  it('is over some time, also where each continuation begins again', () => {
    const decisions: Partial<Decisions> = { resumesAt: () => 0, inputUnmapped: 0, outputPopulated: 0, pinRefuses: () => 0 };
    const s = scene({ decisions });
    const again = { in: run(data, 4), out: run(holes, 4), inject: { preempt: 1 } };
    expect(s.get(again)).toMatchObject({ rc: 0, nr_exchanged: 4n });
    expect(typeInvariant(s.hypervisor.state)).toEqual([]);
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
