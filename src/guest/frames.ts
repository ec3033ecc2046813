/** A frame number as a key: a `number` wherever that is exact, which maps find far sooner. */
export type Frame = number | bigint;

const mostExact = BigInt(Number.MAX_SAFE_INTEGER);

/** The key of a frame number. */
export function frameOf(gfn: Frame): Frame {
  return typeof gfn === 'bigint' && gfn <= mostExact ? Number(gfn) : gfn;
}

/** A map from frame numbers, which are given as either kind of number and come back as `bigint`. */
export class FrameMap<V> {
  readonly #map = new Map<Frame, V>();

  get size(): number {
    return this.#map.size;
  }

  has(gfn: Frame): boolean {
    return this.#map.size > 0 && this.#map.has(frameOf(gfn));
  }

  get(gfn: Frame): V | undefined {
    return this.#map.size > 0 ? this.#map.get(frameOf(gfn)) : undefined;
  }

  set(gfn: Frame, value: V): void {
    this.#map.set(frameOf(gfn), value);
  }

  delete(gfn: Frame): void {
    if (this.#map.size > 0) this.#map.delete(frameOf(gfn));
  }

  *keys(): Generator<bigint> {
    for (const gfn of this.#map.keys()) yield BigInt(gfn);
  }

  *[Symbol.iterator](): Generator<[bigint, V]> {
    for (const [gfn, value] of this.#map) yield [BigInt(gfn), value];
  }
}

/** A set of frame numbers, given as either kind of number. */
export class FrameSet {
  readonly #set = new Set<Frame>();

  has(gfn: Frame): boolean {
    return this.#set.size > 0 && this.#set.has(frameOf(gfn));
  }

  add(gfn: Frame): void {
    this.#set.add(frameOf(gfn));
  }

  delete(gfn: Frame): void {
    if (this.#set.size > 0) this.#set.delete(frameOf(gfn));
  }
}

/** What `FrameList.sight` may be: below this. */
export const sights = 64;

/** Frame numbers below 2^53, in a list that is used again and again. */
export class FrameList {
  values: Float64Array = new Float64Array(64);
  length = 0;
  /** The same from the lowest to the highest, once `areApart` was asked. */
  ordered: Float64Array = this.values;

  push(frame: number): void {
    if (this.length === this.values.length) {
      const more = new Float64Array(2 * this.length);
      more.set(this.values);
      this.values = more;
    }
    this.values[this.length++] = frame;
  }

  /** Do extents of so many pages that begin there share none? */
  areApart(pages: number): boolean {
    const { values, length } = this;
    this.ordered = values;
    let i = 1;
    while (i < length && (values[i - 1] as number) + pages <= (values[i] as number)) i++;
    if (i >= length) return true;
    const sorted = values.slice(0, length).sort();
    this.ordered = sorted;
    for (i = 1; i < length; i++) if ((sorted[i - 1] as number) + pages > (sorted[i] as number)) return false;
    return true;
  }

  /**
   * To how many of some powers of two the frames are aligned, all of them, and above how many others
   * the highest reaches, `more` pages counted from it: one number below `sights`. Either list has at
   * most seven exponents, from the lowest to the highest.
   */
  sight(more: number, aligned: readonly number[], limits: readonly number[]): number {
    let [low, high, most] = [0, 0, 0];
    for (let i = 0; i < this.length; i++) {
      const frame = this.values[i] as number;
      low |= frame;
      high |= frame / 2 ** 32;
      if (frame > most) most = frame;
    }
    const last = this.length > 0 ? most + more : 0;
    const zeros = low !== 0 ? bitsOf(low & -low) - 1 : high !== 0 ? 31 + bitsOf(high & -high) : 63;
    const bits = last >= 2 ** 32 ? 32 + bitsOf(last / 2 ** 32) : bitsOf(last);
    let [alignment, limit] = [0, 0];
    while (alignment < aligned.length && (aligned[alignment] as number) <= zeros) alignment++;
    while (limit < limits.length && (limits[limit] as number) < bits) limit++;
    return 8 * alignment + limit;
  }

  /** The frames of extents of so many pages that begin at the first ones of a list. */
  setPages(bases: FrameList, count: number, pages: number): void {
    this.length = 0;
    for (let i = 0; i < count; i++) {
      const base = bases.values[i] as number;
      for (let j = 0; j < pages; j++) this.push(base + j);
    }
  }
}

/** Bits of a number below 2^32. */
function bitsOf(value: number): number {
  return 32 - Math.clz32(value);
}
