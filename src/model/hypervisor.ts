import type { ChangedRange, Inject, World } from '../guest/world.ts';
import type { Freedoms } from './freedoms.ts';
import { type MemoryOpOf, memoryOp } from './memory-op.ts';
import { at, churn, readBytes, writeBytes } from './p2m.ts';
import { domainOf, type State } from './state.ts';
import { buildWorld } from './world.ts';

/**
 * An implementation under test, in process: the operations of the implementation protocol, section
 * 1. A domid or a world that does not exist is a `RangeError`; a hypercall is only ever refused by
 * its negative return code.
 */
export interface Hypervisor {
  /** The machine as it stands; assigning one (a clone, say) goes on from there. */
  state: State;
  /** Forgets everything and builds this world. */
  reset(world: World): void;
  /** The guest writes its own memory; `false` is a fault, with nothing written. */
  write(domid: number, address: bigint, bytes: Uint8Array): boolean;
  /** The guest reads its own memory; `undefined` is a fault. */
  read(domid: number, address: bigint, length: number): Uint8Array | undefined;
  /** memory_op(cmd, arg) by that domain; the signed register value. */
  call(domid: number, cmd: number, arg: bigint, inject?: Inject): number;
  /** The machine frames behind guest frames, `null` for none. */
  translate(domid: number, gfn: bigint, pages: number): (bigint | null)[];
  /** Sharing, paging or migration: tries to give each mapped page another frame. */
  churn(domid: number, gfn: bigint, pages: number): void;
  /** Pages that the domain owns. */
  pages(domid: number): number;
  /**
   * What anyone but the guest's own `write` may have changed since `reset` or the last `changes`,
   * in ascending order.
   */
  changes(domid: number): ChangedRange[];
}

const emptyWorld: World = { arch: 'arm64', domains: [], free: { low: 0, high: 0 } };

/**
 * A hypervisor that answers memory_op so; the strict model unless another is given. It starts with
 * an empty world.
 */
export function createHypervisor(answer: MemoryOpOf = memoryOp, neighbours: Freedoms['neighbour-of-pinned'] = 'moved'): Hypervisor {
  let state = buildWorld(emptyWorld);
  return {
    get state() {
      return state;
    },
    set state(other) {
      state = other;
    },
    reset(world) {
      state = buildWorld(world);
    },
    write: (domid, address, bytes) => writeBytes(state, domainOf(state, domid), at(address), bytes),
    read: (domid, address, length) => readBytes(state, domainOf(state, domid), at(address), length)?.slice(),
    call: (domid, cmd, arg, inject) => answer(state, { domid, cmd, arg, inject }),
    translate(domid, gfn, pages) {
      const { p2m } = domainOf(state, domid);
      const mfns: (bigint | null)[] = [];
      for (let page = Number(gfn), end = page + pages; page < end; page++) {
        const mfn = p2m.get(page);
        mfns.push(mfn === undefined ? null : BigInt(mfn));
      }
      return mfns;
    },
    churn(domid, gfn, pages) {
      churn(state, domainOf(state, domid), Number(gfn), pages, neighbours);
    },
    pages: (domid) => domainOf(state, domid).owned.size,
    changes(domid) {
      const { changed } = domainOf(state, domid);
      const ranges = [...changed.pages].map((gfn) => ({ address: BigInt(gfn) << 12n, length: 4096 }));
      for (let i = 0; i < changed.pieces.length; i += 3) {
        const [gfn = 0, offset = 0, length = 0] = changed.pieces.slice(i, i + 3);
        ranges.push({ address: (BigInt(gfn) << 12n) + BigInt(offset), length });
      }
      changed.pages.clear();
      changed.pieces = [];
      return ranges.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    },
  };
}
