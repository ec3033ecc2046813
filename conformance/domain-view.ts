import { PAGE_SHIFT, PAGE_SIZE } from '../src/abi/constants.ts';
import type { ByteRange } from '../src/guest/memory.ts';
import type { P2m } from '../src/trace/call.ts';
import type { ChangedRange, DomainPlan, PageRun } from './implementation.ts';
import { Shadow } from './shadow.ts';

const shift = BigInt(PAGE_SHIFT);
const lastAddress = 1n << 64n;

/** What the harness knows of one domain while a scenario runs: its memory, its mappings, and what it may rely on. */
export class DomainView {
  readonly domid: number;
  readonly privileged: boolean;
  /** Every guest frame that is watched: RAM and holes. */
  readonly runs: readonly PageRun[];
  readonly memory: Shadow = new Shadow();
  /** As the implementation last translated it; empty where it cannot. */
  p2m: P2m = new Map();
  /** Does the p2m have to be looked up again? */
  isStale = true;
  /** May frames beyond the runs have become RAM, because a call populated some? Then they are not known to be holes. */
  #spilled = false;
  readonly #mapped = new Map<bigint, boolean | undefined>();
  readonly #marks = new Set<bigint>();

  constructor(plan: DomainPlan) {
    this.domid = plan.domid;
    this.privileged = plan.privileged;
    this.runs = [...plan.ram, ...plan.holes];
    for (const gfn of framesOf(plan.ram)) {
      this.memory.zero(gfn);
      this.#mapped.set(gfn, true);
    }
    for (const gfn of framesOf(plan.holes)) this.#mapped.set(gfn, false);
  }

  /** Is a frame RAM: yes, no, or `undefined` where it cannot be told, as of any frame that is not watched. */
  mapped(gfn: bigint): boolean | undefined {
    return this.#mapped.get(gfn);
  }

  /** Frames that are RAM for all that is known. */
  ramPages(): bigint[] {
    return [...this.#mapped].filter(([, mapped]) => mapped !== false).map(([gfn]) => gfn);
  }

  /** Marked frames in a run. */
  marked(gfn: bigint, pages: number): bigint[] {
    if (pages === 1) return this.#marks.has(gfn) ? [gfn] : [];
    return [...this.#marks].filter((page) => page >= gfn && page < gfn + BigInt(pages));
  }

  /** The guest wrote this. */
  wrote(address: bigint, bytes: Uint8Array): void {
    this.memory.learn(address, bytes);
    const gfn = address >> shift;
    if (address === gfn << shift && this.mapped(gfn)) this.#marks.add(gfn);
  }

  /** A call may have populated this frame: one that is not watched is not known to be a hole any more. */
  populated(gfn: bigint): void {
    if (!this.#mapped.has(gfn)) this.#spilled = true;
  }

  /** The content of a page is not known any more. */
  forget(gfn: bigint): void {
    this.memory.forget(gfn);
    this.#marks.delete(gfn);
  }

  /** The mapping of a page is not known any more, or known from the outcome of a call alone. */
  believe(gfn: bigint, mapped: boolean | undefined): void {
    this.#mapped.set(gfn, mapped);
    this.forget(gfn);
  }

  /** Takes in a look at the p2m. A page with another frame behind it has unknown content, unless it was only moved. */
  looked(p2m: Map<bigint, bigint | null>, contentKept: boolean): void {
    for (const [gfn, frame] of p2m) {
      const before = this.p2m.get(gfn);
      if (before !== undefined && before === frame) continue;
      const moved = before !== undefined && (!contentKept || frame === null || before === null);
      if (moved) this.forget(gfn);
      if (this.#mapped.get(gfn) !== (frame !== null)) {
        this.#mapped.set(gfn, frame !== null);
        if (before === undefined) this.forget(gfn);
      }
    }
    this.p2m = p2m;
    this.isStale = false;
  }

  /** What is known not to be this domain's memory, as of now, worked out when it is asked for. */
  holes(): () => readonly ByteRange[] {
    const frames = this.p2m.size > 0 ? this.p2m : new Map(this.#mapped);
    const spilled = this.#spilled;
    let found: readonly ByteRange[] | undefined;
    return () => {
      const isHole = (mapped: boolean | bigint | null | undefined): boolean => mapped === false || mapped === null;
      found ??= spilled
        ? [...frames].filter(([, mapped]) => isHole(mapped)).map(([gfn]) => ({ address: gfn << shift, length: BigInt(PAGE_SIZE) }))
        : holesBetween([...frames].filter(([, mapped]) => !isHole(mapped)).map(([gfn]) => gfn));
      return found;
    };
  }

  /** The parts of a range whose content was known, in pieces that one read can fetch. */
  knownParts({ address, length }: ChangedRange): ByteRange[] {
    const parts: ByteRange[] = [];
    const end = address + BigInt(length);
    for (let at = address; at < end; at = ((at >> shift) + 1n) << shift) {
      const known = this.memory.knownPart(at >> shift);
      if (!known) continue;
      const from = at > known.address ? at : known.address;
      const to = end < known.address + known.length ? end : known.address + known.length;
      if (from < to) parts.push({ address: from, length: to - from });
    }
    return parts;
  }
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

function framesOf(runs: readonly PageRun[]): bigint[] {
  return runs.flatMap(({ gfn, pages }) => Array.from({ length: pages }, (_, i) => gfn + BigInt(i)));
}
