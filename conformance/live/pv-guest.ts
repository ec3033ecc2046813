import { PAGE_SIZE } from '../../src/abi/constants.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, type JudgedOp, judgedOp, startExtent } from '../../src/abi/ops.ts';
import { listBehind } from '../../src/guest/handle.ts';
import type { Reply, Request } from '../protocol/implementation.ts';
import { pagesIn } from '../protocol/page-runs.ts';
import { mostOrder } from '../scenario/scenario.ts';
import { covered } from '../twin/twin.ts';
import { type Argument, argumentIn, mostLooked } from './argument.ts';
import { isControl } from './draw.ts';
import { type Asked, Guest, mostListed, OddError, ops, type Plan, page, unsupported } from './guest.ts';

type CallRequest = Request & { readonly op: 'call' };

/** An extent list of a call, as it lies in guest memory: entries that could be read. */
interface Listed {
  readonly address: bigint;
  readonly order: number;
  readonly entries: readonly bigint[];
}

/** Entries of the list of frames that are read at once. */
const mostRead = 4096;
/** RAM is made of extents up to this order, each at a multiple of its size. */
const ramOrder = 3;
/**
 * A PV guest: it works with machine frames, and which of them are behind its pages it keeps itself.
 * Before a call it gives up its mappings of the frames that the call names, for Xen takes no page
 * that somebody has mapped; after it, it maps what it was given, and what it kept.
 */
export class PvGuest extends Guest {
  readonly #p2m = new Map<bigint, bigint>();
  /** Frames that no page leads to, and that it owns for all that it can tell. */
  readonly #loose = new Set<bigint>();
  #isNew = true;
  /** A frame that was given was also asked for: who has it now cannot be told. */
  #isUnsure = false;

  protected override get callsAlone(): boolean {
    return true;
  }

  protected override translates(gfn: bigint, pages: number): Asked {
    // Of frames that are no pages of its own it keeps nothing.
    if (this.#isUnsure || !this.isRoom(gfn * page, pages * PAGE_SIZE)) return unsupported('the guest cannot tell');
    return { asks: [], reply: (): Reply => ({ mfns: Array.from({ length: pages }, (_, i) => this.#p2m.get(gfn + BigInt(i)) ?? null) }) };
  }

  protected override reads({ addr, length }: Request & { op: 'read' }): Asked {
    const offset = Number(addr % page);
    const isOne = this.isRoom(addr, length) && offset + length <= PAGE_SIZE;
    if (!isOne) return super.reads({ op: 'read', domid: this.setup.domid, addr, length });
    const bytes = (): Reply => {
      const mfn = this.#p2m.get(addr / page);
      return mfn === undefined ? { fault: true } : { bytes: this.machine.mailbox.inFrame(mfn, offset, length) };
    };
    return { asks: [], reply: bytes };
  }

  protected override async build({ ram }: Plan): Promise<void> {
    if (this.#isNew) await this.#readP2m();
    this.#isUnsure = false;
    const world = [...this.#p2m.keys()].filter((gfn) => !this.#isKept(gfn));
    const given = world.map((gfn) => this.#p2m.get(gfn) as bigint);
    await this.#map(world.map((gfn) => [gfn, null]));
    await this.#free([...given, ...this.#loose]);
    this.#loose.clear();
    const pages = pagesIn(ram);
    const wanted = pages.filter((gfn) => !this.#isKept(gfn));
    for (const [order, gfns] of blocksOf(wanted)) {
      const { list } = await this.resize(ops.increase_reservation, Array<bigint>(gfns.length).fill(0n), { order });
      await this.#map(gfns.flatMap((gfn, i) => pagesOf(gfn, order).map((at, j) => [at, (list[i] as bigint) + BigInt(j)] as const)));
    }
    const beyond = (await this.zeroed(ram)) + this.machine.mailbox.hello.pages - pages.length;
    if (beyond !== 0) throw new OddError(`the domain owns ${beyond} pages too many`);
  }

  /** Pages for structs and lists keep the frames that they were started with. */
  #isKept(gfn: bigint): boolean {
    return isControl(gfn, this.machine.mailbox.hello);
  }

  protected override async call(request: CallRequest): Promise<Reply> {
    const op = judgedOp(request.cmd, 'upstream');
    const asked = op && (await this.#asked(op, request.arg));
    if (!asked) return super.call(request);
    const before = await this.#lists(asked);
    const unmapped = await this.#giveUp(op, before);
    const reply = await super.call(request);
    const after = await this.#lists(asked);
    const { N } = (await this.#asked(op, request.arg)) ?? asked;
    const taken = this.#take(op, asked, before, after, { rc: reply.rc ?? 0, start: startExtent(request.cmd), N });
    // A frame may have been given by one chunk and taken away by the next.
    const refused: bigint[] = [];
    await this.#map([...taken], (gfn) => refused.push(gfn));
    this.#isUnsure ||= refused.length > 0;
    await this.#map(refused.map((gfn) => [gfn, null]));
    // What was not taken away can be mapped again, and nothing else. It may be back as a new frame.
    const had = new Set([...this.#p2m.values(), ...this.#loose]);
    const left = [...unmapped].filter(([, mfn]) => !had.has(mfn));
    for (const [gfn, mfn] of left) if (this.#p2m.has(gfn)) this.#loose.add(mfn);
    await this.#map(
      left.filter(([gfn]) => !this.#p2m.has(gfn)),
      () => {},
    );
    return reply;
  }

  async #asked(op: JudgedOp, arg: bigint): Promise<Argument | undefined> {
    const { size } = layoutOf(argumentOf[op], this.setup.arch);
    const [told] = await this.machine.ask([{ what: 'read', address: arg, length: size }]);
    return told?.value === 0n ? argumentIn(op, this.setup.arch, told.bytes) : undefined;
  }

  /** The entries of each list, up to the first page that is not there. */
  async #lists({ reservations }: Argument): Promise<Listed[]> {
    const lists: Listed[] = [];
    for (const { extent_start, nr_extents, extent_order } of reservations) {
      const { range } = listBehind(extent_start, nr_extents, this.setup.arch);
      const count = Number(nr_extents < mostLooked ? nr_extents : mostLooked);
      const entries = extent_order > mostOrder ? [] : await this.#entries(range.address, count);
      lists.push({ address: range.address, order: extent_order, entries });
    }
    return lists;
  }

  async #entries(address: bigint, count: number): Promise<bigint[]> {
    const [whole] = count > 0 ? await this.machine.ask([{ what: 'read', address, length: count * 8 }]) : [];
    if (whole?.value === 0n) return [...new BigUint64Array(whole.bytes.buffer)];
    const told = await this.machine.ask(
      Array.from({ length: count }, (_, i) => ({ what: 'read', address: address + BigInt(i * 8), length: 8 })),
    );
    const missing = told.findIndex(({ value }) => value !== 0n);
    return told.slice(0, missing < 0 ? told.length : missing).map(({ bytes }) => new BigUint64Array(bytes.buffer)[0] as bigint);
  }

  /** Unmaps the frames that a call may take; the pages that led to them. */
  async #giveUp(op: JudgedOp, [given]: readonly Listed[]): Promise<Map<bigint, bigint>> {
    const unmapped = new Map<bigint, bigint>();
    if (!given || op === 'increase_reservation' || op === 'populate_physmap') return unmapped;
    const owners = new Map([...this.#p2m].map(([gfn, mfn]) => [mfn, gfn]));
    for (const base of given.entries) {
      for (const mfn of pagesOf(base, given.order)) {
        const gfn = owners.get(mfn);
        if (gfn !== undefined && !this.#isKept(gfn)) unmapped.set(gfn, mfn);
      }
    }
    await this.#map([...unmapped.keys()].map((gfn) => [gfn, null]));
    return unmapped;
  }

  /** What the guest was given: the pages to map, with their frames. The others are loose now. */
  #take(
    op: JudgedOp,
    { reservations }: Argument,
    before: readonly Listed[],
    after: readonly Listed[],
    { rc, start, N }: { readonly rc: number; readonly start: number; readonly N: bigint },
  ): Map<bigint, bigint> {
    const isExchange = op === 'exchange';
    const side = isExchange ? 1 : 0;
    const [was, is] = [before[side], after[side]];
    if (!was || !is || op === 'decrease_reservation') return new Map();
    const [given, wanted] = reservations;
    const all = given && wanted ? Number(covered(given, wanted, N)) : 0;
    const [from, to] = isExchange ? [0, all] : [start, Math.max(start, rc)];
    const taken = new Map<bigint, bigint>();
    const told = new Set<bigint>();
    for (const [k, mfn] of is.entries.entries()) {
      const gfn = was.entries[k];
      if (gfn === undefined || gfn === mfn) continue;
      const isCounted = k >= from && k < to && op !== 'increase_reservation';
      for (const [j, frame] of pagesOf(mfn, is.order).entries()) {
        const at = gfn + BigInt(j);
        if (isCounted && this.isRoom(at * page, PAGE_SIZE)) {
          const old = taken.get(at) ?? this.#p2m.get(at);
          if (old !== undefined) this.#loose.add(old);
          // A frame that is told twice was taken away by a chunk between, and then given again.
          this.#isUnsure ||= told.has(frame);
          told.add(frame);
          taken.set(at, frame);
        } else this.#loose.add(frame);
      }
    }
    return taken;
  }

  /** Gives frames back; some may be gone already. */
  async #free(frames: readonly bigint[]): Promise<void> {
    for (let rest = [...new Set(frames)]; rest.length > 0; ) {
      const { done } = await this.resize(ops.decrease_reservation, rest.slice(0, mostListed), { short: true });
      rest = rest.slice(done === Math.min(rest.length, mostListed) ? done : done + 1);
    }
  }

  /** Leads pages to frames. `refused`: what to do where Xen does not have it so. */
  async #map(pairs: readonly (readonly [gfn: bigint, mfn: bigint | null])[], refused?: (gfn: bigint) => void): Promise<void> {
    if (pairs.length === 0) return;
    const told = await this.machine.ask(pairs.map(([gfn, mfn]) => ({ what: 'map', gfn, mfn })));
    for (const [i, [gfn, mfn]] of pairs.entries()) {
      if (told[i]?.value !== 0n) {
        if (!refused || mfn === null) throw new OddError(`page ${gfn} cannot lead to frame ${mfn}: ${told[i]?.value}`);
        refused(gfn);
      } else if (mfn === null) this.#p2m.delete(gfn);
      else {
        this.#p2m.set(gfn, mfn);
        this.#loose.delete(mfn);
      }
    }
  }

  /** The list that Xen handed over. */
  async #readP2m(): Promise<void> {
    const { first, pages, p2m, frames } = this.machine.mailbox.hello;
    for (let at = 0; at < frames; at += mostRead) {
      const length = Math.min(mostRead, frames - at) * 8;
      const [told] = await this.machine.ask([{ what: 'read', address: p2m + BigInt(at * 8), length }]);
      if (told?.value !== 0n) throw new OddError('the list of frames cannot be read');
      for (const [i, mfn] of new BigUint64Array(told.bytes.buffer).entries()) {
        const gfn = BigInt(at + i);
        if (gfn >= first && gfn < first + BigInt(pages)) this.#p2m.set(gfn, mfn);
        else this.elsewhere.add(Number(mfn));
      }
    }
    this.#isNew = false;
  }
}

/** Pages as aligned blocks, by order. */
function blocksOf(gfns: readonly bigint[]): Map<number, bigint[]> {
  const blocks = new Map<number, bigint[]>();
  const left = new Set(gfns);
  for (const gfn of gfns) {
    if (!left.has(gfn)) continue;
    let order = ramOrder;
    while (gfn % BigInt(2 ** order) !== 0n || pagesOf(gfn, order).some((at) => !left.has(at))) order--;
    for (const at of pagesOf(gfn, order)) left.delete(at);
    blocks.set(order, [...(blocks.get(order) ?? []), gfn]);
  }
  return blocks;
}

function pagesOf(base: bigint, order: number): bigint[] {
  return Array.from({ length: 2 ** order }, (_, j) => base + BigInt(j));
}
