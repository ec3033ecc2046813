import { errno } from '../../../src/abi/constants.ts';
import { OP } from '../../../src/model/decisions.ts';
import { strict } from '../../../src/model/strict.ts';
import { family, type Mutant } from '../mutant.ts';

const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** What nr_exchanged and the return code say of the work that was done. */
export const progress: readonly Mutant[] = family('progress accounting', [
  ['counts one input too few', [], { reportedCount: (done) => most(0n, done - 1n) }],
  ['counts one input too many', [], { reportedCount: (done) => done + 1n }],
  ['counts pages', [], { reportedCount: (done, { inOrder }) => done << BigInt(inOrder & 31) }],
  [
    'counts output extents',
    [],
    { reportedCount: (done, { inOrder, outOrder }) => (done << BigInt(inOrder & 31)) >> BigInt(outOrder & 31) },
  ],
  ['counts chunks', [], { reportedCount: (done, { inOrder, outOrder }) => done >> BigInt(Math.max(0, outOrder - inOrder) & 31) }],
  ['counts what it was asked for, not what it did', [], { reportedCount: (_done, { nrIn }) => nrIn }],
  ['counts the chunk that failed', [], { reportedCount: (done, { rc, nrIn }) => (rc === -errno.ENOMEM && done < nrIn ? done + 1n : done) }],
  ['counts nothing when it fails', [], { reportedCount: (done, { rc }) => (rc < 0 ? 0n : done) }],
  ['leaves the count alone when it fails', [], { writesCount: (rc) => rc === 0 }],
  ['writes the count only when it fails', [], { writesCount: (rc) => rc < 0 }],
  ['returns 0 for what it did not finish', [], { failureRc: () => 0 }],
  ['returns 0 once anything was done', [], { failureRc: (errno, done) => (done > 0 ? 0 : -errno) }],
  ['returns the number of inputs done', [], { failureRc: (errno, done) => (done > 0 ? done : -errno) }],
  ['forgets the last chunk', [], { chunks: (...of) => Math.max(1, strict.chunks(...of) - 1) }],
  // Chunks of the out order only: where the in order is greater, each does a part of the work.
  [
    'stops after as many chunks as there are outputs of in order',
    [],
    { chunks: (i, oi, _o, oo) => Math.floor(Number(i) / 2 ** Math.abs(oo - oi)) },
  ],
  ['works from the last chunk to the first', [], { chunkAt: (n, chunks) => chunks - 1 - n }],
  ['goes on after a chunk that failed', [], { afterFailure: 'skip' }],
  ['starts again from the first chunk when preempted', [], { resumesAt: (cursor, op) => (op === OP.put ? cursor : 0) }],
  ['leaves a chunk out when preempted', [], { resumesAt: (cursor, op) => (op === OP.put ? cursor : cursor + 1) }],
]);
