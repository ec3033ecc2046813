import { describe, expect, it } from 'vitest';
import { codecFor } from '../codec/codec.ts';
import { sparseMemory } from '../guest/memory.ts';
import { observedCall } from '../trace/call.ts';
import { judge } from './judge.ts';
import type { Answer } from './rule.ts';
import { judgeBoundedWork, judgeGetWorks, judgePair, judgePutWorks, type LiveContext } from './works.ts';

/** The answer to a refused put of so many pages, of which the list holds these, by an implementation of so many extents at most. */
function refusedPut({ nr, entries, maxExtents = 100n }: { nr: bigint; entries: bigint[]; maxExtents?: bigint }): Answer | undefined {
  const reservation = { extent_start: 0x1f00n, nr_extents: nr, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
  const memory = sparseMemory([
    { address: 0x1000n, bytes: codecFor('arm64').xen_put_dma_buf.encode({ in: reservation }) },
    { address: 0x1f00n, bytes: new Uint8Array(BigUint64Array.from(entries).buffer) },
  ]);
  const judgement = judge(observedCall(27, { domid: 1, arg: 0x1000n, rc: -14, before: memory, after: memory, changes: [] }));
  return (
    judgement &&
    judgePutWorks(judgement, {
      pins: { isPinned: () => true, isExactCommit: (_, gfns) => gfns.size === entries.length },
      failureInjected: false,
      isMapped: () => true,
      freeFrames: () => undefined,
      maxOrder: 9,
      maxExtents,
      maxGfn: 100n,
    })
  );
}

describe('put-works', () => {
  it('asks for a put of exactly what one get committed to work', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n, 0x43n] })).toMatchObject({ answer: 'violated' });
  });

  it('does not ask for one whose list is only partly there, though what is there is one commit', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n] })).toMatchObject({ answer: 'unknown' });
  });

  it('does not ask for one of more extents than the implementation says it takes', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n, 0x43n], maxExtents: 1n })).toMatchObject({ answer: 'unknown' });
  });
});

/** A refused get of single pages on plain RAM, and what is different about it; guest frames 1 to 9 are RAM, the others holes. */
interface Get {
  ins?: bigint[];
  outs?: bigint[];
  nrIn?: bigint;
  orders?: [number, number];
  bits?: number;
  rc?: number;
  start?: number;
  live?: Partial<LiveContext>;
  missing?: 'rc' | 'domid' | 'arg';
}

function getAnswers({ ins = [1n, 2n], outs = [20n, 21n], nrIn, orders = [0, 0], bits = 0, rc = -22, ...more }: Get = {}) {
  const reservation = (extent_start: bigint, list: bigint[], extent_order: number, address_bits: number, nr = BigInt(list.length)) => {
    return { extent_start, nr_extents: nr, extent_order, address_bits, domid: 0x7ff0 };
  };
  const value = {
    in: reservation(0x2000n, ins, orders[0], 0, nrIn),
    out: reservation(0x3000n, outs, orders[1], bits, nrIn),
    nr_exchanged: 0n,
  };
  const memory = sparseMemory([
    { address: 0x1000n, bytes: codecFor('arm64').xen_get_dma_buf.encode(value) },
    { address: 0x2000n, bytes: new Uint8Array(BigUint64Array.from(ins).buffer) },
    { address: 0x3000n, bytes: new Uint8Array(BigUint64Array.from(outs).buffer) },
  ]);
  const seen = { domid: 1, arg: 0x1000n, rc, before: memory, after: memory, changes: [] };
  const call = observedCall(26 + (more.start ?? 0) * 64, { ...seen, ...(more.missing && { [more.missing]: undefined }) });
  const live: LiveContext = {
    pins: { isPinned: () => false, isExactCommit: () => false },
    failureInjected: false,
    isMapped: (_, gfn) => gfn >= 1n && gfn <= 9n,
    freeFrames: () => undefined,
    maxOrder: 2,
    maxExtents: 3n,
    maxGfn: 40n,
    ...more.live,
  };
  return judgeGetWorks(judge(call)!, live);
}

describe('get-works', () => {
  const answer = (get?: Get): string | undefined => getAnswers(get).get('get-works')?.answer;

  it('asks for a get of plain pages to work, up to every limit that is declared', () => {
    const asked: Get[] = [
      {},
      { ins: [1n, 2n, 3n], outs: [20n, 21n, 22n] },
      { ins: [4n], outs: [20n], orders: [2, 2] },
      { outs: [20n, 40n] },
      { rc: -1 },
      { rc: -12, live: { freeFrames: () => 2n } },
      { rc: -22, bits: 31, live: { freeFrames: () => 2n } },
      { rc: -22, bits: 32 },
      { rc: -1, bits: 20 },
    ];
    expect(asked.map(answer)).toEqual(asked.map(() => 'violated'));
    expect(asked.map((get) => answer({ ...get, rc: 0 }))).toEqual(asked.map(() => 'holds'));
  });

  it.each<[string, Get]>([
    ['more extents than it takes', { live: { maxExtents: 1n } }],
    ['a larger order than it takes', { ins: [4n], outs: [20n], orders: [1, 1], live: { maxOrder: 0 } }],
    ['of the outputs alone', { ins: [4n, 5n], outs: [20n], orders: [0, 1], live: { maxOrder: 0 } }],
    ['a guest frame beyond those it has', { outs: [20n, 41n] }],
    ['an input that is no RAM', { ins: [1n, 10n] }],
    ['an input of which it is not known', { live: { isMapped: () => undefined } }],
    ['an output that is there already', { outs: [20n, 5n] }],
    ['a pinned input', { live: { pins: { isPinned: (_, gfn) => gfn === 2n, isExactCommit: () => false } } }],
    ['a pinned output', { live: { pins: { isPinned: (_, gfn) => gfn === 21n, isExactCommit: () => false } } }],
    ['a page of which that is not known', { live: { pins: { isPinned: () => undefined, isExactCommit: () => false } } }],
    ['a failure that was asked for', { live: { failureInjected: true } }],
    ['a continuation', { start: 1 }],
    ["a caller's mistake, though only a warning", { ins: [3n], outs: [20n], orders: [1, 1] }],
    ['lists that are not all there', { nrIn: 3n }],
    ['no memory, of which nothing is known', { rc: -12 }],
    ['no memory, as there is not enough', { rc: -12, live: { freeFrames: () => 1n } }],
    ['no memory, for larger extents', { rc: -12, ins: [4n], outs: [20n], orders: [1, 1], live: { freeFrames: () => 9n } }],
    ['a low limit that is called invalid', { bits: 31 }],
    ['nothing to exchange', { ins: [], outs: [] }],
    ['no return code', { missing: 'rc' }],
    ['no struct', { missing: 'arg' }],
    ['no caller', { missing: 'domid' }],
  ])('does not ask for it with %s', (_, get) => {
    expect(answer(get)).toBe('unknown');
  });

  it('answers for get-same-gfn where a chunk names one frame on both sides, and only there', () => {
    const same = (get: Get): string | undefined => getAnswers(get).get('get-same-gfn')?.answer;
    expect([same({ outs: [20n, 2n] }), same({ outs: [20n, 2n], rc: 0 })]).toEqual(['violated', 'holds']);
    expect([same({}), same({ outs: [20n, 1n] }), same({ outs: [20n, 2n], live: { failureInjected: true } })]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    // Inputs 4 and 5 are one chunk with output 4, and 6 and 7 another.
    const chunked: Get = { ins: [4n, 5n, 6n], outs: [6n], orders: [0, 1] };
    expect(same({ ...chunked, ins: [4n, 5n], outs: [4n] })).toBe('violated');
  });
});

describe('bounded-work', () => {
  it.each([
    [2, 1n, -22, 'unknown'],
    [3, 1n, -22, 'holds'],
    [3, 1n, 0, 'violated'],
    [3, 0n, 0, 'unknown'],
    [3, 1n, undefined, 'unknown'],
  ])('of order %i, %i extents, rc %s, where 2 is the limit: %s', (extent_order, nr_extents, rc, expected) => {
    const reservation = { extent_start: 0n, nr_extents, extent_order, address_bits: 0, domid: 0x7ff0 };
    const memory = sparseMemory([{ address: 0x1000n, bytes: codecFor('arm64').xen_put_dma_buf.encode({ in: reservation }) }]);
    const { facts } = judge(observedCall(27, { domid: 1, arg: 0x1000n, rc, before: memory, after: memory }))!;
    expect(judgeBoundedWork(facts, 2).answer).toBe(expected);
  });
});

describe('a pair of runs', () => {
  it('shows nothing where the count could be read in one of them only', () => {
    const [counted, blind] = [
      { rc: -12, N: 2n },
      { rc: -12, N: undefined },
    ];
    const all = [
      [blind, blind, counted],
      [counted, counted, blind],
      [counted, blind, counted],
    ] as const;
    expect(all.map(([a, b, c]) => judgePair(a, b, c).answer)).toEqual(['unknown', 'unknown', 'unknown']);
    expect([judgePair(blind, blind, blind).answer, judgePair(counted, counted, counted).answer]).toEqual(['holds', 'holds']);
    const [other, further] = [
      { rc: -22, N: 2n },
      { rc: -12, N: 1n },
    ];
    const told = [other, further].map((varied) => judgePair(counted, counted, varied));
    expect(told.map((answer) => (answer.answer === 'violated' ? answer.violations[0]?.message : answer.answer))).toEqual([
      'rc -12, nr_exchanged 2 became rc -22, nr_exchanged 2',
      'rc -12, nr_exchanged 2 became rc -12, nr_exchanged 1',
    ]);
    expect([judgePair(counted, other, counted).answer, judgePair(counted, further, further).answer]).toEqual(['unknown', 'unknown']);
  });
});
