import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import type { observedCall } from '../trace/call.ts';
import { ARG, IN, inWords, only, type Stage, staged, structOnly } from './call.stage.ts';
import { judge } from './judge.ts';
import { after, before, get, moved, now, own, pinned, put, say, watching, words } from './pins.stage.ts';
import { PinWatch } from './pins.ts';

describe('what is pinned', () => {
  it('is what a get committed, in its domain, and nothing else', () => {
    const watch = watching();
    expect(pinned(watch, 0x4fn, 0x50n, 0x51n, 0x52n, 0x40n, 0x900n)).toEqual([false, true, true, false, false, false]);
    expect(watch.isPinned(2, 0x50n)).toBe(false);
  });

  it('by each of two gets stays so', () => {
    const second: Stage = { ...get, in: { list: [0x60n] }, out: { list: [0x52n] }, N: 1n, returned: [0x902n], p2m: [after, after] };
    const watch = watching(second);
    expect(pinned(watch, 0x50n, 0x51n, 0x52n)).toEqual([true, true, true]);
  });

  it('is every page of an extent', () => {
    const p2m: Stage['p2m'] = [[], []];
    const watch = new PinWatch(true);
    watch.called(judge(staged({ in: { list: [0x40n], order: 2 }, out: { list: [0x54n], order: 2 }, N: 1n, p2m, more: own }))!);
    expect(pinned(watch, 0x53n, 0x54n, 0x57n, 0x58n)).toEqual([false, true, true, false]);
  });

  it('is not known of pages that were named before anything was seen', () => {
    const late = new PinWatch(false);
    expect(late.isPinned(1, 0x50n)).toBeUndefined();
    late.called(judge(staged(get))!);
    expect(pinned(late, 0x50n, 0x52n)).toEqual([true, undefined]);
  });

  it.each<[string, Stage, (boolean | undefined)[]]>([
    ['a put of one', put([0x50n]), [false, true, false]],
    ['a put of one, refused', put([0x50n], [after, after], -22), [undefined, true, false]],
    ['a put of a page that was never pinned', put([0x60n]), [true, true, false]],
    ['a put of another domain', { ...put([0x50n]), in: { list: [0x50n], domid: 2 } }, [true, true, false]],
    [
      'a put whose struct is nowhere, refused',
      { ...put([0x50n], [after, after], -14), more: { ...own, ...nowhere() } },
      [true, true, false],
    ],
    ['a put whose struct is nowhere, accepted', { ...put([0x50n]), more: { ...own, ...nowhere() } }, [undefined, undefined, undefined]],
    [
      'a put whose struct is nowhere, without rc',
      { ...put([0x50n]), rc: undefined, more: { ...own, ...nowhere() } },
      [undefined, undefined, undefined],
    ],
    [
      'a put whose list was not captured',
      { ...put([0x50n]), more: { ...own, ...structOnly(put([0x50n])) } },
      [undefined, undefined, undefined],
    ],
    [
      'a put whose list was not captured, refused',
      { ...put([0x50n], [after, after], -14), more: { ...own, ...structOnly(put([0x50n])) } },
      [true, true, false],
    ],
    ['a put by nobody knows whom', { ...put([0x50n]), more: { fromStart: true } }, [undefined, undefined, undefined]],
    ['a put of too many pages to follow', { ...put([0x100000n]), in: { list: [0x100000n], order: 15 } }, [undefined, undefined, undefined]],
    ['a put of as many as can be followed', { ...put([0x100000n]), in: { list: [0x100000n], order: 14 } }, [true, true, false]],
    [
      'a put of an order beyond any machine, refused',
      { ...put([0x50n], [after, after], -22), in: { list: [0x50n], order: 64 } },
      [true, true, false],
    ],
    [
      'a put of an order beyond any machine, accepted',
      { ...put([0x50n]), in: { list: [0x50n], order: 64 } },
      [undefined, undefined, undefined],
    ],
    ['a put of nothing, of an order beyond any machine', { ...put([]), in: { list: [], order: 64 } }, [true, true, false]],
    [
      'a get that gives a pinned page away',
      { ...get, in: { list: [0x50n, 0x60n] }, out: { list: [0x70n, 0x71n] }, p2m: [after, [...after, [0x50n, null]]] },
      [undefined, true, false],
    ],
    [
      'a get refused with a count that was not captured',
      { ...get, rc: -12, in: { list: [0x50n] }, out: { list: [0x60n] }, more: { ...own, after: unknownMemory } },
      [undefined, undefined, undefined],
    ],
    [
      'a get refused at once',
      { ...get, rc: -22, N: 0n, in: { list: [0x50n] }, out: { list: [0x60n] }, returned: [0x60n], p2m: [after, after] },
      [true, true, false],
    ],
    [
      'a get with a mistake of the caller',
      { ...get, entry: 1n, in: { list: [0x61n, 0x50n] }, out: { list: [0x60n, 0x62n] }, p2m: [after, after] },
      [undefined, true, undefined],
    ],
    [
      'a put of more pages than are followed',
      { ...put([]), in: { list: [0x10000n, 0x20000n, 0x30000n], order: 13 } },
      [undefined, undefined, undefined],
    ],
    [
      'a put whose list was not captured, without rc',
      { ...put([0x50n]), rc: undefined, more: { ...own, ...structOnly(put([0x50n])) } },
      [undefined, undefined, undefined],
    ],
    [
      'a get whose lists were not captured, refused at once',
      { ...get, rc: -22, N: 0n, p2m: [after, after], more: { ...own, ...structOnly({ ...get, rc: -22, N: 0n }) } },
      [true, true, false],
    ],
    [
      'a get whose lists were not captured, refused half-way',
      { ...get, rc: -22, N: 1n, more: { ...own, ...structOnly({ ...get, rc: -22, N: 1n }) } },
      [undefined, undefined, undefined],
    ],
    [
      'a get whose lists were not captured, accepted with nothing done',
      { ...get, rc: 0, N: 0n, more: { ...own, ...structOnly({ ...get, N: 0n }) } },
      [undefined, undefined, undefined],
    ],
    [
      'a get whose output list was not captured',
      { ...get, more: { ...own, ...only(staged(get), { address: ARG, length: 72n }, { address: IN, length: 16n }) } },
      [undefined, undefined, undefined],
    ],
    [
      'a get refused at once, with a mistake of the caller',
      { ...get, rc: -22, entry: 1n, N: 0n, in: { list: [0x50n] }, out: { list: [0x61n] }, returned: [0x61n], p2m: [after, after] },
      [true, true, false],
    ],
    [
      'a decrease of one',
      { op: 'decrease_reservation', in: { list: [0x50n] }, rc: 1, p2m: [after, [...after, [0x50n, null]]], more: own },
      [undefined, true, false],
    ],
    [
      'a decrease of one, of which no p2m was seen',
      { op: 'decrease_reservation', in: { list: [0x50n] }, rc: 1, more: own },
      [true, true, false],
    ],
    [
      'a decrease that did nothing, its list not captured',
      {
        op: 'decrease_reservation',
        in: { list: [0x50n] },
        rc: 0,
        more: { ...own, ...structOnly({ op: 'decrease_reservation', in: { list: [0x50n] } }) },
      },
      [true, true, false],
    ],
    [
      'a decrease of one, its list not captured',
      {
        op: 'decrease_reservation',
        in: { list: [0x50n] },
        rc: 1,
        more: { ...own, ...structOnly({ op: 'decrease_reservation', in: { list: [0x50n] } }) },
      },
      [undefined, undefined, undefined],
    ],
  ])('after %s', (_case, stage, expected) => {
    expect(pinned(watching(stage), 0x50n, 0x51n, 0x60n)).toEqual(expected);
  });

  it('of a page that was never seen, is not known once another op names it', () => {
    const watch = new PinWatch(true);
    const unseen: Stage = { returned: [0x900n, 0x901n], more: own };
    const decrease: Stage = { op: 'decrease_reservation', in: { list: [0x50n] }, rc: 1, more: own };
    for (const stage of [unseen, decrease]) watch.called(judge(staged(stage))!);
    expect(pinned(watch, 0x50n, 0x51n)).toEqual([undefined, true]);
  });

  it('changes with a call that does not name it: the hypervisor broke its word', () => {
    const watch = watching();
    const away: Stage['p2m'] = [after, [...moved([0x51n, 0x907n])]];
    expect(words(watch.called(judge(staged({ ...put([0x60n]), p2m: away }))!))).toEqual([
      'get-pinned violated: pinned guest frame 0x51 had frame 0x901 behind it and now has frame 0x907',
    ]);
    expect(pinned(watch, 0x50n, 0x51n)).toEqual([true, undefined]);
    expect(say(watching().called(judge(staged({ ...put([0x51n]), p2m: away }))!))).toEqual([]);
  });

  it('is remembered over a call that shows no p2m', () => {
    const watch = watching({ ...put([0x60n]), p2m: [[], []] });
    const away: Stage['p2m'] = [[...moved([0x51n, 0x907n])], [...moved([0x51n, 0x907n])]];
    expect(say(watch.called(judge(staged(put([0x60n], away)))!))).toEqual(['get-pinned violated']); // though it was never seen to stay
    const later = watching({ op: 'decrease_reservation', in: { list: [0x60n] }, rc: 0, more: own });
    expect(say(later.called(judge(staged({ op: 'decrease_reservation', in: { list: [0x61n] }, rc: 0, p2m: away, more: own }))!))).toEqual([
      'get-pinned violated',
    ]);
  });

  it('changed between two calls, after a put that did not list it', () => {
    const watch = watching();
    watch.churned(1, now, moved([0x60n, 0x71n]));
    watch.called(judge(staged(put([0x50n], [[...moved([0x60n, 0x71n])], [...moved([0x60n, 0x71n])]])))!);
    const away = moved([0x60n, 0x71n], [0x51n, 0x907n]);
    expect(words(watch.called(judge(staged(put([0x60n], [[...away], [...away]])))!))).toEqual([
      'put-only-listed violated: pinned guest frame 0x51 had frame 0x901 behind it and now has frame 0x907; the put before did not list it',
    ]);
  });
});

describe('mistakes of the caller that the calls before show', () => {
  const found = (watch: PinWatch, stage: Stage): string[] =>
    watch.findings(staged(stage)).map((f) => `${f.id} ${inWords({ answer: 'violated', violations: [f] })}`);

  it.each<[string, Stage, string[]]>([
    ['a put of both', put([0x50n, 0x51n]), []],
    [
      'a put of a page that was never pinned',
      put([0x50n, 0x60n]),
      ['caller-put-after-get violated: guest frame 0x60 is listed, which no get has pinned [in.extent_start 0..8]'],
    ],
    [
      'a put of more than was pinned',
      { ...put([0x50n]), in: { list: [0x50n], order: 2 } },
      ['caller-put-after-get violated: guest frame 0x52 is listed, which no get has pinned [in.extent_start 0..8]'],
    ],
    [
      'a put of what get returned',
      put([0x50n, 0x901n]),
      ['caller-put-lists-gpfns violated: entry 1 is 0x901, a machine frame that a get returned [in.extent_start 0..8]'],
    ],
    [
      'a put in another domain',
      { ...put([0x50n]), in: { list: [0x50n], domid: 2 } },
      ['caller-put-after-get violated: guest frame 0x50 is listed, which no get has pinned [in.extent_start 0..8]'],
    ],
    ['a put of too many to follow', { ...put([0x60n]), in: { list: [0x60n], order: 15 } }, []],
    ['a put by nobody knows whom', { ...put([0x60n]), more: { fromStart: true } }, []],
    ['a put whose struct was not captured', { ...put([0x60n]), more: { ...own, before: unknownMemory } }, []],
    ['another get', { ...get, out: { list: [0x60n, 0x900n] } }, []],
  ])('%s', (_case, stage, expected) => {
    expect(found(watching(), stage)).toEqual(expected);
  });

  it('not of a frame number that is a pinned page too, nor of one that may be', () => {
    const twice: Stage = { ...get, in: { list: [0x60n] }, out: { list: [0x900n] }, N: 1n, returned: [0x905n], p2m: [after, after] };
    expect(found(watching(twice), put([0x900n]))).toEqual([]);
    expect(found(watching(twice, put([0x900n], [after, after], -22)), put([0x900n]))).toEqual([]);
  });

  it('not of a frame that a get returned beyond its count', () => {
    const half: Stage = { ...get, rc: -12, N: 1n, returned: [0x900n, 0x51n], p2m: [before, after] };
    const watch = new PinWatch(false);
    watch.called(judge(staged(half))!);
    expect(found(watch, put([0x51n]))).toEqual([]);
    expect(found(watch, put([0x900n]))).toEqual([
      'caller-put-lists-gpfns violated: entry 0 is 0x900, a machine frame that a get returned [in.extent_start 0..8]',
    ]);
  });

  it('none after something was missed', () => {
    const watch = watching();
    watch.missed();
    expect([found(watch, put([0x60n])), found(watch, put([0x900n]))]).toEqual([[], []]);
  });
});

/** A struct at a hole of guest memory. */
function nowhere(): Partial<ReturnType<typeof observedCall>> {
  const arg = 0x7000_0000n;
  return { arg, before: unknownMemory, after: unknownMemory, unmapped: [{ address: arg, length: 4096n }] };
}
