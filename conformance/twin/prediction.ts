import { errno, errnoName, internalErrnos } from '../../src/abi/constants.ts';
import { framesInAll } from '../../src/abi/frames.ts';
import { judgedOp, startExtent } from '../../src/abi/ops.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { mappableGfns } from '../../src/model/p2m.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import type { Event } from '../observe/observe.ts';
import type { Hello, World } from '../protocol/implementation.ts';
import { isIn } from '../protocol/page-runs.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { differs, isExchange, isNeighbour, isSameBut } from './compare.ts';
import { Twin, type TwinCall } from './twin.ts';

type CallEvent = Event & { readonly kind: 'call' };

/**
 * What the model says of a step: that it could have ended it so, or in one sentence why never.
 * Nothing where it cannot tell, or no more than what a release is known to do.
 */
export type Said =
  | { readonly agrees: true | undefined; readonly readings?: readonly Deviation[] }
  | { readonly agrees: false; readonly message: string }
  | undefined;

/** A way in which a release is known to leave its own header, as a reading of an open point. */
export interface Deviation {
  readonly id: string;
  readonly reading: string;
  /** Requirements that a call breaks which ends so: of them it says nothing then. */
  readonly breaks?: readonly string[];
}

/**
 * What is known of a caller, by the other oracle: did it break a duty that makes the call
 * undefined, or any at all?
 */
export interface Caller {
  readonly erred: boolean;
  readonly isTidy: boolean;
}

/** Follows a scenario step by step, and says of each step whether it could have ended so. */
export interface Oracle {
  take(event: Event, caller: Caller | undefined): Said;
}

/**
 * The second oracle. It follows a scenario on a twin of the implementation, and of each call says
 * whether the model could have ended so: up to the names of frames, and to what the specification's
 * section 6 leaves free. Where a caller broke a duty, or something was not seen, it says nothing;
 * if that left the two in different worlds, nothing from then on.
 */
export class Prediction implements Oracle {
  readonly #twin: Twin | undefined;
  readonly #world: World;
  readonly #maxGfn: bigint;
  #lost = false;

  constructor({ world }: Scenario, hello: Hello) {
    try {
      this.#twin = new Twin(world, hello);
    } catch (error) {
      // A world that was given by hand, and that the model cannot build.
      if (!(error instanceof RangeError)) throw error;
    }
    this.#world = world;
    this.#maxGfn = hello.limits.max_gfn ?? framesInAll;
  }

  take(event: Event, caller: Caller | undefined): Said {
    const twin = this.#twin;
    if (this.#lost || !twin) return undefined;
    const said = event.kind === 'call' ? this.#called(twin, event, caller) : event.kind === 'churn' ? churned(twin, event) : undefined;
    if (said?.agrees === false || (event.kind === 'skipped' && event.half)) this.#lost = true;
    return said;
  }

  #called(twin: Twin, { call, inject }: CallEvent, caller: Caller | undefined): Said {
    const { rc } = call;
    const op = judgedOp(call.cmd, 'dma-buf');
    const asked = op && twin.ask(call, op, inject?.fail_alloc);
    if (!asked || !caller || rc === undefined) return this.#lose();
    const N = asked.value && twin.nrExchanged(call, asked);
    if (caller.erred || asked.isTooMuch || this.#isOpen(call, asked)) return this.#unpredicted(twin, call, asked, N);
    const isTidy = caller.isTidy && this.#isPlain(twin, asked);
    const wrong = wrongEnd(twin, asked, rc, N, isTidy);
    if (wrong !== undefined) return never(wrong);
    const done = doneBy(asked, rc, N);
    if (done === undefined) return this.#lose();
    const ended = twin.upTo(asked, done);
    // Of ops 0, 1 and 6 no more is required than that they count: what the twin cannot do it has no
    // say in.
    if (!ended) return isNeighbour(asked) ? this.#lose() : never(`the model cannot end with ${told(rc, N)}`);
    const difference = differs({ call, asked, before: twin.domain(asked.owner), ended, done });
    if (difference !== undefined) return never(difference);
    twin.follow(ended, asked.op);
    if (asked.op === 'put_dma_buf') put(twin, asked, rc);
    if (isNeighbour(asked)) this.#settle(twin, call, asked);
    return { agrees: true };
  }

  /**
   * A page that op 1 or 6 may have taken or given is what it is seen to be; where nothing is seen
   * it may be either.
   */
  #settle(twin: Twin, { p2mAfter }: ObservedCall, asked: TwinCall): void {
    const { p2m } = twin.domain(asked.owner);
    for (const gfn of asked.gfns[0] ?? []) {
      const frame = p2mAfter.get(gfn);
      if (frame === undefined || p2m.has(Number(gfn)) !== (frame !== null)) this.#lost = true;
    }
  }

  /**
   * Where the caller erred nothing is predicted; a refusal that left everything as it was is easily
   * followed all the same.
   */
  #unpredicted(twin: Twin, call: ObservedCall, asked: TwinCall, N: bigint | undefined): undefined {
    const rc = call.rc as number;
    const changed = call.changes === undefined || call.changes.length > 0 || !isSameBut(call.p2mBefore, call.p2mAfter);
    if (rc >= 0 || changed || (N !== undefined && N > 0n) || (asked.op === 'put_dma_buf' && asked.isTooMuch)) return this.#lose();
    if (asked.op === 'put_dma_buf') put(twin, asked, rc);
    return undefined;
  }

  /**
   * Frames beyond what can be mapped here are for every machine to accept or refuse, and
   * `address_bits` above 255 for it to read.
   */
  #isOpen({ arch }: ObservedCall, { gfns, reservations }: TwinCall): boolean {
    const most = BigInt(mappableGfns(arch));
    const end = this.#maxGfn < most ? this.#maxGfn : most;
    return gfns[1]?.some((gfn) => gfn >= end) === true || (reservations[1]?.address_bits ?? 0) > 255;
  }

  /**
   * Are all outputs RAM or holes of this world, and not perhaps pinned? "`holes` are unmapped gfns
   * that calls may populate".
   */
  #isPlain(twin: Twin, asked: TwinCall): boolean {
    const plan = this.#world.domains.find(({ domid }) => domid === asked.owner);
    const runs = plan ? [...plan.ram, ...plan.holes] : [];
    return asked.gfns[1]?.every((gfn) => isIn(runs, gfn) && !twin.isPerhapsPinned(asked.owner, gfn)) ?? true;
  }

  #lose(): undefined {
    this.#lost = true;
    return undefined;
  }
}

function churned(twin: Twin, { domid, before, after }: Event & { kind: 'churn' }): Said {
  const { pins } = twin.domain(domid);
  for (const [gfn, frame] of after) {
    const old = before.get(gfn);
    if (old === undefined || old === frame) continue;
    if (frame === null || old === null) return never(`a move of pages ${frame === null ? 'unmapped' : 'mapped'} guest frame ${hex64(gfn)}`);
    if (pins.has(Number(gfn))) return never(`guest frame ${hex64(gfn)} is pinned in the model, and moved`);
  }
  return undefined;
}

function put(twin: Twin, { gfns, owner }: TwinCall, rc: number): void {
  const pages = (gfns[0] ?? []).map(Number);
  // "a partly pinned list: all-or-nothing or prefix": after a refusal any of them may have lost its
  // pin.
  if (rc === 0) twin.unpinned(owner, pages);
  else twin.perhapsUnpinned(owner, pages);
}

/** What is wrong with how a call ended, before anything that it left behind is looked at. */
function wrongEnd(twin: Twin, asked: TwinCall, rc: number, N: bigint | undefined, isTidy: boolean): string | undefined {
  if (rc < 0 && (errnoName(rc) === undefined || internalErrnos.has(-rc))) return `the model never returns ${errnoName(rc) ?? rc}`;
  if (isNeighbour(asked)) {
    const start = startExtent(asked.cmd);
    const most = Math.max(start, Number(asked.reservations[0]?.nr_extents ?? 0n));
    const counts = most > start ? `a count from ${start} to ${most}` : `${start}`;
    return rc >= 0 && (rc < start || rc > most) ? `the model returns ${counts}, and here it is ${rc}` : undefined;
  }
  if (rc > 0) return `the model never returns ${rc}`;
  // Whether nothing at all is refused where something else is wrong is left open.
  if (asked.reservations.every((r) => r.nr_extents === 0n) && asked.reservations.length > 0) return undefined;
  const most = twin.atMost(asked);
  if (rc === 0 && most.rc < 0)
    return `the model answers this with ${told(most.rc, isExchange(asked) ? most.N : undefined)}, and here it is done`;
  if (!isExchange(asked)) {
    const isOwed = rc < 0 && isTidy && asked.gfns.flat().length > 0 && twin.leastPut(asked).rc === 0;
    return isOwed ? `the model does this, and here it ends with ${told(rc, N)}` : undefined;
  }
  const I = asked.reservations[0]?.nr_extents ?? 0n;
  if (rc === 0 && N !== undefined && N !== I) return `the model does not end with ${told(rc, N)} of ${I} extents`;
  if (N !== undefined && N > most.N) return `the model gets through ${most.N} extents, and here it is ${N}`;
  if (rc === 0 || !isTidy || isForMemory(rc, asked.reservations[1]?.address_bits ?? 0)) return undefined;
  return twin.atLeast(asked).rc === 0 ? `the model does this, and here it ends with ${told(rc, N)}` : undefined;
}

/**
 * How many extents the twin has to do to be where the implementation is; `undefined` if that cannot
 * be told.
 */
function doneBy(asked: TwinCall, rc: number, N: bigint | undefined): bigint | undefined {
  if (asked.reservations.length === 0 || asked.op === 'put_dma_buf') return 0n;
  if (isExchange(asked)) return N;
  if (rc < 0) return undefined;
  return rc <= startExtent(asked.cmd) ? 0n : BigInt(rc);
}

/**
 * May an exchange be refused so for want of memory? A limit below 4 GiB, where hardly any machine
 * has some, may be called invalid.
 */
function isForMemory(rc: number, addressBits: number): boolean {
  return rc === -errno.ENOMEM || (rc === -errno.EINVAL && addressBits !== 0 && addressBits < 32);
}

function never(message: string): Said {
  return { agrees: false, message };
}

function told(rc: number, N: bigint | undefined): string {
  return `rc ${rc === 0 ? 0 : (errnoName(rc) ?? rc)}${N === undefined ? '' : `, nr_exchanged ${N}`}`;
}
