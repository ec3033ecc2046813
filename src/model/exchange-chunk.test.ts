import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import type { Decisions } from './decisions.ts';
import { data, holes, inListAddress, outListAddress, type Scene, type Setting, scene } from './scene.stage.ts';
import { canonicalKey, typeInvariant } from './state.ts';

const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const frames = (s: Scene, gfn: number, pages: number): (number | null)[] => run(gfn, pages).map((g) => s.mfn(g));
const { EXDEV, EINVAL, ENOMEM, EFAULT } = errno;
const taking = (decisions: Partial<Decisions>, more: Setting = {}): Scene => scene({ ...more, decisions });
const pins = (s: Scene): number[] => [...(s.hypervisor.state.domains.get(1)?.pins ?? [])].sort();

describe('what stands against a chunk', () => {
  it('is not where its extents begin, unless that is decided', () => {
    const odd = { in: [data + 1], out: [holes + 1], inOrder: 1, outOrder: 1 };
    const oddOutput = { ...odd, in: [data] };
    const s = scene();
    expect([s.get(odd).rc, s.mfn(data + 1), s.mfn(data + 2), s.mfn(holes + 3)]).toEqual([0, null, null, null]);
    expect((s.mfn(holes + 2) as number) - (s.mfn(holes + 1) as number)).toBe(1);
    for (const exchange of [odd, oddOutput, { ...odd, out: [holes] }]) {
      expect(taking({ misaligned: EXDEV }).get(exchange)).toMatchObject({ rc: -EXDEV, nr_exchanged: 0n });
    }
    expect(taking({ misaligned: EXDEV }).get({ ...odd, in: [data], out: [holes] }).rc).toBe(0);
  });

  it('is an output beyond the last frame that can be mapped', () => {
    const last = 2 ** 28; // 40-bit addresses
    const arm32 = (out: number, order = 0) => scene({ arch: 'arm32' }).get({ in: [data], out: [out], inOrder: order, outOrder: order }).rc;
    expect([arm32(last - 1), arm32(last), arm32(last - 2, 1), arm32(last - 1, 1)]).toEqual([0, -EINVAL, 0, -EINVAL]);
  });

  it('is an output that overlaps another of its chunk, however they are ordered', () => {
    const outs = (...out: number[]) => scene().get({ in: [data], out, inOrder: 2, outOrder: 1 }).rc;
    expect([outs(holes, holes + 2), outs(holes + 2, holes), outs(holes + 1, holes), outs(holes, holes + 1)]).toEqual([
      0,
      0,
      -EINVAL,
      -EINVAL,
    ]);
    const across = scene().get({ in: [data, data + 2], out: [holes, holes + 1], inOrder: 1, outOrder: 1 });
    expect(across).toMatchObject({ rc: -EINVAL, nr_exchanged: 1n }); // the first chunk has populated a page of it by then
  });

  it('is found out for all chunks before the first, if that is decided', () => {
    const bad = { in: [data, holes + 9], out: [holes, holes + 1] };
    const s = taking({ validatesAhead: true });
    expect(s.get(bad)).toEqual({ rc: -EINVAL, nr_exchanged: 0n, out: bad.out });
    expect([s.mfn(holes), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([null, 64, []]);
    expect(s.get({ in: [data, holes + 9, data + 1], out: run(holes, 3) })).toMatchObject({ rc: -EINVAL, nr_exchanged: 0n });
    expect(s.get({ in: [data, data + 1], out: bad.out }).rc).toBe(0);
    expect(scene().get(bad)).toMatchObject({ rc: -EINVAL, nr_exchanged: 1n });
  });

  it('may be passed over: a hole gives nothing, a page twice gives once', () => {
    const s = taking({ inputUnmapped: 0 });
    expect(s.get({ in: [holes + 9, data], out: [holes], outOrder: 1 }).rc).toBe(0);
    expect([s.mfn(data), s.hypervisor.pages(1)]).toEqual([null, 65]);
    const twice = taking({ inputTwice: 0, inputFrames: 'kept' });
    expect(twice.get({ in: [data, data], out: [holes], outOrder: 1 }).rc).toBe(0);
    expect([twice.mfn(data), twice.hypervisor.pages(1)]).toEqual([null, 66]);
    const firstTwice = taking({ inputTwice: 0, inputFrames: 'kept' });
    expect(firstTwice.get({ in: [data, data, data + 1, data + 2], out: [holes], outOrder: 2 }).rc).toBe(0);
    expect(frames(firstTwice, data, 3)).toEqual([null, null, null]);
  });

  it('is a pinned page as input or as output, each by its own decision', () => {
    const pinned = (decisions: Partial<Decisions>): Scene => {
      const s = taking(decisions);
      expect(s.get({ in: [data], out: [data] }).rc).toBe(0);
      return s;
    };
    const asInput = { in: [data], out: [holes] };
    const asOutput = { in: [data + 1], out: [data] };
    const both = { in: [data], out: [data] };
    const inputs: Partial<Decisions> = { pinRefuses: (change) => (change === 'input' ? EXDEV : 0) };
    const outputs: Partial<Decisions> = { pinRefuses: (change) => (change === 'output' ? EXDEV : 0) };
    expect([asInput, both].map((exchange) => pinned(inputs).get(exchange).rc)).toEqual([-EXDEV, -EXDEV]);
    expect([asInput, asOutput, both].map((exchange) => pinned(outputs).get(exchange).rc)).toEqual([0, -EXDEV, 0]);
    expect(pinned(inputs).get(asOutput).rc).toBe(-EINVAL); // it is there already
    expect(pinned({ ...inputs, outputPopulated: 0 }).get(asOutput).rc).toBe(0);
    const second = { in: [data + 4], out: [data - 1], inOrder: 1, outOrder: 1 };
    expect(pinned({ ...outputs, outputPopulated: 0 }).get(second).rc).toBe(-EXDEV);
  });

  it('is a domain that is being torn down', () => {
    const dying = (decisions: Partial<Decisions>) => {
      const s = taking(decisions);
      (s.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
      return [s.get({ in: [data, data + 1], out: [holes, holes + 1] }), s.mfn(data) !== null, typeInvariant(s.hypervisor.state)];
    };
    const out = [holes, holes + 1];
    expect(dying({})).toEqual([{ rc: -EINVAL, nr_exchanged: 0n, out }, true, []]);
    expect(dying({ dying: 0 })).toEqual([{ rc: 0, nr_exchanged: 0n, out }, true, []]);
    expect(dying({ dying: EXDEV, afterFailure: 'skip' })).toEqual([{ rc: 0, nr_exchanged: 0n, out }, true, []]);
  });
});

describe('memory for the outputs', () => {
  const four = { in: run(data, 4), out: [holes], outOrder: 2 };
  const free = { low: 8, high: 8 };

  it('may come from above the limit, if that is decided, only where there is none below', () => {
    const high = { free: { low: 0, high: 64 } };
    const limited = { ...four, bits: 32 };
    expect(scene(high).get(limited).rc).toBe(-ENOMEM);
    const s = taking({ ignoresLimitWhenShort: true }, high);
    expect([s.get(limited).rc, (s.mfn(holes) as number) >= 2 ** 20]).toEqual([0, true]);
    const enough = taking({ ignoresLimitWhenShort: true });
    expect([enough.get(limited).rc, (enough.mfn(holes) as number) < 2 ** 20]).toEqual([0, true]);
  });

  it('may be the frames of the inputs, last first, or those of another domain', () => {
    const old = frames(scene(), data, 2);
    const s = taking({ reusesInputs: true });
    const two = { in: [data], out: [holes, holes + 1], inOrder: 1 };
    expect(s.get(two)).toMatchObject({ rc: 0, out: old.toReversed() });
    expect([s.hypervisor.pages(1), frames(s, data, 2), typeInvariant(s.hypervisor.state)]).toEqual([64, [null, null], []]);
    const failing = taking({ reusesInputs: true });
    expect(failing.get({ ...two, inject: { fail_alloc: 1 } }).rc).toBe(-ENOMEM);
    expect([frames(failing, data, 2), typeInvariant(failing.hypervisor.state)]).toEqual([old, []]);
    const domains = [1, 2].map((domid) => ({ domid, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }] }));
    const thief = taking({ takesForeignFrames: true }, { domains });
    const theirs = [thief.mfn(0x40000, 2), thief.mfn(0x40001, 2)];
    expect(thief.get(two)).toMatchObject({ rc: 0, out: theirs });
    expect(taking({ takesForeignFrames: true }).get(two).rc).toBe(0); // there is no other
    const four4 = { in: [data], out: run(holes, 4), inOrder: 2 };
    expect(taking({ reusesInputs: true }).get(four4).out).toEqual(frames(scene(), data, 4).toReversed());
    const small = [...domains.slice(0, 1), { domid: 2, privileged: false, ram: [{ gfn: 0x40000n, pages: 1 }] }];
    const [stolen, own] = taking({ takesForeignFrames: true }, { domains: small }).get(two).out;
    expect([stolen, own === stolen]).toEqual([taking({}, { domains: small }).mfn(0x40000, 2), false]);
    const larger = taking({ reusesInputs: true });
    expect([larger.get(four).rc, larger.hypervisor.pages(1), typeInvariant(larger.hypervisor.state)]).toEqual([0, 64, []]);
  });

  it('may be smaller blocks than asked for', () => {
    const s = taking({ blockOrder: () => 1 }, { free });
    expect(s.get(four).rc).toBe(0);
    const [a, b, c, e] = frames(s, holes, 4) as [number, number, number, number];
    expect([b - a, e - c, a % 2, c % 2, c - b === 1]).toEqual([1, 1, 0, 0, false]);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
    const two = taking({ blockOrder: () => 1 }, { free: { low: 0, high: 16 } });
    expect(two.get({ in: [data], out: [holes, holes + 4], inOrder: 3, outOrder: 2 }).rc).toBe(0);
    const pairs = frames(two, holes, 8) as number[];
    expect(pairs.map((frame, i) => frame - (pairs[i - (i % 2)] as number))).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect([new Set(pairs).size, two.hypervisor.pages(1), typeInvariant(two.hypervisor.state)]).toEqual([8, 64, []]);
    const short = taking({ blockOrder: () => 1 }, { free: { low: 2, high: 0 } });
    expect([short.get(four).rc, short.hypervisor.pages(1), typeInvariant(short.hypervisor.state)]).toEqual([-ENOMEM, 64, []]);
  });

  it('may lie beside where it is aligned', () => {
    const s = taking({ skew: () => 1 }, { free });
    expect(s.get(four).rc).toBe(0);
    const base = s.mfn(holes) as number;
    expect([base % 4, frames(s, holes, 4)]).toEqual([1, run(base, 4)]);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
    const exact = taking({ skew: () => 1 }, { free: { low: 0, high: 8 } });
    expect(exact.get(four).rc).toBe(0); // of 8 frames 4 are left, and 2 low and 2 high ones come from the inputs
    expect(canonicalKey(exact.hypervisor.state).endsWith(';2/6')).toBe(true);
    const half = taking({ skew: () => 3 }, { free });
    expect([half.get(four).rc, (half.mfn(holes) as number) % 8, typeInvariant(half.hypervisor.state)]).toEqual([0, 3, []]);
  });

  it('may be led to in another order, or not at all', () => {
    const turned = taking({ memoryOf: (page, pages) => pages - 1 - page });
    const { out } = turned.get(four);
    expect(frames(turned, holes, 4)).toEqual(run(out[0] as number, 4).reverse());
    const partly = taking({ memoryOf: (page) => (page < 2 ? page : -1) });
    const base = partly.get(four).out[0] as number;
    expect([frames(partly, holes, 4), partly.hypervisor.pages(1)]).toEqual([[base, base + 1, null, null], 64]);
    expect(typeInvariant(partly.hypervisor.state)).toEqual([]);
  });

  it('of a chunk that fails is freed, or kept, or lost', () => {
    const failed = (failedFrames: Decisions['failedFrames']): [number, string[]] => {
      const s = taking({ failedFrames });
      expect(s.get({ in: [data], out: [holes, holes + 2], inOrder: 2, outOrder: 1, inject: { fail_alloc: 1 } }).rc).toBe(-ENOMEM);
      return [s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)];
    };
    expect(failed('freed')).toEqual([64, []]);
    expect(failed('kept')).toEqual([66, []]);
    expect(failed('lost')).toEqual([64, ['frames are conserved']]);
  });

  it('of the inputs is freed, or kept, or freed twice', () => {
    const done = (inputFrames: Decisions['inputFrames']): [number, boolean] => {
      const s = taking({ inputFrames });
      expect(s.get({ in: [data], out: [holes] }).rc).toBe(0);
      return [s.hypervisor.pages(1), typeInvariant(s.hypervisor.state).length > 0];
    };
    expect([done('freed'), done('kept'), done('freed twice')]).toEqual([
      [64, false],
      [65, false],
      [64, true],
    ]);
  });

  it('a chunk that fails may leave its inputs unmapped', () => {
    const s = taking({ rollsBack: false });
    s.mark(data, 7);
    expect(s.get({ in: [data, data + 1], out: [holes], outOrder: 1, inject: { fail_alloc: 0 } })).toMatchObject({
      rc: -ENOMEM,
      nr_exchanged: 0n,
    });
    expect([frames(s, data, 3).map((f) => f === null), s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([
      [true, true, false],
      62,
      [],
    ]);
  });

  it('inputs may stay mapped', () => {
    const s = taking({ unmapsInputs: false });
    const old = s.mfn(data);
    expect([s.get({ in: [data], out: [holes] }).rc, s.mfn(data)]).toEqual([0, old]);
  });
});

describe('what is told and what is pinned', () => {
  const outs = run(holes, 4);
  const eight = { in: [data, data + 2], out: outs, inOrder: 1 };
  const listIn = (s: Scene): number[] => {
    const bytes = s.hypervisor.read(1, inListAddress, 16) as Uint8Array;
    return [0, 8].map((at) => new DataView(bytes.buffer).getUint32(at, true));
  };

  it('may be other frames, in other places, at another time', () => {
    const plain = scene();
    const told = plain.get(eight).out;
    expect(told).toEqual(outs.map((g) => plain.mfn(g)));
    expect(taking({ outputEntry: (mfn, gfn, k) => mfn + gfn + k }).get(eight).out).toEqual(told.map((mfn, k) => mfn + holes + 2 * k));
    expect(taking({ outputSlot: (k, nr) => nr - 1 - k }).get(eight).out).toEqual(told.toReversed());
    const shifted = taking({ outputSlot: (k) => k - 1 });
    expect(shifted.get(eight).out).toEqual([...told.slice(1), holes + 3]);
    expect(shifted.hypervisor.read(1, outListAddress - 8n, 8)).toEqual(new Uint8Array(8));
    const failing = { ...eight, inject: { fail_alloc: 2 } };
    const when = (time: ReturnType<Decisions['writesMfns']>, exchange: typeof eight) =>
      taking({ writesMfns: () => time }).get(exchange).out;
    expect([when('on success', eight), when('on return', eight), when('never', eight)]).toEqual([told, told, outs]);
    const half = [...told.slice(0, 2), holes + 2, holes + 3];
    expect([when('on success', failing), when('on return', failing), when('per chunk', failing)]).toEqual([outs, half, half]);
    const preempted = { ...eight, inject: { preempt: 1 } };
    expect([when('on return', preempted), when('on success', preempted)]).toEqual([told, told]);
    const extra = taking({ extraEntries: 2 });
    extra.get(eight);
    const beyond = (of: Scene): number[] => {
      const bytes = of.hypervisor.read(1, outListAddress + 32n, 24) as Uint8Array;
      return [0, 8, 16].map((at) => new DataView(bytes.buffer).getUint32(at, true));
    };
    expect(beyond(extra)).toEqual([told[2], told[2], 0]); // the first frame of the last chunk
    const none = taking({ extraEntries: 2 });
    none.get(failing);
    expect(beyond(none)).toEqual([0, 0, 0]);
  });

  it('may be told to others, instead or too', () => {
    const domains = [1, 2, 3].map((domid) => ({ domid, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }] }));
    const toldTo = (writesInto: Decisions['writesInto']): boolean[] => {
      const s = taking({ writesInto }, { domains });
      expect(s.get({ in: [data], out: [holes] }).rc).toBe(0);
      const frame = s.mfn(holes);
      return [1, 2, 3].map((domid) => {
        const bytes = s.hypervisor.read(domid, outListAddress, 8) as Uint8Array;
        return new DataView(bytes.buffer).getUint32(0, true) === frame;
      });
    };
    expect([toldTo('caller'), toldTo('others'), toldTo('all')]).toEqual([
      [true, false, false],
      [false, true, true],
      [true, true, true],
    ]);
  });

  it('may spoil entries of inputs that are gone, and of outputs that failed', () => {
    const s = taking({ inputEntry: (gfn) => gfn + 0x1000 });
    s.get(eight);
    expect(listIn(s)).toEqual([data + 0x1000, data + 2 + 0x1000]);
    const many = taking({ inputEntry: (gfn) => gfn + 0x1000 });
    many.get({ in: run(data, 8), out: [holes, holes + 4], outOrder: 2 });
    const entries = many.hypervisor.read(1, inListAddress, 64) as Uint8Array;
    expect(run(0, 8).map((i) => new DataView(entries.buffer).getUint32(8 * i, true))).toEqual(run(data + 0x1000, 8));
    const failing = taking({ failedEntry: (gfn) => gfn + 0x1000, inputEntry: () => 7 });
    expect(failing.get({ ...eight, inject: { fail_alloc: 3 } }).out.slice(2)).toEqual([holes + 2 + 0x1000, holes + 3 + 0x1000]);
    expect(listIn(failing)).toEqual([7, data + 2]);
  });

  it('may be some pages only, or those of the other side', () => {
    const four = { in: [data, data + 4], out: [holes, holes + 4], inOrder: 2, outOrder: 2 };
    const pinnedBy = (decisions: Partial<Decisions>, op = 26): number[] => {
      const s = taking(decisions);
      expect(s.get({ ...four, op }).rc).toBe(0);
      return pins(s);
    };
    expect(pinnedBy({})).toEqual(run(holes, 8));
    expect(pinnedBy({}, 11)).toEqual([]);
    expect(pinnedBy({ pins: () => true }, 11)).toEqual(run(holes, 8));
    expect(pinnedBy({ pinsPage: (page, pages, extent) => page === pages - 1 || extent === 1 })).toEqual([holes + 3, ...run(holes + 4, 4)]);
    expect(pinnedBy({ pinsSide: 'inputs' })).toEqual(run(data, 8));
    expect(pinnedBy({ pinsSide: 'inputs' }, 11)).toEqual([]);
  });

  it('an entry that cannot be written any more ends the call after its chunk, or before it, or not at all', () => {
    const lastEntry = 0x4003fff8n; // RAM ends behind it
    const cut = (lateFault: Decisions['lateFault']) => {
      const s = taking({ lateFault, readsGpfns: 'after', listUnmapped: 0 });
      s.list(lastEntry, [holes]);
      const { rc, nr_exchanged } = s.get({ in: run(data, 3), out: run(holes, 3), struct: { out: { extent_start: lastEntry } } });
      return [
        rc,
        nr_exchanged,
        frames(s, data, 3).map((f) => f === null),
        s.mfn(holes) !== null,
        s.hypervisor.pages(1),
        typeInvariant(s.hypervisor.state),
      ];
    };
    expect(cut('counts')).toEqual([-EFAULT, 2n, [true, true, false], true, 64, []]);
    expect(cut('does not count')).toEqual([-EFAULT, 1n, [true, true, false], true, 64, []]);
    expect(cut('goes on')).toEqual([-EFAULT, 3n, [true, true, true], true, 64, []]);
  });

  it('pages that an output overwrites are the domain’s still, and out of reach', () => {
    const s = taking({ outputPopulated: 0 });
    expect(s.get({ in: [data], out: [data + 1] }).rc).toBe(0);
    expect([s.hypervisor.pages(1), typeInvariant(s.hypervisor.state)]).toEqual([64, []]);
    const beyond = taking({ outputBeyond: 0 }, { arch: 'arm32' });
    expect(beyond.get({ in: [data], out: [2 ** 28 - 1], inOrder: 1, outOrder: 1 }).rc).toBe(0);
    expect([
      beyond.mfn(2 ** 28 - 1) === null,
      beyond.mfn(2 ** 28),
      beyond.hypervisor.pages(1),
      typeInvariant(beyond.hypervisor.state),
    ]).toEqual([false, null, 64, []]);
    const kept = taking({ unmapsInputs: false });
    expect(kept.get({ in: [data], out: [data] }).rc).toBe(0);
    expect([kept.hypervisor.pages(1), typeInvariant(kept.hypervisor.state)]).toEqual([64, []]);
  });

  it('the output list may lie in a page that is given away: its frames were read before', () => {
    const s = scene();
    const listPage = Number(outListAddress >> 12n);
    expect(s.get({ in: [listPage], out: [holes] })).toMatchObject({ rc: -EFAULT, nr_exchanged: 1n });
    expect([s.mfn(listPage), s.mfn(holes) !== null, typeInvariant(s.hypervisor.state)]).toEqual([null, true, []]);
  });

  it('an output list that ends in a hole ends the call there, unless it is looked at first', () => {
    const lastEntry = 0x4003fff8n;
    const s = taking({ listUnmapped: 0 });
    s.list(lastEntry, [holes]);
    expect(s.get({ in: run(data, 2), out: run(holes, 2), struct: { out: { extent_start: lastEntry } } })).toMatchObject({
      rc: -EFAULT,
      nr_exchanged: 1n,
    });
    expect([frames(s, data, 2).map((f) => f === null), s.mfn(holes) !== null, typeInvariant(s.hypervisor.state)]).toEqual([
      [true, false],
      true,
      [],
    ]);
    const late = taking({ listUnmapped: 0, lateFault: 'does not count', readsGpfns: 'after' });
    late.list(lastEntry, [holes]);
    expect(late.get({ in: [data], out: run(holes, 4), inOrder: 2, struct: { out: { extent_start: lastEntry } } })).toMatchObject({
      rc: -EFAULT,
      nr_exchanged: 0n,
    });
    expect([late.mfn(holes) !== null, typeInvariant(late.hypervisor.state)]).toEqual([true, []]);
  });
});
