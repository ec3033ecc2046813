import { errno } from '../abi/constants.ts';
import { fieldOf } from '../abi/layout.ts';
import { codecFor } from '../codec/codec.ts';
import { OP } from './decisions.ts';
import { exchangeChunk, lookAhead, type Work, workOf, writeOutput } from './exchange-chunk.ts';
import { type At, readBytes, storeBytes } from './p2m.ts';
import { type Call, NOTHING_LEFT, refusalOf, type Request, requestOf, structAt } from './request.ts';

/** What a pass returns when the call has been preempted; no return code of a hypercall. */
const PREEMPTED = 1;

/**
 * XENMEM_get_dma_buf and XENMEM_exchange: "exchanges the pages passed in with a new set of pages, contiguous and under 4G if
 * so requested"; get also pins them. Returns 0 or a negative errno. After a preemption the call is issued again, as real Xen
 * does: the struct is read afresh, with nr_exchanged as the cursor.
 */
export function getDmaBuf(call: Call): number {
  for (let reached = 0n; ; call.fresh = false) {
    const rc = exchangePass(call, reached, (done) => {
      reached = done;
    });
    if (rc !== PREEMPTED) return rc;
    call.op = call.d.continuationOp(call.op);
  }
}

function exchangePass(call: Call, reached: bigint, reach: (done: bigint) => void): number {
  const { state, caller, d } = call;
  const codec = codecFor(d.structArch(state.arch)).xen_get_dma_buf;
  const where = structAt(call, codec.size);
  const bytes = where && readBytes(state, caller, where, codec.size);
  if (!bytes) return 0 - d.structUnreadable; // bad-address-fails: nothing can be written back either
  const asked = d.exchangeSeen(codec.decode(bytes));
  const request = requestOf(call, asked.in, asked.out, asked.nr_exchanged);
  const refused = refusalOf(call, request);
  if (refused === NOTHING_LEFT) return 0;
  if (refused !== 0 && !(d.effectBeforeRefusal && call.fresh)) return finish(call, where as At, request, 0 - refused, asked.nr_exchanged);

  const w = workOf(call, request);
  const first = Math.floor(d.resumesAt(Number(asked.nr_exchanged), call.op) / w.inPerChunk);
  let rc = 0;
  let done = first;
  if (d.validatesAhead && call.fresh) rc = 0 - lookAhead(w, first);
  const interval = intervalOf(w);
  for (let n = first; n < w.chunks && rc === 0; n++) {
    const failed = exchangeChunk(w, d.chunkAt(n, w.chunks));
    if (failed !== 0 || w.ended) {
      if (failed !== 0 && d.afterFailure === 'skip') continue;
      rc = d.failureRc(failed, done * w.inPerChunk);
      break;
    }
    done++;
    if (w.lateFault !== 0 && d.lateFault === 'counts') break;
    const count = BigInt(done * w.inPerChunk);
    if ((n + 1 - first) % interval === 0 && n + 1 < w.chunks && count > reached) {
      if (!d.keepsPins('preemption')) w.domain.pins.clear();
      if (!writePending(w, 0) || !writeCount(call, where as At, count)) return 0 - errno.EFAULT;
      reach(count);
      return PREEMPTED;
    }
  }
  if (rc === 0) rc = 0 - (refused || w.lateFault);
  if (rc < 0 && !d.keepsPins('failure')) w.domain.pins.clear();
  if (!writePending(w, rc)) rc = 0 - errno.EFAULT;
  if (rc === 0) for (let i = 0; i < d.extraEntries; i++) writeOutput(w, w.nrOut + i, w.blocks[0] ?? 0);
  return finish(call, where as At, request, rc, BigInt(done * w.inPerChunk));
}

/** Chunks between preemptions: the input extents asked for, rounded up. */
function intervalOf(w: Work): number {
  const extents = w.call.d.preemptsAfter(w.call.inject.preempt);
  return extents === undefined || !(extents > 0) ? Number.POSITIVE_INFINITY : Math.ceil(extents / w.inPerChunk);
}

/** "[OUT] Number of input extents that were successfully exchanged": written on every return but that for an unreadable struct. */
function finish(call: Call, where: At, request: Request, rc: number, done: bigint): number {
  const { d } = call;
  const { in: input, out } = request;
  const { nr_extents: nrIn, extent_order: inOrder } = input;
  const { nr_extents: nrOut, extent_order: outOrder } = out ?? input;
  const count = d.reportedCount(done, { op: call.op, rc, nrIn, nrOut, inOrder, outOrder });
  if (d.structRewritten) rewriteStruct(call, where, d.structRewritten);
  if (d.writesCount(rc) && !writeCount(call, where, count)) return 0 - errno.EFAULT;
  return rc;
}

function writeCount(call: Call, where: At, count: bigint): boolean {
  const { state, caller, d } = call;
  const { offset, size } = fieldOf(codecFor(d.structArch(state.arch)).xen_get_dma_buf.layout, 'nr_exchanged');
  const [from, length] = d.countField(offset, size);
  const word = new Uint8Array(Math.max(8, length));
  new DataView(word.buffer).setBigUint64(0, BigInt.asUintN(64, count), true);
  const start = where.offset + from;
  return storeBytes(state, caller, { page: where.page + (start >>> 12), offset: start & 0xfff }, word.subarray(0, length));
}

/** Writes MFNs that were kept back; `false` if one faults. */
function writePending(w: Work, rc: number): boolean {
  const { d, op, state } = w.call;
  let written = true;
  if (w.pending.length > 0 && (rc === 0 || d.writesMfns(op, state.arch) !== 'on success')) {
    for (let i = 0; i < w.pending.length; i += 2) {
      written = writeOutput(w, w.pending[i] as number, w.pending[i + 1] as number) && written;
    }
  }
  w.pending = [];
  return written;
}

/** What a hypervisor does that writes the whole struct back instead of its one output. */
export function rewriteStruct(call: Call, where: At, change: (bytes: Uint8Array) => void): void {
  const { state, caller, d, op } = call;
  const codecs = codecFor(d.structArch(state.arch));
  const { size } = op === OP.get || op === OP.exchange ? codecs.xen_get_dma_buf : codecs.xen_memory_reservation;
  const bytes = readBytes(state, caller, where, size)?.slice();
  if (!bytes) return;
  change(bytes);
  storeBytes(state, caller, where, bytes);
}
