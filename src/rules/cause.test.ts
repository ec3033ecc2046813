import { describe, expect, it } from 'vitest';
import { type Stage, staged } from './call.stage.ts';
import { likelyCause } from './cause.ts';
import { judge } from './judge.ts';

const why = (stage: Stage): string | undefined => {
  const judgement = judge(staged(stage));
  return judgement && likelyCause(judgement);
};
const give = (list: bigint[], rc: number, more: Partial<Stage> = {}): Stage => ({
  op: 'decrease_reservation',
  rc,
  ...more,
  in: { list, ...more.in },
});
const refused: Stage = { op: 'exchange', rc: -22, N: 0n };

describe('the likely cause', () => {
  it.each<[what: string, stage: Stage, said: string | undefined]>([
    ['all done', give([0x40n, 0x41n], 2), undefined],
    ['a page given twice', give([0x40600n, 0x40600n], 1), 'stops at extent 1: frame 0x40600 is listed twice, in extent 0 first'],
    ['extents that overlap', give([0x40600n, 0x40601n], 1, { in: { order: 4 } }), 'stops at extent 1: it shares pages with extent 0'],
    ['a pointer', give([3n, 0x55d0c0de1230n, 3n], 1), 'stops at extent 1: frame 0x55d0c0de1230 is beyond any address'],
    ['a hole', give([0x40n, 0x41n], 1, { p2m: [[[0x41n, null]], []] }), 'stops at extent 1: nothing is behind frame 0x41'],
    ['a hole that is populated', give([0x40n, 0x41n], 1, { op: 'populate_physmap', p2m: [[[0x41n, null]], []] }), undefined],
    ['a frame, of which nothing is known', give([0x40n, 0x41n], 1), undefined],
    ['a page named twice only later', give([0x40n, 0x41n, 0x41n], 1), undefined],
    ['an order above the limit', give([0x40n], 0, { in: { order: 19 } }), 'nothing is done for caller-order'],
    ['an order above the limit, done halfway', give([0n, 0x80000n], 1, { in: { order: 19 } }), undefined],
    ['nothing left to do', give([0x40n], 3, { start: 3 }), 'nothing is done for caller-start-extent'],
    ['a failure that is no answer', give([0x40n, 0x40n], -1), undefined],
    ['domids that differ', { ...refused, out: { domid: 1 } }, '-EINVAL is what Xen answers to caller-domid-match'],
    ['totals that differ', { ...refused, out: { list: [0x50n] } }, '-EINVAL is what Xen answers to caller-size-match'],
    ['domids that differ, without memory', { ...refused, rc: -12, out: { domid: 1 } }, undefined],
    ['a clean call', refused, undefined],
    ['no rc', { ...refused, rc: undefined, out: { domid: 1 } }, undefined],
  ])('%s', (_what, stage, said) => {
    expect(why(stage)).toBe(said);
  });
});
