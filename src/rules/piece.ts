import type { ObservedCall } from '../trace/call.ts';
import type { PinsOfPages } from './domain-pins.ts';
import { type Judgement, judge, withWider } from './judge.ts';
import { PinWatch } from './pins.ts';
import { pinsOf, reachOf } from './reach.ts';
import { type TraceJudge, traceJudge } from './trace.ts';

/** Pages of a domain that calls have left in a state, and frame numbers that gets returned. */
export interface PinSets {
  readonly pinned: Set<bigint>;
  readonly doubted: Set<bigint>;
  readonly free: Set<bigint>;
  readonly returned: Set<bigint>;
}

/**
 * What a piece of a trace leaves open for want of what came before it, in order: what must be
 * played again on the state that the pieces before leave.
 */
export type Step =
  /** From here on nothing that came before matters. */
  | { readonly kind: 'missed' }
  /** Calls that neither got nor put named these pages. */
  | { readonly kind: 'named'; readonly domid: number; readonly pages: Set<bigint> }
  /** Gets and puts whose outcome does not depend on what came before. */
  | { readonly kind: 'left'; readonly domid: number; readonly pages: PinSets }
  /** A call that has to be judged again; `counted`: only for what it does, its answers are known. */
  | { readonly kind: 'call'; readonly call: ObservedCall; readonly counted: boolean };

/** Judges the calls of a trace from somewhere in its middle. */
export class PieceJudge {
  readonly #steps: Step[] = [];
  /** So many steps stand before the first moment that hides what came before, that one included. */
  #open = 0;
  /** The judge from that moment on: it knows as much as one who has read all. */
  #exact: TraceJudge | undefined;
  /** Pages that a get of this piece is known to have pinned, by domain. */
  readonly #pinned = new Map<number, Set<bigint>>();

  /** What is left open so far. */
  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** A record was there and could not be read, or a call has done what cannot be followed. */
  missed(): void {
    if (this.#exact) this.#steps.length = this.#open;
    else {
      this.#steps.push({ kind: 'missed' });
      this.#open = this.#steps.length;
      this.#exact = traceJudge();
    }
    this.#exact.missed();
    this.#pinned.clear();
  }

  /**
   * Judges the next call as a `TraceJudge` does; `open` where that depends on what came before the
   * piece: then it is among the steps.
   */
  judge(call: ObservedCall): Judgement | undefined | 'open' {
    const isExact = this.#exact !== undefined;
    let judgement: Judgement | undefined;
    try {
      judgement = this.#exact ? this.#exact.judge(call) : judge(call);
    } catch (error) {
      this.missed();
      throw error;
    }
    return this.#follow(call, judgement) && !isExact ? 'open' : judgement;
  }

  /** Notes what a call has done. True where that, or its answers, depend on what came before. */
  #follow(call: ObservedCall, judgement: Judgement | undefined): boolean {
    const reach = judgement ? reachOf(judgement) : 'anything';
    const isPut = judgement?.op === 'put_dma_buf';
    const known = typeof reach === 'object' ? this.#pinned.get(reach.domid) : undefined;
    const isKnownPut = isPut && typeof reach === 'object' && call.rc === 0 && !judgement.callerErred && isWithin(reach.named, known);
    const hasMaps = call.p2mBefore.size > 0 || call.p2mAfter.size > 0;
    if ((isPut && !isKnownPut) || (hasMaps && reach !== 'nothing' && judgement)) {
      this.#steps.push({ kind: 'call', call, counted: this.#exact !== undefined });
      // A p2m may show that a page has moved, by one of an earlier piece too.
      if (hasMaps) this.#pinned.clear();
      else if (typeof reach === 'object') for (const gfn of reach.named) known?.delete(gfn);
      // It was judged without what came before; what it hides from then on is the same.
      if (reach === 'anything') this.missed();
      return true;
    }
    if (reach === 'anything') this.missed();
    if (typeof reach === 'string' || !judgement) return false;
    const { domid, named } = reach;
    for (const gfn of named) known?.delete(gfn);
    if (judgement.op === 'get_dma_buf') this.#left(domid, pinsOf(judgement, named));
    else if (isPut) this.#left(domid, { ...noPages(), free: new Set(named) });
    else this.#named(domid, named);
    return false;
  }

  #left(domid: number, left: PinsOfPages): void {
    const pinned = this.#pinned.get(domid) ?? new Set();
    this.#pinned.set(domid, pinned);
    for (const gfn of left.pinned) pinned.add(gfn);
    const pages = [...left.pinned, ...left.doubted, ...left.free];
    const known = this.#earlier('left', domid, pages);
    const into = known?.kind === 'left' ? known.pages : noPages();
    if (!known) this.#steps.push({ kind: 'left', domid, pages: into });
    for (const state of ['pinned', 'doubted', 'free'] as const) {
      for (const gfn of left[state]) {
        for (const other of ['pinned', 'doubted', 'free'] as const) into[other].delete(gfn);
        into[state].add(gfn);
      }
    }
    for (const frame of left.returned) into.returned.add(frame);
  }

  #named(domid: number, pages: ReadonlySet<bigint>): void {
    const known = this.#earlier('named', domid, pages);
    if (known?.kind === 'named') for (const gfn of pages) known.pages.add(gfn);
    else this.#steps.push({ kind: 'named', domid, pages: new Set(pages) });
  }

  /**
   * A step of the same kind on the same domain that can take in these pages too: what stands after
   * it has nothing to do with them.
   */
  #earlier(kind: Step['kind'], domid: number, pages: Iterable<bigint>): Step | undefined {
    const first = this.#exact ? this.#open : 0;
    for (let i = this.#steps.length - 1; i >= first; i--) {
      const step = this.#steps[i];
      if (step?.kind !== 'named' && step?.kind !== 'left') return undefined;
      if (step.domid !== domid) continue;
      if (step.kind === kind) return step;
      const sets = step.kind === 'named' ? [step.pages] : [step.pages.pinned, step.pages.doubted, step.pages.free];
      for (const gfn of pages) if (sets.some((set) => set.has(gfn))) return undefined;
    }
    return undefined;
  }
}

/** No pages in any state. */
export function noPages(): PinSets {
  return { pinned: new Set(), doubted: new Set(), free: new Set(), returned: new Set() };
}

function isWithin(pages: ReadonlySet<bigint>, known: ReadonlySet<bigint> | undefined): boolean {
  return known !== undefined && [...pages].every((gfn) => known.has(gfn));
}

/** A piece of a trace: where it lies in the whole, in bytes, and what it leaves open. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Was nothing before its first call, by its own word? `undefined` where it has no call. */
  readonly fromStart: boolean | undefined;
  readonly steps: readonly Step[];
}

/** Answers what pieces have left open, which are in order; where one is missing, it stays unknown. */
export function settle(pieces: readonly Piece[], answered: (judgement: Judgement | undefined) => void): void {
  let end = 0;
  let watch: PinWatch | undefined;
  for (const { from, to, fromStart, steps } of pieces) {
    watch ??= from > end ? new PinWatch(false) : fromStart === undefined ? undefined : new PinWatch(fromStart);
    if (from > end) watch?.missed();
    end = to;
    for (const step of steps) {
      watch ??= new PinWatch(false);
      if (step.kind === 'missed') watch.missed();
      else if (step.kind === 'named') watch.named(step.domid, step.pages);
      else if (step.kind === 'left') watch.left(step.domid, step.pages);
      else {
        const judgement = judge(step.call, watch.findings(step.call));
        const whole = judgement && withWider(judgement, watch.called(judgement));
        if (!step.counted) answered(whole);
      }
    }
  }
}
