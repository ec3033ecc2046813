import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, MEMOP_EXTENT_SHIFT, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { type JudgedOp, XENMEM } from '../../src/abi/ops.ts';
import { type Capability, type DomainPlan, type Hello, levelOf, type PageRun, type World } from '../protocol/implementation.ts';
import type { CallStep, Scenario, Step } from './scenario.ts';

const ops = XENMEM['dma-buf'];
export const shift: bigint = BigInt(PAGE_SHIFT);
/** Frames from `base` on: control pages, pages to exchange, and holes. */
export const first = 8n;
export const ramPages = 16;
const holePages = 16;
export const hole: bigint = BigInt(ramPages);

/** What a kind of scenario is made with. */
export interface Stage {
  readonly base: bigint;
  readonly hello: Hello;
  readonly arch: Arch;
}

export interface Kind {
  /** What must be there for it: ops, more than one domain, an order, room for frames. */
  readonly ops: readonly JudgedOp[];
  readonly domains?: number;
  readonly order?: number;
  readonly pages?: number;
  readonly extents?: number;
  readonly highest?: bigint;
  readonly only?: Arch;
  readonly needs?: readonly Capability[];
  readonly make: (stage: Stage) => { readonly world?: WorldOf; readonly base?: bigint; readonly steps: readonly Step[] };
}

interface WorldOf {
  readonly privileged?: readonly number[];
  readonly ram?: readonly PageRun[];
  readonly holes?: readonly PageRun[];
  readonly free?: World['free'];
}

/** A list of a call: its entries, and what differs from the usual. */
export interface Listed {
  /** `undefined`: what lies there already. */
  readonly of: readonly bigint[] | undefined;
  readonly at?: bigint;
  readonly count?: bigint;
  readonly order?: number;
  readonly bits?: number;
  /** Instead of the call's own. */
  readonly domid?: number;
}

interface How {
  readonly by?: number;
  readonly domid?: number;
  readonly arg?: bigint;
  /** The extent to go on from. */
  readonly start?: number;
  readonly inject?: CallStep['inject'];
}

export function call(
  op: JudgedOp,
  { base }: Pick<Stage, 'base'>,
  lists: readonly Listed[],
  { by = 1, domid = DOMID.SELF, arg, start = 0, inject }: How = {},
): CallStep {
  return {
    do: 'call',
    domid: by,
    cmd: (ops[op] | (start << MEMOP_EXTENT_SHIFT)) >>> 0,
    arg: arg ?? base << shift,
    reservations: lists.map(({ of, at, count, order = 0, bits = 0, domid: own }, i) => ({
      extent_start: at ?? (base + 1n + 2n * BigInt(i)) << shift,
      nr_extents: count ?? BigInt(of?.length ?? 0),
      extent_order: order,
      address_bits: bits,
      domid: own ?? domid,
    })),
    nrExchanged: 0n,
    padding: 0,
    lists: lists.map(({ of }) => of),
    ...(inject && { inject }),
  };
}

/** Gets pages on themselves. */
export function got(stage: Pick<Stage, 'base'>, gfns: readonly bigint[], how: How = {}, order = 0): CallStep {
  return call(
    'get_dma_buf',
    stage,
    [
      { of: gfns, order },
      { of: gfns, order },
    ],
    how,
  );
}

export function put(stage: Pick<Stage, 'base'>, gfns: readonly bigint[], how: How = {}, order = 0): CallStep {
  return call('put_dma_buf', stage, [{ of: gfns, order }], how);
}

/** Moves of a whole domain, so many. */
export function moved({ base, hello }: Stage, domid = 1, times = 1, pages = 48): Step[] {
  return levelOf(hello) < 2 ? [] : Array.from({ length: times }, () => ({ do: 'churn' as const, domid, gfn: base, pages }));
}

/** An order above the largest that there is, of few enough pages to be followed. */
export function beyond({ hello }: Stage): number {
  return Math.min((hello.limits.max_order ?? 9) + 1, 12);
}

/** The scenarios of those kinds that such an implementation has room for. */
export function fitting(kinds: readonly Kind[], arch: Arch, hello: Hello): readonly (() => Scenario)[] {
  const { commands, limits, capabilities } = hello;
  const base = limits.max_gfn !== undefined && limits.max_gfn < 0x4_2000n ? 0x400n : 0x4_0000n;
  const fits = ({ ops: wanted, domains = 1, order = 0, pages = ramPages, extents = 8, highest = 0n, only, needs = [] }: Kind): boolean =>
    wanted.every((op) => commands[op] !== undefined) &&
    domains <= (limits.domains ?? domains) &&
    order <= (limits.max_order ?? order) &&
    pages <= (limits.ram_pages ?? pages) &&
    BigInt(extents) <= (limits.max_extents ?? BigInt(extents)) &&
    highest <= (limits.max_gfn ?? highest) &&
    arch === (only ?? arch) &&
    needs.every((capability) => capabilities.has(capability));
  return kinds.filter(fits).map(({ make, domains = 1 }) => () => {
    const made = make({ base, hello, arch });
    return { world: worldOf(arch, made.base ?? base, domains, made.world), steps: made.steps };
  });
}

function worldOf(arch: Arch, base: bigint, domains: number, { privileged = [], ram, holes, free }: WorldOf = {}): World {
  const plan = (domid: number): DomainPlan => ({
    domid,
    privileged: privileged.includes(domid),
    ram: ram ?? [{ gfn: base, pages: ramPages }],
    holes: holes ?? [{ gfn: base + hole, pages: holePages }],
  });
  return { arch, domains: Array.from({ length: domains }, (_, i) => plan(i + 1)), free: free ?? { low: 64, high: 64 } };
}

/** The ops of buffers. */
export const buffers = ['get_dma_buf', 'put_dma_buf'] as const;
/** Churns in which a page that was put must move. */
export const churnsToMove = 4;
