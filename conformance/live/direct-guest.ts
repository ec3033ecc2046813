import { PAGE_SIZE } from '../../src/abi/constants.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, judgedOp } from '../../src/abi/ops.ts';
import { entriesIn, listBehind } from '../../src/guest/handle.ts';
import type { Reply } from '../protocol/implementation.ts';
import { pagesIn } from '../protocol/page-runs.ts';
import { argumentIn, mostLooked } from './argument.ts';
import { type Asked, error, Guest, OddError, type Of, ops, type Plan, page } from './guest.ts';
import type { Ask, Told } from './mailbox.ts';
import { memory } from './setups.ts';

/** Bytes that are read at once. */
const mostImage = 64 * PAGE_SIZE;
/** No Xen takes extents of a higher order. */
const mostOrder = 18;

/**
 * A guest whose pages lie in the machine where they lie in it: its memory is read and written from
 * outside. Which pages are there it is asked for after each call.
 */
export class DirectGuest extends Guest {
  /** Which pages of its free memory are there, as it last told: 1, or 0. */
  readonly #there = new Uint8Array(this.machine.mailbox.hello.pages);
  /** Pages that are looked at after each call: those of the world. */
  #watched = 0;
  /** The first of those pages as they are since the last call or write. */
  #image: Uint8Array | undefined;
  /** Pages that it owns, as it last told. */
  #owned = 0;
  /** May pages beyond those have changed? */
  #isUnsure = true;

  protected override calls(request: Of<'call'>): Asked {
    this.#isUnsure ||= this.#goesBeyond(request);
    this.#image = undefined;
    const { asks, reply } = super.calls(request);
    return {
      asks: [...asks, this.#probe(this.#watched), ...this.counts()],
      reply: ([called, ...looked]) => {
        this.#look(looked);
        return called ? reply([called]) : error('no answer');
      },
    };
  }

  protected override writes(request: Of<'write'>): Asked {
    const { addr, bytes } = request;
    if (!this.#isThere(addr, bytes.length)) return super.writes(request);
    this.#image = undefined;
    this.machine.mailbox.putOutside(addr, bytes);
    return { asks: [], reply: () => ({}) };
  }

  protected override reads(request: Of<'read'>): Asked {
    const { addr, length } = request;
    if (!this.#isWatched(addr, length)) return super.reads(request);
    const bytes = (): Reply => (this.#isThere(addr, length) ? { bytes: this.#bytes(addr, length) } : { fault: true });
    return { asks: [], reply: bytes };
  }

  protected override translates(gfn: bigint, pages: number): Asked {
    const { first } = this.machine.mailbox.hello;
    const isWatched = this.#isWatched(gfn * page, pages * PAGE_SIZE);
    // What can be read beside the free memory may be a device.
    const isOwn = (mfn: bigint | null): boolean => mfn === null || this.isRoom(mfn * page, PAGE_SIZE);
    return {
      asks: isWatched ? [] : [{ what: 'probe', gfn, pages }],
      reply: ([told]) => {
        const from = Number(gfn - first);
        const there = told?.bytes ?? this.#there.subarray(from, from + pages);
        const mfns = Array.from({ length: pages }, (_, i) => (there[i] ? gfn + BigInt(i) : null));
        return mfns.every(isOwn) ? { mfns } : error('there is something that may be no memory');
      },
    };
  }

  protected override owned(): Asked {
    return { asks: [], reply: () => ({ pages: this.#owned }) };
  }

  /** In one round, where nothing beyond the last world may have changed. */
  protected override async build({ ram, holes }: Plan): Promise<void> {
    const { first, pages } = this.machine.mailbox.hello;
    if (this.#isUnsure) this.#there.set((await this.machine.ask([this.#probe(pages)]))[0]?.bytes ?? []);
    const wanted = new Uint8Array(pages).fill(1);
    for (const gfn of pagesIn(holes)) wanted[Number(gfn - first)] = 0;
    const last = [...ram, ...holes].reduce((most, run) => Math.max(most, Number(run.gfn - first) + run.pages), 0);
    const differing = (to: number): bigint[] => {
      const found: bigint[] = [];
      for (let i = 0; i < pages; i++) if (wanted[i] === to && this.#there[i] !== to) found.push(first + BigInt(i));
      return found;
    };
    const calls = [...this.resizing(ops.decrease_reservation, differing(0)), ...this.resizing(ops.populate_physmap, differing(1))];
    this.#watched = Math.max(this.#watched, last);
    const told = await this.machine.ask([...calls.flatMap(({ asks }) => asks), this.#probe(this.#watched), ...this.counts()]);
    this.#look(told.slice(-3));
    for (const [i, { asks, count }] of calls.entries()) {
      const done = told[(i + 1) * asks.length - 1]?.value;
      if (done !== BigInt(count)) throw new OddError(`a call for ${count} extents ended with ${done}`);
    }
    if (Buffer.compare(wanted, this.#there) !== 0) throw new OddError('a page did not come back, or did not go');
    const gained = this.gained(told.at(-1));
    if (gained !== 0) throw new OddError(`the domain owns ${gained} pages too many`);
    this.#image = undefined;
    for (const run of ram) this.machine.mailbox.putOutside(run.gfn * page, new Uint8Array(run.pages * PAGE_SIZE));
    this.#watched = last;
    this.#isUnsure = false;
  }

  /** Takes in what a probe told, and the two asks of `counts`. */
  #look([probed, , counted]: readonly Told[]): void {
    this.#there.set(probed?.bytes ?? []);
    this.#owned = Number(counted?.value);
  }

  #probe(pages: number): Ask {
    return { what: 'probe', gfn: this.machine.mailbox.hello.first, pages };
  }

  #isWatched(address: bigint, length: number): boolean {
    const end = (this.machine.mailbox.hello.first + BigInt(this.#watched)) * page;
    return this.isRoom(address, length) && address + BigInt(length) <= end;
  }

  /** Memory from outside: most worlds are so small that they are read at once. */
  #bytes(address: bigint, length: number): Uint8Array {
    const { mailbox } = this.machine;
    const start = mailbox.hello.first * page;
    const at = Number(address - start);
    if (at + length > mostImage) return mailbox.outside(address, length);
    this.#image ??= mailbox.outside(start, Math.min(this.#watched * PAGE_SIZE, mostImage));
    return this.#image.subarray(at, at + length);
  }

  /** Is all of that memory, as far as pages are looked at? */
  #isThere(address: bigint, length: number): boolean {
    if (!this.#isWatched(address, length)) return false;
    const { first } = this.machine.mailbox.hello;
    const [from, to] = [address / page - first, (address + BigInt(length - 1)) / page - first];
    return !this.#there.subarray(Number(from), Number(to) + 1).includes(0);
  }

  /** May a call change pages that are not looked at after it? By what it names, as that lies in memory. */
  #goesBeyond({ cmd, arg }: Of<'call'>): boolean {
    const { mailbox } = this.machine;
    const { first, pages } = mailbox.hello;
    const { arch } = this.setup;
    const op = judgedOp(cmd, 'upstream');
    const size = op ? layoutOf(argumentOf[op], arch).size : 0;
    const struct = this.#readable(arg, size);
    if (!op || struct === undefined) return true;
    if (struct < size) return false;
    return argumentIn(op, arch, mailbox.outside(arg, size)).reservations.some(({ extent_start, nr_extents, extent_order }) => {
      const { range, stride } = listBehind(extent_start, nr_extents, arch);
      const most = Number(nr_extents < mostLooked ? nr_extents : mostLooked) * stride;
      const length = this.#readable(range.address, most);
      if (length === undefined || (length === most && most < range.length)) return true;
      const last = (1n << BigInt(Math.min(extent_order, mostOrder))) - 1n;
      const entries = entriesIn(mailbox.outside(range.address, length - (length % stride)), stride);
      return entries.some((gfn) => gfn < first + BigInt(pages) && gfn + last >= first && gfn + last >= first + BigInt(this.#watched));
    });
  }

  /**
   * Bytes from an address on that a call can read, of so many: it stops at the first page that is
   * not there. `undefined` where that cannot be told.
   */
  #readable(address: bigint, length: number): number | undefined {
    const { first } = this.machine.mailbox.hello;
    let end = address;
    while (end < address + BigInt(length) && this.#isThere(end, 1)) end = (end / page + 1n) * page;
    const read = Number(end - address);
    if (read >= length) return length;
    // What is further away than the machine has memory is none.
    const isFar = end > first * page + BigInt(memory) || end + BigInt(memory) < first * page;
    return isFar || this.#isWatched(end, 1) ? read : undefined;
  }
}
