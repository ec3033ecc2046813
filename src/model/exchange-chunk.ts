import { errno } from '../abi/constants.ts';
import { releaseRun, take } from './allocator.ts';
import { readEntry, writeEntry } from './lists.ts';
import { mapPage, mappableGfns, releaseFrame, unmapPage } from './p2m.ts';
import type { Domain } from './state.ts';
import { type Work, writeOutput } from './work.ts';

/** Exchanges one chunk, or nothing: the errno of what stands against it, 0 when it is done. */
export function exchangeChunk(w: Work, chunk: number): number {
  w.gfns = [];
  w.frames = [];
  w.gpfns = [];
  w.blocks = [];
  const refused = takeInputs(w, chunk) || readOutputs(w, chunk) || allocateOutputs(w) || assignable(w);
  if (refused !== 0 || w.ended) {
    giveBack(w);
    spoilEntries(w, chunk);
    return refused;
  }
  releaseInputs(w, chunk);
  return populateOutputs(w, chunk);
}

/** Would the inputs of all chunks be accepted? Nothing is changed. */
export function lookAhead(w: Work, from: number): number {
  let refused = 0;
  for (let chunk = from; chunk < w.chunks && refused === 0; chunk++) refused = takeInputs(w, chunk);
  for (const frame of w.frames) w.domain.owned.add(frame);
  return refused;
}

/** Takes the ownership of each input page away, so that no page is taken twice. Mapping and content stay until the commit. */
function takeInputs(w: Work, chunk: number): number {
  const { domain, inPages } = w;
  const { state, caller, d } = w.call;
  const cannotSteal = d.cannotSteal(state.arch);
  for (let i = chunk * w.inPerChunk, end = i + w.inPerChunk; i < end; i++) {
    const base = readEntry(state, caller, w.inList, i, d);
    if (base === undefined) return errno.EFAULT;
    if (d.misaligned !== 0 && base % inPages !== 0) return d.misaligned;
    for (let j = 0; j < inPages; j++) {
      const frame = domain.p2m.get(base + j);
      if (frame === undefined) {
        if (d.inputUnmapped !== 0) return d.inputUnmapped;
        continue;
      }
      if (domain.pins.has(base + j)) {
        const refused = d.pinRefuses('input'); // get-pinned
        if (refused !== 0) return refused;
      }
      if (cannotSteal !== 0) return cannotSteal;
      if (!domain.owned.delete(frame) && d.inputTwice !== 0) return d.inputTwice;
      w.gfns.push(base + j);
      w.frames.push(frame);
    }
  }
  return 0;
}

/** Reads the GPFNs to be populated: each a hole, or an input of this very chunk (get-same-gfn). */
function readOutputs(w: Work, chunk: number): number {
  const { domain, outPages } = w;
  const { state, caller, d } = w.call;
  if (d.readsGpfns === 'after') return 0;
  for (let k = chunk * w.outPerChunk, end = k + w.outPerChunk; k < end; k++) {
    const base = readEntry(state, caller, w.outList, k, d);
    if (base === undefined) return errno.EFAULT;
    if (d.misaligned !== 0 && base % outPages !== 0) return d.misaligned;
    if (d.outputBeyond !== 0 && !(base + outPages <= mappableGfns(state.arch))) return d.outputBeyond;
    for (let j = 0; j < outPages; j++) {
      const frame = domain.p2m.get(base + j);
      if (frame === undefined || !domain.owned.has(frame)) continue;
      const refused = (domain.pins.has(base + j) && d.pinRefuses('output')) || d.outputPopulated;
      if (refused !== 0) return refused;
    }
    w.gpfns.push(base);
  }
  return d.outputTwice !== 0 && overlap(w.gpfns, outPages) ? d.outputTwice : 0;
}

/** Finds memory for the outputs: before the inputs are given up, so that no frame is its own replacement (get-new-pages). */
function allocateOutputs(w: Work): number {
  const { call } = w;
  w.source = 'allocator';
  for (let k = 0; k < w.outPerChunk; k++) {
    if (call.allocations++ === call.inject.fail_alloc || !allocateExtent(w, k)) {
      if (call.d.noMemory !== 0) return call.d.noMemory;
    }
  }
  return 0;
}

function allocateExtent(w: Work, k: number): boolean {
  const { outOrder, domain } = w;
  const { state, d } = w.call;
  if (outOrder === 0 && (d.reusesInputs || d.takesForeignFrames)) {
    const other = d.takesForeignFrames ? [...state.domains.values()].find((o) => o !== domain && o.p2m.size > k) : undefined;
    const frame = other ? [...other.p2m.values()][k] : d.reusesInputs ? w.frames.at(-1 - k) : undefined;
    if (frame !== undefined) {
      w.source = other ? 'foreign' : 'inputs';
      w.blocks.push(frame);
      return true;
    }
  }
  const order = d.blockOrder(outOrder);
  const skew = d.skew(outOrder);
  const cut = skew === 0 ? order : order + 1;
  for (let pages = 0; pages < w.outPages; pages += 2 ** order) {
    let base = take(state.free, cut, w.limit, d.prefers);
    if (base === undefined && d.ignoresLimitWhenShort) base = take(state.free, cut, Number.POSITIVE_INFINITY, d.prefers);
    if (base === undefined) return false;
    if (skew !== 0) {
      releaseRun(state.free, base, skew);
      releaseRun(state.free, base + skew + 2 ** order, 2 ** order - skew);
    }
    w.blocks.push(base + skew);
  }
  return true;
}

function assignable(w: Work): number {
  w.ended = w.domain.dying;
  return w.ended ? w.call.d.dying : 0;
}

/** Undoes what was prepared: the chunk is as if it had never been looked at (get-rest-untouched, frames-conserved). */
function giveBack(w: Work): void {
  const { domain } = w;
  const { state, d } = w.call;
  w.frames.forEach((frame, i) => {
    if (d.rollsBack) {
      domain.owned.add(frame);
    } else {
      unmapPage(domain, w.gfns[i] as number);
      releaseFrame(state, frame, d);
    }
  });
  if (w.source !== 'allocator' || d.failedFrames === 'lost') return;
  const pages = 2 ** d.blockOrder(w.outOrder);
  for (const block of w.blocks) {
    if (d.failedFrames === 'freed') releaseRun(state.free, block, pages);
    else for (let j = 0; j < pages; j++) charge(domain, block + j);
  }
}

/** "The first nr_exchanged input extents were successfully deallocated". */
function releaseInputs(w: Work, chunk: number): void {
  const { domain } = w;
  const { state, caller, d } = w.call;
  for (let i = 0; i < w.gfns.length; i++) {
    const frame = w.frames[i] as number;
    if (d.unmapsInputs) unmapPage(domain, w.gfns[i] as number);
    if (w.source === 'inputs') continue;
    if (d.inputFrames === 'kept') charge(domain, frame);
    else releaseFrame(state, frame, d);
    if (d.inputFrames === 'freed twice') releaseFrame(state, frame, d);
  }
  if (d.inputEntry) {
    for (let i = 0; i < w.inPerChunk; i++) {
      writeEntry(state, caller, w.inList, chunk * w.inPerChunk + i, d.inputEntry(w.gfns[i * w.inPages] as number), d);
    }
  }
}

/** "out.extent_start lists GPFN bases to be populated" and "is overwritten with allocated GMFN bases"; the new pages are pinned. */
function populateOutputs(w: Work, chunk: number): number {
  const { domain, outPages } = w;
  const { state, caller, d, op } = w.call;
  const pins = d.pins(op);
  const perExtent = outPages / 2 ** d.blockOrder(w.outOrder);
  for (let k = 0; k < w.outPerChunk; k++) {
    const extent = chunk * w.outPerChunk + k;
    const first = w.blocks[k * perExtent];
    if (first === undefined) continue;
    const gpfn = d.readsGpfns === 'before' ? w.gpfns[k] : readEntry(state, caller, w.outList, extent, d);
    for (let j = 0; j < outPages; j++) {
      const source = d.memoryOf(j, outPages);
      const page = source < 0 ? j : source;
      const frame = perExtent === 1 ? first + page : frameOf(w, k * perExtent, page);
      if (gpfn === undefined || gpfn + j >= mappableGfns(state.arch) || source < 0) {
        charge(domain, frame);
        continue;
      }
      const old = domain.p2m.get(gpfn + j);
      if (old !== undefined && domain.owned.has(old)) domain.unaddressed++;
      domain.owned.add(frame);
      mapPage(domain, gpfn + j, frame);
      if (pins && d.pinsSide === 'outputs' && d.pinsPage(j, outPages, extent)) domain.pins.add(gpfn + j);
    }
    if (gpfn !== undefined && handOver(w, extent, first, gpfn)) continue;
    w.lateFault = errno.EFAULT;
    if (d.lateFault !== 'does not count') continue;
    for (const block of w.blocks.slice((k + 1) * perExtent)) releaseRun(state.free, block, outPages / perExtent);
    return errno.EFAULT;
  }
  if (pins && d.pinsSide === 'inputs') for (const gfn of w.gfns) domain.pins.add(gfn);
  return 0;
}

/** Tells the guest the frame of an output extent; `false` if the entry faults. */
function handOver(w: Work, extent: number, mfn: number, gpfn: number): boolean {
  const { state, d, op } = w.call;
  const when = d.writesMfns(op, state.arch);
  const slot = d.outputSlot(extent, w.nrOut);
  if (when === 'never' || slot < 0) return true;
  const frame = d.outputEntry(mfn, gpfn, extent);
  if (when === 'per chunk') return writeOutput(w, slot, frame);
  w.pending.push(slot, frame);
  return true;
}

function spoilEntries(w: Work, chunk: number): void {
  const { failedEntry } = w.call.d;
  if (!failedEntry) return;
  for (const [k, gpfn] of w.gpfns.entries()) writeOutput(w, chunk * w.outPerChunk + k, failedEntry(gpfn));
}

/** A page that the domain owns and cannot reach. */
function charge(domain: Domain, frame: number): void {
  domain.owned.add(frame);
  domain.unaddressed++;
}

function frameOf(w: Work, firstBlock: number, page: number): number {
  const order = w.call.d.blockOrder(w.outOrder);
  return (w.blocks[firstBlock + Math.floor(page / 2 ** order)] as number) + (page % 2 ** order);
}

function overlap(bases: readonly number[], pages: number): boolean {
  if (bases.length < 2) return false;
  const sorted = [...bases].sort((a, b) => a - b);
  return sorted.some((base, i) => i > 0 && base - (sorted[i - 1] as number) < pages);
}
