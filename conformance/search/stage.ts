import { PAGE_SHIFT } from '../../src/abi/constants.ts';
import type { ByteRange } from '../../src/guest/memory.ts';
import { countFree } from '../../src/model/allocator.ts';
import type { Hypervisor } from '../../src/model/hypervisor.ts';
import { cloneState, type Domain, domainOf, type State } from '../../src/model/state.ts';
import type { ObservedCall, OtherDomain, P2m } from '../../src/trace/call.ts';
import { CrashError } from '../protocol/play.ts';
import type { CallMove, ChurnMove } from './move.ts';
import { bystander, bystanderFrame, caller, controlGfn, firstGfn, type Scope } from './scope.ts';
import { differing, type Window, Windows } from './windows.ts';

const shift = BigInt(PAGE_SHIFT);
const everything = 1n << 64n;
const zeroPage = new Uint8Array(1 << PAGE_SHIFT);
const markBytes = 8;

/**
 * What can be seen of a state from outside, made once and used for every move from there. Sets of
 * gfns are bits.
 */
export interface Sight {
  readonly state: State;
  readonly p2m: P2m;
  /** The frame behind each of the scope's gfns, -1 for none. */
  readonly frames: readonly number[];
  readonly mapped: number;
  readonly pins: number;
  readonly pages: number;
  readonly free: { readonly below: number; readonly above: number };
  /** Where the caller has no memory. */
  readonly holes: readonly ByteRange[];
}

/** What a move did. */
export interface Seen {
  readonly state: State;
  readonly frames: readonly number[];
  readonly mapped: number;
  readonly pins: number;
  /**
   * Gfns with another frame behind them, or one where there was none, or none where there was one.
   */
  readonly moved: number;
  /** Gfns that were mapped, still are, and do not hold what they held. */
  readonly lost: number;
  /** Is the state what it was, down to the last free frame? */
  readonly same: boolean;
}

/**
 * Plays moves on a hypervisor at its ABI, each from a copy of a state. All copies share page
 * contents, put right before each move.
 */
export class MovePlayer {
  readonly #scope: Scope;
  readonly #hypervisor: Hypervisor;
  readonly #control: Uint8Array = new Uint8Array(1 << PAGE_SHIFT);
  readonly #marked: readonly Uint8Array[];
  readonly #bystanders: Uint8Array = new Uint8Array(1 << PAGE_SHIFT);
  #spare: { readonly of: Sight; readonly state: State } | undefined;

  constructor(scope: Scope, hypervisor: Hypervisor) {
    this.#scope = scope;
    this.#hypervisor = hypervisor;
    this.#marked = Array.from({ length: scope.gfns }, () => new Uint8Array(1 << PAGE_SHIFT));
  }

  /**
   * Looks at a state. It is kept without content: what pages hold is written anew for each move.
   */
  sight(state: State): Sight {
    state.content.clear();
    for (const { changed } of state.domains.values()) {
      changed.pages.clear();
      changed.pieces = [];
    }
    const domain = domainOf(state, caller);
    const frames = this.#frames(domain);
    return {
      state,
      p2m: p2mOf(frames),
      frames,
      mapped: bits(frames, (frame) => frame >= 0),
      pins: this.#pins(domain),
      pages: domain.owned.size,
      free: countFree(state.free),
      holes: holesOf(domain),
    };
  }

  /** Makes a hypercall; what was observed of it, and what became of the state. */
  call(sight: Sight, move: CallMove): { call: ObservedCall; seen: Seen } {
    const state = this.#enter(sight);
    const hypervisor = this.#hypervisor;
    let { windows, before } = move;
    if (move.inScope) this.#marked[0]?.fill(0, markBytes); // what the last such call has left there
    for (const { address, bytes } of windows) hypervisor.write(caller, address, bytes);
    if (move.inScope && sight.frames[0] === -1) {
      windows = windows.filter((w) => w.address >> shift !== BigInt(firstGfn));
      before = new Windows(windows);
    }
    const rc = crashing(() => hypervisor.call(caller, move.cmd, move.arg, move.inject));
    const seen = this.#leave(sight);
    const changes: ByteRange[] = [];
    const after: Window[] = [];
    for (const { address, bytes } of windows) {
      const now = this.#read(state, address, bytes.length);
      if (!now) continue;
      differing(address, bytes, now, changes);
      after.push({ address, bytes: now });
    }
    for (let i = 0; seen.lost >> i > 0; i++) {
      if (seen.lost & (1 << i)) changes.push({ address: BigInt(firstGfn + i) << shift, length: BigInt(markBytes) });
    }
    const call: ObservedCall = {
      arch: 'arm64',
      profile: 'dma-buf',
      space: 'physical',
      translated: true,
      privileged: false,
      fromStart: true,
      cmd: move.cmd,
      seq: undefined,
      domid: caller,
      arg: move.arg,
      argument: undefined,
      rc,
      before,
      after: new Windows(after),
      changes,
      unmapped: sight.holes,
      p2mBefore: sight.p2m,
      p2mAfter: seen.moved === 0 ? sight.p2m : p2mOf(seen.frames),
      pagesBefore: sight.pages,
      pagesAfter: hypervisor.pages(caller),
      others: [this.#bystander(state)],
    };
    return { call, seen };
  }

  /** Lets the hypervisor move pages by itself. */
  churn(sight: Sight, { gfn, pages }: ChurnMove): Seen {
    this.#enter(sight);
    crashing(() => this.#hypervisor.churn(caller, BigInt(gfn), pages));
    return this.#leave(sight);
  }

  /**
   * A copy of the state with its pages' content. One that the last move left as it was serves
   * again: most calls are refused.
   */
  #enter(sight: Sight): State {
    const state = this.#spare?.of === sight ? this.#spare.state : cloneState(sight.state);
    this.#spare = undefined;
    const { content } = state;
    content.clear();
    content.set(domainOf(state, caller).p2m.get(controlGfn) as number, this.#control);
    content.set(domainOf(state, bystander).p2m.get(firstGfn) as number, this.#bystanders);
    this.#bystanders[0] = 0xb5;
    for (let i = 0; i < sight.frames.length; i++) {
      const frame = sight.frames[i] as number;
      const page = this.#marked[i] as Uint8Array;
      page[0] = i + 1;
      if (frame >= 0) content.set(frame, page);
    }
    this.#hypervisor.state = state;
    return state;
  }

  #leave(sight: Sight): Seen {
    const { frames: before } = sight;
    const { state } = this.#hypervisor;
    const domain = domainOf(state, caller);
    const frames = this.#frames(domain);
    let [moved, lost, mapped] = [0, 0, 0];
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i] as number;
      if (frame !== before[i]) moved |= 1 << i;
      if (frame < 0) continue;
      mapped |= 1 << i;
      if ((before[i] as number) >= 0 && state.content.get(frame)?.[0] !== i + 1) lost |= 1 << i;
    }
    const same = moved === 0 && isSame(state, sight.state);
    if (same) this.#spare = { of: sight, state };
    return { state, frames, mapped, pins: this.#pins(domain), moved, lost, same };
  }

  #frames({ p2m }: Domain): number[] {
    const frames: number[] = [];
    for (let i = 0; i < this.#scope.gfns; i++) frames.push(p2m.get(firstGfn + i) ?? -1);
    return frames;
  }

  #pins({ pins }: Domain): number {
    let set = 0;
    for (const gfn of pins) set |= 1 << (gfn - firstGfn);
    return set;
  }

  #read(state: State, address: bigint, length: number): Uint8Array | undefined {
    const frame = domainOf(state, caller).p2m.get(Number(address >> shift));
    const offset = Number(address & 0xfffn);
    return frame === undefined ? undefined : (state.content.get(frame) ?? zeroPage).subarray(offset, offset + length);
  }

  #bystander(state: State): OtherDomain {
    const frame = domainOf(state, bystander).p2m.get(firstGfn);
    const intact = frame === undefined || state.content.get(frame)?.[0] === 0xb5;
    if (intact && frame === bystanderFrame) return untouched;
    return {
      domid: bystander,
      changes: intact ? [] : [{ address: BigInt(firstGfn) << shift, length: 1n }],
      p2mBefore: bystandersP2m,
      p2mAfter: frame === bystanderFrame ? bystandersP2m : new Map([[BigInt(firstGfn), frame === undefined ? null : BigInt(frame)]]),
    };
  }
}

const bystandersP2m: P2m = new Map([[BigInt(firstGfn), BigInt(bystanderFrame)]]);

/** Are two states one but for content and the log of changes? The first one's log is emptied. */
function isSame(state: State, other: State): boolean {
  for (const [domid, a] of state.domains) {
    const b = domainOf(other, domid);
    if (a.p2m.size !== b.p2m.size || a.pins.size !== b.pins.size || a.owned.size !== b.owned.size) return false;
    if (a.unaddressed !== b.unaddressed || a.dying !== b.dying) return false;
    for (const [gfn, frame] of a.p2m) if (b.p2m.get(gfn) !== frame) return false;
    for (const gfn of a.pins) if (!b.pins.has(gfn)) return false;
    for (const frame of a.owned) if (!b.owned.has(frame)) return false;
    a.changed.pages.clear();
    a.changed.pieces = [];
  }
  for (let order = 0; order < state.free.length; order++) {
    const [a, b] = [state.free[order] as number[], other.free[order] as number[]];
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  }
  return true;
}

/** What the hypervisor does; its throwing is a crash of its own, ours is not. */
function crashing<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new CrashError(error instanceof Error ? error.message : String(error));
  }
}

const untouched: OtherDomain = { domid: bystander, changes: [], p2mBefore: bystandersP2m, p2mAfter: bystandersP2m };

function p2mOf(frames: readonly number[]): P2m {
  const p2m = new Map<bigint, bigint | null>();
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i] as number;
    p2m.set(BigInt(firstGfn + i), frame < 0 ? null : BigInt(frame));
  }
  return p2m;
}

function bits(frames: readonly number[], which: (frame: number) => boolean): number {
  return frames.reduce((set, frame, i) => (which(frame) ? set | (1 << i) : set), 0);
}

function holesOf({ p2m }: Domain): ByteRange[] {
  const holes: ByteRange[] = [];
  let end = 0n;
  for (const gfn of [...p2m.keys()].sort((a, b) => a - b)) {
    const start = BigInt(gfn) << shift;
    if (start > end) holes.push({ address: end, length: start - end });
    end = start + (1n << shift);
  }
  return [...holes, { address: end, length: everything - end }];
}
