import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import { data, holes, inListAddress, type Setting, scene } from './scene.stage.ts';

const { EXDEV, E2BIG, EFAULT, EINVAL, EPERM, ESRCH } = errno;
const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const ramEnd = 0x40040000n;

describe('a request', () => {
  it('is read from a struct that lies wholly in the address space', () => {
    const top = [{ gfn: 0xfffffn, pages: 1 }];
    const { hypervisor } = scene({ arch: 'arm32', domains: [{ domid: 1, privileged: false, ram: top }] });
    // A struct of zeros names domain 0, which there is not.
    const calls = [0x1_0000_0000n - 72n, 0x1_0000_0000n - 71n, 0x1_0000_0000n - 64n].map((arg) => hypervisor.call(1, 26, arg));
    expect(calls).toEqual([-ESRCH, -EFAULT, -EFAULT]);
    expect([32n, 31n].map((size) => hypervisor.call(1, 27, 0x1_0000_0000n - size))).toEqual([-ESRCH, -EFAULT]);
    // Memory behind the last address that a pointer reaches is no continuation of it.
    const more = [{ gfn: 0xfffffn, pages: 2 }];
    const large = scene({ arch: 'arm32', domains: [{ domid: 1, privileged: false, ram: more }] }).hypervisor;
    expect([72n, 64n].map((size) => large.call(1, 26, 0x1_0000_0000n - size))).toEqual([-ESRCH, -EFAULT]);
  });

  it.each<[string, Setting, object, number]>([
    ['too many inputs', {}, { in: { nr_extents: 5n }, out: { nr_extents: 5n } }, -E2BIG],
    ['as many as there may be', {}, { in: { nr_extents: 4n }, out: { nr_extents: 4n } }, -EINVAL],
    ['too many outputs', {}, { in: { nr_extents: 4n, extent_order: 1 }, out: { nr_extents: 8n } }, -E2BIG],
    ['an order too high', {}, { in: { extent_order: 19 }, out: { extent_order: 19 } }, -EXDEV],
    ['an output order too high', {}, { out: { extent_order: 19 } }, -EXDEV],
    ['an input order too high', {}, { in: { extent_order: 19 } }, -EXDEV],
    ['an input order denied', {}, { in: { nr_extents: 1n, extent_order: 10 }, out: { nr_extents: 1024n } }, -E2BIG],
    ['an output order denied', {}, { in: { nr_extents: 4n, extent_order: 8 }, out: { nr_extents: 1n, extent_order: 10 } }, -EPERM],
    ['the highest order allowed', {}, { in: { nr_extents: 4n, extent_order: 7 }, out: { nr_extents: 1n, extent_order: 9 } }, -EINVAL],
  ])('with %s', (_case, setting, struct, rc) => {
    const s = scene({ ...setting, decisions: { maxExtents: 4n, tooManyExtents: E2BIG, orderTooBig: EXDEV } });
    expect(s.get({ in: [holes, holes], out: [holes, holes], struct }).rc).toBe(rc);
  });

  it('may have the highest order there is, of a privileged caller', () => {
    const domains = [{ domid: 1, privileged: true, ram: [{ gfn: 0x40000n, pages: 64 }] }];
    const orders = (order: number) => ({ in: { extent_order: order }, out: { extent_order: order } });
    const rc = (order: number) =>
      scene({ domains, decisions: { orderTooBig: EXDEV } }).get({ in: [holes], out: [holes], struct: orders(order) }).rc;
    expect([rc(18), rc(19)]).toEqual([-EINVAL, -EXDEV]);
  });

  it('has lists as long as its chunks use them', () => {
    const cut = (side: 'in' | 'out', entries: bigint, inOrder: number, outOrder: number): number => {
      const s = scene();
      const pages = run(data, 4);
      const [ins, outs] = [pages.filter((_, i) => i % 2 ** inOrder === 0), run(holes, 4).filter((_, i) => i % 2 ** outOrder === 0)];
      const extent_start = ramEnd - 8n * entries;
      s.list(extent_start, side === 'in' ? ins.slice(0, Number(entries)) : outs.slice(0, Number(entries)));
      return s.get({ in: ins, out: outs, inOrder, outOrder, struct: { [side]: { extent_start } } }).rc;
    };
    expect([cut('in', 4n, 0, 2), cut('in', 3n, 0, 2), cut('out', 1n, 0, 2), cut('in', 1n, 2, 0), cut('out', 4n, 2, 0)]).toEqual([
      0,
      -EFAULT,
      0,
      0,
      0,
    ]);
    expect([cut('out', 3n, 2, 0), cut('in', 2n, 1, 1), cut('in', 1n, 1, 1), cut('out', 1n, 1, 1)]).toEqual([-EFAULT, 0, -EFAULT, -EFAULT]);
  });

  it('has handles of which each is looked at', () => {
    const dirty = (side: 'in' | 'out') => {
      const s = scene({ arch: 'arm32', decisions: { dirtyHandle: EXDEV } });
      const extent_start = inListAddress + (side === 'in' ? 0n : 0x1000n) + (1n << 32n);
      return s.get({ in: [data], out: [data], struct: { [side]: { extent_start } } }).rc;
    };
    expect([dirty('in'), dirty('out')]).toEqual([-EXDEV, -EXDEV]);
    expect(scene({ arch: 'arm32', decisions: { dirtyHandle: EXDEV } }).get({ in: [data], out: [data] }).rc).toBe(0);
    const both = { in: { extent_start: 0xffff_fffcn + (1n << 32n) } };
    expect(scene({ arch: 'arm32', decisions: { listWraps: EXDEV } }).get({ in: [data], out: [data], struct: both }).rc).toBe(-EXDEV);
    const s = scene();
    s.list(ramEnd - 8n, [holes]);
    const cut = s.get({ in: run(data, 2), out: run(holes, 2), struct: { out: { extent_start: ramEnd - 8n } } });
    expect([cut.rc, cut.nr_exchanged, s.mfn(data) !== null]).toEqual([-EFAULT, 0n, true]);
    const wraps = (side: 'in' | 'out') =>
      scene({ decisions: { listWraps: EXDEV } }).get({ in: [data], out: [data], struct: { [side]: { extent_start: 2n ** 64n - 4n } } }).rc;
    expect([wraps('in'), wraps('out')]).toEqual([-EXDEV, -EXDEV]);
  });
});

describe('an output that a later chunk would take away', () => {
  it('is found, and nothing else is, whatever the lists', () => {
    const order = fc.integer({ min: 0, max: 2 });
    const arbitrary = fc.record({
      inOrder: order,
      outOrder: order,
      chunks: fc.integer({ min: 1, max: 9 }),
      seed: fc.infiniteStream(fc.nat(40)),
    });
    let found = 0;
    fc.assert(
      fc.property(arbitrary, ({ inOrder, outOrder, chunks, seed }) => {
        const larger = Math.max(inOrder, outOrder);
        const [perIn, perOut] = [2 ** (larger - inOrder), 2 ** (larger - outOrder)];
        const next = (): number => data + (seed.next().value as number);
        const ins = Array.from({ length: chunks * perIn }, next);
        const outs = Array.from({ length: chunks * perOut }, next);
        const later = outs.some((out, k) =>
          ins.some((base, i) => {
            const overlaps = base < out + 2 ** outOrder && out < base + 2 ** inOrder;
            return overlaps && Math.floor(i / perIn) > Math.floor(k / perOut);
          }),
        );
        const s = scene({ decisions: { laterInput: EXDEV } });
        expect([ins, outs, s.get({ in: ins, out: outs, inOrder, outOrder }).rc === -EXDEV]).toEqual([ins, outs, later]);
        found += later ? 1 : 0;
      }),
      { numRuns: 300, seed: 1 },
    );
    expect([found > 50, found < 290]).toEqual([true, true]);
  });

  it.each([3, 16, 17, 20])('is found among %i singles by its last input, and not by one that came before', (count) => {
    const get = (k: number, out: number): number => {
      const outs = run(holes, count).with(k, out);
      return scene({ decisions: { laterInput: EXDEV } }).get({ in: run(data, count), out: outs }).rc;
    };
    for (const k of [0, 1, count - 2]) {
      expect([get(k, data + k), get(k, data + k + 1), get(k, data + count - 1)]).toEqual([0, -EXDEV, -EXDEV]);
      if (k > 0) expect(get(k, data + k - 1)).toBe(0);
    }
    expect([get(0, data + count), get(0, data - 1)]).toEqual([-EINVAL, -EINVAL]); // populated, but no input
  });

  it('is looked for from where a resumed call goes on', () => {
    const s = scene({ decisions: { laterInput: EXDEV, countNotZero: 0 } });
    const resumed = (out: number[], nr_exchanged: bigint) => s.get({ in: run(data, 3), out, struct: { nr_exchanged } }).rc;
    expect(resumed([data + 2, holes, data + 1], 1n)).toBe(0); // the first output is none of its business
    const other = scene({ decisions: { laterInput: EXDEV, countNotZero: 0 } });
    expect(other.get({ in: run(data, 3), out: [holes, data + 2, holes + 1], struct: { nr_exchanged: 1n } }).rc).toBe(-EXDEV);
  });
});
