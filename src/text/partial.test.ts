import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARG, only, type Stage, staged } from '../rules/call.stage.ts';
import { PieceJudge, settle } from '../rules/piece.ts';
import { after, before, get, put } from '../rules/pins.stage.ts';
import { traceJudge } from '../rules/trace.ts';
import type { ObservedCall } from '../trace/call.ts';
import { type Partial, partialJson, readPartial } from './partial.ts';
import { addJudgement, addTally, newTally, type Tally } from './tally.ts';

/** A call, or a line that could not be read. */
type Line = ObservedCall | 'unreadable';

const pieceOf = (lines: readonly Line[], from: number): Partial => {
  const tally = newTally();
  const piece = new PieceJudge();
  let fromStart: boolean | undefined;
  for (const line of lines) {
    if (line === 'unreadable') {
      tally.unreadable++;
      piece.missed();
      continue;
    }
    fromStart ??= line.fromStart && tally.unreadable === 0;
    const judgement = piece.judge(line);
    if (judgement !== 'open') addJudgement(tally, judgement);
  }
  const partial = { from, to: from + lines.length, whole: undefined, fromStart, tally, steps: piece.steps };
  return readPartial(JSON.parse(JSON.stringify(partialJson(partial))));
};

const merged = (pieces: readonly Partial[]): Tally => {
  const tally = newTally();
  for (const piece of pieces) addTally(tally, piece.tally);
  settle(pieces, (judgement) => addJudgement(tally, judgement));
  return tally;
};

const inOneRun = (lines: readonly Line[]): Tally => {
  const tally = newTally();
  const judge = traceJudge();
  for (const line of lines) {
    if (line === 'unreadable') {
      tally.unreadable++;
      judge.missed();
    } else addJudgement(tally, judge.judge(line));
  }
  return tally;
};

describe('pieces of a trace', () => {
  const { p2m: _, ...unseen } = get;
  /** A put with which no p2m was seen. */
  const unseenPut = (gfn: bigint): ObservedCall => staged({ op: 'put_dma_buf', in: { list: [gfn] }, more: { domid: 1, fromStart: true } });
  const late: Stage = { more: { domid: 1, fromStart: false } };
  const steal: Stage['p2m'] = [after, [...after.slice(0, 2), [0x50n, 0x955n], ...after.slice(3)]];

  it('a put whose get is in the piece before is judged when both are merged', () => {
    const [first, second] = [pieceOf([staged(get)], 0), pieceOf([staged(put([0x50n, 0x51n], [after, after]))], 1)];
    expect(second.tally.calls).toBe(0);
    expect(merged([first, second])).toEqual(inOneRun([staged(get), staged(put([0x50n, 0x51n], [after, after]))]));
    expect(merged([first, second]).findings).toEqual({});
    expect(merged([pieceOf([unseenPut(0x60n)], 0)]).findings).toEqual({ 'caller-put-after-get': 1 });
  });

  it('a pinned page that moves in a later piece breaks get-pinned', () => {
    const decrease: Stage = { op: 'decrease_reservation', in: { list: [0x60n] }, rc: 1, p2m: steal, ...late };
    const lines = [staged({ ...get, ...late }), staged(decrease)];
    expect(merged([pieceOf(lines.slice(0, 1), 0), pieceOf(lines.slice(1), 1)]).violated).toMatchObject({ 'get-pinned': 1 });
  });

  it('where a piece is missing, what it may have pinned or put is unknown', () => {
    const alone = merged([pieceOf([staged(unseen)], 0), pieceOf([unseenPut(0x60n)], 9)]);
    expect(alone.findings).toEqual({});
    expect(alone.calls).toBe(2);
  });

  const named = staged({ op: 'populate_physmap', in: { list: [0x50n, 0x51n] }, rc: 2, more: get.more ?? {} });
  const again = [unseenPut(0x50n), unseenPut(0x50n)];
  const isWhole = (...pieces: ObservedCall[][]): void => {
    const starts = pieces.map((_piece, i) => pieces.slice(0, i).flat().length);
    expect(merged(pieces.map((lines, i) => pieceOf(lines, starts[i] ?? 0)))).toEqual(inOneRun(pieces.flat()));
  };

  it('a page that is named before and after it is got is doubted at the end', () => {
    isWhole([named, staged(unseen), named], again);
  });

  it('a page that is named behind its get is not known to be pinned', () => {
    isWhole([staged(unseen), named, ...again]);
    isWhole([staged(unseen), ...again, ...again]);
  });

  it('a page that a refused put listed is in doubt', () => {
    isWhole([staged(unseen), { ...unseenPut(0x50n), rc: -22 }, ...again]);
  });

  it('a p2m shows that a page which was got has moved, and what was pinned is in doubt', () => {
    const look = staged({ op: 'decrease_reservation', in: { list: [0x60n] }, rc: 1, p2m: steal, more: get.more ?? {} });
    isWhole([staged(unseen), look, ...again]);
    isWhole([look, staged(unseen), look, ...again], again);
  });

  const pages = fc.constantFrom<bigint[]>([0x50n, 0x51n], [0x51n, 0x50n], [0x50n, 0x60n], [0x40n, 0x41n]);
  const frames = fc.shuffledSubarray([0x80n, 0x81n, 0x900n, 0x901n, null], { minLength: 5, maxLength: 5 });
  const p2m = fc.array(frames, { minLength: 2, maxLength: 2 }).map((maps): NonNullable<Stage['p2m']> => {
    const [a, b] = maps.map((mfns) => before.map(([gfn], i): [bigint, bigint | null] => [gfn, mfns[i] ?? null]));
    return [a ?? [], b ?? []];
  });
  const line = fc.oneof(
    { weight: 1, arbitrary: fc.constant('unreadable' as const) },
    {
      weight: 60,
      arbitrary: fc
        .record(
          {
            op: fc.constantFrom('get_dma_buf', 'get_dma_buf', 'put_dma_buf', 'put_dma_buf', 'populate_physmap', 'exchange'),
            ins: pages,
            outs: pages,
            rc: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 2, 1, -22, undefined),
            N: fc.constantFrom(2n, 2n, 2n, 1n, 0n),
            p2m: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: p2m }),
            domid: fc.constantFrom(1, 1, 1, 2),
            unlisted: fc.integer({ min: 1, max: 40 }).map((n) => n === 40),
            isOther: fc.integer({ min: 1, max: 60 }).map((n) => n === 60),
          },
          { noNullPrototype: true },
        )
        .map(({ op, ins, outs, rc, N, p2m: maps, domid, unlisted, isOther }): ObservedCall => {
          const call = staged({
            op: op as NonNullable<Stage['op']>,
            in: { list: ins },
            out: { list: outs },
            returned: [0x900n, 0x901n],
            rc,
            N,
            ...(maps && { p2m: maps }),
            more: { domid, fromStart: true, ...(isOther && { cmd: 9 }) },
          });
          return unlisted ? only(call, { address: ARG, length: 72n }) : call;
        }),
    },
  );

  it('say together what one run says, however the trace is cut', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 24 }), fc.array(fc.nat(24), { maxLength: 4 }), fc.boolean(), (lines, cuts, isFromStart) => {
        const calls = lines.map((one) => (one === 'unreadable' ? one : { ...one, fromStart: isFromStart }));
        const ends = [...cuts.filter((cut) => cut < calls.length), calls.length].sort((a, b) => a - b);
        const pieces = ends.map((end, i) => pieceOf(calls.slice(ends[i - 1] ?? 0, end), ends[i - 1] ?? 0));
        expect(merged(pieces)).toEqual(inOneRun(calls));
      }),
      { numRuns: 1500 },
    );
  });
});

describe('a piece read from a file', () => {
  const good = (): Record<string, unknown> => JSON.parse(JSON.stringify(partialJson(pieceOf([staged(get)], 0))));

  it('is not believed before it was looked at', () => {
    const bad =
      (change: Record<string, unknown>): (() => unknown) =>
      () =>
        readPartial({ ...good(), ...change });
    expect(bad({ schema: 'xenmem/partial@2' })).toThrow('schema: "xenmem/partial@2" is not "xenmem/partial@1"');
    expect(bad({ range: [7, 3] })).toThrow('range: 7 is behind 3');
    expect(bad({ open: [{ domid: 70_000, named: [] }] })).toThrow('open[0].domid: 70000 is over 65535');
    expect(bad({ open: [{ domid: 1, named: [['0x0', 2 ** 31]] }] })).toThrow('open[0].named[0][1]: 2147483648 is over 2^24');
    const counts = { ...(good()['counts'] as object), holds: { nonsense: 1 } };
    expect(bad({ counts })).toThrow('counts.holds: there is no rule "nonsense"');
    const alone = { ...(good()['counts'] as object), not_judged: 2, by_struct: 99 };
    expect(bad({ counts: alone })).toThrow('counts.by_struct: 99 of 2 that are not judged');
  });
});
