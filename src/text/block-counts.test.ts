import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layoutOf } from '../abi/layout.ts';
import { argumentOf, type JudgedOp, XENMEM } from '../abi/ops.ts';
import { bulkJudge } from '../rules/bulk.ts';
import { judge } from '../rules/judge.ts';
import { everyOp } from '../rules/rule.ts';
import { observedCall } from '../trace/call.ts';
import { BlockCounts } from './block-counts.ts';
import { addToDigest, newDigest } from './digest.ts';
import { digestJson } from './digest-text.ts';
import { addJudgement, newTally, tallyJson } from './tally.ts';

const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0n, 1n, 0x7ff0n, 0x7ff0_0000_0000n, 0x12_0000_0001n) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
);

/** Structs judged together and one by one: the tally and the story of each. */
function bothWays(op: JudgedOp, all: readonly Uint8Array[]): [unknown, unknown] {
  const layout = layoutOf(argumentOf[op], 'arm64');
  const callOf = (argument: Uint8Array) => observedCall(XENMEM['dma-buf'][op], { arch: 'arm64', profile: 'dma-buf', argument, domid: 5 });
  const [together, apart] = [0, 1].map(() => ({ tally: newTally(), digest: newDigest() })) as [
    { tally: ReturnType<typeof newTally>; digest: ReturnType<typeof newDigest> },
    { tally: ReturnType<typeof newTally>; digest: ReturnType<typeof newDigest> },
  ];
  const bulk = bulkJudge(layout, callOf(new Uint8Array(layout.size)))!;
  const counts = new BlockCounts(bulk, layout, { ...together, seen: () => {} });
  for (const [i, bytes] of all.entries()) bulk.scan.input.set(bytes, i * layout.size);
  bulk.scan.run(all.length);
  const half = all.length >> 1;
  counts.add(0, half);
  counts.add(half, all.length);
  counts.flush();
  all.forEach((bytes, i) => {
    const call = callOf(bytes);
    const judgement = judge(call);
    addJudgement(apart.tally, judgement);
    addToDigest(apart.digest, call, judgement, `@${i * layout.size}`);
  });
  const said = ({ tally, digest }: typeof together) => [tallyJson(tally), digestJson(digest), tally.lacks];
  return [said(together), said(apart)];
}

describe('structs counted by the block', () => {
  it.each(everyOp)('of %s come to what they come to one by one', (op) => {
    const { size } = layoutOf(argumentOf[op], 'arm64');
    const struct = fc
      .array(word, { minLength: 9, maxLength: 9 })
      .map((words) => new Uint8Array(BigUint64Array.from(words).buffer).slice(0, size));
    fc.assert(
      fc.property(fc.array(struct, { minLength: 1, maxLength: 200 }), (all) => {
        const [together, apart] = bothWays(op, all);
        expect(together).toEqual(apart);
      }),
      { numRuns: process.env['XENMEM_LONG'] ? 1000 : 20 },
    );
  });

  it('do so where there are more kinds than there is room for', () => {
    const all = Array.from({ length: 3000 }, (_, i) => {
      const bytes = new Uint8Array(72);
      const view = new DataView(bytes.buffer);
      view.setUint16(24, i % 90, true); // in.domid
      view.setUint32(16, i % 70, true); // in.extent_order
      view.setUint32(20, i, true); // in.address_bits
      return bytes;
    });
    const [together, apart] = bothWays('get_dma_buf', all);
    expect(together).toEqual(apart);
  });
});
