import { sideOf } from '../../src/abi/frames.ts';
import type { P2m } from '../../src/trace/call.ts';
import type { PageRun } from '../protocol/implementation.ts';

/**
 * What a look-up of one run told: the frames behind it, or `undefined` where there was no answer.
 */
export type Frames = readonly (bigint | null)[] | undefined;

/** A guest frame with another frame behind it, or none; `undefined` where there was no answer. */
interface Difference {
  readonly gfn: bigint;
  readonly old: bigint | null | undefined;
  readonly frame: bigint | null;
}

/**
 * The p2m in the answers to a look at these runs, as they are: a map is never built, since most
 * looks find what the last one did.
 */
export class SeenP2m implements P2m {
  readonly #runs: readonly PageRun[];
  readonly #starts: readonly number[];
  readonly #frames: readonly Frames[];
  #sides: { readonly low: number; readonly high: number } | undefined;

  constructor(runs: readonly PageRun[], frames: readonly Frames[]) {
    this.#runs = runs;
    this.#starts = runs.map(({ gfn }) => Number(gfn));
    this.#frames = frames;
  }

  /** What differs from an earlier look at the same runs, of what is answered now. */
  since(earlier: SeenP2m): Difference[] {
    const found: Difference[] = [];
    for (const [i, { gfn }] of this.#runs.entries()) {
      const [before, now] = [earlier.#frames[i], this.#frames[i]];
      for (let j = 0; now && j < now.length; j++) {
        const [old, frame] = [before?.[j], now[j] as bigint | null];
        if (old !== frame) found.push({ gfn: gfn + BigInt(j), old, frame });
      }
    }
    return found;
  }

  /** Were the same runs answered? */
  answersAs(other: SeenP2m): boolean {
    return this.#runs.every((_, i) => this.#frames[i]?.length === other.#frames[i]?.length);
  }

  /** Were all runs answered? */
  get isWhole(): boolean {
    return this.#runs.every(({ pages }, i) => this.#frames[i]?.length === pages);
  }

  /** Frames that were seen, on either side of 4 GiB. */
  get sides(): { readonly low: number; readonly high: number } {
    if (this.#sides) return this.#sides;
    const sides = { low: 0, high: 0 };
    for (const frames of this.#frames) for (const frame of frames ?? []) if (frame !== null) sides[sideOf(frame)]++;
    this.#sides = sides;
    return sides;
  }

  get(gfn: bigint): bigint | null | undefined {
    const page = Number(gfn);
    for (let i = 0; i < this.#starts.length; i++) {
      const j = page - (this.#starts[i] as number);
      if (j >= 0 && j < (this.#runs[i] as PageRun).pages) return this.#frames[i]?.[j];
    }
    return undefined;
  }

  has(gfn: bigint): boolean {
    return this.get(gfn) !== undefined;
  }

  get size(): number {
    return this.#frames.reduce((sum, frames) => sum + (frames?.length ?? 0), 0);
  }

  *entries(): MapIterator<[bigint, bigint | null]> {
    for (const [i, { gfn }] of this.#runs.entries()) {
      for (const [j, frame] of (this.#frames[i] ?? []).entries()) yield [gfn + BigInt(j), frame];
    }
  }

  [Symbol.iterator](): MapIterator<[bigint, bigint | null]> {
    return this.entries();
  }

  *keys(): MapIterator<bigint> {
    for (const [gfn] of this.entries()) yield gfn;
  }

  *values(): MapIterator<bigint | null> {
    for (const frames of this.#frames) yield* frames ?? [];
  }

  forEach(visit: (frame: bigint | null, gfn: bigint, map: P2m) => void): void {
    for (const [gfn, frame] of this.entries()) visit(frame, gfn, this);
  }
}
