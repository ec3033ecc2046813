import { errno } from '../abi/constants.ts';
import type { Field } from '../abi/layout.ts';
import { codecFor } from '../codec/codec.ts';
import { exchangeChunk, lookAhead } from './exchange-chunk.ts';
import { type At, readBytes, storeBytes } from './p2m.ts';
import { type Call, NOTHING_LEFT, type Request, refusalOf, requestOf, structAt } from './request.ts';
import { type Work, workOf, writeOutput } from './work.ts';

/** What a pass returns when the call has been preempted; no return code of a hypercall, not even of a faulty one. */
const PREEMPTED = Number.POSITIVE_INFINITY;

/**
 * XENMEM_get_dma_buf and XENMEM_exchange: "exchanges the pages passed in with a new set of pages, contiguous and under 4G if
 * so requested"; get also pins them. Returns 0 or a negative errno. After a preemption the call is issued again, as real Xen
 * does: the struct is read afresh, with nr_exchanged as the cursor.
 */
export function getDmaBuf(call: Call): number {
  for (; ; call.fresh = false) {
    const rc = exchangePass(call);
    if (rc !== PREEMPTED) return rc;
    call.op = call.d.continuationOp(call.op);
    if (call.op < 0) return call.op;
  }
}

function exchangePass(call: Call): number {
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
    if ((n + 1 - first) % interval === 0 && n + 1 < w.chunks && done * w.inPerChunk > call.reached) {
      if (!d.keepsPins('preemption')) w.domain.pins.clear();
      if (!writePending(w, 0) || !writeCount(call, where as At, BigInt(done * w.inPerChunk))) return 0 - errno.EFAULT;
      call.reached = done * w.inPerChunk;
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
  const { layout } = codecFor(d.structArch(state.arch)).xen_get_dma_buf;
  const { offset, size } = layout.fields[layout.fields.length - 1] as Field;
  const [from, length] = d.countField(offset, size);
  const start = where.offset + from;
  const word = new Uint8Array(Math.max(8, length));
  const low = Number(BigInt.asUintN(32, count));
  const high = Number(BigInt.asUintN(32, count >> 32n));
  for (let i = 0; i < 4; i++) {
    word[i] = low >>> (8 * i);
    word[i + 4] = high >>> (8 * i);
  }
  const to = { page: where.page + (start >>> 12), offset: start & 0xfff };
  return storeBytes(state, caller, to, length === word.length ? word : word.subarray(0, length));
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
function rewriteStruct(call: Call, where: At, change: (bytes: Uint8Array) => void): void {
  const { state, caller, d } = call;
  const { size } = codecFor(d.structArch(state.arch)).xen_get_dma_buf;
  const bytes = readBytes(state, caller, where, size)?.slice();
  if (!bytes) return;
  change(bytes);
  storeBytes(state, caller, where, bytes);
}
