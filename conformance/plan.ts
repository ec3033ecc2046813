import type { Arch } from '../src/abi/arch.ts';
import type { Choices } from './choices.ts';
import type { DomainPlan, Hello, World } from './implementation.ts';

/** Pages at the start of RAM that hold structs and lists, and are exchanged only by mistake. */
export const controlPages = 4;
const firstGfn = 0x40000n;
const holePages = 16;
export const caller = 1;
export const bystander = 2;

/** What one get asked for, as far as it may have been done. */
export interface Commit {
  readonly domid: number;
  readonly order: number;
  readonly bases: readonly bigint[];
  /** Where its output list lies: after the call it holds machine frames. */
  readonly listAt: bigint;
}

/** What the generator means the guests to look like if each call does what it should. A wrong guess only makes a call less valid. */
export interface Plan {
  readonly world: World;
  readonly mapped: Map<number, Set<bigint>>;
  readonly pinned: Map<number, Set<bigint>>;
  readonly commits: Commit[];
  readonly maxOrder: number;
}

/** A world: one guest or two, of 16 pages or more, with plenty of free frames or hardly any. */
export function planWorld(choices: Choices, arch: Arch, { limits }: Hello): Plan {
  const pages = Math.min(choices.pick([16, 24, 32]), Math.max(16, limits.ram_pages ?? 32));
  const two = (limits.domains ?? 2) > 1 && choices.percent(30);
  const privileged = choices.percent(15);
  const free = choices.pick([
    { low: 64, high: 64 },
    { low: 16, high: 0 },
    { low: 4, high: 64 },
    { low: 0, high: 64 },
    { low: 2, high: 2 },
    { low: 64, high: 0 },
  ]);
  const guest = (domid: number, holes: number, raised: boolean): DomainPlan => ({
    domid,
    privileged: raised,
    ram: [{ gfn: firstGfn, pages }],
    holes: holes > 0 ? [{ gfn: firstGfn + BigInt(pages), pages: holes }] : [],
  });
  const domains = [guest(caller, holePages, privileged), ...(two ? [guest(bystander, holePages, false)] : [])];
  return {
    world: { arch, domains, free },
    mapped: new Map(domains.map((d) => [d.domid, new Set(Array.from({ length: pages }, (_, i) => firstGfn + BigInt(i)))])),
    pinned: new Map(domains.map((d) => [d.domid, new Set()])),
    commits: [],
    maxOrder: Math.min(limits.max_order ?? 3, 3),
  };
}

/** Everything of a domain that is watched: RAM and holes lie side by side, so that one churn reaches all of it. */
export function wholeOf({ world }: Plan, domid: number): { gfn: bigint; pages: number } {
  const plan = world.domains.find((d) => d.domid === domid) as DomainPlan;
  const pages = [...plan.ram, ...plan.holes].reduce((sum, run) => sum + run.pages, 0);
  return { gfn: firstGfn, pages };
}

/** Aligned runs of 2^order pages, all mapped and unpinned (or all unmapped), outside the control pages. */
export function extentsOf(plan: Plan, domid: number, order: number, wanted: 'mapped' | 'hole' | 'pinned' | 'any'): bigint[] {
  const { gfn: first, pages } = wholeOf(plan, domid);
  const mapped = plan.mapped.get(domid) ?? new Set();
  const pinned = plan.pinned.get(domid) ?? new Set();
  const fits = (gfn: bigint): boolean => {
    if (wanted === 'any') return true;
    if (wanted === 'hole') return !mapped.has(gfn);
    return mapped.has(gfn) && pinned.has(gfn) === (wanted === 'pinned');
  };
  const found: bigint[] = [];
  const step = 2 ** order;
  for (let i = Math.ceil(controlPages / step) * step; i + step <= pages; i += step) {
    const base = first + BigInt(i);
    if (Array.from({ length: step }, (_, j) => base + BigInt(j)).every(fits)) found.push(base);
  }
  return found;
}

/** The address of a control page. */
export function controlPage(i: number): bigint {
  return (firstGfn + BigInt(i)) << 12n;
}

/** The pages of extents. */
export function pagesOf(bases: readonly bigint[], order: number): bigint[] {
  return bases.flatMap((base) => Array.from({ length: 2 ** order }, (_, j) => base + BigInt(j)));
}
