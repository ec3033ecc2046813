import type { Arch } from '../../src/abi/arch.ts';
import type { DomainPlan, Hello, World } from '../protocol/implementation.ts';
import type { Choices } from './choices.ts';

/** Pages at the start of RAM that hold structs and lists, and are exchanged only by mistake. */
export const controlPages = 4;
/**
 * Where RAM begins: at 1 GiB as on real boards, or lower where an implementation has fewer frames.
 */
const firstGfns = [0x40000n, 0x400n, 8n] as const;
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

/**
 * What the generator means a guest's pages to be, by index from the first; a wrong guess only makes
 * a call less valid.
 */
export interface PagePlan {
  readonly mapped: boolean[];
  readonly pinned: boolean[];
}

/** What the generator means the guests to look like if each call does what it should. */
export interface Plan {
  readonly world: World;
  readonly pages: ReadonlyMap<number, PagePlan>;
  readonly commits: Commit[];
  readonly firstGfn: bigint;
  readonly maxOrder: number;
  /** Extents in one list. */
  readonly maxExtents: number;
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
  const room = BigInt(pages + holePages);
  const firstGfn = firstGfns.find((gfn) => gfn + room - 1n <= (limits.max_gfn ?? gfn + room)) ?? 8n;
  const guest = (domid: number, holes: number, raised: boolean): DomainPlan => ({
    domid,
    privileged: raised,
    ram: [{ gfn: firstGfn, pages }],
    holes: holes > 0 ? [{ gfn: firstGfn + BigInt(pages), pages: holes }] : [],
  });
  const domains = [guest(caller, holePages, privileged), ...(two ? [guest(bystander, holePages, false)] : [])];
  return {
    world: { arch, domains, free },
    pages: new Map(
      domains.map(({ domid }) => [
        domid,
        { mapped: Array.from({ length: pages + holePages }, (_, i) => i < pages), pinned: Array<boolean>(pages + holePages).fill(false) },
      ]),
    ),
    commits: [],
    firstGfn,
    maxOrder: Math.min(limits.max_order ?? 3, 3),
    maxExtents: Number(limits.max_extents ?? pages),
  };
}

/**
 * Everything of a domain that is watched: RAM and holes lie side by side, so that one churn reaches
 * all of it.
 */
export function wholeOf({ pages, firstGfn }: Plan, domid: number): { gfn: bigint; pages: number } {
  return { gfn: firstGfn, pages: pages.get(domid)?.mapped.length ?? 0 };
}

/**
 * Aligned runs of 2^order pages, all mapped and unpinned (or all unmapped), outside the control
 * pages.
 */
export function extentsOf(plan: Plan, domid: number, order: number, wanted: 'mapped' | 'hole' | 'pinned' | 'any'): bigint[] {
  const own = plan.pages.get(domid);
  if (!own) return [];
  const { mapped, pinned } = own;
  const found: bigint[] = [];
  const step = 1 << order;
  for (let i = Math.ceil(controlPages / step) * step; i + step <= mapped.length; i += step) {
    let fits = true;
    for (let j = i; fits && j < i + step; j++) {
      if (wanted === 'hole') fits = !mapped[j];
      else if (wanted !== 'any') fits = mapped[j] === true && pinned[j] === (wanted === 'pinned');
    }
    if (fits) found.push(plan.firstGfn + BigInt(i));
  }
  return found;
}

/**
 * Marks pages as mapped or not, pinned or not; `undefined` leaves it as it is. Pages beyond the
 * plan are nobody's.
 */
export function intend(plan: Plan, domid: number, gfns: readonly bigint[], mapped: boolean | undefined, pinned: boolean): void {
  const own = plan.pages.get(domid);
  if (!own) return;
  for (const gfn of gfns) {
    const i = Number(gfn - plan.firstGfn);
    if (i < 0 || i >= own.mapped.length) continue;
    if (mapped !== undefined) own.mapped[i] = mapped;
    own.pinned[i] = pinned;
  }
}

/** The address of a control page. */
export function controlPage({ firstGfn }: Plan, i: number): bigint {
  return (firstGfn + BigInt(i)) << 12n;
}
