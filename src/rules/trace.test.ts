import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import type { P2m } from '../trace/call.ts';
import { type Stage, staged } from './call.stage.ts';
import { judge } from './judge.ts';
import { PinWatch } from './pins.ts';
import { traceJudge } from './trace.ts';

// Guest frames 0x50 and 0x51 are got, in front of frames 0x900 and 0x901; 0x60 is never pinned.
const before: [bigint, bigint | null][] = [
  [0x40n, 0x80n],
  [0x41n, 0x81n],
  [0x50n, null],
  [0x51n, null],
  [0x60n, 0x70n],
];
const after: [bigint, bigint | null][] = [
  [0x40n, null],
  [0x41n, null],
  [0x50n, 0x900n],
  [0x51n, 0x901n],
  [0x60n, 0x70n],
];
const get: Stage = { returned: [0x900n, 0x901n], p2m: [before, after], more: { domid: 1, fromStart: true } };
const put = (list: bigint[], p2m: Stage['p2m'] = [after, after], rc = 0): Stage => ({
  op: 'put_dma_buf',
  rc,
  in: { list },
  p2m,
  more: { domid: 1, fromStart: true },
});
const moved = (...changes: [bigint, bigint][]): P2m => new Map([...after, ...changes]);
const now: P2m = new Map(after);

describe('over a trace', () => {
  const answers = (stages: Stage[], id: string): (string | undefined)[] => {
    const { judge: next } = traceJudge();
    return stages.map((stage) => next(staged(stage))?.requirements.get(id)?.answer);
  };
  const callerIds = (stages: Stage[]): string[] => {
    const { judge: next } = traceJudge();
    return stages.flatMap((stage) => next(staged(stage))?.findings.map((f) => f.id) ?? []);
  };

  it('a pinned page whose mapping changed between two calls breaks get-pinned', () => {
    const changed = [...moved([0x51n, 0x907n])];
    expect(answers([get, put([0x50n], [changed, changed])], 'get-pinned')).toEqual(['unknown', 'violated']);
    const { judge: next } = traceJudge();
    next(staged(get));
    const second = next(
      staged({ ...get, in: { list: [0x60n, 0x61n] }, out: { list: [0x70n, 0x71n] }, rc: -22, N: 0n, p2m: [changed, changed] }),
    );
    expect(second?.findings.filter((f) => f.id === 'get-pinned').map((f) => f.message)).toEqual([
      'pinned guest frame 0x51 had frame 0x901 behind it and now has frame 0x907',
    ]);
  });

  it('put after get is in order; a second put, or one before any get, is not', () => {
    expect(callerIds([get, put([0x50n, 0x51n])])).toEqual([]);
    expect(callerIds([get, put([0x50n, 0x51n]), put([0x50n])])).toEqual(['caller-put-after-get']);
    expect(callerIds([put([0x50n])])).toEqual(['caller-put-after-get']);
  });

  it('putting the machine frames that get left in its list is the likely bug', () => {
    expect(callerIds([get, put([0x900n, 0x901n])])).toEqual(['caller-put-lists-gpfns']);
  });

  it('nothing is said of earlier gets where the trace did not begin at the start', () => {
    const late = { ...put([0x50n]), more: { domid: 1, fromStart: false } };
    expect(callerIds([late])).toEqual([]);
  });

  it('a put refused for a struct that is nowhere changes nothing that is known', () => {
    const hole = [{ address: 0x7000_0000n, length: 4096n }];
    const nowhere = (rc: number, unmapped = hole): Stage => ({
      ...put([], undefined, rc),
      more: { domid: 1, fromStart: true, arg: 0x7000_0000n, before: unknownMemory, after: unknownMemory, unmapped },
    });
    expect(callerIds([get, nowhere(-14), put([0x52n])])).toEqual(['caller-put-after-get']);
    expect(callerIds([get, nowhere(-14, []), put([0x52n])])).toEqual([]);
    expect(callerIds([get, nowhere(0), put([0x52n])])).toEqual(['bad-address-fails']);
  });

  it('after a record that could not be read nothing is known of earlier gets', () => {
    const trace = traceJudge();
    trace.judge(staged(get));
    trace.missed();
    expect(trace.judge(staged(put([0x60n])))?.findings).toEqual([]);
  });

  it('a get that stopped half-way pinned only what it committed', () => {
    const half: Stage = {
      ...get,
      rc: -12,
      N: 1n,
      returned: [0x900n, 0x51n],
      p2m: [
        before,
        [
          [0x40n, null],
          [0x41n, 0x81n],
          [0x50n, 0x900n],
          [0x51n, null],
          [0x60n, 0x70n],
        ],
      ],
    };
    expect(callerIds([half, put([0x51n], [half.p2m![1], half.p2m![1]])])).toEqual(['caller-put-after-get']);
    expect(callerIds([half, put([0x50n], [half.p2m![1], half.p2m![1]])])).toEqual([]);
  });
});

describe('pins through churn', () => {
  /** A watch that has seen a get of 0x50 and 0x51. */
  const watching = (): PinWatch => {
    const watch = new PinWatch(true);
    watch.called(judge(staged(get))!);
    return watch;
  };
  const say = (answers: ReadonlyMap<string, { answer: string }>): string[] => [...answers].map(([id, a]) => `${id} ${a.answer}`);

  it('a pinned page stays while others move', () => {
    expect(say(watching().churned(1, now, moved([0x60n, 0x71n])))).toEqual(['get-pinned holds']);
  });

  it('a churn that moves nothing shows nothing', () => {
    expect(say(watching().churned(1, now, now))).toEqual([]);
  });

  it('a pinned page that moves breaks get-pinned', () => {
    expect(say(watching().churned(1, now, moved([0x60n, 0x71n], [0x50n, 0x99n])))).toContain('get-pinned violated');
  });

  it('after a put its pages may move, the others may not', () => {
    const watch = watching();
    watch.churned(1, now, moved([0x60n, 0x71n]));
    watch.called(judge(staged(put([0x50n])))!);
    const [a, b] = [moved([0x60n, 0x72n], [0x50n, 0x99n]), moved([0x60n, 0x73n], [0x50n, 0x99n], [0x51n, 0x9an])];
    expect(say(watch.churned(1, moved([0x60n, 0x71n]), a)).sort()).toEqual(['put-only-listed holds', 'put-unpins holds']);
    expect(say(watch.churned(1, a, b))).toEqual(['put-only-listed violated']);
  });

  it('a put page that stays through four churns that moved others is still pinned', () => {
    const watch = watching();
    watch.called(judge(staged(put([0x50n])))!);
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(
        ...say(watch.churned(1, moved([0x60n, BigInt(0x70 + i)]), moved([0x60n, BigInt(0x71 + i)]))).filter((s) =>
          s.startsWith('put-unpins'),
        ),
      );
    }
    expect(seen).toEqual(['put-unpins violated']);
  });

  it('a put of an order beyond any machine, if it is accepted, leaves open what is pinned', () => {
    const watch = watching();
    watch.churned(1, now, moved([0x60n, 0x71n]));
    watch.called(judge(staged({ ...put([0x50n]), in: { list: [0x50n], order: 64 } }))!);
    expect(say(watch.churned(1, moved([0x60n, 0x71n]), moved([0x60n, 0x72n], [0x50n, 0x99n])))).toEqual([]);
  });

  it('a put page with nothing behind it cannot move, and none is blamed for that', () => {
    const watch = watching();
    watch.called(judge(staged(put([0x50n])))!);
    const without = (frame: bigint): P2m => new Map<bigint, bigint | null>([...moved([0x60n, frame]), [0x50n, null]]);
    const seen = [0x70n, 0x71n, 0x72n, 0x73n, 0x74n].flatMap((frame) => say(watch.churned(1, without(frame), without(frame + 1n))));
    expect(seen).not.toContain('put-unpins violated');
  });

  it('a refused put leaves open what became of the pages it listed', () => {
    const watch = watching();
    watch.called(judge(staged(put([0x50n, 0x60n], [after, after], -22)))!);
    expect([watch.isPinned(1, 0x50n), watch.isPinned(1, 0x51n), watch.isPinned(1, 0x60n)]).toEqual([undefined, true, false]);
  });
});
