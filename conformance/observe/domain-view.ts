import { PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { framesInAll } from '../../src/abi/frames.ts';
import type { ByteRange } from '../../src/guest/memory.ts';
import type { ChangedRange, DomainPlan, PageRun } from '../protocol/implementation.ts';
import { isIn, joined, pagesIn } from '../protocol/page-runs.ts';
import { type Frames, SeenP2m } from './frames.ts';
import { Shadow } from './shadow.ts';

const shift = BigInt(PAGE_SHIFT);
const lastAddress = 1n << 64n;
/** Parts of a page that are read one by one; where more have changed, the page is. */
const mostParts = 8;

/**
 * What the harness knows of one domain while a scenario runs: its memory, its mappings, and what it
 * may rely on.
 */
export class DomainView {
  readonly domid: number;
  readonly privileged: boolean;
  /** Every guest frame that is watched: RAM, holes, and what else calls name. */
  readonly runs: readonly PageRun[];
  readonly memory: Shadow = new Shadow();
  /** Pages it owns, as last told. */
  pages: number | undefined;
  #p2m: SeenP2m;
  #mapped = new Map<bigint, boolean | undefined>();
  /** Is the map above held by somebody, so that a change needs another? */
  #isHeld = false;
  /**
   * May frames beyond the runs have become RAM, because a call populated some? Then they are not
   * known to be holes.
   */
  #spilled = false;
  #holes: readonly ByteRange[] | undefined;
  readonly #marks = new Set<bigint>();

  /** RAM and holes, as the world was built. */
  readonly #planned: readonly PageRun[];

  /** `elsewhere`: frames that are watched beside RAM and holes, because calls name them. */
  constructor(plan: DomainPlan, elsewhere: readonly bigint[] = []) {
    this.domid = plan.domid;
    this.privileged = plan.privileged;
    this.#planned = joined([...plan.ram, ...plan.holes]);
    this.runs = joined([...plan.ram, ...plan.holes, ...elsewhere.map((gfn) => ({ gfn, pages: 1 }))]);
    this.#p2m = new SeenP2m(this.runs, []);
    for (const gfn of pagesIn(plan.ram)) {
      this.memory.zero(gfn);
      this.#mapped.set(gfn, true);
    }
    for (const gfn of pagesIn(plan.holes)) this.#mapped.set(gfn, false);
  }

  /**
   * As the implementation last translated it, without what it did not answer; another map as soon
   * as anything differs.
   */
  get p2m(): SeenP2m {
    return this.#p2m;
  }

  /**
   * Is a frame RAM: yes, no, or `undefined` where it cannot be told, as of any frame that is not
   * watched.
   */
  mapped(gfn: bigint): boolean | undefined {
    return this.#mapped.get(gfn);
  }

  /**
   * What `mapped` answers now, for later, of the RAM and the holes of the world as it was built;
   * `undefined` of any other frame.
   */
  get mappedNow(): (gfn: bigint) => boolean | undefined {
    const mapped = this.#mapped;
    this.#isHeld = true;
    return (gfn) => (this.#isPlanned(gfn) ? mapped.get(gfn) : undefined);
  }

  #isPlanned(page: bigint): boolean {
    return isIn(this.#planned, page);
  }

  /** Frames that are RAM for all that is known. */
  ramPages(): bigint[] {
    return [...this.#mapped].filter(([, mapped]) => mapped !== false).map(([gfn]) => gfn);
  }

  isMarked(gfn: bigint): boolean {
    return this.#marks.has(gfn);
  }

  /** Marked frames in a run. */
  marked(gfn: bigint, pages: number): bigint[] {
    return [...this.#marks].filter((page) => isIn([{ gfn, pages }], page));
  }

  /** The frame that a write marks: of RAM, from its first byte on. */
  markedBy(address: bigint): bigint | undefined {
    const gfn = address >> shift;
    return address === gfn << shift && this.mapped(gfn) ? gfn : undefined;
  }

  /** The guest wrote this. */
  wrote(address: bigint, bytes: Uint8Array): void {
    this.memory.learn(address, bytes);
    const gfn = this.markedBy(address);
    if (gfn !== undefined) this.#marks.add(gfn);
  }

  /** Whole pages of RAM were filled, each with bytes that no other page has. */
  filled(address: bigint, bytes: Uint8Array): void {
    this.memory.learn(address, bytes);
    const first = address >> shift;
    for (let i = 0; i * PAGE_SIZE < bytes.length; i++) this.#marks.add(first + BigInt(i));
  }

  /**
   * A call may have populated this frame: one that is not watched is not known to be a hole any
   * more.
   */
  populated(gfn: bigint): void {
    if (this.#spilled || this.#mapped.has(gfn)) return;
    this.#spilled = true;
    this.#holes = undefined;
  }

  /** The content of a page is not known any more. */
  forget(gfn: bigint): void {
    this.memory.forget(gfn);
    this.#marks.delete(gfn);
  }

  /** The same of every page there is. */
  forgetAll(): void {
    for (const { address } of this.memory.knownRanges()) this.forget(address >> shift);
  }

  /** The same of every page that a range touches. */
  forgetRange({ address, length }: ByteRange): void {
    for (let gfn = address >> shift; gfn << shift < address + length; gfn++) this.forget(gfn);
  }

  /**
   * The mapping of a page is not known any more, or known from the outcome of a call alone; a look
   * at the p2m knows better. A frame without an address is none.
   */
  believe(gfn: bigint, mapped: boolean | undefined): void {
    if (gfn >= framesInAll || this.#p2m.has(gfn)) return;
    this.#map(gfn, mapped);
    this.forget(gfn);
  }

  /**
   * Takes in a look at the p2m, run by run. A page with another frame behind it was only moved, and
   * has kept its content, if `keeps` says so of it; else its content is not known. Answers which
   * pages those are that were moved.
   */
  looked(seen: readonly Frames[], keeps: (gfn: bigint) => boolean): bigint[] {
    const movedPages: bigint[] = [];
    const p2m = new SeenP2m(this.runs, seen);
    const changed = p2m.since(this.#p2m);
    if (changed.length === 0 && p2m.answersAs(this.#p2m)) return movedPages;
    this.#p2m = p2m;
    for (const { gfn, old, frame } of changed) {
      const isOther = this.mapped(gfn) !== (frame !== null);
      if (isOther) this.#map(gfn, frame !== null);
      const isMoved = typeof old === 'bigint' && frame !== null && keeps(gfn);
      if (isMoved) movedPages.push(gfn);
      if (old === undefined ? isOther : !isMoved) this.forget(gfn);
    }
    return movedPages;
  }

  /** What is known not to be this domain's memory. */
  get holes(): readonly ByteRange[] {
    this.#holes ??= this.#spilled
      ? [...this.#mapped].filter(([, mapped]) => mapped === false).map(([gfn]) => ({ address: gfn << shift, length: BigInt(PAGE_SIZE) }))
      : holesBetween(this.ramPages());
    return this.#holes;
  }

  /**
   * The parts of some ranges whose content was known, in pieces that one read can fetch. It goes by
   * the pages that are known, and not by the ranges: an implementation may name all of 2^64 bytes,
   * the same byte a thousand times, or a thousand bytes of one page.
   */
  knownParts(ranges: readonly ChangedRange[]): ByteRange[] {
    if (ranges.length === 0) return [];
    const wanted = united(ranges);
    return this.memory.knownRanges().flatMap((known) => {
      const knownEnd = endOf(known);
      const parts: ByteRange[] = [];
      for (let i = firstBehind(wanted, known.address); i < wanted.length; i++) {
        const range = wanted[i] as ByteRange;
        if (range.address >= knownEnd) break;
        const from = range.address > known.address ? range.address : known.address;
        const end = endOf(range) < knownEnd ? endOf(range) : knownEnd;
        if (from < end) parts.push({ address: from, length: end - from });
        if (parts.length > mostParts) return [known];
      }
      return parts;
    });
  }

  #map(gfn: bigint, mapped: boolean | undefined): void {
    if (this.#isHeld) this.#mapped = new Map(this.#mapped);
    this.#isHeld = false;
    this.#mapped.set(gfn, mapped);
    this.#holes = undefined;
  }
}

function endOf({ address, length }: ByteRange): bigint {
  return address + length;
}

/** The first of some ranges in order, none of which overlap, that does not end at or before an address. */
function firstBehind(ranges: readonly ByteRange[], address: bigint): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(ranges[middle] as ByteRange) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Ranges in order, those that overlap or touch as one. */
function united(ranges: readonly ChangedRange[]): ByteRange[] {
  const found: { address: bigint; length: bigint }[] = [];
  for (const { address, length } of [...ranges].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))) {
    const last = found.at(-1);
    const end = address + BigInt(length);
    if (!last || address > last.address + last.length) found.push({ address, length: BigInt(length) });
    else if (end > last.address + last.length) last.length = end - last.address;
  }
  return found;
}

function holesBetween(ram: bigint[]): ByteRange[] {
  const found: ByteRange[] = [];
  let end = 0n;
  for (const gfn of ram.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))) {
    const start = gfn << shift;
    if (start > end) found.push({ address: end, length: start - end });
    if (start >= end) end = start + BigInt(PAGE_SIZE);
  }
  if (end < lastAddress) found.push({ address: end, length: lastAddress - end });
  return found;
}
