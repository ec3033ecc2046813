import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { ARG, IN, only, type Stage, staged } from './call.stage.ts';
import { judge } from './judge.ts';
import { after, before, get, moved, put } from './pins.stage.ts';
import { traceJudge } from './trace.ts';

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

  it('a call that a rule fails on is thrown, and what it did is not known; the next is judged', () => {
    let calls = 0;
    const { judge: next } = traceJudge((call, known) => {
      if (++calls === 2) throw new RangeError('a rule has a bug');
      return judge(call, known);
    });
    next(staged(get));
    expect(() => next(staged(get))).toThrow('a rule has a bug');
    expect(next(staged(put([0x70n])))?.findings).toEqual([]); // the second call may have pinned it
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

  it('nor after one that was the first', () => {
    const trace = traceJudge();
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

  describe('what no one may pass', () => {
    const violated = (...stages: Stage[]): string[] => {
      const trace = traceJudge();
      const findings = stages.flatMap((stage) => trace.judge(staged(stage))?.findings ?? []);
      return [...new Set(findings.filter((f) => f.blame === 'hypervisor').map((f) => f.id))];
    };
    const away: [bigint, bigint | null][] = [...after, [0x51n, 0x907n]];

    it('a pinned page that has another frame after the put of another page of its get', () => {
      expect(violated(get, put([0x50n]), put([0x51n], [away, away]))).toEqual(['get-pinned']);
    });

    it('an input that is gone after a get that was refused for its output list', () => {
      const gone: [bigint, bigint | null][] = [...before, [0x40n, null]];
      const unmapped = [{ address: 0x6000_0200n, length: 16n }];
      const bad: Stage = { ...get, rc: -14, N: 0n, returned: [0x50n, 0x51n], p2m: [before, gone] };
      const call = staged({ ...bad, more: { ...get.more, unmapped } });
      const seen = only(call, { address: ARG, length: 72n }, { address: IN, length: 16n });
      const ids = traceJudge()
        .judge(seen)
        ?.findings.map((f) => f.id);
      expect(ids).toContain('bad-address-fails');
      expect(ids).toContain('get-rest-untouched');
    });

    it('a page more after a get that failed', () => {
      const more = { ...get.more, pagesBefore: 8, pagesAfter: 9 };
      expect(violated({ ...get, rc: -12, N: 0n, returned: [0x50n, 0x51n], p2m: [before, before], more })).toEqual([
        'get-new-pages',
        'frames-conserved',
      ]);
    });
  });
});
