import { hex64 } from '../codec/hex.ts';
import { knownEntries } from '../guest/handle.ts';
import { moved } from './changes.ts';
import { inputsPerChunk, outputsPerChunk } from './exact.ts';
import type { Asked, Done, Extent, Facts } from './facts.ts';
import { type Answer, holds, mappingUnseen, notCaptured, notExercised, unknown, unless, type Violation, violated } from './rule.ts';

// The level 1 requirements of op 26: what the p2m must look like after the call. Each stops at the first page whose mapping
// was not observed, so a hostile order costs nothing.

const machineFrames: Answer = unknown('input lists hold machine frames here');

/** A committed output extent: the guest frames it populates. */
type Output = Extent;

/** For all k < limit: the output entry after the call is the frame behind the guest frame it held before. */
export function returnedFrames(facts: Facts, limit: bigint | undefined): Answer {
  if (limit === undefined || !facts.asked) return notCaptured;
  if (limit === 0n) return notExercised;
  const given = new Map(facts.extents(facts.out).map((e) => [e.index, e.base]));
  let judged = 0n;
  for (const { index, value } of knownEntries(facts.call.after, facts.asked.outs)) {
    const gfn = given.get(index);
    if (index >= limit || gfn === undefined) continue;
    const frame = facts.call.p2mAfter.get(gfn);
    if (frame === undefined) continue;
    if (frame !== value) {
      const behind = frame === null ? 'nothing is' : `frame ${hex64(frame)} is`;
      return violated(`output entry ${index} says frame ${hex64(value)}, but ${behind} behind guest frame ${hex64(gfn)}`);
    }
    judged += 1n;
  }
  return judged === limit ? holds : mappingUnseen(facts);
}

/** Judges each page of each committed output extent by the frame behind it; `base` is the frame behind the extent's first page. */
export function mappedAtOutputs(facts: Facts, check: (base: bigint, j: bigint, frame: bigint) => string | undefined): Answer {
  return forOutputs(facts, (output) => {
    // Of a hole get-populates-gpfns says what is wrong.
    const base = facts.call.p2mAfter.get(output.base) ?? undefined;
    if (base === undefined) return 'unseen';
    for (let j = 1n; j < output.pages; j++) {
      const frame = facts.call.p2mAfter.get(output.base + j) ?? undefined;
      if (frame === undefined) return 'unseen';
      const message = check(base, j, frame);
      if (message) return { message: `output extent ${output.index}: ${message}` };
    }
    return undefined;
  });
}

export function populated(facts: Facts): Answer {
  return forOutputs(facts, (output) => {
    for (let j = 0n; j < output.pages; j++) {
      const frame = facts.call.p2mAfter.get(output.base + j);
      if (frame === undefined) return 'unseen';
      if (frame === null) return { message: `output extent ${output.index}: nothing is behind guest frame ${hex64(output.base + j)}` };
    }
    return undefined;
  });
}

export function newPages(facts: Facts): Answer {
  const { pagesBefore, pagesAfter, p2mBefore, p2mAfter, translated } = facts.call;
  if (!translated) return machineFrames;
  if (!facts.done) return notCaptured;
  if (facts.done.K === 0n) return notExercised;
  if (pagesBefore !== undefined && pagesAfter !== undefined && pagesBefore !== pagesAfter) {
    return violated(`the domain owned ${pagesBefore} pages before and ${pagesAfter} after`);
  }
  const chunks = chunksOf(facts.done);
  let unseen = false;
  const old = new Map<bigint, Set<bigint | null>>();
  for (const input of facts.extents(facts.in)) {
    const chunk = chunks.ofInput(input);
    const frames = old.get(chunk) ?? new Set();
    old.set(chunk, frames);
    for (let j = 0n; j < input.pages; j++) {
      const frame = p2mBefore.get(input.base + j);
      if (frame === undefined) {
        unseen = true;
        break;
      }
      frames.add(frame);
    }
  }
  const answer = forOutputs(facts, (output) => {
    for (let j = 0n; j < output.pages; j++) {
      const frame = p2mAfter.get(output.base + j);
      if (frame === undefined) return 'unseen';
      if (frame !== null && old.get(chunks.ofOutput(output))?.has(frame)) {
        return { message: `output extent ${output.index} got frame ${hex64(frame)}, which an input of the same chunk had` };
      }
    }
    return undefined;
  });
  if (answer.answer !== 'holds') return answer;
  return unseen ? mappingUnseen(facts) : facts.isListed(facts.in) ? holds : notCaptured;
}

export function inputsReleased(facts: Facts): Answer {
  if (!facts.done) return notCaptured;
  const { N, K, I } = facts.done;
  if (!facts.call.translated) return machineFrames;
  const released = N < I ? N : I;
  if (released === 0n) return notExercised;
  const chunks = chunksOf(facts.done);
  const inputs = facts.extents(facts.in).filter((e) => e.index < released);
  const outputs = facts.sorted(facts.out).filter((e) => e.index < K);
  const outputAt = finder(outputs);
  for (const input of inputs) {
    for (let j = 0n; j < input.pages; j++) {
      const gfn = input.base + j;
      const [before, after] = [facts.call.p2mBefore.get(gfn), facts.call.p2mAfter.get(gfn)];
      if (after === undefined) return mappingUnseen(facts);
      if (after === null) continue;
      const output = outputAt(gfn);
      // An output that was not captured may have populated it.
      if (!output && BigInt(outputs.length) < K) return notCaptured;
      if (!output) return violated(`guest frame ${hex64(gfn)} of input extent ${input.index} still has frame ${hex64(after)} behind it`);
      if (chunks.ofOutput(output) !== chunks.ofInput(input)) continue;
      if (before === undefined) return mappingUnseen(facts);
      if (before === after) {
        return violated(`guest frame ${hex64(gfn)} of input extent ${input.index} has kept its frame ${hex64(after)}`);
      }
    }
  }
  return BigInt(inputs.length) === released ? holds : notCaptured;
}

/** The mappings of what the call did not reach: `violated`, or `unknown` where they were not all seen. */
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
    if (before === undefined || before === after || populatedAt(gfn) || releasedAt(gfn)) continue;
    if (!namedAt.some((find) => find(gfn))) continue;
    if (!facts.knowsExchanged) return notCaptured;
    return violated(`guest frame ${hex64(gfn)}, which the call did not reach, ${moved(before, after)}`);
  }
  return holds;
}

function forOutputs(facts: Facts, check: (output: Output) => Violation | 'unseen' | undefined): Answer {
  if (!facts.done) return notCaptured;
  const { K } = facts.done;
  if (K === 0n) return notExercised;
  const outputs = committedOutputs(facts, K);
  let unseen = BigInt(outputs.length) < K;
  for (const output of outputs) {
    const found = check(output);
    if (found === 'unseen') unseen = true;
    else if (found) return unless([found]);
  }
  return unseen ? mappingUnseen(facts) : holds;
}

function committedOutputs(facts: Facts, K: bigint): Output[] {
  return facts.extents(facts.out).filter((e) => e.index < K);
}

/** Which chunk an extent belongs to. Where anything was exchanged, a chunk has no more extents than there are: it can be counted. */
function chunksOf({ oi, oo }: Asked): { ofInput: (e: Extent) => bigint; ofOutput: (e: Extent) => bigint } {
  const perIn = inputsPerChunk(oi, oo) as bigint;
  const perOut = outputsPerChunk(oi, oo) as bigint;
  return { ofInput: (e) => e.index / perIn, ofOutput: (e) => e.index / perOut };
}

/** Finds the extent of one sorted list that holds a guest frame. They are of one size, so the last base at or below it decides. */
function finder(sorted: readonly Extent[]): (gfn: bigint) => Extent | undefined {
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
