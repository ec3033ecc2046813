import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, MEMOP_EXTENT_SHIFT, MEMOP_MAX_EXTENTS, PAGE_SIZE, XENMEMF } from '../../src/abi/constants.ts';
import { isExchangeOp, type JudgedOp, XENMEM } from '../../src/abi/ops.ts';
import type { PageRun } from '../protocol/implementation.ts';
import { Choices } from '../scenario/choices.ts';
import { type CallStep, framesOf, type Scenario } from '../scenario/scenario.ts';
import { mostUsed, strayFrames } from './guest.ts';

/** The guest that scenarios are drawn for. */
export interface Cast {
  readonly arch: Arch;
  readonly domid: number;
  readonly privileged: boolean;
  readonly translated: boolean;
  /** What the hypervisor can do that Debian's does not, on such a guest. */
  readonly more: readonly MoreOp[];
  /** The gfns that its p2m has room for, where those are fewer than the architecture has. */
  readonly mappable?: number;
  /** Its free memory, of which worlds are made. */
  readonly room: { readonly first: bigint; readonly pages: number };
}

/** Ops that a hypervisor which somebody built may have for translated guests. */
export const moreOps = ['exchange', 'get_dma_buf', 'put_dma_buf'] as const satisfies readonly JudgedOp[];
export type MoreOp = (typeof moreOps)[number];

/** A call in the making. */
interface Draft {
  op: JudgedOp;
  start: number;
  domid: number;
  outDomid: number;
  arg: bigint;
  handles: [bigint, bigint];
  counts: [bigint | undefined, bigint | undefined];
  orders: [number, number];
  flags: number;
  lists: [bigint[], bigint[]];
  nrExchanged: bigint;
  padding: number;
}

const ops = XENMEM['dma-buf'];
const page = BigInt(PAGE_SIZE);
/**
 * A world, in pages from its first: for structs and lists, the last of them with nothing behind it,
 * and one that stays as it is; then what calls give away, and what they populate. In a large one that has room for extents of
 * order 9; in a long one, and it has pages for the lists behind those for structs, so many extents
 * that a call of them is preempted.
 */
const places = { idle: 3, control: 5, ram: 8, holes: 32, end: 48, large: 1536, listed: 16, long: mostUsed } as const;
/** Orders that worlds have room for, that of a large one, and those that every Xen refuses. */
const orders = { usual: [0, 0, 0, 0, 1, 1, 2, 3], large: 9, refused: [19, 20, 31, 32, 63, 64, 255, 0x7fff_ffff, 0xffff_ffff] } as const;
/** Which of a thousand worlds are so: a long one takes as long as hundreds of others. */
export const rarely = { long: 995, large: 996 } as const;
const mostSteps = { usual: 8, long: 3 } as const;
/** Where the RAM of a long world ends: there is little of it, or half, or all but little. */
const longRam = [0x40, 0x600, 0xbc0] as const;
/** Extents of a long list at least. */
const fewestListed = 1000;

/** Is a page of a world for structs and lists? No call gives it away, unless by mistake. */
export function isControl(gfn: bigint, { first }: Cast['room']): boolean {
  return gfn < first + BigInt(places.control);
}

/** The scenario that a list of numbers stands for: a world of the guest's memory, and calls. */
export function drawn(numbers: readonly number[], cast: Cast): Scenario {
  return new Drawing(new Choices(numbers), cast).scenario();
}

class Drawing {
  readonly #choices: Choices;
  readonly #cast: Cast;
  readonly #base: bigint;
  /** What the pages are meant to be, if each call does what it should. */
  readonly #mapped: boolean[];
  /** Those that a get should have pinned. */
  readonly #pinned = new Set<number>();
  readonly #kind: 'usual' | 'large' | 'long';
  /** Where the RAM ends that calls give away. */
  readonly #holes: number;

  constructor(choices: Choices, cast: Cast) {
    this.#choices = choices;
    this.#cast = cast;
    this.#base = cast.room.first;
    const rare = choices.below(1000);
    this.#kind = rare >= rarely.large ? 'large' : rare === rarely.long ? 'long' : 'usual';
    this.#holes = this.#kind === 'long' ? choices.pick(longRam) : places.holes;
    const end = this.#kind === 'usual' ? places.end : places[this.#kind];
    this.#mapped = Array.from({ length: end }, (_, i) => i < places.control || (i >= places.ram && i < this.#holes));
  }

  scenario(): Scenario {
    const { arch, domid, privileged } = this.#cast;
    const run = (from: number, to: number): PageRun => ({ gfn: this.#base + BigInt(from), pages: to - from });
    // The first page is left zero, and the others are filled: so it is one that nothing is put into.
    const { idle, control } = places;
    const ram = [run(idle, idle + 1), run(0, idle), run(idle + 1, control), run(places.ram, this.#holes)];
    const holes = [run(places.control, places.ram), run(this.#holes, this.#mapped.length)];
    const domain = { domid, privileged, ram, holes };
    const isLong = this.#kind === 'long';
    const count = 1 + this.#choices.below(isLong ? mostSteps.long : mostSteps.usual);
    const steps = Array.from({ length: count }, () => (isLong ? this.#longStep() : this.#step()));
    return { world: { arch, domains: [domain], free: { low: isLong ? places.long : 64, high: 0 } }, steps };
  }

  #step(): CallStep {
    const op = this.#choices.pick([
      ...Array<JudgedOp>(3).fill('decrease_reservation'),
      ...Array<JudgedOp>(3).fill('populate_physmap'),
      'increase_reservation',
      ...Array<JudgedOp>(this.#cast.translated ? 2 : 12).fill('exchange'),
      ...this.#cast.more.flatMap((more) => Array<JudgedOp>(6).fill(more)),
    ] as const);
    const mode = this.#choices.below(10);
    const draft = this.#draft(op, mode === 5);
    if (mode < 5) this.#intend(draft);
    for (let i = 0; i < mode - 5; i += 2) this.#twist(draft);
    return this.#finished(draft);
  }

  /** Ops 0, 1 and 6 with a long list, from its first extent on or as after a preemption. */
  #longStep(): CallStep {
    const pair = ['decrease_reservation', 'populate_physmap'] as const;
    const isFull = this.#mapped.filter((is) => is).length * 2 > this.#mapped.length;
    const [long, short] = isFull ? pair : pair.toReversed();
    const op = this.#choices.pick([long, long, long, 'increase_reservation', short] as JudgedOp[]);
    const draft = this.#draft(op, false);
    // Of a PV guest the frames behind two pages need not follow each other, and a list may lie in one.
    const isOne = op === 'decrease_reservation' && !this.#cast.translated;
    const order = isOne ? 0 : this.#choices.pick([0, 0, 1]);
    const all = this.#extents(order, places.long, op === 'populate_physmap' ? 'hole' : 'mapped', places.listed);
    const list = all.slice(0, fewestListed + this.#choices.below(all.length));
    const handle = (this.#base + BigInt(places.ram)) * page + this.#choices.pick([0n, 8n, 3n]);
    set(draft, { orders: [order, order], lists: [list, []], handles: [handle, 0n], flags: 0 });
    set(draft, { start: this.#choices.pick([0, 0, 0, 1, list.length >> 1, Math.max(0, list.length - 1)]) });
    this.#intend({ ...draft, lists: [list.slice(draft.start), []] });
    return this.#finished(draft);
  }

  /** A call that should work; `wild`: on pages that may be anything. */
  #draft(op: JudgedOp, wild: boolean): Draft {
    const order = this.#kind === 'large' ? orders.large : this.#choices.pick(orders.usual);
    const isExchange = isExchangeOp(op);
    const outOrder = isExchange ? this.#choices.pick(orders.usual) : order;
    const [perIn, perOut] = [2 ** Math.max(0, outOrder - order), 2 ** Math.max(0, order - outOrder)];
    const chunks = 1 + this.#choices.below(this.#kind === 'large' ? 2 : 4);
    const given = op === 'populate_physmap' ? 'hole' : op === 'put_dma_buf' ? 'pinned' : 'mapped';
    const ins = this.#extents(order, chunks * (isExchange ? perIn : 1), wild ? 'any' : given);
    const whole = Math.floor(ins.length / perIn);
    const outs = isExchange ? this.#extents(outOrder, whole * perOut, wild ? 'any' : 'hole') : [];
    const at = this.#choices.pick([0x100n, 0x100n, 0x101n, 0xfe8n]);
    return {
      op,
      start: 0,
      domid: DOMID.SELF,
      outDomid: DOMID.SELF,
      arg: this.#base * page + at,
      handles: [(this.#base + 2n) * page + this.#choices.pick([0n, 8n, 3n]), (this.#base + 2n) * page + 0x800n],
      counts: [undefined, undefined],
      orders: [order, outOrder],
      flags: this.#choices.pick([0, 0, 0, 0, 0, 32, 32, 31]),
      lists: [isExchange ? ins.slice(0, Math.floor(outs.length / perOut) * perIn) : ins, outs],
      nrExchanged: 0n,
      padding: this.#choices.pick([0, 0xa5, 0xff]),
    };
  }

  /** Aligned extents of pages that are all meant to be so, beginning anywhere, in order. */
  #extents(order: number, count: number, wanted: 'mapped' | 'pinned' | 'hole' | 'any', first: number = places.ram): bigint[] {
    const step = 2 ** order;
    const found: bigint[] = [];
    for (let i = Math.ceil(first / step) * step; i + step <= this.#mapped.length; i += step) {
      const isWanted = (is: boolean, at: number): boolean =>
        wanted === 'any' || (wanted === 'pinned' ? this.#pinned.has(i + at) : is === (wanted === 'mapped'));
      if (this.#mapped.slice(i, i + step).every(isWanted)) found.push(this.#base + BigInt(i));
    }
    const from = this.#choices.below(found.length);
    return [...found.slice(from), ...found.slice(0, from)].slice(0, count);
  }

  #intend({ op, lists, orders: [order, outOrder] }: Draft): void {
    const mark = (list: readonly bigint[], of: number, mapped: boolean): void => {
      for (const gfn of framesOf(list, of)) this.#mapped[Number(gfn - this.#base)] = mapped;
    };
    if (op === 'decrease_reservation') mark(lists[0], order, false);
    if (op === 'populate_physmap') mark(lists[0], order, true);
    if (op === 'put_dma_buf') this.#pin(lists[0], order, false);
    if (!isExchangeOp(op) || (this.#cast.translated && !this.#cast.more.includes(op as MoreOp))) return;
    mark(lists[0], order, false);
    mark(lists[1], outOrder, true);
    if (op === 'get_dma_buf') this.#pin(lists[1], outOrder, true);
  }

  #pin(list: readonly bigint[], order: number, is: boolean): void {
    for (const gfn of framesOf(list, order))
      is ? this.#pinned.add(Number(gfn - this.#base)) : this.#pinned.delete(Number(gfn - this.#base));
  }

  #twist(draft: Draft): void {
    const side = this.#choices.below(2) as 0 | 1;
    const [name, twist] = this.#choices.pick(twists);
    // Of a list that cannot be written a PV guest loses the frames, and needs a new machine.
    const isWritten = draft.op === 'increase_reservation' || draft.op === 'populate_physmap' || side === 1;
    const loses = !this.#cast.translated && (name.startsWith('list') || name === 'count') && isWritten;
    if (loses && this.#choices.below(10) < 9) return;
    twist(draft, this.#choices, this.#base, side, this.#cast.arch);
  }

  #finished(draft: Draft): CallStep {
    const sides = isExchangeOp(draft.op) ? ([0, 1] as const) : ([0] as const);
    return {
      do: 'call',
      domid: this.#cast.domid,
      cmd: (ops[draft.op] | (draft.start << MEMOP_EXTENT_SHIFT)) >>> 0,
      arg: draft.arg,
      reservations: sides.map((i) => ({
        extent_start: draft.handles[i],
        nr_extents: draft.counts[i] ?? BigInt(draft.lists[i].length),
        extent_order: draft.orders[i],
        address_bits: i === sides.length - 1 ? draft.flags : 0,
        domid: i === 0 ? draft.domid : draft.outDomid,
      })),
      nrExchanged: draft.nrExchanged,
      padding: draft.padding,
      lists: sides.map((i) => draft.lists[i]),
    };
  }
}

type Twist = (draft: Draft, choices: Choices, base: bigint, side: 0 | 1, arch: Arch) => void;

/** Behind the pages for structs and lists, where nothing is. */
const far = (base: bigint): bigint => (base + BigInt(places.control)) * page;

/** One thing that is unusual about a call, or wrong. */
const twists: readonly (readonly [string, Twist])[] = [
  ['count', (d, c, _, side) => put(d.counts, side, c.pick(counts))],
  ['fewer', (d, c) => put(d.counts, 0, BigInt(Math.max(0, d.lists[0].length - 1 - c.below(2))))],
  ['order', (d, c) => put(d.orders, c.below(2), c.pick(orders.refused))],
  ['domid', (d, c) => name(d, c.pick(strangers))],
  ['one domid', (d, c) => set(d, { outDomid: c.pick([5, DOMID.INVALID, 0]) })],
  ['struct nowhere', (d, c, base) => set(d, { arg: c.pick([far(base) + 0x100n, far(base) - 8n, 2n ** 40n, 2n ** 64n - 16n]) })],
  ['list null', (d, _, __, side) => nullList(d, side)],
  ['list nowhere', (d, _, base, side) => put(d.handles, side, far(base) + 0x40n)],
  ['list cut', cutList],
  ['list across', (d, c, base, side) => put(d.handles, side, (base + 2n) * page - 8n - BigInt(c.below(2)))],
  ['entry', badEntry],
  ['entry again', (d, c) => twice(d.lists[c.below(2)] as bigint[], c)],
  ['unaligned', (d, c) => shift(d.lists[c.below(2)] as bigint[], c)],
  ['start', (d, c) => set(d, { start: c.pick([1, 2, d.lists[0].length, d.lists[0].length + 3, 9, 0x3ff_ffff]) })],
  ['bits', (d, c) => flag(d, c.pick([1, 11, 12, 13, 24, 31, 32, 40, 255]))],
  ['node', (d, c) => flag(d, c.pick([0x100, 0x200, 0x20100, 0x20200, XENMEMF.exact_node_request]))],
  ['on demand', (d) => flag(d, XENMEMF.populate_on_demand)],
  ['unknown flag', (d, c) => flag(d, c.pick([XENMEMF.vnode, 2 ** 19, 2 ** 31]))],
  [
    'done',
    (d, c) => set(d, { nrExchanged: c.pick([1n, 2n, 3n, BigInt(d.lists[0].length), BigInt(d.lists[0].length) + 1n, 2n ** 64n - 1n]) }),
  ],
];

const counts = [0n, 1n, MEMOP_MAX_EXTENTS, MEMOP_MAX_EXTENTS + 1n, 2n ** 32n + 1n, 2n ** 64n - 1n];
const strangers = [5, 0xffff, DOMID.IO, DOMID.XEN, DOMID.COW, DOMID.INVALID, DOMID.IDLE];

function set(draft: Draft, values: Partial<Draft>): void {
  Object.assign(draft, values);
}

function put<T>(list: (T | undefined)[], at: number, value: T): void {
  list[at] = value;
}

function name(draft: Draft, domid: number): void {
  set(draft, { domid, outDomid: domid });
}

/** Nothing is written for a list that is nowhere: the guest may have a device there. */
function nullList(draft: Draft, side: 0 | 1): void {
  draft.counts[side] ??= BigInt(draft.lists[side].length);
  draft.lists[side] = [];
  draft.handles[side] = 0n;
}

function flag(draft: Draft, bits: number): void {
  draft.flags = (draft.flags | bits) >>> 0;
}

/** A list of which the first entries are there. */
function cutList(draft: Draft, choices: Choices, base: bigint, side: 0 | 1): void {
  const list = draft.lists[side];
  const fit = choices.below(list.length + 1);
  draft.handles[side] = far(base) - 8n * BigInt(fit);
  draft.counts[side] = BigInt(list.length);
  list.length = fit;
}

function badEntry({ lists }: Draft, choices: Choices, base: bigint, _side: 0 | 1, arch: Arch): void {
  const list = lists[choices.below(2) as 0 | 1];
  const bad = [base + BigInt(places.holes) + 3n, base + BigInt(places.ram) + 1n, ...strayFrames(arch, base)];
  if (list.length > 0) list[choices.below(list.length)] = choices.pick(bad);
}

function twice(list: bigint[], choices: Choices): void {
  if (list.length > 0) list.splice(choices.below(list.length), 0, list[choices.below(list.length)] as bigint);
}

function shift(list: bigint[], choices: Choices): void {
  if (list.length > 0) list[choices.below(list.length)] = (list[0] as bigint) + 1n;
}
