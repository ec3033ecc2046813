import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { type JudgedOp, XENMEM } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import { type Hello, levelOf } from '../protocol/implementation.ts';
import { Choices } from './choices.ts';
import { extentsOf, intend, type PagePlan, type Plan } from './plan.ts';
import { type CallStep, framesOf, type Scenario, type Step } from './scenario.ts';

// Long lives of guests in larger memory: what only many calls, many pages or many pins show.

const ops = XENMEM['dma-buf'];
const shift = BigInt(PAGE_SHIFT);
/** Two guests, each of so many pages and holes; the first pages hold structs and lists. */
const sizes = { small: { pages: 96, holes: 64 }, large: { pages: 640, holes: 576 } } as const;
const structPages = 4n;
const domids = [1, 2] as const;
/** Decisions of the longest history. */
const enough = 1024;

/** A history made from the first of these numbers. */
export function historyFrom(numbers: readonly number[], arch: Arch, hello: Hello): Scenario | undefined {
  const { commands, limits, capabilities } = hello;
  const room = (limits.ram_pages ?? sizes.large.pages) >= sizes.large.pages && capabilities.has('changes') ? 'large' : 'small';
  if ((limits.ram_pages ?? sizes.small.pages) < sizes.small.pages || (limits.domains ?? 2) < 2) return undefined;
  if (commands.get_dma_buf === undefined || commands.put_dma_buf === undefined) return undefined;
  const firstGfn = 0x40000n;
  if (limits.max_gfn !== undefined && limits.max_gfn < firstGfn + 0x800n) return undefined;
  const choices = new Choices(spread(numbers));
  return new History(choices, arch, hello, firstGfn, sizes[choices.percent(40) ? room : 'small']).scenario();
}

/** Many numbers from a few (xorshift, 32 bits). */
function spread(numbers: readonly number[]): number[] {
  let state = numbers.slice(0, 4).reduce((mix, n) => Math.imul(mix ^ n, 0x0100_0193) >>> 0, 0x811c_9dc5) || 1;
  return Array.from({ length: enough }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  });
}

/** A reservation, and what its list holds. */
interface Listed {
  readonly reservation: XenMemoryReservation;
  readonly of: readonly bigint[];
}

/** What one guest has got and not put yet. */
interface Buffer {
  readonly order: number;
  readonly bases: readonly bigint[];
  /** Pages of it that were not put yet. */
  readonly left: Set<bigint>;
}

class History {
  readonly #choices: Choices;
  readonly #hello: Hello;
  readonly #plan: Plan;
  readonly #buffers = new Map<number, Buffer[]>(domids.map((domid) => [domid, []]));
  readonly #steps: Step[] = [];
  readonly #maxOrder: number;

  constructor(choices: Choices, arch: Arch, hello: Hello, firstGfn: bigint, { pages, holes }: { pages: number; holes: number }) {
    this.#choices = choices;
    this.#hello = hello;
    const free = Math.floor(pages / choices.pick([1, 2, 8]));
    const half = choices.pick([
      { low: free, high: free },
      { low: free, high: 0 },
      { low: Math.floor(free / 4), high: free },
    ]);
    const domains = domids.map((domid) => ({
      domid,
      privileged: false,
      ram: [{ gfn: firstGfn, pages }],
      holes: [{ gfn: firstGfn + BigInt(pages), pages: holes }],
    }));
    const page = (): PagePlan => ({
      mapped: Array.from({ length: pages + holes }, (_, i) => i < pages),
      pinned: Array<boolean>(pages + holes).fill(false),
    });
    this.#maxOrder = Math.min(hello.limits.max_order ?? 3, 9);
    this.#plan = {
      world: { arch, domains, free: half },
      pages: new Map(domids.map((domid) => [domid, page()])),
      commits: [],
      firstGfn,
      maxOrder: this.#maxOrder,
      maxExtents: Math.min(Number(hello.limits.max_extents ?? 513n), 513),
    };
  }

  scenario(): Scenario {
    const calls = 12 + this.#choices.below(29);
    // Not every wish can be had: of memory that is all pinned, say
    for (let wishes = 0; this.#steps.length < calls && wishes < 4 * calls; wishes++) this.#next();
    this.#undo();
    return { world: this.#plan.world, steps: this.#steps };
  }

  #next(): void {
    const domid = this.#choices.percent(30) ? domids[1] : domids[0];
    const has = (op: JudgedOp): boolean => this.#hello.commands[op] !== undefined;
    const kind = this.#choices.pick(['get', 'put', 'get', 'put', 'churn', 'decrease', 'populate', 'get', 'exchange', 'put'] as const);
    if (kind === 'get') this.#exchange('get_dma_buf', domid);
    else if (kind === 'put') this.#put(domid);
    else if (kind === 'churn' && levelOf(this.#hello) === 2) this.#churn(domid);
    else if (kind === 'exchange' && has('exchange')) this.#exchange('exchange', domid);
    else if (kind === 'decrease' && has('decrease_reservation')) this.#single('decrease_reservation', domid, 'mapped');
    else if (kind === 'populate' && has('populate_physmap')) this.#single('populate_physmap', domid, 'hole');
    else this.#exchange('get_dma_buf', domid);
  }

  /** All that was got is put and moves, and what is left of the machine's memory is taken. */
  #undo(): void {
    if (this.#choices.percent(50)) {
      for (const domid of domids) {
        for (const buffer of this.#buffers.get(domid) ?? []) this.#putPages(domid, [...buffer.left], 0);
        this.#buffers.set(domid, []);
        if (levelOf(this.#hello) === 2) for (let i = 0; i < 4; i++) this.#churn(domid);
      }
    }
    const { commands, capabilities } = this.#hello;
    if (commands.populate_physmap === undefined || !capabilities.has('free') || this.#choices.percent(30)) return;
    const [domid] = domids;
    for (let part = 0; part < 3; part++) {
      const holes = extentsOf(this.#plan, domid, 0, 'hole').slice(0, this.#plan.maxExtents);
      if (holes.length > 0) this.#reserve('populate_physmap', domid, holes, 0, true);
    }
  }

  #exchange(op: 'get_dma_buf' | 'exchange', domid: number): void {
    const [oi, oo] = this.#orders();
    const [perIn, perOut] = [2 ** Math.max(0, oo - oi), 2 ** Math.max(0, oi - oo)];
    const inputs = extentsOf(this.#plan, domid, oi, 'mapped').filter((gfn) => gfn >= this.#plan.firstGfn + 12n);
    const from = this.#choices.below(inputs.length);
    const wanted = this.#choices.pick([1, 2, 3, 8, 24, 64, 65, 512, 513]);
    const most = Math.min(Math.floor((inputs.length - from) / perIn), Math.floor(this.#plan.maxExtents / Math.max(perIn, perOut)));
    const chunks = Math.max(0, Math.min(Math.ceil(wanted / perIn), most));
    const ins = inputs.slice(from, from + chunks * perIn);
    const holes = extentsOf(this.#plan, domid, oo, 'hole');
    const isOwn = oi === oo && this.#choices.percent(60);
    const outs = isOwn ? ins : holes.slice(0, (ins.length / perIn) * perOut);
    const fit = Math.floor(outs.length / perOut);
    const [given, taken] = [ins.slice(0, fit * perIn), outs.slice(0, fit * perOut)];
    if (given.length === 0 || taken.length === 0) {
      this.#churn(domid);
      return;
    }
    const inject = this.#choices.pick([undefined, undefined, undefined, undefined, { preempt: 1 + this.#choices.below(70) }]);
    const canBe = inject !== undefined && this.#hello.capabilities.has('preempt');
    const bits = this.#choices.pick([0, 0, 0, 32]);
    this.#call(op, domid, [this.#list(0, given, oi, 0), this.#list(1, taken, oo, bits)], canBe ? inject : undefined);
    intend(this.#plan, domid, framesOf(given, oi), false, false);
    intend(this.#plan, domid, framesOf(taken, oo), true, op === 'get_dma_buf');
    if (op === 'get_dma_buf') this.#buffers.get(domid)?.push({ order: oo, bases: taken, left: new Set(framesOf(taken, oo)) });
    if (levelOf(this.#hello) === 2 && this.#choices.percent(25)) this.#churn(domid);
  }

  #orders(): [number, number] {
    const high = Math.min(4 + this.#choices.below(6), this.#maxOrder);
    const pairs: [number, number][] = [
      [0, 0],
      [0, 0],
      [1, 1],
      [0, 1],
      [1, 0],
      [0, Math.min(3, high)],
      [high, high],
      [Math.min(3, high), 0],
      [Math.max(0, high - 1), high],
    ];
    return this.#choices.pick(pairs.filter(([a, b]) => Math.max(a, b) <= this.#maxOrder));
  }

  /** Some of what was got: a buffer, a part of one, page by page, or pages of two. */
  #put(domid: number): void {
    const own = this.#buffers.get(domid) ?? [];
    const buffer = own.length > 0 ? this.#choices.pick(own) : undefined;
    if (!buffer) {
      this.#exchange('get_dma_buf', domid);
      return;
    }
    const left = [...buffer.left];
    const how = this.#choices.pick(['all', 'all', 'part', 'two', 'pages'] as const);
    const isWhole = left.length === buffer.bases.length * 2 ** buffer.order;
    const others = own.flatMap((other) => (other === buffer ? [] : [...other.left].slice(0, 1)));
    if (how === 'all' && isWhole) this.#putPages(domid, buffer.bases, buffer.order);
    else if (how === 'two') this.#putPages(domid, [...left.slice(-2), ...others], 0);
    else if (how === 'part') this.#putPages(domid, left.slice(0, 1 + this.#choices.below(left.length)), 0);
    else this.#putPages(domid, left, 0);
    if (levelOf(this.#hello) === 2 && this.#choices.percent(30)) for (let i = 0; i < 4; i++) this.#churn(domid);
  }

  #putPages(domid: number, bases: readonly bigint[], order: number): void {
    for (let from = 0; from < bases.length; from += this.#plan.maxExtents) {
      const some = bases.slice(from, from + this.#plan.maxExtents);
      this.#call('put_dma_buf', domid, [this.#list(0, some, order, 0)]);
      const pages = framesOf(some, order);
      intend(this.#plan, domid, pages, undefined, false);
      const own = this.#buffers.get(domid) ?? [];
      for (const { left } of own) for (const gfn of pages) left.delete(gfn);
      this.#buffers.set(
        domid,
        own.filter(({ left }) => left.size > 0),
      );
    }
  }

  #single(op: 'decrease_reservation' | 'populate_physmap', domid: number, of: 'mapped' | 'hole'): void {
    const order = this.#choices.pick([0, 0, 1, Math.min(3, this.#maxOrder)]);
    const found = extentsOf(this.#plan, domid, order, of).filter((gfn) => gfn >= this.#plan.firstGfn + 12n);
    const from = this.#choices.below(found.length);
    const some = found.slice(from, from + Math.min(this.#choices.pick([1, 2, 16, 64]), this.#plan.maxExtents));
    if (some.length > 0) this.#reserve(op, domid, some, order, op === 'populate_physmap');
  }

  #reserve(op: JudgedOp, domid: number, bases: readonly bigint[], order: number, mapped: boolean): void {
    this.#call(op, domid, [this.#list(0, bases, order, 0)]);
    intend(this.#plan, domid, framesOf(bases, order), mapped, false);
  }

  #churn(domid: number): void {
    if (levelOf(this.#hello) < 2) return;
    const pages = this.#plan.pages.get(domid)?.mapped.length ?? 0;
    this.#steps.push({ do: 'churn', domid, gfn: this.#plan.firstGfn, pages });
  }

  /** A list behind the structs: two pages have room for 513 entries that begin anywhere in one. */
  #list(which: 0 | 1, of: readonly bigint[], order: number, bits: number): Listed {
    const at = ((this.#plan.firstGfn + structPages + BigInt(which) * 4n) << shift) + this.#choices.pick([0n, 8n, 0xff8n, 0x7f8n]);
    const reservation = { extent_start: at, nr_extents: BigInt(of.length), extent_order: order, address_bits: bits, domid: DOMID.SELF };
    return { reservation, of };
  }

  #call(op: JudgedOp, domid: number, lists: readonly Listed[], inject?: CallStep['inject']): void {
    this.#steps.push({
      do: 'call',
      domid,
      cmd: ops[op],
      arg: this.#plan.firstGfn << shift,
      reservations: lists.map(({ reservation }) => reservation),
      nrExchanged: 0n,
      padding: this.#choices.percent(10) ? 0xa5 : 0,
      lists: lists.map(({ of }) => of),
      ...(inject && { inject }),
    });
  }
}
