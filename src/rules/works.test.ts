import { describe, expect, it } from 'vitest';
import { codecFor } from '../codec/codec.ts';
import { sparseMemory } from '../guest/memory.ts';
import { observedCall } from '../trace/call.ts';
import { judge } from './judge.ts';
import type { Answer } from './rule.ts';
import { judgePair, judgePutWorks } from './works.ts';

/** The answer to a refused put of so many pages, of which the list holds these, by an implementation of so many extents at most. */
function refusedPut({ nr, entries, maxExtents = 100n }: { nr: bigint; entries: bigint[]; maxExtents?: bigint }): Answer | undefined {
  const reservation = { extent_start: 0x1f00n, nr_extents: nr, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
  const memory = sparseMemory([
    { address: 0x1000n, bytes: codecFor('arm64').xen_put_dma_buf.encode({ in: reservation }) },
    { address: 0x1f00n, bytes: new Uint8Array(BigUint64Array.from(entries).buffer) },
  ]);
  const judgement = judge(observedCall(27, { domid: 1, arg: 0x1000n, rc: -14, before: memory, after: memory, changes: [] }));
  return (
    judgement &&
    judgePutWorks(judgement, {
      pins: { isPinned: () => true, isExactCommit: (_, gfns) => gfns.size === entries.length },
      failureInjected: false,
      isMapped: () => true,
      freeFrames: () => undefined,
      maxOrder: 9,
      maxExtents,
      maxGfn: 100n,
    })
  );
}

describe('put-works', () => {
  it('asks for a put of exactly what one get committed to work', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n, 0x43n] })).toMatchObject({ answer: 'violated' });
  });

  it('does not ask for one whose list is only partly there, though what is there is one commit', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n] })).toMatchObject({ answer: 'unknown' });
  });

  it('does not ask for one of more extents than the implementation says it takes', () => {
    expect(refusedPut({ nr: 2n, entries: [0x42n, 0x43n], maxExtents: 1n })).toMatchObject({ answer: 'unknown' });
  });
});

describe('a pair of runs', () => {
  it('shows nothing where the count could be read in one of them only', () => {
    const [counted, blind] = [
      { rc: -12, N: 2n },
      { rc: -12, N: undefined },
    ];
    const all = [
      [blind, blind, counted],
      [counted, counted, blind],
      [counted, blind, counted],
    ] as const;
    expect(all.map(([a, b, c]) => judgePair(a, b, c).answer)).toEqual(['unknown', 'unknown', 'unknown']);
    expect([judgePair(blind, blind, blind).answer, judgePair(counted, counted, counted).answer]).toEqual(['holds', 'holds']);
  });
});
