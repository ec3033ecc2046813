import { hex64 } from '../codec/hex.ts';
import { type Answer, type CapturePiece, holds, holdsUnless, missing, notExercised, unknown, violated } from './answer.ts';
import { isRemapped, moved, pagesGained } from './changes.ts';
import { inputsPerChunk, outputsPerChunk } from './exact.ts';
import type { Extent } from './extents.ts';
import type { Asked, Done, Facts } from './facts.ts';

// The level 1 requirements of op 26: what the p2m must look like after the call. Each stops at the
// first page whose mapping was not observed, so a hostile order costs nothing.

const machineFrames: Answer = unknown('input lists hold machine frames here');
/**
 * An input that is moved before it is exchanged leaves its frame behind, and any new page may get
 * that.
 */
const movedMeanwhile: Answer = unknown('other pages were moved during the call, and inputs may have been');

/** A returned entry, and the frame behind the guest frame that it held before. */
interface Returned {
  readonly index: bigint;
  readonly value: bigint;
  readonly gfn: bigint;
  readonly frame: bigint | null;
}

/**
 * The output entries after the call, below `limit`, beside what is behind the guest frames they
 * held before.
 */
export function* returnedFrames(facts: Facts, limit: bigint): Generator<Returned | Answer> {
  const given = new Map(facts.extents(facts.out).map((e) => [e.index, e.base]));
  let [seen, listed] = [0n, 0n];
  for (const { index, value } of facts.returned) {
    if (index >= limit) continue;
    seen += 1n;
    const gfn = given.get(index);
    if (gfn === undefined) continue;
    listed += 1n;
    const frame = facts.call.p2mAfter.get(gfn);
    yield frame === undefined ? missing('p2m after') : { index, value, gfn, frame };
  }
  if (seen < limit) yield missing('out list after');
  else if (listed < limit) yield missing('out list');
}

/** What must be of a returned entry: it is that frame. */
export const saysReturned = {
  must: ({ value, frame }: Returned): boolean => frame === value,
  else: ({ index, value, gfn, frame }: Returned): string => {
    const behind = frame === null ? 'nothing is' : `frame ${hex64(frame)} is`;
    return `output entry ${index} says frame ${hex64(value)}, but ${behind} behind guest frame ${hex64(gfn)}`;
  },
};

/** A page of a committed output extent: the frame behind it, and behind the extent's first page. */
interface OutputPage {
  readonly extent: Extent;
  readonly k: bigint;
  readonly j: bigint;
  readonly gfn: bigint;
  readonly frame: bigint | null;
  readonly base: bigint | null;
}

/**
 * The pages of every committed output extent. Each extent ends at the first page whose mapping was
 * not observed, so a hostile order costs nothing; and, where `atHole` is given, at the first hole,
 * in whose place it stands.
 */
export function* outputPages(facts: Facts, { done: { K } }: { readonly done: Done }, atHole?: Answer): Generator<OutputPage | Answer> {
  const outputs = facts.extents(facts.out).filter((e) => e.index < K);
  for (const extent of outputs) {
    const base = facts.call.p2mAfter.get(extent.base);
    for (let j = 0n; j < extent.pages; j++) {
      const gfn = extent.base + j;
      const frame = facts.call.p2mAfter.get(gfn);
      if (frame === undefined || base === undefined) {
        yield missing('p2m after');
        break;
      }
      if (frame === null && atHole) {
        yield atHole;
        break;
      }
      yield { extent, k: extent.index, j, gfn, frame, base };
    }
  }
  if (BigInt(outputs.length) < K) yield missing('out list');
}

/**
 * `get-new-pages`: no committed output has a frame that an input of its chunk had, and no page is
 * gained or lost.
 */
export function newPages(facts: Facts): Answer {
  const { p2mBefore, translated } = facts.call;
  const { asked, done } = facts;
  if (!translated) return machineFrames;
  if (!done) return missing(asked ? 'struct after' : 'struct');
  const gained = pagesGained(facts.call);
  if (gained !== undefined) return violated(gained);
  if (done.K === 0n) return notExercised;
  const chunks = chunksOf(done);
  let unseen: CapturePiece | undefined;
  const old = new Map<bigint, Set<bigint | null>>();
  for (const input of facts.extents(facts.in)) {
    const chunk = chunks.ofInput(input);
    const frames = old.get(chunk) ?? new Set();
    old.set(chunk, frames);
    for (let j = 0n; j < input.pages; j++) {
      const frame = p2mBefore.get(input.base + j);
      if (frame === undefined) {
        unseen = 'p2m';
        break;
      }
      frames.add(frame);
    }
  }
  let answer = holdsUnless(unseen ?? facts.unlisted(facts.in));
  for (const page of outputPages(facts, { done })) {
    if ('answer' in page) {
      answer = page;
    } else if (page.frame !== null && old.get(chunks.ofOutput(page.extent))?.has(page.frame)) {
      if (isMovingOthers(facts, done)) return movedMeanwhile;
      return violated(`output extent ${page.k} got frame ${hex64(page.frame)}, which an input of the same chunk had`);
    }
  }
  return answer;
}

/**
 * `get-inputs-released`: each page that N counts is gone, or an output of this call has populated
 * it.
 */
export function inputsReleased(facts: Facts): Answer {
  const { asked, done } = facts;
  if (!done) return missing(asked ? 'struct after' : 'struct');
  const { N, K, I } = done;
  if (!facts.call.translated) return machineFrames;
  const released = N < I ? N : I;
  if (released === 0n) return notExercised;
  const chunks = chunksOf(done);
  const inputs = facts.extents(facts.in).filter((e) => e.index < released);
  const outputs = facts.sorted(facts.out).filter((e) => e.index < K);
  const outputAt = finder(outputs);
  for (const input of inputs) {
    for (let j = 0n; j < input.pages; j++) {
      const gfn = input.base + j;
      const [before, after] = [facts.call.p2mBefore.get(gfn), facts.call.p2mAfter.get(gfn)];
      if (after === undefined) return missing('p2m after');
      if (after === null) continue;
      const output = outputAt(gfn);
      // An output that was not captured may have populated it.
      if (!output && BigInt(outputs.length) < K) return missing('out list');
      if (!output) return violated(`guest frame ${hex64(gfn)} of input extent ${input.index} still has frame ${hex64(after)} behind it`);
      if (chunks.ofOutput(output) !== chunks.ofInput(input)) continue;
      if (before === undefined) return missing('p2m');
      if (before === after) {
        if (isMovingOthers(facts, done)) return movedMeanwhile;
        return violated(`guest frame ${hex64(gfn)} of input extent ${input.index} has kept its frame ${hex64(after)}`);
      }
    }
  }
  return BigInt(inputs.length) === released ? holds : missing('in list');
}

/**
 * The mappings of what the call did not reach: `violated`, or `unknown` where they were not all
 * seen. A move is no change.
 */
export function restUnmoved(facts: Facts, { N, K }: Done): Answer {
  const { p2mBefore, p2mAfter } = facts.call;
  if (!facts.call.translated) return machineFrames;
  if (p2mBefore === p2mAfter) return holds;
  const [inputs, outputs] = [facts.sorted(facts.in), facts.sorted(facts.out)];
  const populatedAt = finder(outputs.filter((e) => e.index < K));
  const releasedAt = finder(inputs.filter((e) => e.index < N));
  const namedAt = [finder(inputs), finder(outputs)];
  // By what was observed and not by what is listed: a list may name millions of pages.
  for (const [gfn, after] of p2mAfter) {
    const before = p2mBefore.get(gfn);
    if (before === undefined || !isRemapped(before, after) || populatedAt(gfn) || releasedAt(gfn)) continue;
    if (!namedAt.some((find) => find(gfn))) continue;
    const unseen = facts.exchangedUnseen;
    if (unseen !== undefined) return missing(unseen);
    return violated(`guest frame ${hex64(gfn)}, which the call did not reach, ${moved(before, after)}`);
  }
  return holds;
}

/**
 * Did a page get another frame that the call has not exchanged? Then it moves pages at any time
 * (`spontaneous-move`).
 */
function isMovingOthers(facts: Facts, { N, K }: Done): boolean {
  const { p2mBefore, p2mAfter } = facts.call;
  const exchanged = [finder(facts.sorted(facts.out).filter((e) => e.index < K)), finder(facts.sorted(facts.in).filter((e) => e.index < N))];
  for (const [gfn, after] of p2mAfter) {
    const before = p2mBefore.get(gfn);
    if (typeof before !== 'bigint' || after === null || before === after) continue;
    if (!exchanged.some((find) => find(gfn))) return true;
  }
  return false;
}

/** Which chunk an extent belongs to. */
function chunksOf({ oi, oo }: Asked): {
  ofInput: (e: Extent) => bigint;
  ofOutput: (e: Extent) => bigint;
} {
  const [perIn, perOut] = [inputsPerChunk(oi, oo), outputsPerChunk(oi, oo)];
  return { ofInput: (e) => e.index / perIn, ofOutput: (e) => e.index / perOut };
}

/**
 * Finds the extent of one sorted list that holds a guest frame. They are of one size, so the last
 * base at or below it decides.
 */
export function finder(sorted: readonly Extent[]): (gfn: bigint) => Extent | undefined {
  return (gfn) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as Extent).base <= gfn) low = middle + 1;
      else high = middle;
    }
    const found = sorted[low - 1];
    return found && gfn < found.base + found.pages ? found : undefined;
  };
}
