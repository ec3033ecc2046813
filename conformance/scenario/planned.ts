import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SIZE } from '../../src/abi/constants.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, type JudgedOp, XENMEM } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import type { DomainPlan, Hello, PageRun, World } from '../protocol/implementation.ts';
import type { Choices } from './choices.ts';
import type { Row } from './dimensions.ts';
import type { CallStep, ChurnStep, Scenario, Step } from './scenario.ts';

const ops = XENMEM['dma-buf'];
const opOf: { readonly [op in Row['op']]: JudgedOp } = {
  get: 'get_dma_buf',
  put: 'put_dma_buf',
  exchange: 'exchange',
  increase: 'increase_reservation',
  decrease: 'decrease_reservation',
  populate: 'populate_physmap',
};

/**
 * Pages at the start of RAM for structs and lists: two for structs, three for each list, and one
 * for the calls around.
 */
const control = { struct: 0n, lists: [2n, 5n], others: 8n, pages: 9 } as const;
/** Pages for the calls before and after the one that matters, and as many holes. */
const spare = 8;
/** Churns in which a page that was put must move. */
const movesToSee = 4;
const caller = 1;
const page = BigInt(PAGE_SIZE);

/**
 * The scenario of a row: one call that has all its values, with a history before it and what shows
 * its effects after it.
 */
export function plannedFrom(row: Row, choices: Choices, arch: Arch, hello: Hello): Scenario {
  return new Planned(row, choices, arch, hello).scenario();
}

/** What a list holds, and where. */
interface Listed {
  readonly of: readonly bigint[];
  readonly at: bigint;
  readonly order: number;
}

class Planned {
  readonly #row: Row;
  readonly #choices: Choices;
  readonly #arch: Arch;
  readonly #other: number;
  readonly #base: bigint;
  readonly #orders: readonly [number, number];
  readonly #counts: readonly [number, number];
  /** The first frame of the pages that are exchanged, and of the holes that are populated. */
  readonly #from: bigint;
  readonly #to: bigint;
  readonly #pages: number;
  readonly #steps: Step[] = [];
  #spares = 0;

  constructor(row: Row, choices: Choices, arch: Arch, { limits }: Hello) {
    this.#row = row;
    this.#choices = choices;
    this.#arch = arch;
    this.#other = row.who === 'equal in the low byte' ? caller + 0x100 : 2;
    const usual = limits.max_gfn !== undefined && limits.max_gfn < 0x4_2000n ? 0x400n : 0x4_0000n;
    this.#base = { 'from 0': 0n, 'from 2^32': 1n << 32n, 'from 2^33': (1n << 33n) + 0x200n }[row.frames as string] ?? usual;
    this.#orders = ordersOf(row, choices, limits.max_order ?? 3);
    const [oi, oo] = this.#orders;
    const inputs = countOf(row, choices);
    const aligned = oo > oi ? inputs - (inputs % 2 ** (oo - oi)) : inputs;
    this.#counts = [aligned, (aligned * 2 ** oi) / 2 ** oo];
    this.#pages = Math.max(aligned * 2 ** oi, 1);
    // Aligned to the largest order there is
    const size = BigInt(2 ** Math.max(oi, oo));
    const first = this.#base + BigInt(control.pages + spare);
    this.#from = ((first + size - 1n) / size) * size;
    this.#to = ((this.#from + BigInt(this.#pages + spare) + size - 1n) / size) * size;
  }

  scenario(): Scenario {
    const { churn, who } = this.#row;
    this.#before();
    if (churn.startsWith('before')) this.#churn();
    const focal = this.#focal();
    this.#steps.push(focal);
    // What was put has four of them to move in.
    if (churn.endsWith('after')) for (let i = 0; i < (this.#row.op === 'put' ? movesToSee : 1); i++) this.#churn();
    this.#after(focal);
    if (who === 'both pin one frame' || who === 'the other acts too') this.#churn(this.#other);
    return { world: this.#world(), steps: this.#steps };
  }

  /**
   * The RAM of a guest: where calls find their structs, lists and pages; and, where frames are to
   * be mistaken, the same again elsewhere.
   */
  #world(): World {
    const { memory, who, frames } = this.#row;
    const ram: PageRun[] = [{ gfn: this.#base, pages: Number(this.#to - this.#base) - spare }];
    const end = this.#to + BigInt(this.#pages + spare);
    const holes: PageRun[] = [{ gfn: this.#to - BigInt(spare), pages: Number(end - this.#to) + spare }];
    const apart = aliasOf(frames);
    if (apart !== undefined) ram.push({ gfn: this.#from + apart, pages: this.#pages });
    const places = [this.#row.lists, this.#row.struct];
    if (places.includes('at 0')) ram.push({ gfn: 0n, pages: 3 });
    if (places.includes('at the top')) ram.push({ gfn: 0xffffdn, pages: 3 });
    const isRaised = who === 'the other is named' || who === 'equal in the low byte';
    const domains: DomainPlan[] = [{ domid: caller, privileged: isRaised, ram, holes }];
    if (!who.startsWith('it')) domains.push({ domid: this.#other, privileged: false, ram, holes });
    const need = this.#pages * 2 + 64;
    const free = {
      plenty: { low: need, high: need },
      'below 4 GiB': { low: need, high: 0 },
      'above 4 GiB': { low: 0, high: need },
      short: { low: Math.max(1, Math.floor(this.#pages / 2)), high: 2 },
    }[memory];
    return { arch: this.#arch, domains, free };
  }

  #before(): void {
    const { history, who, op } = this.#row;
    if (who === 'both pin one frame') this.#get(this.#from, this.#other);
    else if (who === 'the other acts too') this.#get(this.#spare(), this.#other);
    if (history === 'one get') this.#get(this.#spare());
    if (history === 'three gets') for (let i = 0; i < 3; i++) this.#get(this.#spare());
    if (history === 'got, put and got again') {
      const gfn = this.#spare();
      for (let i = 0; i < 2; i++) {
        this.#get(gfn);
        if (i === 0) this.#put([gfn]);
      }
    }
    if (history === 'put across gets' || history === 'put of a part') {
      const gfns = [this.#spare(), this.#spare(), this.#spare()];
      if (history === 'put across gets') for (const gfn of gfns) this.#get(gfn);
      else this.#getAll(gfns);
      this.#put(gfns.slice(1));
    }
    if (history === 'long') {
      const gfns = [this.#spare(), this.#spare(), this.#spare(), this.#spare()];
      for (let i = 0; i < 12 + this.#choices.below(8); i++) {
        const gfn = gfns[i % 4] as bigint;
        if (i % 8 < 4) this.#get(gfn);
        else this.#put([gfn]);
      }
    }
    if (op === 'put') this.#getForPut();
  }

  /** What is to be put has been got: in one get, or page by page of several. */
  #getForPut(): void {
    const lists = this.#lists();
    const [order] = this.#orders;
    const from = lists[0]?.of ?? [];
    if (from.length === 0) return;
    const at = (n: 0 | 1): bigint => (this.#base + control.lists[n]) * page;
    const half = this.#row.history === 'put across gets' ? Math.ceil(from.length / 2) : from.length;
    for (const some of [from.slice(0, half), from.slice(half)]) {
      if (some.length === 0) continue;
      this.#steps.push(
        this.#call(
          'get_dma_buf',
          this.#domid(),
          [0n, 1n].map((n) => ({ of: some, at: at(Number(n) as 0 | 1), order })),
          {},
        ),
      );
    }
  }

  #focal(): CallStep {
    const { op, padding, failure, limit } = this.#row;
    const bits = limit === 'none' ? 0 : Number(limit);
    const inject = {
      ...((failure === 'no memory' || failure === 'both') && { fail_alloc: this.#choices.below(Math.max(1, this.#counts[1])) }),
      ...((failure === 'preempted' || failure === 'both') && { preempt: 1 + this.#choices.below(3) }),
    };
    const call = this.#call(opOf[op], this.#domid(), this.#lists(), {
      arg: this.#structAt(),
      bits,
      padding: padding === 'dirty' ? 0xa5 : 0,
    });
    return failure === 'none' ? call : { ...call, inject };
  }

  /** What was got is put, so that it can be seen to move; what is not pinned any more moves. */
  #after(focal: CallStep): void {
    const { op, churn } = this.#row;
    if (op !== 'get' || (focal.lists[1]?.length ?? 0) === 0) return;
    const at = (this.#base + control.lists[0]) * page;
    const order = this.#orders[1];
    this.#steps.push(this.#call('put_dma_buf', this.#domid(), [{ of: focal.lists[1] ?? [], at, order }], {}));
    if (churn.endsWith('after')) for (let i = 0; i < movesToSee; i++) this.#churn();
  }

  #domid(): number {
    const { who } = this.#row;
    if (who === 'its own number') return caller;
    return who === 'the other is named' || who === 'equal in the low byte' ? this.#other : DOMID.SELF;
  }

  /** The lists of the call that matters, in memory order. */
  #lists(): Listed[] {
    const { op, frames } = this.#row;
    const [oi, oo] = this.#orders;
    const [inputs, outputs] = this.#counts;
    const size = (order: number): bigint => BigInt(2 ** order);
    const apart = aliasOf(frames) ?? 0n;
    const run = (first: bigint, count: number, order: number): bigint[] =>
      Array.from({ length: count }, (_, i) => first + BigInt(i) * size(order) + (i % 2 === 1 && first === this.#from ? apart : 0n));
    if (op === 'get' || op === 'exchange') {
      const own = this.#choices.percent(40) && oi === oo && apart === 0n;
      const outs = own ? run(this.#from, outputs, oo) : run(this.#to, outputs, oo);
      return [
        { of: run(this.#from, inputs, oi), at: this.#listAt(0, inputs), order: oi },
        { of: outs, at: this.#listAt(1, outputs), order: oo },
      ];
    }
    const first = op === 'populate' || op === 'increase' ? this.#to : this.#from;
    return [{ of: run(first, inputs, oi), at: this.#listAt(0, inputs), order: oi }];
  }

  #structAt(): bigint {
    const at = (this.#base + control.struct) * page;
    const size = BigInt(layoutOf(argumentOf[opOf[this.#row.op]], this.#arch).size);
    if (this.#row.lists === 'in one page') return at + 0x40n;
    return { 'inside a page': at + 0x100n, 'ends with a page': at + page - size, 'crosses a page': at + page - 16n, 'at 0': 0n }[
      this.#row.struct
    ];
  }

  #listAt(which: 0 | 1, count: number): bigint {
    const at = (this.#base + control.lists[which]) * page;
    const length = BigInt(count) * 8n;
    const place = this.#row.lists;
    if (place === 'in one page') return this.#base * page + 0x100n + BigInt(which) * 0x600n;
    if (place === 'end with a page') return at + ((length + page - 1n) / page) * page - length;
    if (place === 'cross a page') return at + page - 8n;
    if (place === 'at 0' && which === 0) return 0n;
    if (place === 'at the top' && which === 0) return (1n << 32n) - length;
    return at + (count > 400 ? 0n : 0x80n);
  }

  /** A page that no other call has named. */
  #spare(): bigint {
    return this.#base + BigInt(control.pages + (this.#spares++ % spare));
  }

  #get(gfn: bigint, domid = caller): void {
    this.#getAll([gfn], domid);
  }

  #getAll(gfns: readonly bigint[], domid = caller): void {
    const at = (this.#base + control.others) * page;
    const lists = [at, at + 0x400n].map((where) => ({ of: gfns, at: where, order: 0 }));
    this.#steps.push({ ...this.#call('get_dma_buf', DOMID.SELF, lists, { arg: at + 0x800n }), domid });
  }

  #put(gfns: readonly bigint[], domid = caller): void {
    const at = (this.#base + control.others) * page;
    this.#steps.push({ ...this.#call('put_dma_buf', DOMID.SELF, [{ of: gfns, at, order: 0 }], { arg: at + 0x800n }), domid });
  }

  #churn(domid = caller): void {
    const pages = Number(this.#to - this.#base) + this.#pages;
    const whom = this.#domid() === this.#other ? this.#other : domid;
    this.#steps.push({ do: 'churn', domid: whom, gfn: this.#base, pages: Math.min(pages, 4096) } satisfies ChurnStep);
  }

  #call(op: JudgedOp, domid: number, lists: readonly Listed[], how: { arg?: bigint; bits?: number; padding?: number }): CallStep {
    const { arg = this.#base * page + 0x900n, bits = 0, padding = 0 } = how;
    const reservations = lists.map(({ of, at, order }, i): XenMemoryReservation => {
      const isLimited = lists.length === 1 || i === 1;
      return { extent_start: at, nr_extents: BigInt(of.length), extent_order: order, address_bits: isLimited ? bits : 0, domid };
    });
    return {
      do: 'call',
      domid: caller,
      cmd: ops[op],
      arg,
      reservations,
      nrExchanged: 0n,
      padding,
      lists: lists.map(({ of }) => of),
    };
  }
}

/** By how much the frames of a second range differ from those of the first. */
function aliasOf(frames: Row['frames']): bigint | undefined {
  if (frames === 'equal modulo 2^16') return 1n << 16n;
  return frames === 'equal modulo 2^32' ? 1n << 32n : undefined;
}

function ordersOf({ orders, extents }: Row, choices: Choices, most: number): readonly [number, number] {
  const isMany = Number(extents) > 60;
  const large = Math.min(4 + choices.below(6), most);
  if (orders === '0 and 0') return [0, 0];
  if (orders === 'equal') return [1, 1];
  if (orders === 'in < out') return [0, 1 + choices.below(isMany ? 1 : 2)];
  if (orders === 'in > out') return [1 + choices.below(isMany ? 1 : 2), 0];
  return [large, large];
}

function countOf({ extents, orders }: Row, choices: Choices): number {
  if (extents !== 'few') return Number(extents);
  return orders === '4 to 9' ? 2 : 4 * (1 + choices.below(2));
}
