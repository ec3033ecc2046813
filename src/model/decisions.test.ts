import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errno } from '../abi/constants.ts';
import type { Decisions } from './decisions.ts';
import { data, holes, inListAddress, outListAddress, type Scene, type Setting, scene, structAddress } from './scene.stage.ts';
import { typeInvariant } from './state.ts';
import { strict } from './strict.ts';

const run = (gfn: number, pages: number): number[] => Array.from({ length: pages }, (_, i) => gfn + i);
const u64 = 2n ** 64n;
const u64Shift = (n: bigint, by: number): bigint => BigInt.asUintN(64, n << BigInt(by & 63));
const { EBUSY, E2BIG, EACCES, ENOENT, EXDEV } = errno;

/** For each decision one other way to take it, wrong or legal: a patch of one line. */
const otherwise: { readonly [D in keyof Decisions]: Partial<Decisions> } = {
  refuses: { refuses: () => EACCES },
  answer: { answer: (rc) => -rc },
  strayStart: { strayStart: 0 },
  structArch: { structArch: () => 'x86_32' },
  exchangeSeen: { exchangeSeen: (x) => ({ ...x, in: x.out, out: x.in }) },
  reservationSeen: { reservationSeen: (r) => ({ ...r, nr_extents: BigInt.asUintN(1, r.nr_extents) }) },
  pointer: { pointer: (handle) => handle },
  dirtyHandle: { dirtyHandle: errno.EFAULT },
  entryBytes: { entryBytes: () => 4 },
  gfnOf: { gfnOf: (low) => low },
  structRewritten: { structRewritten: (bytes) => bytes.fill(1, 26, 32) },
  checkOrder: { checkOrder: strict.checkOrder.toReversed() },
  structUnreadable: { structUnreadable: EXDEV },
  countBeyond: { countBeyond: EXDEV },
  countNotZero: { countNotZero: 0 },
  domidMismatch: { domidMismatch: 0 },
  maxOrder: { maxOrder: () => 20 },
  orderTooBig: { orderTooBig: EXDEV },
  callerMaxOrder: { callerMaxOrder: () => 1 },
  orderDenied: { orderDenied: EXDEV },
  maxExtents: { maxExtents: 3n },
  tooManyExtents: { tooManyExtents: E2BIG },
  sizesMatch: {
    sizesMatch: (i, oi, o, oo) => u64Shift(i, oi) === u64Shift(o, oo),
    maxExtents: u64,
    listWraps: 0,
    chunks: (_i, _oi, o) => Number(o),
  },
  sizeMismatch: { sizeMismatch: EXDEV },
  listWraps: { listWraps: 0 },
  listUnmapped: { listUnmapped: 0 },
  unknownDomain: { unknownDomain: EXDEV },
  foreignDomain: { foreignDomain: 0 },
  laterInput: { laterInput: 0 },
  effectBeforeRefusal: { effectBeforeRefusal: true },
  cannotSteal: { cannotSteal: () => EBUSY },
  misaligned: { misaligned: EXDEV },
  inputUnmapped: { inputUnmapped: 0 },
  inputTwice: { inputTwice: 0 },
  pinRefuses: { pinRefuses: () => EBUSY },
  outputPopulated: { outputPopulated: 0 },
  outputTwice: { outputTwice: 0 },
  outputBeyond: { outputBeyond: 0 },
  noMemory: { noMemory: EXDEV },
  dying: { dying: 0 },
  validatesAhead: { validatesAhead: true },
  readsGpfns: { readsGpfns: 'after' },
  lateFault: { lateFault: 'goes on', readsGpfns: 'after', listUnmapped: 0 },
  badEntry: { badEntry: 'pretends', listUnmapped: 0 },
  writesInto: { writesInto: 'others' },
  chunks: { chunks: (nr) => Number(nr) - 1 },
  chunkAt: { chunkAt: (n, chunks) => chunks - 1 - n },
  afterFailure: { afterFailure: 'skip' },
  rollsBack: { rollsBack: false },
  reportedCount: { reportedCount: (done) => done - 1n },
  writesCount: { writesCount: (rc) => rc === 0 },
  countField: { countField: (offset, bytes) => [offset - 4, bytes] },
  failureRc: { failureRc: () => 0 },
  preemptsAfter: { preemptsAfter: () => 1, keepsPins: (event) => event !== 'preemption' },
  continuationOp: { continuationOp: () => 11 },
  resumesAt: { resumesAt: () => 0 },
  writesMfns: { writesMfns: () => 'on success' },
  outputEntry: { outputEntry: (_mfn, gfn) => gfn },
  outputSlot: { outputSlot: (k, nr) => nr - 1 - k },
  extraEntries: { extraEntries: 1 },
  failedEntry: { failedEntry: () => 0 },
  inputEntry: { inputEntry: () => 0 },
  pins: { pins: () => true },
  pinsPage: { pinsPage: (page) => page === 0 },
  pinsSide: { pinsSide: 'inputs' },
  keepsPins: { keepsPins: (event) => event !== 'write' },
  churnSkips: { churnSkips: () => false },
  churnKeepsContent: { churnKeepsContent: false },
  putTarget: { putTarget: (entry, gfnOfFrame) => gfnOfFrame() ?? entry },
  putReach: { putReach: (pages) => [0, pages + 1] },
  putUnpinned: { putUnpinned: ENOENT },
  putTwice: { putTwice: ENOENT },
  putAllOrNothing: { putAllOrNothing: false },
  putEffect: { putEffect: 'unmaps' },
  limitBits: { limitBits: (inBits) => inBits },
  limitFrame: { limitFrame: (bits) => strict.limitFrame(bits, 0) + 1 },
  ignoresLimitWhenShort: { ignoresLimitWhenShort: true },
  blockOrder: { blockOrder: () => 0 },
  skew: { skew: (order) => (order > 0 ? 1 : 0) },
  prefers: { prefers: 'low' },
  reusesInputs: { reusesInputs: true },
  takesForeignFrames: { takesForeignFrames: true },
  unmapsInputs: { unmapsInputs: false },
  inputFrames: { inputFrames: 'kept' },
  failedFrames: { failedFrames: 'kept' },
  scrubs: { scrubs: false },
  memoryOf: { memoryOf: (page) => (page === 0 ? 0 : -1) },
  reservationStart: { reservationStart: () => 0 },
  reservationCount: { reservationCount: (done) => done + 1 },
  reservationSlot: { reservationSlot: (i) => i },
  decreasesWhole: { decreasesWhole: false },
};

/** Further values of decisions that have more than two. */
const alternatives: Partial<Decisions>[] = [
  { putEffect: 'frees' },
  { putEffect: 'moves' },
  { putEffect: 'clears' },
  { inputFrames: 'freed twice' },
  { failedFrames: 'lost' },
  { lateFault: 'does not count', readsGpfns: 'after', listUnmapped: 0 },
  { writesMfns: () => 'never' },
  { writesMfns: () => 'on return' },
  { writesInto: 'all' },
  { memoryOf: (page, pages) => pages - 1 - page },
  { orderTooBig: 0, orderDenied: 0, sizeMismatch: 0 },
  { unknownDomain: 0, foreignDomain: 0, listWraps: 0 },
  { pinRefuses: () => 0, outputPopulated: 0 },
];

const world: Setting = {
  domains: [
    { domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }], holes: [{ gfn: BigInt(holes), pages: 24 }] },
    { domid: 2, privileged: true, ram: [{ gfn: 0x40000n, pages: 16 }] },
  ],
  free: { low: 8, high: 16 },
};

const top = [
  { gfn: 0x40000n, pages: 64 },
  { gfn: 0xfffffn, pages: 1 },
  { gfn: 0n, pages: 1 },
];
const arm32World: Setting = {
  arch: 'arm32',
  domains: [
    { domid: 1, privileged: false, ram: top },
    { domid: 2, privileged: false, ram: [] },
  ],
};

/** One scene each, with what a tester could see of it at the end. */
const plays: ((s: Scene) => unknown)[] = [
  (s) => s.get({ in: [data, data + 1], out: [holes + 1, holes] }),
  (s) => s.get({ in: run(data, 4), out: [holes], outOrder: 2, bits: 31 }),
  (s) => s.get({ in: run(data, 4), out: [holes], outOrder: 2 }),
  (s) => s.get({ in: run(data, 2), out: run(data, 2), bits: 31 }),
  (s) => s.get({ in: run(data, 10), out: run(data, 10), bits: 32, struct: { in: { address_bits: 12 } } }),
  (s) => s.get({ in: [data, data + 4], out: run(holes, 8), inOrder: 2, inject: { preempt: 1 } }),
  (s) => s.get({ in: [data, data + 4], out: run(holes, 8), inOrder: 2, inject: { fail_alloc: 5 } }),
  (s) => [
    s.get({ in: run(data, 4), out: run(holes, 4) }).rc,
    s.put([holes, holes + 1]),
    s.put(run(holes, 2)),
    s.put([holes + 2, holes + 2]),
  ],
  (s) => [s.get({ in: run(data, 4), out: [holes], outOrder: 2 }), s.put([holes], 1), s.mark(holes + 3, 3)],
  (s) => [s.get({ in: [data], out: [holes] }).rc, s.get({ in: [holes], out: [holes] }), s.put([s.mfn(holes) ?? 0])],
  (s) => [s.get({ in: run(data, 6), out: run(data, 6) }).rc, s.put(run(data + 3, 3), 0, { inject: { preempt: 1 } })],
  (s) => s.get({ in: [data, holes + 3, data + 1], out: run(holes, 3) }),
  (s) => s.get({ in: [data, data], out: [holes], outOrder: 1 }),
  (s) => s.get({ in: [data, data + 1], out: [data + 1, holes] }),
  (s) => s.get({ in: [data], out: [data + 1] }),
  (s) => s.get({ in: run(data, 3), out: [holes, data + 2, holes + 1] }),
  (s) => s.get({ in: run(data, 2), out: run(holes, 2), bits: 13 }),
  (s) => s.get({ in: [data], out: [holes, holes], inOrder: 1 }),
  (s) => s.get({ in: [data], out: [2 ** 52] }),
  (s) => s.get({ in: [data + 1], out: [holes + 1], inOrder: 1, outOrder: 1 }),
  (s) => s.get({ in: [data], out: [data], struct: { out: { domid: 1 } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { domid: 2 }, out: { domid: 2 } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { domid: 9 }, out: { domid: 9 } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { domid: 9, extent_order: 30 }, out: { domid: 8 } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { extent_order: 19 }, out: { extent_order: 19 } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { extent_order: 18 }, out: { extent_order: 18 } } }),
  (s) => s.get({ in: [data], out: [data, data + 1] }),
  (s) => s.get({ in: [], out: [], struct: { in: { nr_extents: 2n ** 60n }, out: { nr_extents: 2n ** 60n } } }),
  (s) => s.get({ in: run(data, 2), out: run(holes, 2), struct: { nr_exchanged: 1n } }),
  (s) => s.get({ in: [data], out: [data], struct: { nr_exchanged: u64 - 1n } }),
  (s) => s.get({ in: run(data, 2), out: run(holes, 2), op: 26 | 64 }),
  (s) => s.get({ in: [data], out: [holes], op: 11 }),
  (s) => [s.list(0x4003fff8n, [data]), s.get({ in: run(data, 2), out: run(holes, 2), struct: { in: { extent_start: 0x4003fff8n } } })],
  (s) => [s.list(0x4003fff8n, [holes]), s.get({ in: run(data, 3), out: run(holes, 3), struct: { out: { extent_start: 0x4003fff8n } } })],
  (s) => s.get({ in: [data + 2 ** 32], out: [data] }),
  (s) => s.hypervisor.call(1, 26, 0n),
  (s) => s.get({ in: [data], out: [data], struct: { in: { extent_start: u64 - 8n } } }),
  (s) => [
    s.list(u64 - 8n, [0]),
    s.get({ in: [data, data], out: [data, data], struct: { in: { extent_start: u64 - 8n, nr_extents: 2n } } }),
  ],
  (s) => {
    (s.hypervisor.state.domains.get(1) as { dying: boolean }).dying = true;
    return s.get({ in: [data], out: [data] });
  },
  (s) => [s.put([data, data + 1], 0, { cmd: 1 }), s.put([data, data + 1, data + 2], 0, { cmd: 6 + 64 }), s.put([1, 1], 0, { cmd: 0 })],
  (s) => [s.put([data], 0, { cmd: 1 }), s.put([data - 1], 1, { cmd: 1 })],
  (s) =>
    s.get({ in: run(data, 2), out: run(holes, 2), struct: { in: { nr_extents: u64 / 2n, extent_order: 1 }, out: { nr_extents: 0n } } }),
];

const armPlays: ((s: Scene) => unknown)[] = [
  (s) => s.get({ in: [data, data + 1], out: [data, data + 1], struct: { in: { extent_start: 0xfffffff8n } } }),
  (s) => s.get({ in: [data], out: [data], struct: { in: { extent_start: inListAddress + (1n << 32n) } } }),
];

function seen(decisions: Partial<Decisions>): string[] {
  const settings: [Setting, typeof plays][] = [
    [world, plays],
    [arm32World, armPlays],
  ];
  return settings.flatMap(([setting, all]) => all.map((play) => seenIn(scene({ ...setting, decisions }), play)));
}

function seenIn(s: Scene, play: (s: Scene) => unknown): string {
  const h = s.hypervisor;
  const domids = [1, 2];
  const frames = () => domids.map((domid) => [...h.translate(domid, BigInt(data), 56), ...h.translate(domid, BigInt(holes), 10)]);
  const bytes = () => domids.map((domid) => [...run(data, 13), ...run(holes, 5)].map((gfn) => h.read(domid, BigInt(gfn) << 12n, 1)?.[0]));
  const arrays = [0x40000000n, inListAddress, outListAddress];
  h.write(1, structAddress, new Uint8Array(200).fill(0xa5));
  h.write(1, 0x40000000n, Uint8Array.of(...[8, 0, 4, 0, 0, 0, 0, 0]));
  for (const gfn of [...run(data, 12), ...run(holes, 4)]) s.mark(gfn, gfn & 0xff);
  const result = play(s);
  const memory = domids.map((domid) => arrays.map((address) => h.read(domid, address, 400)?.join(' ')));
  const before = [frames(), bytes()];
  for (const domid of domids) h.churn(domid, 0x40000n, 2 ** 20);
  const all = [result, memory, before, frames(), bytes(), domids.map((domid) => h.pages(domid))];
  return JSON.stringify(all, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
}

describe('the decisions', () => {
  const asSpecified = seen({});

  it('taken strictly keep every invariant in every play', () => {
    for (const play of plays) {
      const s = scene(world);
      play(s);
      expect(typeInvariant(s.hypervisor.state)).toEqual([]);
    }
  });

  it.each(Object.keys(otherwise) as (keyof Decisions)[])('%s shows when it is taken otherwise', (decision) => {
    const changed = seen(otherwise[decision]);
    expect(changed.filter((what, i) => what !== asSpecified[i]).length).toBeGreaterThan(0);
    expect(changed.length).toBe(asSpecified.length);
  });

  it('can keep or drop the pins of pages that a call does not name', () => {
    const outcome = (op: number, play: (s: Scene) => number): [number, boolean, boolean] => {
      const s = scene({ ...world, decisions: { keepsPins: (event) => event !== op } });
      s.get({ in: [data, data + 1], out: [data, data + 1], op: 26 });
      return [play(s), s.stays(data), s.stays(data + 1)];
    };
    expect(outcome(27, (s) => s.put([data]))).toEqual([0, false, false]);
    expect(outcome(1, (s) => s.put([data + 5], 0, { cmd: 1 }))).toEqual([1, false, false]);
    expect(outcome(0, (s) => s.put([data]))).toEqual([0, false, true]);
    expect(outcome(26, (s) => s.get({ in: [data + 2], out: [data + 2] }).rc)).toEqual([0, false, false]);
  });

  it('can leak what is internal: -ERESTART instead of a continuation', () => {
    const s = scene({ ...world, decisions: { continuationOp: () => -errno.ERESTART } });
    expect(s.get({ in: run(data, 2), out: run(data, 2), inject: { preempt: 1 } })).toMatchObject({ rc: -85, nr_exchanged: 1n });
  });

  it('can return a positive number, which ends the call like any other', () => {
    const s = scene({ ...world, decisions: { failureRc: (_errno, done) => done } });
    expect(s.get({ in: run(data, 2), out: run(data, 2), inject: { fail_alloc: 1 } })).toMatchObject({ rc: 1, nr_exchanged: 1n });
  });

  it('make an end of lists that no counter gets through, in whatever order they are looked at', () => {
    const s = scene({ ...arm32World, decisions: { checkOrder: strict.checkOrder.toReversed() } });
    const struct = { in: { nr_extents: u64 / 2n, extent_order: 64 }, nr_exchanged: 2n ** 53n - 1n };
    expect(s.get({ in: [data], out: [data + 1], struct }).rc).toBeLessThan(0);
  });

  it('never make bytes of any kind crash the model, however they are taken', () => {
    const cmd = fc.constantFrom(0, 1, 6, 11, 26, 27, 26 + 64);
    const patches: Partial<Decisions>[] = [...Object.values(otherwise), ...alternatives];
    const small = fc.uint8Array({ minLength: 72, maxLength: 72 });
    const gfns = fc.array(fc.integer({ min: data - 2, max: data + 9 }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...patches), cmd, small, gfns, fc.boolean(), (patch, cmd, bytes, gfns, sane) => {
        const s = scene({ ...world, decisions: patch });
        s.list(inListAddress, gfns);
        s.list(outListAddress, gfns.toReversed());
        if (sane) s.get({ in: gfns, out: gfns, struct: { in: { nr_extents: BigInt(bytes[0] as number) } } });
        else s.hypervisor.write(1, structAddress, bytes);
        expect(Number.isInteger(s.hypervisor.call(1, cmd, structAddress, { preempt: bytes[1] as number }))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
