import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SIZE } from '../../src/abi/constants.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import { codecFor } from '../../src/codec/codec.ts';
import type { PageRun, Reply, Request, World } from '../protocol/implementation.ts';
import type { Machine } from './machine.ts';
import { type Ask, mostBytes, type Told } from './mailbox.ts';
import type { Setup } from './setups.ts';

export const ops: typeof XENMEM.upstream = XENMEM.upstream;
export const page: bigint = BigInt(PAGE_SIZE);

/** Entries of a list that the driver itself puts into guest memory. */
export const mostListed = 320;

/** Pages of the guest's free memory that worlds are made of, at most. */
export const mostUsed = 1536;

/**
 * Guest frames beyond its memory that calls name, where that begins with this one. On arm32 none of
 * more than 32 bits: real Xen seems to take the lower half of an entry there.
 */
export function strayFrames(arch: Arch, first: bigint): readonly bigint[] {
  const all = [0n, 2n ** 28n, 2n ** 32n + first + 4n, 2n ** 40n - 1n, 2n ** 52n + first + 4n, 2n ** 64n - 1n];
  return arch === 'arm32' ? all.filter((gfn) => gfn < 2n ** 32n) : all;
}

/** The guest is not as it should be, and one of a machine that was just started may be. */
export class OddError extends Error {
  override readonly name = 'OddError';
}

/** What the guest is asked for a request, and the reply that its answers make. */
export interface Asked {
  readonly asks: readonly Ask[];
  readonly reply: (told: readonly Told[]) => Reply;
}

type Of<O extends Request['op']> = Request & { readonly op: O };

/**
 * Requests of the implementation protocol, answered by a guest of a real hypervisor. Of a
 * direct-mapped one memory is read from outside.
 */
export class Guest {
  protected readonly machine: Machine;
  protected readonly setup: Setup;
  /** Pages that the domain owned when it was started. */
  #owned: number | undefined;
  /** Pages that were given back for those that were lost. */
  readonly #spare = new Set<bigint>();

  constructor(machine: Machine, setup: Setup) {
    this.machine = machine;
    this.setup = setup;
  }

  /** Answers requests in order, in as few rounds as can be. */
  async answer(requests: readonly Request[]): Promise<Reply[]> {
    const replies: Reply[] = [];
    let waiting: Asked[] = [];
    const flush = async (): Promise<void> => {
      const told = await this.machine.ask(waiting.flatMap(({ asks }) => asks));
      for (const { asks, reply } of waiting) replies.push(reply(told.splice(0, asks.length)));
      waiting = [];
    };
    let isRead = false;
    for (const request of requests) {
      // What is read from outside is read when the round is over.
      const isAlone = request.op === 'reset' || (request.op === 'call' && this.callsAlone);
      if (isAlone || (isRead && (request.op === 'write' || request.op === 'call'))) await flush();
      isRead = request.op === 'read';
      if (request.op === 'reset') replies.push(await this.#reset(request));
      else if (request.domid !== this.setup.domid) waiting.push(unsupported(`there is no guest ${request.domid}`));
      else if (request.op === 'call' && isAlone) replies.push(await this.call(request));
      else waiting.push(this.#one(request));
    }
    await flush();
    return replies;
  }

  #one(request: Exclude<Request, { op: 'reset' }>): Asked {
    switch (request.op) {
      case 'write':
        return {
          asks: [{ what: 'write', address: request.addr, bytes: request.bytes }],
          reply: ([told]) => (told?.value === 0n ? {} : { fault: true }),
        };
      case 'read':
        return this.reads(request);
      case 'call':
        return {
          asks: [{ what: 'call', cmd: request.cmd, arg: request.arg }],
          reply: ([told]) => ({ rc: Number(told?.value) }),
        };
      case 'translate':
        return this.translates(request.gfn, request.pages);
      case 'pages':
        return { asks: this.#counts(), reply: ([, told]) => ({ pages: Number(told?.value) }) };
      default:
        return unsupported(`the guest cannot do ${request.op}`);
    }
  }

  /** Does a call take more than one round? */
  protected get callsAlone(): boolean {
    return false;
  }

  protected async call(request: Of<'call'>): Promise<Reply> {
    const [told] = await this.machine.ask([{ what: 'call', cmd: request.cmd, arg: request.arg }]);
    return { rc: Number(told?.value) };
  }

  protected reads({ addr, length }: Of<'read'>): Asked {
    if (this.setup.guests !== 'direct-mapped' || !this.isRoom(addr, length)) return this.readsInside(addr, length);
    const gfn = addr / page;
    const pages = Number((addr + BigInt(length - 1)) / page - gfn) + 1;
    return {
      asks: [{ what: 'probe', gfn, pages }],
      reply: ([told]) => (told?.bytes.includes(0) ? { fault: true } : { bytes: this.machine.mailbox.outside(addr, length) }),
    };
  }

  protected readsInside(address: bigint, length: number): Asked {
    return {
      asks: [{ what: 'read', address, length }],
      reply: ([told]) => (told?.value === 0n ? { bytes: told.bytes } : { fault: true }),
    };
  }

  /** What is there of a direct-mapped domain lies at the same place in the machine. */
  protected translates(gfn: bigint, pages: number): Asked {
    if (this.setup.guests !== 'direct-mapped') return unsupported('such a guest does not know its machine frames');
    // What can be read beside the free memory may be a device.
    const isOwn = (mfn: bigint | null): boolean => mfn === null || this.isRoom(mfn * page, PAGE_SIZE);
    const replied = (mfns: (bigint | null)[]): Reply => (mfns.every(isOwn) ? { mfns } : error('there is something that may be no memory'));
    return {
      asks: [{ what: 'probe', gfn, pages }],
      reply: ([told]) => replied([...(told?.bytes ?? [])].map((there, i) => (there ? gfn + BigInt(i) : null))),
    };
  }

  /** Is that in the guest's free memory? */
  protected isRoom(address: bigint, length: number): boolean {
    const { first, pages } = this.machine.mailbox.hello;
    return length > 0 && address >= first * page && address + BigInt(length) <= (first + BigInt(pages)) * page;
  }

  #counts(): readonly [Ask, Ask] {
    const arg = this.machine.mailbox.scratch(0);
    const bytes = new Uint8Array(new Uint16Array([DOMID.SELF]).buffer);
    return [
      { what: 'write', address: arg, bytes },
      { what: 'call', cmd: ops.current_reservation, arg },
    ];
  }

  async #reset({ domains }: World): Promise<Reply> {
    const [plan, ...others] = domains;
    if (plan?.domid !== this.setup.domid || others.length > 0) return error(`there is one guest, number ${this.setup.domid}`);
    const [ram, holes] = [framesOf(plan.ram), framesOf(plan.holes)];
    this.#owned ??= Number((await this.machine.ask(this.#counts()))[1]?.value);
    const more = await this.build(ram, new Set(holes));
    const most = mostBytes / PAGE_SIZE;
    const zeros = plan.ram.flatMap(({ gfn, pages }) =>
      Array.from({ length: Math.ceil(pages / most) }, (_, i): Ask => {
        return { what: 'zero', address: (gfn + BigInt(i * most)) * page, length: Math.min(most, pages - i * most) * PAGE_SIZE };
      }),
    );
    const told = await this.machine.ask([...zeros, ...this.#counts()]);
    if (told.slice(0, -1).some(({ value }) => value !== 0n)) throw new OddError('a page that is there cannot be written');
    await this.#counted(Number(told.at(-1)?.value) - this.#owned - more);
    return {};
  }

  /**
   * A translated guest has lost pages that no frame leads to: as many others are given back, so that
   * it may populate as many as before.
   */
  async #counted(beyond: number): Promise<void> {
    if (beyond === 0) return;
    const { first, pages } = this.machine.mailbox.hello;
    const spare = Array.from({ length: Math.max(0, beyond) }, (_, i) => first + BigInt(pages - 1 - this.#spare.size - i));
    const left = pages - this.#spare.size - beyond;
    if (this.setup.guests !== 'translated' || beyond < 0 || left < mostUsed) throw new OddError(`the domain owns ${beyond} pages too many`);
    await this.resize(ops.decrease_reservation, spare);
    for (const gfn of spare) this.#spare.add(gfn);
  }

  /**
   * Makes a world of the guest's free memory: pages come back, or go, by calls of ops 1 and 6.
   * Answers how many pages more the domain owns now than at its start.
   */
  protected async build(_ram: readonly bigint[], holes: ReadonlySet<bigint>): Promise<number> {
    const { first, pages } = this.machine.mailbox.hello;
    const [probed] = await this.machine.ask([{ what: 'probe', gfn: first, pages }]);
    const isMapped = (gfn: bigint): boolean => probed?.bytes[Number(gfn - first)] === 1;
    const room = framesOf([{ gfn: first, pages }]).filter((gfn) => !this.#spare.has(gfn));
    if (this.setup.guests === 'translated')
      for (const gfn of strayFrames(this.setup.arch, first)) await this.resize(ops.decrease_reservation, [gfn], { short: true });
    await this.resize(
      ops.decrease_reservation,
      room.filter((gfn) => holes.has(gfn) && isMapped(gfn)),
    );
    await this.resize(
      ops.populate_physmap,
      room.filter((gfn) => !holes.has(gfn) && !isMapped(gfn)),
    );
    return this.setup.guests === 'direct-mapped' ? 0 : -holes.size;
  }

  /**
   * Calls op 0, 1 or 6 for these extents: how many it did, and what the list holds afterwards.
   * `short`: it need not do all of them.
   */
  protected async resize(
    cmd: number,
    entries: readonly bigint[],
    { order = 0, short = false }: { readonly order?: number; readonly short?: boolean } = {},
  ): Promise<{ readonly done: number; readonly list: bigint[] }> {
    const codec = codecFor(this.setup.arch).xen_memory_reservation;
    const list: bigint[] = [];
    for (let at = 0; at < entries.length; at += mostListed) {
      const part = entries.slice(at, at + mostListed);
      const [arg, handle] = [this.machine.mailbox.scratch(0), this.machine.mailbox.scratch(codec.size)];
      const struct = { extent_start: handle, nr_extents: BigInt(part.length), extent_order: order, address_bits: 0, domid: DOMID.SELF };
      const [, , called, read] = await this.machine.ask([
        { what: 'write', address: arg, bytes: codec.encode(struct) },
        { what: 'write', address: handle, bytes: new Uint8Array(new BigUint64Array(part).buffer) },
        { what: 'call', cmd, arg },
        { what: 'read', address: handle, length: part.length * 8 },
      ]);
      const done = Number(called?.value);
      if (read) list.push(...new BigUint64Array(read.bytes.buffer));
      if (done === part.length) continue;
      if (short) return { done: at + done, list };
      throw new OddError(`op ${cmd} of ${part.length} extents ended with ${done}`);
    }
    return { done: entries.length, list };
  }
}

export function framesOf(runs: readonly PageRun[]): bigint[] {
  return runs.flatMap(({ gfn, pages }) => Array.from({ length: pages }, (_, i) => gfn + BigInt(i)));
}

export function unsupported(message: string): Asked {
  return { asks: [], reply: () => error(message) };
}

function error(message: string): Reply {
  return { error: { kind: 'unsupported', message } };
}
