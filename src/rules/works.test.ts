import { describe, expect, it } from 'vitest';
import { type GuestMemory, sparseMemory, unknownMemory } from '../guest/memory.ts';
import { ARG, IN, inWords, OUT, type Stage, staged, structOnly } from './call.stage.ts';
import { judge } from './judge.ts';
import {
  type CallEnd,
  isForMemory,
  judgeBoundedWork,
  judgeGetWorks,
  judgeMemoryLeft,
  judgePair,
  judgePutWorks,
  type LiveContext,
} from './works.ts';

const nothingPinned: LiveContext['pins'] = { isPinned: () => false };
const pinnedAt = (gfn: bigint, pinned: boolean | undefined): LiveContext['pins'] => ({
  isPinned: (_, other) => (other === gfn ? pinned : false),
});
// Guest frames 1 to 9 are RAM, the others holes; at most 3 extents, of order 2.
const live: LiveContext = {
  pins: nothingPinned,
  failureInjected: false,
  isMapped: (domid, gfn) => domid === 1 && gfn >= 1n && gfn <= 9n,
  freeFrames: () => undefined,
  roomFor: () => 40n,
  maxOrder: 2,
  maxExtents: 3n,
  maxGfn: 40n,
};

/** A call of domain 1, and what is known beside it. */
interface Live extends Stage {
  live?: Partial<LiveContext>;
}
const call = ({ live: _, ...stage }: Live) => judge(staged({ ...stage, more: { domid: 1, ...stage.more } }))!;

// A refused get of guest frames 1 and 2 for 20 and 21, and what is different about it.
const got = (stage: Live) =>
  judgeGetWorks(call({ rc: -22, N: 0n, ...stage, in: { list: [1n, 2n], ...stage.in }, out: { list: [20n, 21n], ...stage.out } }), {
    ...live,
    ...stage.live,
  });
const getWorks = (stage: Live): string => inWords(got(stage).get('get-works')!);
/** Memory before a refused get, of whose struct so many bytes were captured. */
function cut(bytes: number): GuestMemory {
  const { before } = staged({ rc: -22, in: { list: [1n, 2n] }, out: { list: [20n, 21n] } });
  const pieces = [before.read(ARG, bytes), before.read(IN, 16), before.read(OUT, 16)];
  return sparseMemory(pieces.map((part, i) => ({ address: [ARG, IN, OUT][i]!, bytes: part! })));
}
const exchange = (ins: bigint[], outs: bigint[], oi = 0, oo = oi): Live => ({
  in: { list: ins, order: oi },
  out: { list: outs, order: oo },
});

describe('get-works', () => {
  it.each<[string, Live]>([
    ['two single pages', {}],
    ['as many extents as it takes', exchange([1n, 2n, 3n], [20n, 21n, 22n])],
    ['the largest order it takes', exchange([4n], [20n], 2)],
    ['the last guest frame it has', { out: { list: [20n, 40n] } }],
    ['an output that an input of its chunk is', { out: { list: [1n, 21n] } }],
    ['another errno', { rc: -1 }],
    ['enough free frames', { rc: -12, live: { freeFrames: () => 2n } }],
    ['enough free frames under the limit', { rc: -22, out: { bits: 31 }, live: { freeFrames: (bits) => (bits === 31 ? 2n : 0n) } }],
    ['a limit of 4 GiB that is called invalid', { rc: -22, out: { bits: 32 } }],
    ['another errno under a low limit', { rc: -1, out: { bits: 20 } }],
    ['a hypervisor that is wrong in another way too', { returned: [7n, 8n] }],
    ['lists of its own domain by number', { in: { domid: 1 }, out: { domid: 1 }, more: { privileged: true } }],
  ])('asks for it with %s', (_case, stage) => {
    expect(getWorks(stage)).toBe(`violated: nothing is wrong with the call, but rc is ${stage.rc ?? -22}`);
    const ins = BigInt(stage.in?.list?.length ?? 2);
    expect(getWorks({ ...stage, rc: 0, N: ins })).toBe('holds');
  });

  const notAsked = 'unknown: not exercised by this call';
  it.each<[string, Live, string]>([
    ['more extents than it takes', { live: { maxExtents: 1n } }, notAsked],
    ['a node, which it need not have', { op: 'exchange', rc: -12, out: { bits: 0x120 }, live: { freeFrames: () => 9n } }, notAsked],
    ['more inputs than it takes', { ...exchange([4n, 5n], [20n], 0, 1), live: { maxExtents: 1n } }, notAsked],
    ['more outputs than it takes', { ...exchange([4n], [20n, 21n], 1, 0), live: { maxExtents: 1n } }, notAsked],
    ['a larger order than it takes', { ...exchange([4n], [20n], 1), live: { maxOrder: 0 } }, notAsked],
    ['outputs of a larger order than it takes', { ...exchange([4n, 5n], [20n], 0, 1), live: { maxOrder: 0 } }, notAsked],
    ['inputs of a larger order than it takes', { ...exchange([4n], [20n, 21n], 1, 0), live: { maxOrder: 0 } }, notAsked],
    ['a guest frame beyond those it has', { out: { list: [20n, 41n] } }, notAsked],
    ['an input that is no RAM', { in: { list: [1n, 10n] } }, notAsked],
    ['an input of another domain', { in: { domid: 2 }, out: { domid: 2 }, more: { privileged: true } }, notAsked],
    ['an input of which it is not known', { live: { isMapped: () => undefined } }, notAsked],
    ['an output that is there already', { out: { list: [20n, 5n] } }, notAsked],
    ['an output of which it is not known', { live: { isMapped: (_, gfn) => (gfn === 21n ? undefined : gfn < 10n) } }, notAsked],
    ['a pinned input', { live: { pins: pinnedAt(2n, true) } }, notAsked],
    ['an input of which that is not known', { live: { pins: pinnedAt(2n, undefined) } }, notAsked],
    ['a pinned output', { live: { pins: pinnedAt(21n, true) } }, notAsked],
    ['an output of which that is not known', { live: { pins: pinnedAt(21n, undefined) } }, notAsked],
    ['a failure that was asked for', { live: { failureInjected: true } }, notAsked],
    ['a continuation', { start: 1 }, notAsked],
    ["a caller's mistake, though only a warning", exchange([3n], [20n], 1), notAsked],
    ['an input list that is not all there', { in: { nr: 3n }, out: { list: [20n, 21n, 22n] } }, notAsked],
    ['an output list that is not all there', { in: { list: [1n, 2n, 3n] }, out: { nr: 3n } }, notAsked],
    ['nothing to exchange, refused', exchange([], []), 'unknown: refusing to exchange nothing is not spoken of'],
    ['nothing to exchange', { ...exchange([], []), rc: 0 }, notAsked],
    ['orders beyond all limits', { ...exchange([0n], [0n], 64), live: { maxOrder: 99 } }, notAsked],
    ['no memory, of which nothing is known', { rc: -12 }, 'unknown: out of memory is excused'],
    ['no memory, as there is not enough', { rc: -12, live: { freeFrames: () => 1n } }, 'unknown: out of memory is excused'],
    [
      'no memory, for larger outputs',
      { ...exchange([4n, 5n], [20n], 0, 1), rc: -12, live: { freeFrames: () => 9n } },
      'unknown: out of memory is excused',
    ],
    [
      'no memory, for larger inputs',
      { ...exchange([4n], [20n, 21n], 1, 0), rc: -12, live: { freeFrames: () => 9n } },
      'unknown: out of memory is excused',
    ],
    ['a low limit that is called invalid', { out: { bits: 31 } }, 'unknown: out of memory is excused'],
    [
      'pages too many to look at each',
      { ...exchange([0n], [0x8000n], 15), live: { maxOrder: 15, maxGfn: 2n ** 20n, isMapped: (_, gfn) => gfn < 0x8000n } },
      notAsked,
    ],
    ['no return code', { rc: undefined }, 'unknown: not captured: rc'],
    [
      'a struct cut in the midst of out.address_bits',
      { more: { domid: 1, before: cut(54) } },
      'unknown: not captured: the struct before the call',
    ],
    ['no struct', { more: { domid: 1, arg: undefined } }, 'unknown: not captured: the struct before the call'],
    ['no lists', { more: { domid: 1, ...structOnly({ rc: -22, N: 0n }) } }, notAsked],
    ['no caller', { more: { domid: undefined } }, "unknown: not captured: the caller's domid"],
  ])('does not ask for it with %s', (_case, stage, why) => {
    expect(getWorks(stage)).toBe(why);
  });

  it('answers for get-same-gfn where a chunk names one frame on both sides, and only there', () => {
    const same = (stage: Live): string | undefined => got(stage).get('get-same-gfn')?.answer;
    expect([same({ out: { list: [20n, 2n] } }), same({ out: { list: [20n, 2n] }, rc: 0, N: 2n })]).toEqual(['violated', 'holds']);
    expect(same({})).toBeUndefined();
    expect(same({ out: { list: [20n, 1n] } })).toBeUndefined(); // of an earlier chunk
    expect(same({ out: { list: [20n, 2n] }, live: { failureInjected: true } })).toBeUndefined();
    // Inputs 4 and 5 are one chunk with output 4, and 6 and 7 another.
    expect(same(exchange([4n, 5n], [4n], 0, 1))).toBe('violated');
    const more = { maxExtents: 4n };
    expect(same({ ...exchange([6n, 7n, 4n, 5n], [20n, 4n], 0, 1), live: more })).toBe('violated');
    expect(same({ ...exchange([6n, 7n, 4n, 5n], [20n, 6n], 0, 1), live: more })).toBeUndefined();
    expect(same({ ...exchange([4n, 6n], [20n, 21n, 22n, 6n], 1, 0), live: more })).toBe('violated');
    expect(same({ ...exchange([4n, 6n], [20n, 21n, 22n, 4n], 1, 0), live: more })).toBeUndefined();
  });

  it('knows which refusals may be for want of memory', () => {
    expect([isForMemory(-12, 0), isForMemory(-12, 40), isForMemory(-22, 1), isForMemory(-22, 31)]).toEqual([true, true, true, true]);
    expect([isForMemory(-22, 0), isForMemory(-22, 32), isForMemory(-1, 31)]).toEqual([false, false, false]);
  });
});

describe('put-works', () => {
  const commit = [0x42n, 0x43n];
  const isPinned = (domid: number, gfn: bigint): boolean => domid === 1 && commit.includes(gfn);
  const putWorks = (stage: Live): string =>
    inWords(
      judgePutWorks(call({ op: 'put_dma_buf', rc: -14, ...stage, in: { list: commit, ...stage.in } }), {
        ...live,
        pins: { isPinned },
        ...stage.live,
      }),
    );
  const notAsked = 'unknown: not exercised by this call';

  it.each<[string, Live, string]>([
    ['what a get committed', {}, 'violated: each of the 2 pages was pinned, and a put of them returned -14'],
    [
      'the same in one extent',
      { in: { list: [0x42n], order: 1 } },
      'violated: each of the 2 pages was pinned, and a put of them returned -14',
    ],
    [
      'the largest order it takes',
      { in: { list: [0x42n], order: 1 }, live: { maxOrder: 1 } },
      'violated: each of the 2 pages was pinned, and a put of them returned -14',
    ],
    [
      'what a hypervisor answers that is wrong in another way too',
      { inAfter: [7n, 8n] },
      'violated: each of the 2 pages was pinned, and a put of them returned -14',
    ],
    [
      'as many extents as it takes',
      { live: { maxExtents: 2n } },
      'violated: each of the 2 pages was pinned, and a put of them returned -14',
    ],
    ['exactly that, accepted', { rc: 0 }, 'holds'],
    [
      'a part of what a get committed',
      { in: { list: [0x42n] } },
      'violated: each of the 1 pages was pinned, and a put of them returned -14',
    ],
    ['pages in an extent that is not aligned', { in: { list: [0x43n], order: 1 } }, notAsked],
    ['a page that is not pinned among them', { in: { list: [0x42n, 0x44n] } }, notAsked],
    ['a page twice', { in: { list: [0x42n, 0x43n, 0x43n] } }, notAsked],
    ['another domain', { in: { domid: 2 }, more: { privileged: true } }, notAsked],
    ["a caller's note", { scribble: { at: 26, before: 1 } }, notAsked],
    ['a failure that was asked for', { live: { failureInjected: true } }, notAsked],
    ['a continuation', { start: 1 }, notAsked],
    ['a list that is only partly there, though what is there is one commit', { in: { nr: 3n } }, notAsked],
    ['more extents than it takes', { live: { maxExtents: 1n } }, notAsked],
    ['a larger order than it takes', { in: { list: [0x42n], order: 1 }, live: { maxOrder: 0 } }, notAsked],
    ['no return code', { rc: undefined }, 'unknown: not captured: rc'],
    ['no caller', { more: { domid: undefined } }, "unknown: not captured: the caller's domid"],
    ['no struct', { more: { domid: 1, before: unknownMemory } }, 'unknown: not captured: the struct before the call'],
  ])('of %s', (_case, stage, expected) => {
    expect(putWorks(stage)).toBe(expected);
  });
});

describe('bounded-work', () => {
  const above = 'violated: order 3 is above the limit of 2, but rc is 0';
  it.each<[string, Stage, string]>([
    ['the limit itself', { in: { order: 2 }, rc: 0 }, 'unknown: not exercised by this call'],
    ['an order above it, refused', { in: { order: 3 }, rc: -22 }, 'holds'],
    ['an order above it, accepted', { in: { order: 3 }, rc: 0 }, above],
    ['the order of the outputs', { out: { order: 3 }, rc: 0 }, above],
    ['no extents', { in: { order: 3, list: [] }, rc: 0 }, 'unknown: not exercised by this call'],
    ['no return code', { in: { order: 3 }, rc: undefined }, 'unknown: not captured: rc'],
    ['no struct', { rc: 0, more: { arg: undefined } }, 'unknown: not exercised by this call'],
  ])('of %s, where 2 is the limit', (_case, stage, expected) => {
    expect(inWords(judgeBoundedWork(call(stage).facts, 2))).toBe(expected);
  });
});

describe('a pair of runs', () => {
  const outcome = (rc: number, N?: bigint): CallEnd => ({ rc, N });
  const [ended, otherwise, earlier, blind] = [outcome(-12, 2n), outcome(-22, 2n), outcome(-12, 1n), outcome(-12)];
  it.each<[string, [CallEnd, CallEnd, CallEnd], string]>([
    ['all alike', [ended, ended, ended], 'holds'],
    ['all alike, without a count', [blind, blind, blind], 'holds'],
    ['another rc', [ended, ended, otherwise], 'violated: rc -12, nr_exchanged 2 became rc -22, nr_exchanged 2'],
    ['another count', [ended, ended, earlier], 'violated: rc -12, nr_exchanged 2 became rc -12, nr_exchanged 1'],
    ['another rc, without a count', [blind, blind, outcome(0)], 'violated: rc -12, nr_exchanged - became rc 0, nr_exchanged -'],
    ['two of one call that differ', [ended, otherwise, ended], 'unknown: the same call from the same world ended differently'],
    ['two of one call that differ in the count', [ended, earlier, earlier], 'unknown: the same call from the same world ended differently'],
    ['a count in the last only', [blind, blind, ended], 'unknown: not captured: the struct after the call'],
    ['no count in the last', [ended, ended, blind], 'unknown: not captured: the struct after the call'],
    ['no count in the second', [ended, blind, ended], 'unknown: not captured: the struct after the call'],
  ])('%s', (_case, [first, again, varied], expected) => {
    expect(inWords(judgePair(first, again, varied))).toBe(expected);
  });
});

describe('frames-conserved, by a populate of all that is left', () => {
  // A populate of the holes 20, 21 and 22 in a machine with that many free frames
  const populated = (rc: number, free: bigint | undefined, stage: Live = {}): string =>
    inWords(
      judgeMemoryLeft(
        call({ op: 'populate_physmap', rc, ...stage, in: { list: [20n, 21n, 22n], ...stage.in }, more: { pagesBefore: 9, ...stage.more } }),
        { ...live, freeFrames: () => free, ...stage.live },
      ),
    );

  it('finds just what is left', () => {
    expect(populated(3, 5n)).toBe('holds');
    expect(populated(3, 3n)).toBe('holds');
    expect(populated(2, 2n)).toBe('holds');
    expect(populated(0, 0n)).toBe('holds');
  });

  it('is broken where frames were lost, or are there twice', () => {
    const left = 'frames are left by what was seen of the calls before, and of 3 pages';
    expect(populated(2, 3n)).toBe(`violated: 3 ${left} 2 could be populated`);
    expect(populated(3, 2n)).toBe(`violated: 2 ${left} 3 could be populated`);
  });

  it('is not asked where a short count may have another reason', () => {
    const no = 'unknown: not exercised by this call';
    expect(populated(2, undefined)).toBe(no);
    expect(populated(2, 3n, { in: { list: [20n, 21n, 9n] } })).toBe(no); // a page of RAM
    expect(populated(2, 3n, { in: { bits: 32 } })).toBe(no);
    expect(populated(2, 3n, { in: { order: 1 } })).toBe(no);
    expect(populated(2, 3n, { more: { pagesBefore: 38 } })).toBe(no); // the domain would be too large
    expect(populated(2, 3n, { live: { failureInjected: true } })).toBe(no);
    expect(populated(2, 3n, { live: { maxExtents: 2n } })).toBe(no);
    expect(populated(-12, 3n)).toBe(no); // whether it may refuse so is a reading
    expect(populated(2, 3n, { in: { list: [20n, 21n, 41n] } })).toBe(no); // beyond its frames
  });
});
