import { describe, expect, it } from 'vitest';
import { sparseMemory } from '../guest/memory.ts';
import type { ObservedCall } from '../trace/call.ts';
import type { CapturePiece } from './answer.ts';
import { ARG, IN, OUT, type Stage, saidOf, staged } from './call.stage.ts';
import { big, done, half, refused } from './exchange.stage.ts';
import { judge } from './judge.ts';
import { addLacks, type Lacks, nextCapture } from './needs.ts';
import { rules } from './table.ts';

const put: Stage = { op: 'put_dma_buf', rc: 0, in: { list: [0x50n] }, more: { privileged: false, domid: 1 } };
const stages: Stage[] = [
  done,
  half,
  big,
  { ...refused, rc: 0, out: { domid: 1 } },
  { ...refused, rc: 0, out: { order: 3 } },
  { ...refused, rc: 0, in: { domid: 2 }, out: { domid: 2 }, more: { privileged: false, domid: 1 } },
  { ...done, more: { pagesBefore: 8, pagesAfter: 8 } },
  put,
  { ...put, p2m: [[[0x50n, 0x900n]], [[0x50n, 0x900n]]] },
  { op: 'populate_physmap', rc: 2, in: { list: [0x40n, 0x41n] } },
  {
    op: 'populate_physmap',
    rc: 1,
    in: { list: [0x50n], order: 1, bits: 40 },
    p2m: [pair(null), pair(0x900n)],
    more: { pagesBefore: 8, pagesAfter: 10, privileged: false },
  },
  {
    op: 'decrease_reservation',
    rc: 0,
    in: { list: [0x50n], order: 1 },
    p2m: [pair(0x900n), pair(0x900n)],
    more: { pagesBefore: 8, pagesAfter: 8, privileged: false },
  },
  { op: 'populate_physmap', rc: 1, in: { list: [0x50n], bits: 40 }, returned: [], more: { translated: false } },
  { op: 'increase_reservation', rc: 1, in: { list: [0n] }, more: { pagesBefore: 8, pagesAfter: 9 } },
  { op: 'decrease_reservation', rc: 1, in: { domid: 2 }, more: { privileged: false, domid: 1, domids: [1, 3] } },
];

function pair(first: bigint | null): [bigint, bigint | null][] {
  return [
    [0x50n, first],
    [0x51n, first === null ? null : first + 1n],
  ];
}

function without(call: ObservedCall, which: 'before' | 'after', gone: bigint): ObservedCall {
  const kept = [ARG, IN, OUT].filter((address) => address !== gone);
  return { ...call, [which]: sparseMemory(kept.flatMap((address) => [...call[which].known({ address, length: 256n })])) };
}

// A record without its struct's address, its caller or a watch on memory is another kind of
// capture.
type Cut = Exclude<CapturePiece, 'domid' | 'address' | 'memory'>;

const cut: { readonly [piece in Cut]: (call: ObservedCall) => ObservedCall } = {
  rc: (call) => ({ ...call, rc: undefined }),
  struct: (call) => without(call, 'before', ARG),
  'struct after': (call) => without(call, 'after', ARG),
  'in list': (call) => without(call, 'before', IN),
  'in list after': (call) => without(call, 'after', IN),
  'out list': (call) => without(call, 'before', OUT),
  'out list after': (call) => without(call, 'after', OUT),
  p2m: (call) => ({ ...call, p2mBefore: new Map() }),
  'p2m after': (call) => ({ ...call, p2mAfter: new Map() }),
  pages: (call) => ({ ...call, pagesBefore: undefined, pagesAfter: undefined }),
  privileged: (call) => ({ ...call, privileged: undefined }),
};

describe('what a requirement needs', () => {
  it('is said of each that one call can show, but where that is more than a capture holds', () => {
    const shown = rules.filter(({ blame, check }) => blame === 'hypervisor' && check);
    // The one needs a watch on other domains, the other knows addresses that are no memory
    expect(shown.filter(({ needs }) => !needs).map(({ id }) => id)).toEqual(['isolation', 'bad-address-fails']);
    expect(rules.filter(({ needs, check }) => needs && !check)).toEqual([]);
  });

  const needing = rules.flatMap(({ id, needs }) => (needs ? [[id, needs] as const] : []));
  it.each(needing)('%s: each piece, for without it the answer is unknown, and no other', (id, needs) => {
    const answered = stages.map(staged).filter((call) => !/^(unknown|not asked)/.test(saidOf(id, call)));
    const lost = (call: ObservedCall): string[] =>
      (Object.keys(cut) as Cut[]).filter((piece) => saidOf(id, cut[piece](call)).startsWith('unknown'));
    const found = new Set(answered.flatMap(lost));
    expect(answered.length).toBeGreaterThan(0);
    expect([...found].sort()).toEqual([...needs].sort());
  });
});

describe('what to capture next', () => {
  const lacksOf = (...calls: ObservedCall[]): Lacks => {
    const lacks: Lacks = new Map();
    for (const call of calls) addLacks(lacks, judge(call)!);
    return lacks;
  };

  it('is the piece that lets most answers be given', () => {
    expect(nextCapture(lacksOf(cut['out list after'](staged(done))))).toMatchObject({ pieces: ['out list after'] });
    expect(nextCapture(lacksOf(cut.rc(staged(put)), cut.rc(staged(put))))).toEqual({ pieces: ['rc'], answers: 2 });
  });

  it('is several where one alone helps nothing', () => {
    const lacks: Lacks = new Map([
      ['p2m,p2m after', 3],
      ['rc,p2m,p2m after', 1],
    ]);
    expect(nextCapture(lacks)).toEqual({ pieces: ['p2m', 'p2m after'], answers: 3 });
  });

  it('counts no answer that the call did not exercise', () => {
    // Refused, nothing done: the p2m after it would show that no frame was lost, and nothing of new
    // pages
    const lacks = lacksOf(cut['p2m after'](staged({ ...refused, more: { privileged: false, pagesBefore: 8, pagesAfter: 8 } })));
    expect(nextCapture(lacks)).toEqual({ pieces: ['p2m after'], answers: 1 });
  });

  it('is nothing where a mistake of the caller is what suspends', () => {
    expect(
      nextCapture(lacksOf(staged({ ...refused, in: { domid: 1 }, more: { privileged: false, pagesBefore: 8, pagesAfter: 8 } }))),
    ).toBeUndefined();
  });
});
