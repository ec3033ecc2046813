import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { IN, type Stage, said, staged, structOnly } from './call.stage.ts';
import { judge } from './judge.ts';

const populate: Stage = { op: 'populate_physmap', in: { list: [0x40n, 0x41n, 0x42n] }, rc: 3 };
const pv: Stage = { ...populate, more: { translated: false } };
const increase: Stage = { ...populate, op: 'increase_reservation' };
const decrease: Stage = { ...populate, op: 'decrease_reservation' };
const listless: Stage = { op: 'increase_reservation', rc: 2, in: { start: 0n, list: [], nr: 2n } };
const all = [0x90n, 0x91n, 0x92n];

describe('ops 0, 1 and 6', () => {
  it.each<[string, string, Stage, string]>([
    ['reservation-count', 'all of them', populate, 'holds'],
    ['reservation-count', 'none of them', { ...populate, rc: 0 }, 'holds'],
    ['reservation-count', 'one more than asked', { ...populate, rc: 4 }, 'violated: rc is 4, more than the 3 extents asked for'],
    ['reservation-count', 'below start', { ...populate, start: 2, rc: 1 }, 'violated: rc is 1, below start_extent 2'],
    ['reservation-count', 'none of them, from start on', { ...populate, start: 2, rc: 0 }, 'violated: rc is 0, below start_extent 2'],
    ['reservation-count', 'from start on', { ...populate, start: 2, rc: 3 }, 'holds'],
    ['reservation-count', 'k of an early failure', { ...populate, start: 7, rc: 7 }, 'holds'],
    [
      'reservation-count',
      'beyond start and extents',
      { ...populate, start: 7, rc: 8 },
      'violated: rc is 8, more than the 3 extents asked for',
    ],
    ['reservation-count', 'no errno', { ...populate, rc: -200 }, "violated: rc is -200: no errno of Xen's public errno.h"],
    ['reservation-count', 'an internal errno', { ...populate, rc: -85 }, 'violated: rc is -85 (-ERESTART): internal to the hypervisor'],
    ['reservation-count', 'a known errno', { ...populate, rc: -22 }, 'unknown: a count is answered, and this is none: see capture-rc'],
    ['reservation-count', 'no rc', { ...populate, rc: undefined }, 'unknown: not captured: rc'],
    ['reservation-count', 'start itself, the struct not captured', { ...populate, start: 3, more: { before: unknownMemory } }, 'holds'],
    [
      'reservation-count',
      'more than start, the struct not captured',
      { ...populate, more: { before: unknownMemory } },
      'unknown: not captured: the struct before the call',
    ],
    ['reservation-list', 'a translated guest is told nothing', populate, 'holds'],
    ['reservation-list', 'a translated guest is told all', { ...populate, inAfter: all }, 'holds'],
    ['reservation-list', 'an entry at rc', { ...populate, rc: 1, inAfter: [0x40n, 0x99n, 0x42n] }, 'violated: entry 1 of the list changed'],
    ['reservation-list', 'the entry below rc', { ...populate, rc: 2, inAfter: [0x40n, 0x99n, 0x42n] }, 'holds'],
    [
      'reservation-list',
      'an entry at rc, in a page that was populated',
      { ...populate, in: { list: [IN >> 12n, 0x41n, 0x42n] }, rc: 1, inAfter: [IN >> 12n, 0x99n, 0x42n], more: { space: 'physical' } },
      'holds',
    ],
    [
      'reservation-list',
      'the same, in a page that was not',
      { ...populate, rc: 1, inAfter: [0x40n, 0x99n, 0x42n], more: { space: 'physical' } },
      'violated: entry 1 of the list changed',
    ],
    [
      'reservation-list',
      'an entry before start',
      { ...populate, start: 1, inAfter: [0x99n, 0x41n, 0x42n] },
      'violated: entry 0 of the list changed',
    ],
    [
      'reservation-list',
      'an entry of a refused call',
      { ...populate, rc: -12, inAfter: [0x99n, 0x41n, 0x42n] },
      'violated: entry 0 of the list changed',
    ],
    [
      'reservation-list',
      'an entry of a call that did nothing',
      { ...populate, rc: 0, inAfter: [0x99n, 0x41n, 0x42n] },
      'violated: entry 0 of the list changed',
    ],
    [
      'reservation-list',
      'an entry at rc, from start on',
      { ...populate, start: 1, rc: 2, inAfter: [0x40n, 0x41n, 0x99n] },
      'violated: entry 2 of the list changed',
    ],
    [
      'no-stray-writes',
      'behind a list of which more is counted than there is',
      { ...populate, rc: 4, more: { space: 'physical', domid: 1, changes: [{ address: IN + 24n, length: 8n }] } },
      'violated: 8 bytes at 0x60000118 changed',
    ],
    ['reservation-list', 'PV: all entries written', { ...pv, inAfter: all }, 'holds'],
    [
      'reservation-list',
      'PV: an entry as before',
      { ...pv, inAfter: [0x90n, 0x91n, 0x42n] },
      'unknown: entry 2 is as before: written with the same frame, or not at all',
    ],
    ['reservation-list', 'PV: an entry as before, beyond rc', { ...pv, rc: 2, inAfter: [0x90n, 0x91n, 0x42n] }, 'holds'],
    ['reservation-list', 'PV: an entry as before, below start', { ...pv, start: 1, inAfter: [0x40n, 0x91n, 0x92n] }, 'holds'],
    [
      'reservation-list',
      'PV: the entry at start as before',
      { ...pv, start: 1, inAfter: [0x40n, 0x41n, 0x92n] },
      'unknown: entry 1 is as before: written with the same frame, or not at all',
    ],
    ['reservation-list', 'PV: nothing done', { ...pv, start: 3, rc: 3 }, 'holds'],
    ['reservation-list', 'PV: refused', { ...pv, rc: -12 }, 'holds'],
    ['reservation-list', 'PV: decrease writes nothing', { ...decrease, more: { translated: false } }, 'holds'],
    [
      'reservation-list',
      'decrease writes nothing',
      { ...decrease, inAfter: [0x90n, 0x41n, 0x42n] },
      'violated: entry 0 of the list changed',
    ],
    ['reservation-list', 'increase with a list', { ...increase, inAfter: all }, 'holds'],
    ['reservation-list', 'increase without a list', listless, 'unknown: not exercised by this call'],
    ['reservation-list', 'populate with a list at 0', { op: 'populate_physmap', rc: 1, in: { start: 0n, list: [0x40n] } }, 'holds'],
    ['reservation-list', 'no rc', { ...populate, rc: undefined }, 'unknown: not captured: rc'],
    [
      'reservation-list',
      'no struct',
      { ...populate, more: { before: unknownMemory } },
      'unknown: not captured: the struct before the call',
    ],
    [
      'reservation-list',
      'the list not captured',
      { ...populate, more: structOnly(populate) },
      'unknown: not captured: the in list before the call',
    ],
    [
      'no-stray-writes',
      'the struct is written',
      { ...populate, scribble: { at: 8, after: 1 } },
      'violated: bytes 8..9 of the struct changed [nr_extents 8..9]',
    ],
    ['no-stray-writes', 'an entry below rc', { ...populate, inAfter: all }, 'holds'],
    ['no-stray-writes', 'an entry at rc', { ...populate, rc: 2, inAfter: all }, 'violated: entry 2 of the list changed'],
    [
      'no-stray-writes',
      'address 0 of a call without a list',
      { ...listless, more: { changes: [{ address: 0n, length: 8n }] } },
      'violated: entry 0 of the list changed',
    ],
    ['get-rc-zero-or-negative', 'they return a count', populate, 'not asked'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });

  it.each<[string, Partial<Stage>, string]>([
    [
      'has a hole may be done up to there',
      {
        p2m: [
          [
            [0x40n, 0x90n],
            [0x41n, null],
          ],
          [
            [0x40n, null],
            [0x41n, null],
          ],
        ],
      },
      'unknown: the extent that it stopped at has a hole, and may be done up to there',
    ],
    [
      'is whole is done whole or not at all',
      {
        p2m: [
          [
            [0x40n, 0x90n],
            [0x41n, 0x91n],
          ],
          [
            [0x40n, null],
            [0x41n, 0x91n],
          ],
        ],
      },
      'violated: it counts 0 extents of order 1, and guest frame 0x40 of extent 0 had frame 0x90 behind it and now has no frame',
    ],
    [
      'is of any size is looked at as far as its pages are known',
      { in: { list: [0x40n], order: 63 }, p2m: [[[0x40n, 0x90n]], [[0x40n, 0x90n]]] },
      'unknown: not captured: the p2m after the call',
    ],
  ])('the extent at which a decrease stops and that %s', (_, stage, expected) => {
    expect(said('reservation-effects', { ...decrease, in: { list: [0x40n], order: 1 }, rc: 0, ...stage })).toBe(expected);
  });
});

describe('reservation-effects, of extents that no machine has', () => {
  it('is answered at once where a decrease stopped at such an extent', () => {
    const call = staged({ op: 'decrease_reservation', rc: 0, in: { list: [0x40n], order: 63 }, p2m: [[[0x40n, 0x80n]], [[0x40n, 0x80n]]] });
    expect(judge(call)?.requirements.get('reservation-effects')?.answer).not.toBe('violated');
  });

  it.each([
    ['populate_physmap', 300],
    ['decrease_reservation', 300],
    ['decrease_reservation', 0],
  ] as const)('of extents that lie on each other each page is looked at a few times only: %s, rc %i', (op, rc) => {
    const count = 300;
    let looks = 0;
    class Counted extends Map<bigint, bigint | null> {
      override get(gfn: bigint): bigint | null | undefined {
        looks++;
        return super.get(gfn);
      }
    }
    const frames = Array.from({ length: count }, (_, i) => BigInt(i));
    const map = (isMapped: boolean): Counted => new Counted(frames.map((gfn) => [gfn, isMapped ? gfn + 0x900n : null]));
    const [p2mBefore, p2mAfter] = op === 'populate_physmap' ? [map(false), map(true)] : [map(true), map(rc === 0)];
    const call = staged({ op, rc, in: { list: frames.toReversed(), order: 20 }, more: { p2mBefore, p2mAfter } });
    expect(judge(call)?.requirements.get('reservation-effects')?.answer).toBe('unknown');
    expect(looks).toBeLessThan(20 * count);
  });
});
