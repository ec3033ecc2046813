import { expect, it } from 'vitest';
import { codecFor } from '../codec/codec.ts';
import { sparseMemory } from '../guest/memory.ts';
import { observedCall } from '../trace/call.ts';
import { judge } from './judge.ts';
import { judgePutWorks } from './works.ts';

it('does not ask for a put to work whose list is only partly there, though what is there is one commit', () => {
  const reservation = { extent_start: 0x1ff8n, nr_extents: 2n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
  const memory = sparseMemory([
    { address: 0x1000n, bytes: codecFor('arm64').xen_put_dma_buf.encode({ in: reservation }) },
    { address: 0x1ff8n, bytes: Uint8Array.of(0x42, 0, 0, 0, 0, 0, 0, 0) },
  ]);
  const call = observedCall(27, { domid: 1, arg: 0x1000n, rc: -14, before: memory, after: memory, changes: [] });
  const judgement = judge(call);
  const answer =
    judgement &&
    judgePutWorks(judgement, {
      pins: { isPinned: () => true, isExactCommit: (_, gfns) => gfns.size === 1 },
      failureInjected: false,
      isMapped: () => true,
      freeFrames: () => undefined,
      maxOrder: 9,
      maxExtents: 100n,
      maxGfn: 100n,
    });
  expect(answer).toMatchObject({ answer: 'unknown' });
});
