import { type Arch, arches } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { framesInAll } from '../../src/abi/frames.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { judgedOp } from '../../src/abi/ops.ts';
import type { DomainPlan, Hello, World } from '../protocol/implementation.ts';
import type { Choices } from './choices.ts';
import { type CallStep, framesOf, type Scenario, type Step } from './scenario.ts';

// The same scenario in a world that differs only in what must not matter.

const shift = BigInt(PAGE_SHIFT);

/** What must not matter to how a call ends. */
export const aspects = ['padding', 'domids', 'frames', 'unrelated pages', 'order of independent calls'] as const;
export type Aspect = (typeof aspects)[number];

/** A scenario of another world, and what is what there. */
export interface OtherWorld {
  readonly scenario: Scenario;
  /** What differs: nothing else does. */
  readonly differs: readonly Aspect[];
  /** Where a step of the first scenario stands in this one. */
  readonly stepOf: (step: number) => number;
  /** The name that a domain has here, and the number of a guest frame. */
  readonly domidOf: (domid: number) => number;
  readonly gfnOf: (gfn: bigint) => bigint;
}

/** What is chosen for another world, whatever scenario is played in it. */
export interface Chosen {
  readonly padding: number;
  /** Added to each domid, the numbers of no domain left out. */
  readonly domids: number;
  /** The guest frame at which memory begins. */
  readonly base: bigint;
  /** Pages that no call names. */
  readonly pages: number;
  /** Which two of the calls that can be swapped are. */
  readonly swap: number;
}

/** Frames that memory may begin at: multiples of the largest extent, below 4 GiB. */
const places = { from: 0x1_0000n, step: 0x1000n, count: 0xdf } as const;

/** Chooses what differs. */
export function choose(choices: Choices): Chosen {
  return {
    // Of a call with dirty padding some rules say nothing.
    padding: choices.percent(50) ? 1 + choices.below(255) : 0,
    domids: 1 + choices.below(choices.percent(50) ? 16 : 0x7000),
    base: places.from + BigInt(choices.below(places.count)) * places.step,
    pages: 1 + choices.below(40),
    swap: choices.below(64),
  };
}

/**
 * The scenario in the other world that was chosen, as far as it can be there; `undefined` where
 * nothing would differ. `wanted`: of these aspects only.
 */
export function otherWorld(scenario: Scenario, chosen: Chosen, hello: Hello, wanted: readonly Aspect[] = aspects): OtherWorld | undefined {
  const { world, steps } = scenario;
  const can = (aspect: Aspect): boolean => wanted.includes(aspect);
  const padded = can('padding') && steps.some((step) => step.do === 'call' && step.padding !== chosen.padding);
  const domids = can('domids') ? renamedDomids(scenario, chosen.domids) : undefined;
  const moved = can('frames') ? movedBy(scenario, chosen.base, hello) : 0n;
  const more = can('unrelated pages') ? withMore(scenario, chosen.pages, hello) : undefined;
  const swapped = can('order of independent calls') ? swappable(scenario, chosen.swap) : undefined;
  const differs: Aspect[] = aspects.filter(
    (aspect) =>
      ({
        padding: padded,
        domids: domids !== undefined,
        frames: moved !== 0n,
        'unrelated pages': more !== undefined,
        'order of independent calls': swapped !== undefined,
      })[aspect],
  );
  if (differs.length === 0) return undefined;
  const block = blockOf(world);
  const gfnOf = (gfn: bigint): bigint => (moved !== 0n && block && isNear(gfn, block) ? gfn + moved : gfn);
  const domidOf = (domid: number): number => domids?.get(domid) ?? domid;
  const addressOf = (address: bigint): bigint => {
    // The high half of a handle on arm32 stays as it is.
    const high = world.arch === 'arm32' ? (address >> 32n) << 32n : 0n;
    const low = address - high;
    return high + low + ((gfnOf(low >> shift) - (low >> shift)) << shift);
  };
  const renamed = (step: Step): Step =>
    step.do === 'churn'
      ? { ...step, domid: domidOf(step.domid), gfn: gfnOf(step.gfn) }
      : {
          ...step,
          domid: domidOf(step.domid),
          arg: addressOf(step.arg),
          padding: padded ? chosen.padding : step.padding,
          reservations: step.reservations.map((r) => ({ ...r, extent_start: addressOf(r.extent_start), domid: domidOf(r.domid) })),
          lists: step.lists.map((list) => list?.map(gfnOf)),
        };
  const stepOf = (step: number): number =>
    swapped === undefined ? step : step === swapped ? step + 1 : step === swapped + 1 ? step - 1 : step;
  const domains = (more ?? world).domains.map(({ domid, privileged, ram, holes }): DomainPlan => {
    const runs = (of: DomainPlan['ram']): DomainPlan['ram'] => of.map(({ gfn, pages }) => ({ gfn: gfnOf(gfn), pages }));
    return { domid: domidOf(domid), privileged, ram: runs(ram), holes: runs(holes) };
  });
  const order = steps.map((_, i) => steps[stepOf(i)] as Step);
  return { scenario: { world: { ...world, domains }, steps: order.map(renamed) }, differs, stepOf, domidOf, gfnOf };
}

/** Guest frames from and to which all memory of a world lies, where that is one place. */
interface Block {
  readonly from: bigint;
  readonly to: bigint;
}

/** The longest block, and the frames around one that belong to it. */
const longest = 0xa00n;
const around = 0x200n;

function blockOf({ domains }: World): Block | undefined {
  const runs = domains.flatMap(({ ram, holes }) => [...ram, ...holes]);
  const from = runs.reduce((least, { gfn }) => (gfn < least ? gfn : least), framesInAll);
  const to = runs.reduce((most, { gfn, pages }) => (gfn + BigInt(pages) > most ? gfn + BigInt(pages) : most), 0n);
  return to > from && to - from <= longest ? { from, to } : undefined;
}

function isNear(gfn: bigint, { from, to }: Block): boolean {
  return gfn >= from - around && gfn < to + around;
}

/** How far memory can be moved; 0 where it cannot. */
function movedBy(scenario: Scenario, base: bigint, { limits }: Hello): bigint {
  const { world } = scenario;
  const block = blockOf(world);
  // From another place, or beside another end of memory, more than a name would differ.
  if (!block || block.from < around + places.step || block.from % places.step !== 0n) return 0n;
  const there = { from: base, to: base + block.to - block.from };
  if (there.to + around > (limits.max_gfn ?? there.to + around) || base === block.from) return 0n;
  if (isNear(there.from, block) || isNear(block.from, there)) return 0n;
  return namedIn(scenario).some((gfn) => !isNear(gfn, block) && isNear(gfn, there)) ? 0n : base - block.from;
}

/** The guest frames that steps name, each extent by its first one. */
function namedIn({ world, steps }: Scenario): bigint[] {
  const mask = world.arch === 'arm32' ? 0xffff_ffffn : (1n << 64n) - 1n;
  return steps.flatMap((step) => {
    if (step.do === 'churn') return [step.gfn];
    const places = [step.arg, ...step.reservations.map((r) => r.extent_start & mask)];
    return [...places.map((address) => address >> shift), ...step.lists.flatMap((list) => list ?? [])];
  });
}

/** Other numbers for the domains of the world, none that a call names for nobody. */
function renamedDomids({ world, steps }: Scenario, by: number): Map<number, number> | undefined {
  const own = world.domains.map(({ domid }) => domid);
  const strangers = steps
    .flatMap((step) => (step.do === 'call' ? step.reservations.map((r) => r.domid) : []))
    .filter((d) => !own.includes(d));
  const names = new Map(own.map((domid) => [domid, domid + by]));
  const taken = [...names.values()];
  // Domain 0 is somebody else on a real machine.
  return own.includes(0) || taken.some((name) => name >= DOMID.FIRST_RESERVED || strangers.includes(name)) ? undefined : names;
}

/** More pages begin below it: 4 GiB is as far as every guest reaches. */
const lastPlace = 0xf_ff00n;

/** The world with pages that nobody names: behind the holes of each domain. */
function withMore(scenario: Scenario, pages: number, { limits }: Hello): World | undefined {
  const { world } = scenario;
  const block = blockOf(world);
  if (!block) return undefined;
  const gfn = block.to + around + BigInt(pages);
  if (gfn + BigInt(pages) > (limits.max_gfn ?? gfn + BigInt(pages)) || gfn >= lastPlace) return undefined;
  if (namedIn(scenario).some((named) => named >= gfn - around && named < gfn + around)) return undefined;
  const most = Math.max(...world.domains.map(({ ram }) => ram.reduce((sum, run) => sum + run.pages, 0)));
  if (most + pages > (limits.ram_pages ?? most + pages)) return undefined;
  return { ...world, domains: world.domains.map((domain) => ({ ...domain, ram: [...domain.ram, { gfn, pages }] })) };
}

/** The first of two neighbouring calls, neither of which has to do with what the other names. */
function swappable({ world, steps }: Scenario, which: number): number | undefined {
  const pairs = steps.flatMap((step, i) => {
    const next = steps[i + 1];
    return step.do === 'call' && next?.do === 'call' && areApart(step, next, world.arch) ? [i] : [];
  });
  return pairs.length > 0 ? pairs[which % pairs.length] : undefined;
}

/** Of larger extents neither is known where they end. */
const largest = 9;

function areApart(a: CallStep, b: CallStep, arch: Arch): boolean {
  const own = (step: CallStep): { pages: Set<bigint>; memory: Set<bigint> } | undefined => {
    const pages = new Set<bigint>();
    const memory = new Set<bigint>();
    const touches = (address: bigint, bytes: number): void => {
      for (let page = address >> shift; page <= (address + BigInt(bytes)) >> shift; page++) memory.add(page);
    };
    touches(step.arg, layoutOf('xen_get_dma_buf', arch).size - 1);
    for (const [i, { extent_start, extent_order }] of step.reservations.entries()) {
      const list = step.lists[i];
      if (!list || extent_order > largest || judgedOp(step.cmd, 'dma-buf') === undefined) return undefined;
      for (const gfn of framesOf(list, extent_order)) pages.add(gfn);
      touches(extent_start, list.length * arches[arch].word);
    }
    return { pages, memory };
  };
  const [one, other] = [own(a), own(b)];
  if (!one || !other) return false;
  const all = (of: typeof one): bigint[] => [...of.pages, ...of.memory];
  return !all(one).some((page) => other.pages.has(page)) && !all(other).some((page) => one.pages.has(page));
}
