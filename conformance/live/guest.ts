import type { Arch } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SIZE } from '../../src/abi/constants.ts';
import { judgedOp, XENMEM } from '../../src/abi/ops.ts';
import { codecFor } from '../../src/codec/codec.ts';
import type { PageRun, Reply, Request, World } from '../protocol/implementation.ts';
import { pagesIn } from '../protocol/page-runs.ts';
import type { Machine } from './machine.ts';
import { type Ask, mostBytes, type Told } from './mailbox.ts';
import type { Setup } from './setups.ts';

export const ops: typeof XENMEM.upstream = XENMEM.upstream;
export const page: bigint = BigInt(PAGE_SIZE);

/** Entries of a list that the driver itself puts into guest memory. */
export const mostListed = 320;

/** Pages of the guest's free memory that worlds are made of, at most. */
export const mostUsed = 3072;

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

/** What a world is to be made of. */
export type Plan = Pick<World['domains'][number], 'ram' | 'holes'>;

export type Of<O extends Request['op']> = Request & { readonly op: O };

/**
 * Requests of the implementation protocol, answered by a guest of a real hypervisor, which does all
 * of it: where the frames behind its pages are not known, nobody else can.
 */
export class Guest {
  protected readonly machine: Machine;
  protected readonly setup: Setup;
  /** Frames that it was started with beside its free memory, where it knows them. */
  readonly elsewhere: Set<number> = new Set();
  /** Pages that the domain owned when it was started. */
  #owned: number | undefined;
  /** Pages that were given back for those that were lost. */
  readonly #spare = new Set<bigint>();
  /** Pages of the last world, if a call may have pinned some. */
  #pinned: bigint[] = [];
  #mayPin = false;

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
    // What is read or written from outside does not wait for its turn in a round.
    let isLate = false;
    for (const request of requests) {
      const isAlone = request.op === 'reset' || (request.op === 'call' && this.callsAlone);
      if (isAlone || (isLate && (request.op === 'write' || request.op === 'call'))) await flush();
      isLate = request.op === 'read' || request.op === 'call' || (isLate && request.op !== 'write');
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
        return this.writes(request);
      case 'read':
        return this.reads(request);
      case 'call':
        return this.calls(request);
      case 'translate':
        return this.translates(request.gfn, request.pages);
      case 'pages':
        return this.owned();
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

  protected calls({ cmd, arg }: Of<'call'>): Asked {
    this.#mayPin ||= judgedOp(cmd, 'dma-buf') === 'get_dma_buf';
    return { asks: [{ what: 'call', cmd, arg }], reply: ([told]) => ({ rc: Number(told?.value) }) };
  }

  protected writes({ addr, bytes }: Of<'write'>): Asked {
    return { asks: [{ what: 'write', address: addr, bytes }], reply: ([told]) => (told?.value === 0n ? {} : { fault: true }) };
  }

  protected reads({ addr, length }: Of<'read'>): Asked {
    return {
      asks: [{ what: 'read', address: addr, length }],
      reply: ([told]) => (told?.value === 0n ? { bytes: told.bytes } : { fault: true }),
    };
  }

  protected translates(_gfn: bigint, _pages: number): Asked {
    return unsupported('such a guest does not know its machine frames');
  }

  /** How many pages the domain owns. */
  protected owned(): Asked {
    return { asks: this.counts(), reply: ([, told]) => ({ pages: Number(told?.value) }) };
  }

  /** Is that in the guest's free memory? */
  protected isRoom(address: bigint, length: number): boolean {
    const { first, pages } = this.machine.mailbox.hello;
    return length > 0 && address >= first * page && address + BigInt(length) <= (first + BigInt(pages)) * page;
  }

  /** Asks how many pages the domain owns. */
  protected counts(): readonly [Ask, Ask] {
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
    this.#owned ??= Number((await this.machine.ask(this.counts()))[1]?.value);
    await this.build(plan);
    return {};
  }

  /** Makes a world of the guest's free memory: pages come back, or go, by calls of ops 1 and 6. */
  protected async build({ ram, holes }: Plan): Promise<void> {
    const { first, pages } = this.machine.mailbox.hello;
    if (this.#mayPin) await this.#unpin([...strayFrames(this.setup.arch, first), ...this.#pinned]);
    this.#pinned = pagesIn([...ram, ...holes]);
    const [probed] = await this.machine.ask([{ what: 'probe', gfn: first, pages }]);
    const isMapped = (gfn: bigint): boolean => probed?.bytes[Number(gfn - first)] === 1;
    const isHole = new Set(pagesIn(holes));
    const room = pagesIn([{ gfn: first, pages }]).filter((gfn) => !this.#spare.has(gfn));
    for (const gfn of strayFrames(this.setup.arch, first)) await this.resize(ops.decrease_reservation, [gfn], { short: true });
    await this.resize(
      ops.decrease_reservation,
      room.filter((gfn) => isHole.has(gfn) && isMapped(gfn)),
    );
    await this.resize(
      ops.populate_physmap,
      room.filter((gfn) => !isHole.has(gfn) && !isMapped(gfn)),
    );
    await this.#counted((await this.zeroed(ram)) + isHole.size);
  }

  /** Unpins what calls have pinned: one page a call, since it ends at one that is not. */
  async #unpin(gfns: readonly bigint[]): Promise<void> {
    await this.machine.ask(gfns.flatMap((gfn) => this.resizing(XENMEM['dma-buf'].put_dma_buf, [gfn]).flatMap(({ asks }) => asks)));
    this.#mayPin = false;
  }

  /** Zeros what a world is made of; how many pages more the domain owns than when it was started. */
  protected async zeroed(ram: readonly PageRun[]): Promise<number> {
    const most = mostBytes / PAGE_SIZE;
    const zeros = ram.flatMap(({ gfn, pages }) =>
      Array.from({ length: Math.ceil(pages / most) }, (_, i): Ask => {
        return { what: 'zero', address: (gfn + BigInt(i * most)) * page, length: Math.min(most, pages - i * most) * PAGE_SIZE };
      }),
    );
    const told = await this.machine.ask([...zeros, ...this.counts()]);
    if (told.slice(0, -1).some(({ value }) => value !== 0n)) throw new OddError('a page that is there cannot be written');
    return this.gained(told.at(-1));
  }

  /** So many pages more the domain owns than when it was started, by the answer to `counts`. */
  protected gained(told: Told | undefined): number {
    return Number(told?.value) - (this.#owned ?? 0);
  }

  /**
   * The guest has lost pages that no frame leads to: as many others are given back, so that it may
   * populate as many as before.
   */
  async #counted(beyond: number): Promise<void> {
    if (beyond === 0) return;
    const { first, pages } = this.machine.mailbox.hello;
    const spare = Array.from({ length: Math.max(0, beyond) }, (_, i) => first + BigInt(pages - 1 - this.#spare.size - i));
    if (beyond < 0 || pages - this.#spare.size - beyond < mostUsed) throw new OddError(`the domain owns ${beyond} pages too many`);
    await this.resize(ops.decrease_reservation, spare);
    for (const gfn of spare) this.#spare.add(gfn);
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
    const list: bigint[] = [];
    for (const { asks, count, listed } of this.resizing(cmd, entries, order)) {
      const [, , called, read] = await this.machine.ask([...asks, { what: 'read', address: listed, length: count * 8 }]);
      const done = Number(called?.value);
      const before = list.length;
      if (read) list.push(...new BigUint64Array(read.bytes.buffer));
      if (done === count) continue;
      if (short) return { done: before + done, list };
      throw new OddError(`op ${cmd} of ${count} extents ended with ${done}`);
    }
    return { done: entries.length, list };
  }

  /** What is asked for that, call by call: the struct, the list, the call. */
  protected resizing(cmd: number, entries: readonly bigint[], order = 0): { asks: [Ask, Ask, Ask]; count: number; listed: bigint }[] {
    const codec = codecFor(this.setup.arch).xen_memory_reservation;
    const [arg, handle] = [this.machine.mailbox.scratch(0), this.machine.mailbox.scratch(codec.size)];
    return Array.from({ length: Math.ceil(entries.length / mostListed) }, (_, i) => {
      const part = entries.slice(i * mostListed, (i + 1) * mostListed);
      const struct = { extent_start: handle, nr_extents: BigInt(part.length), extent_order: order, address_bits: 0, domid: DOMID.SELF };
      const asks: [Ask, Ask, Ask] = [
        { what: 'write', address: arg, bytes: codec.encode(struct) },
        { what: 'write', address: handle, bytes: new Uint8Array(new BigUint64Array(part).buffer) },
        { what: 'call', cmd, arg },
      ];
      return { asks, count: part.length, listed: handle };
    });
  }
}

export function unsupported(message: string): Asked {
  return { asks: [], reply: () => error(message) };
}

export function error(message: string): Reply {
  return { error: { kind: 'unsupported', message } };
}
