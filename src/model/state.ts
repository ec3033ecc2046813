import type { Arch } from '../abi/arch.ts';
import { blocksOf, type FreeLists } from './allocator.ts';

/**
 * A guest. Frame numbers are plain numbers inside the model: a gfn of a 64-bit address space has 52
 * bits, so they are exact. A list entry above that names no page: it is not mapped, and cannot be.
 */
export interface Domain {
  readonly domid: number;
  readonly privileged: boolean;
  /** Being torn down: no page can be assigned to it any more. */
  dying: boolean;
  /** Pages that increase_reservation and populate_physmap may bring it to. */
  readonly allowance: number;
  /** Guest frame → machine frame. */
  readonly p2m: Map<number, number>;
  /**
   * Guest frames whose mapping is guaranteed not to change: one boolean per (domain, gfn), not
   * counted.
   */
  readonly pins: Set<number>;
  /** Machine frames charged to it. */
  readonly owned: Set<number>;
  /**
   * How many of those no gfn leads to (increase_reservation on a translated guest gives such
   * pages).
   */
  unaddressed: number;
  readonly changed: ChangeLog;
}

/** What anyone but the guest itself may have changed in its memory. */
export interface ChangeLog {
  /** Whole pages, by gfn. */
  readonly pages: Set<number>;
  /** Smaller pieces: gfn, offset, length, and again. */
  pieces: number[];
}

/** The whole machine, as plain data. */
export interface State {
  readonly arch: Arch;
  readonly domains: Map<number, Domain>;
  /** Bytes of each frame that was ever written, by machine frame; any other frame is zero. */
  readonly content: Map<number, Uint8Array>;
  readonly free: FreeLists;
  /** Machine frames in all. */
  readonly frames: number;
}

/** A domain with nothing in it. */
export function emptyDomain(domid: number, privileged: boolean, allowance: number): Domain {
  return {
    domid,
    privileged,
    dying: false,
    allowance,
    p2m: new Map(),
    pins: new Set(),
    owned: new Set(),
    unaddressed: 0,
    changed: { pages: new Set(), pieces: [] },
  };
}

/**
 * The domain of that number; a `RangeError` if the world has none, since only a wrong harness asks
 * for it.
 */
export function domainOf(state: State, domid: number): Domain {
  const domain = state.domains.get(domid);
  if (!domain) throw new RangeError(`no domain ${domid} in this world`);
  return domain;
}

/** A copy that shares nothing. */
export function cloneState(state: State): State {
  const domains = new Map<number, Domain>();
  for (const [domid, d] of state.domains) {
    domains.set(domid, {
      ...d,
      p2m: new Map(d.p2m),
      pins: new Set(d.pins),
      owned: new Set(d.owned),
      changed: { pages: new Set(d.changed.pages), pieces: d.changed.pieces.slice() },
    });
  }
  const content = new Map<number, Uint8Array>();
  for (const [mfn, bytes] of state.content) content.set(mfn, bytes.slice());
  return { ...state, domains, content, free: state.free.map((list) => list.slice()) };
}

type Predicate = (state: State) => boolean;

const every = (state: State, holds: (domain: Domain) => boolean): boolean => [...state.domains.values()].every(holds);

const freeFrames = (state: State): number[] =>
  [...blocksOf(state.free)].flatMap(([base, order]) => Array.from({ length: 2 ** order }, (_, i) => base + i));

const mappedFrames = (state: State): number[] => [...state.domains.values()].flatMap((d) => [...d.p2m.values()]);

const distinct = (numbers: Iterable<number>): boolean => {
  const seen = new Set<number>();
  for (const n of numbers) if (seen.size === seen.add(n).size) return false;
  return true;
};

/** What is true of every reachable state of a right hypervisor, each under its name. */
export const invariants: { readonly [name: string]: Predicate } = {
  'no frame has two owners': (s) => distinct([...s.domains.values()].flatMap((d) => [...d.owned])),
  'no frame is free twice': (s) => distinct(freeFrames(s)),
  'no frame is both free and owned': (s) => freeFrames(s).every((f) => every(s, (d) => !d.owned.has(f))),
  'no frame is both free and mapped': (s) => distinct([...new Set(freeFrames(s)), ...new Set(mappedFrames(s))]),
  'no frame is mapped twice': (s) => distinct(mappedFrames(s)),
  'a mapped frame is owned by that domain': (s) => every(s, (d) => [...d.p2m.values()].every((f) => d.owned.has(f))),
  'an owned frame is mapped or counted as unaddressed': (s) => every(s, (d) => d.owned.size === d.p2m.size + d.unaddressed),
  'a pinned page is mapped': (s) => every(s, (d) => [...d.pins].every((g) => d.p2m.has(g))),
  'frames are conserved': (s) => freeFrames(s).length + [...s.domains.values()].reduce((n, d) => n + d.owned.size, 0) === s.frames,
  'a free block is aligned to its size': (s) => [...blocksOf(s.free)].every(([base, order]) => base % 2 ** order === 0),
  'a free block and its buddy are one block': (s) => s.free.slice(0, -1).every((l, k) => l.every((b) => !l.includes(b ^ (1 << k)))),
  'a gfn fits the address space': (s) => every(s, (d) => [...d.p2m.keys()].every((g) => Number.isInteger(g) && g >= 0 && g < 2 ** 52)),
};

/** The names of the invariants that a state breaks; none for a state of a right hypervisor. */
export function typeInvariant(state: State): string[] {
  return Object.keys(invariants).filter((name) => !invariants[name]?.(state));
}
