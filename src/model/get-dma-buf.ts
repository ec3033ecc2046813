import { errno } from '../abi/constants.ts';
import { releaseRun, take } from './allocator.ts';
import {
  type Call,
  frameLimit,
  isMisaligned,
  isReadable,
  isRefusedHandle,
  pagesOf,
  preemptedAfter,
  readEntries,
  readStruct,
  refusedDomain,
  writeEntry,
  writeNrExchanged,
} from './call.ts';
import { type Exchange, exchangeOf, overlapsLaterInput } from './exchange.ts';
import { giveUp, mapPage, mappableGfns } from './p2m.ts';
import type { Domain } from './state.ts';

const { EFAULT, EINVAL, ENOMEM, EPERM, ERESTART } = errno;

/** What a chunk takes and gives, when nothing stands against it any more. */
interface Chunk {
  /** The pages to be given up, each once. */
  readonly inputs: ReadonlySet<number>;
  /** "GPFN bases to be populated", and the first frame of the memory for each. */
  readonly gpfns: readonly number[];
  readonly frames: readonly number[];
}

/**
 * XENMEM_get_dma_buf: "exchanges the pages passed in with a new set of pages, contiguous and under
 * 4G if so requested. The new pages are going to be "pinned"". XENMEM_exchange is the same without
 * pins. "Returns zero on complete success, otherwise a negative error code." Preempted, the call is
 * made again, as Xen does it, and goes on at nr_exchanged.
 */
export function getDmaBuf(call: Call, pins: boolean): number {
  for (let fresh = true; ; fresh = false) {
    const rc = exchange(call, pins, fresh);
    if (rc !== -ERESTART) return rc;
  }
}

function exchange(call: Call, pins: boolean, fresh: boolean): number {
  const asked = readStruct(call, 'xen_get_dma_buf');
  if (!asked) return -EFAULT; // bad-address-fails: nothing can be written back either
  const x = exchangeOf(call, asked);
  const refused = refusal(call, x, fresh);
  if (refused !== 0) return ended(call, -refused, asked.nr_exchanged);

  const chunks = Number(asked.in.nr_extents) / x.insPerChunk;
  const pause = preemptedAfter(call, x.insPerChunk);
  const count = (done: number): bigint => BigInt(done * x.insPerChunk);
  let done = Math.floor(Number(asked.nr_exchanged) / x.insPerChunk);
  for (let n = 1; done < chunks; n++) {
    const chunk = chunkAt(call, x, done);
    // "3. All other input and output extents are untouched." "4. If not all input exents are
    // exchanged then the return code of this command will be non-zero."
    if (typeof chunk === 'number') return ended(call, -chunk, count(done));
    const told = commit(call, x, chunk, done, pins);
    done++;
    if (!told) return ended(call, -EFAULT, count(done)); // done, though a list has gone with the pages: bad-address-fails
    if (n === pause && done < chunks) return ended(call, -ERESTART, count(done));
  }
  // "On complete success then always @nr_exchanged == @in.nr_extents."
  return ended(call, 0, count(done));
}

/**
 * "[OUT] Number of input extents that were successfully exchanged": written however the call ends.
 */
function ended(call: Call, rc: number, nrExchanged: bigint): number {
  return writeNrExchanged(call, nrExchanged) ? rc : -EFAULT;
}

/** The first guard that fails, as an errno, or 0. Nothing has happened yet. */
function refusal(call: Call, x: Exchange, fresh: boolean): number {
  const { caller, freedoms } = call;
  const { in: given, out: wanted, nr_exchanged: done, ins, outs } = x;
  const { max_order, max_order_unprivileged, max_extents } = freedoms['more-limits'];
  const order = Math.max(given.extent_order, wanted.extent_order);

  if (done > given.nr_extents) return EINVAL; // get-partial-count
  // "5. THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!"
  if (fresh && done !== 0n && freedoms['count-not-zero'] === 'refused') return EINVAL; // caller-nr-exchanged-zero
  // "1. @in.domid == @out.domid", as raw numbers
  if (given.domid !== wanted.domid) return EINVAL; // get-refuses-domid-mismatch
  if (order > max_order) return EINVAL; // bounded-work: before anything is shifted by it
  if (given.nr_extents > max_extents || wanted.nr_extents > max_extents) return EINVAL; // bounded-work
  // "2. @in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order"
  const isSameSize = given.nr_extents << BigInt(given.extent_order) === wanted.nr_extents << BigInt(wanted.extent_order);
  if (!isSameSize) return EINVAL; // get-refuses-size-mismatch
  // "3. @in.extent_start and @out.extent_start lists must not overlap": the caller's to keep
  // (caller-lists-disjoint)
  if (isRefusedHandle(call, given) || isRefusedHandle(call, wanted)) return EFAULT; // caller-handle-high-zero
  if (ins.wraps || outs.wraps) return EFAULT; // bad-address-fails
  if (order > max_order_unprivileged && !caller.privileged) return EPERM; // bounded-work
  const foreign = refusedDomain(call, x.named, given.domid);
  if (foreign !== 0) return foreign; // get-refuses-foreign-domid, caller-self-only
  const looksAhead = freedoms['bad-list'] === 'up-front';
  if (looksAhead && !(isReadable(call, ins) && isReadable(call, outs))) return EFAULT; // bad-address-fails
  if (!fresh) return 0;
  if (freedoms['later-input'] === 'refused' && overlapsLaterInput(call, x)) return EINVAL; // caller-out-not-later-input
  const all = freedoms['late-fault'] === 'up-front' ? inputsOf(call, x, 0, Number(given.nr_extents)) : undefined;
  return typeof all === 'number' ? all : 0;
}

/**
 * Looks at a chunk and finds memory for it: what it takes and gives, or the errno of the guard that
 * fails.
 */
function chunkAt(call: Call, x: Exchange, index: number): Chunk | number {
  const { outs, outPages, insPerChunk, outsPerChunk } = x;
  const { state, freedoms } = call;
  const { p2m, pins, dying } = x.named as Domain;
  const inputs = inputsOf(call, x, index * insPerChunk, insPerChunk);
  if (typeof inputs === 'number') return inputs;

  // "4. @out.extent_start lists GPFN bases to be populated": holes, or inputs of this very chunk
  // (get-same-gfn)
  const gpfns = readEntries(call, outs, index * outsPerChunk, outsPerChunk);
  if (!gpfns) return EFAULT; // bad-address-fails
  if (isMisaligned(call, gpfns, outPages)) return EINVAL; // caller-extent-aligned
  const outputs = new Set<number>();
  for (const gfn of pagesOf(gpfns, outPages)) {
    if (gfn >= mappableGfns(state.arch)) return EINVAL; // get-populates-gpfns
    if (outputs.has(gfn)) return EINVAL; // frames-conserved: a page is populated once
    outputs.add(gfn);
    if (!p2m.has(gfn) || inputs.has(gfn)) continue;
    if (pins.has(gfn) && freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned
    if (freedoms['populated-output'] === 'refused') return EINVAL; // populated-output
  }

  if (dying) return EINVAL; // no page can be assigned to it any more: get-incomplete-nonzero
  // Before the old memory is given up, so that no frame is its own replacement (get-new-pages)
  const frames = allocate(call, x);
  return frames ? { inputs, gpfns, frames } : ENOMEM;
}

/** The pages that some input extents name, or the errno of the guard that fails. */
function inputsOf(call: Call, { named, ins, inPages }: Exchange, first: number, count: number): Set<number> | number {
  const { p2m, pins } = named as Domain;
  const bases = readEntries(call, ins, first, count);
  if (!bases) return EFAULT; // bad-address-fails
  if (isMisaligned(call, bases, inPages)) return EINVAL; // caller-extent-aligned
  const inputs = new Set<number>();
  for (const gfn of pagesOf(bases, inPages)) {
    if (!p2m.has(gfn)) return EINVAL; // frames-conserved: no page is there to be exchanged
    if (pins.has(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return EINVAL; // get-pinned
    if (inputs.has(gfn)) return EINVAL; // frames-conserved: a page is exchanged once
    inputs.add(gfn);
  }
  return inputs;
}

/**
 * Memory for each output extent of a chunk, contiguous, aligned and below the limit; all of them,
 * or none.
 */
function allocate(call: Call, { out: { extent_order, address_bits }, outPages, outsPerChunk }: Exchange): number[] | undefined {
  const { free } = call.state;
  const frames: number[] = [];
  while (frames.length < outsPerChunk) {
    const isToFail = call.allocations++ === call.inject.fail_alloc;
    const mfn = isToFail ? undefined : take(free, extent_order, frameLimit(address_bits)); // get-address-limit
    if (mfn === undefined) {
      for (const taken of frames) releaseRun(free, taken, outPages);
      return undefined;
    }
    frames.push(mfn);
  }
  return frames;
}

/**
 * Exchanges a chunk, which cannot fail any more; false where an entry of the list could not be
 * written.
 */
function commit(call: Call, x: Exchange, { inputs, gpfns, frames }: Chunk, index: number, pins: boolean): boolean {
  const domain = x.named as Domain;
  // "1. The first @nr_exchanged input extents were successfully deallocated."
  for (const gfn of inputs) giveUp(call.state, domain, gfn);
  let told = true;
  for (const [k, mfn] of frames.entries()) {
    for (let j = 0; j < x.outPages; j++) {
      const gfn = (gpfns[k] as number) + j;
      if (domain.p2m.has(gfn)) domain.unaddressed++; // overwritten: the old page stays owned, and no gfn leads to it
      mapPage(domain, gfn, mfn + j); // get-contiguous
      domain.owned.add(mfn + j);
      if (pins) domain.pins.add(gfn);
    }
    // "5. @out.extent_start is overwritten with allocated GMFN bases"; "2. The corresponding first
    // entries in the output extent list correctly indicate the GMFNs that were successfully
    // exchanged."
    told = writeEntry(call, x.outs, index * x.outsPerChunk + k, mfn) && told;
  }
  return told;
}
