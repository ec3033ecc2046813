import { describe, expect, it } from 'vitest';
import type { P2m } from '../trace/call.ts';
import { type Stage, staged } from './call.stage.ts';
import { judge } from './judge.ts';
import { after, get, moved, now, own, put, say, watching, words } from './pins.stage.ts';
import { PinWatch } from './pins.ts';

describe('pins through churn', () => {
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

  it('a put page keeps its content through later moves, and so does any other', () => {
    const watch = watching();
    const content = (lost: bigint[], kept: bigint[]): string[] => say(watch.churned(1, now, now, { lost, kept }));
    expect(content([0x50n], [])).toEqual(['no-stray-writes violated']);
    watch.called(judge(staged(put([0x50n])))!);
    expect(content([], [0x50n, 0x51n])).toEqual(['put-keeps-pages holds']);
    expect(content([0x51n], [])).toEqual(['no-stray-writes violated']);
    expect(content([0x50n], [0x51n])).toEqual(['put-keeps-pages violated']);
  });

  it('a put page that stays through four churns that moved others is still pinned', () => {
    const watch = watching();
    watch.called(judge(staged(put([0x50n, 0x51n])))!);
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

  it('a page that one of two looks did not see shows nothing', () => {
    const without = (p2m: P2m): P2m => new Map([...p2m].filter(([gfn]) => gfn !== 0x50n && gfn !== 0x51n));
    const later = moved([0x60n, 0x71n]);
    expect(say(watching().churned(1, without(now), later))).toEqual([]);
    expect(say(watching().churned(1, now, without(later)))).toEqual([]);
  });

  it('a control page that one of two looks did not see is none', () => {
    const without = (p2m: P2m): P2m => new Map([...p2m].filter(([gfn]) => gfn !== 0x60n));
    expect([say(watching().churned(1, without(now), now)), say(watching().churned(1, now, without(now)))]).toEqual([[], []]);
  });

  it('a page that was not seen to stay before the put, and moves after it, was pinned all the same', () => {
    const watch = watching(put([0x50n]));
    expect(say(watch.churned(1, now, moved([0x60n, 0x71n])))).toEqual(['put-only-listed holds']);
    expect(say(watch.churned(1, moved([0x60n, 0x71n]), moved([0x60n, 0x71n], [0x51n, 0x99n])))).toEqual(['get-pinned violated']);
  });

  it('a churn that moved no control page does not count against a put page', () => {
    const watch = watching(put([0x50n, 0x51n]));
    const churned = (frame: bigint, next: bigint): string[] => say(watch.churned(1, moved([0x60n, frame]), moved([0x60n, next])));
    const churns = [
      churned(0x70n, 0x71n),
      churned(0x71n, 0x72n),
      churned(0x72n, 0x73n),
      churned(0x73n, 0x73n),
      churned(0x73n, 0x73n),
      churned(0x73n, 0x74n),
    ];
    expect(churns).toEqual([[], [], [], [], [], ['put-unpins violated']]);
  });

  it('pages that were once pinned, or may be, are no control', () => {
    const watch = watching(put([0x50n, 0x51n], [after, after], -22));
    expect(say(watch.churned(1, now, moved([0x50n, 0x99n])))).toEqual([]);
    const put51 = watching(put([0x51n]));
    expect(say(put51.churned(1, now, moved([0x51n, 0x99n])))).toEqual(['put-unpins holds']);
    expect(say(put51.churned(1, moved([0x51n, 0x99n]), moved([0x51n, 0x98n])))).toEqual([]);
  });

  it('the put page is named, with how long it was given', () => {
    const watch = watching(put([0x50n, 0x51n]));
    const churns = [0x70n, 0x71n, 0x72n, 0x73n].map((frame) => words(watch.churned(1, moved([0x60n, frame]), moved([0x60n, frame + 1n]))));
    expect(churns).toEqual([
      [],
      [],
      [],
      ['put-unpins violated: guest frame 0x51 was put, and has not moved in 4 churns that moved other pages'],
    ]);
    expect(say(watch.churned(1, moved([0x60n, 0x74n]), moved([0x60n, 0x75n])))).toEqual([]);
  });

  it('a put page that another get or a decrease took is not waited for', () => {
    const took: Stage[] = [
      { ...get, p2m: [after, after] },
      { op: 'decrease_reservation', in: { list: [0x50n] }, rc: 1, p2m: [after, after], more: own },
    ];
    for (const stage of took) {
      const watch = watching(put([0x50n]), stage);
      const seen = [0x70n, 0x71n, 0x72n, 0x73n].flatMap((frame) =>
        say(watch.churned(1, moved([0x60n, frame]), moved([0x60n, frame + 1n]))),
      );
      expect(seen.filter((s) => s.startsWith('put-unpins'))).toEqual([]);
    }
  });

  it('what moved between a call and the churn is told too', () => {
    const watch = watching();
    expect(words(watch.churned(1, moved([0x50n, 0x99n]), moved([0x50n, 0x99n])))).toEqual([
      'get-pinned violated: pinned guest frame 0x50 had frame 0x900 behind it and now has frame 0x99',
    ]);
  });

  it('nothing is known of a domain that has never called', () => {
    expect(say(new PinWatch(true).churned(3, now, moved([0x60n, 0x71n])))).toEqual([]);
  });

  describe('a put page that stays', () => {
    const fourChurns = (from: bigint, list = [0x50n, 0x51n], free: ('low' | 'high')[] = []): string[] => {
      const watch = watching(put(list));
      return [0n, 1n, 2n, 3n].flatMap((i) =>
        say(watch.churned(1, moved([0x60n, from + i]), moved([0x60n, from + i + 1n]), undefined, new Set(free))),
      );
    };
    const aboveFour = 0x10_0000n;

    it('is not blamed where only pages of the other side of 4 GiB moved', () => {
      expect(fourChurns(aboveFour)).toEqual([]);
    });

    it('is not blamed beside a page that is pinned', () => {
      expect(fourChurns(0x70n, [0x50n])).not.toContain('put-unpins violated');
    });

    it('is blamed where others left its side and frames are known to be free there', () => {
      const watch = watching(put([0x50n, 0x51n]));
      const seen = (free: ('low' | 'high')[]): string[] =>
        [0, 1, 2, 3].flatMap(() => say(watch.churned(1, now, moved([0x60n, aboveFour]), undefined, new Set(free))));
      expect(seen([])).toEqual([]);
      expect(seen(['high'])).toEqual([]);
      expect(seen(['low'])).toEqual(['put-unpins violated']);
    });
  });

  describe('a put that was refused', () => {
    // 0x50 and 0x51 are pinned, 0x60 is not
    const refusedPut = (list: bigint[]): PinWatch => watching(put(list, [after, after], -22));
    const control = moved([0x60n, 0x71n]);

    it('keeps the pins behind the page that it stopped at', () => {
      const watch = refusedPut([0x50n, 0x60n, 0x51n]);
      expect([0x50n, 0x51n].map((gfn) => watch.isPinned(1, gfn))).toEqual([undefined, true]);
      expect(say(watch.churned(1, now, control))).toEqual(['put-refused-prefix holds']);
      expect(words(watch.churned(1, control, moved([0x60n, 0x71n], [0x51n, 0x99n])))).toEqual([
        'put-refused-prefix violated: pinned guest frame 0x51 had frame 0x901 behind it and now has frame 0x99; the put before was refused, and could not have reached it',
      ]);
    });

    it('may have gone on where a later page may have stopped it as well', () => {
      const watch = refusedPut([0x60n, 0x50n, 0x60n, 0x51n]);
      expect([0x50n, 0x51n].map((gfn) => watch.isPinned(1, gfn))).toEqual([undefined, true]);
    });

    it('has unpinned what comes before a page that moves', () => {
      const watch = refusedPut([0x50n, 0x51n, 0x60n]);
      const second = (frame: bigint): P2m => moved([0x60n, frame], [0x51n, 0x99n]);
      const seen = [say(watch.churned(1, now, second(0x71n)))];
      for (const frame of [0x71n, 0x72n, 0x73n, 0x74n]) seen.push(say(watch.churned(1, second(frame), second(frame + 1n))));
      // 0x51 may be pinned for all that is known, and a page beside it may be left
      expect(seen.flat().filter((s) => s.endsWith('violated'))).toEqual([]);
    });

    it('that had to be refused unpins nothing at all', () => {
      const foreign: Stage = { ...put([0x50n, 0x51n], [after, after], -1), in: { list: [0x50n, 0x51n], domid: 2 } };
      const watch = new PinWatch(true);
      watch.called(judge(staged({ ...get, in: { ...get.in, domid: 2 }, out: { domid: 2 }, more: { ...own, privileged: true } }))!);
      watch.called(judge(staged({ ...foreign, more: { ...own, privileged: false } }))!);
      expect([0x50n, 0x51n].map((gfn) => watch.isPinned(2, gfn))).toEqual([true, true]);
      expect(say(watch.churned(2, now, moved([0x60n, 0x71n], [0x50n, 0x99n])))).toContain('put-refused-prefix violated');
    });
  });
});
