import { expect, it } from 'vitest';
import type { JudgedOp } from '../abi/ops.ts';
import { type Stage, staged } from './call.stage.ts';
import { judge } from './judge.ts';

const many = 25_000;
const list = (from: number): bigint[] => Array.from({ length: many }, (_, i) => BigInt(from + 2 * i));
const [ins, outs] = [list(0x100_0000), list(0x200_0000)];
/** Every other entry is written, so that there are as many changes as entries. */
const written = (entries: readonly bigint[]): bigint[] => entries.map((gfn, i) => (i % 2 === 0 ? gfn + 1n : gfn));
const [beside, side] = [0x7000_0000n, { bits: 32, order: 1 }];

// The limit of time is what holds it: to compare each entry with each takes several times as long.
it.each<[JudgedOp, Partial<Stage>]>([
  ['get_dma_buf', { rc: 0, N: BigInt(many) }],
  ['put_dma_buf', { rc: -22 }],
  ['decrease_reservation', { rc: many }],
  ['populate_physmap', { rc: many }],
])('%s of 25000 extents is judged in a time that grows with the list, not with its square', { timeout: 3000 }, (op, rest) => {
  const asked = { op, in: { ...side, list: ins }, out: { ...side, start: beside, list: outs }, ...rest };
  for (const seen of [{}, { inAfter: written(ins), returned: written(outs) }]) {
    const judgement = judge(staged({ ...asked, ...seen, more: { space: 'physical', domid: 1 } }));
    expect([...(judgement?.requirements.keys() ?? [])]).toContain('no-stray-writes');
  }
});
