import { DOMID } from '../abi/constants.ts';
import { fieldOf, type Layout } from '../abi/layout.ts';
import { isStructName } from '../abi/structs.ts';
import type { BulkJudge } from '../rules/bulk.ts';
import type { Told } from '../rules/shown.ts';
import { addCalls, addStructs, type Digest, mostKinds, mostRows, passCalls } from './digest.ts';
import { addTold, type Tally } from './tally.ts';

/** Where counts go, and who is told of each way in which structs are judged. */
export interface CountsInto {
  readonly tally: Tally;
  readonly digest: Digest | undefined;
  readonly seen: (told: Told) => void;
}

/** Slots of the table of keys; it is emptied into the tally when half of them are taken. */
const slots = 1 << 12;

/**
 * Counts the structs of a scan by their keys, in memory that does not grow: for a tally and, where
 * one is wanted, a digest.
 */
export class BlockCounts {
  readonly #bulk: BulkJudge;
  readonly #tally: Tally;
  readonly #keys = new Int32Array(slots);
  readonly #counts = new Float64Array(slots);
  readonly #told: (Told | undefined)[] = new Array(slots);
  readonly #seen: CountsInto['seen'];
  #taken = 0;
  readonly #story: Story | undefined;

  constructor(bulk: BulkJudge, layout: Layout, { tally, digest, seen }: CountsInto) {
    this.#bulk = bulk;
    this.#tally = tally;
    this.#seen = seen;
    this.#story = digest && (isStructName(layout.struct) ? new StructStory(bulk, layout, digest) : new OtherStory(bulk, digest));
  }

  /** What is said of structs with this key, of which these bytes are one. */
  told(key: number, bytes: Uint8Array): Told {
    const slot = this.#slotOf(key | 0, bytes);
    return this.#told[slot] ?? this.#bulk.judge(bytes);
  }

  /** Counts structs `from` up to `to` of the block. */
  add(from: number, to: number): void {
    const { masks } = this.#bulk.scan;
    const counts = this.#counts;
    let last = -1;
    let slot = -1;
    for (let i = from; i < to; i++) {
      const key = masks[i] as number;
      if (key !== last || slot < 0) {
        slot = this.#find(key | 0);
        if (slot < 0) slot = this.#slotOf(key | 0, this.#bytesOf(i));
        last = key;
      }
      counts[slot] = (counts[slot] as number) + 1;
    }
    this.#story?.add(from, to);
  }

  /** Puts what was counted into the tally and the digest. */
  flush(): void {
    for (let slot = 0; slot < slots; slot++) {
      const told = this.#told[slot];
      const calls = this.#counts[slot] as number;
      if (told && calls > 0) addTold(this.#tally, told, calls);
    }
    this.#told.fill(undefined);
    this.#counts.fill(0);
    this.#taken = 0;
    this.#story?.flush();
  }

  #bytesOf(i: number): Uint8Array {
    const { scan, size } = this.#bulk;
    return scan.input.subarray(i * size, (i + 1) * size);
  }

  /** The slot of a key that is known, or -1. */
  #find(key: number): number {
    for (let slot = hashOf(key); this.#told[slot] !== undefined; slot = (slot + 1) & (slots - 1)) {
      if (this.#keys[slot] === key) return slot;
    }
    return -1;
  }

  #slotOf(key: number, bytes: Uint8Array): number {
    const known = this.#find(key);
    if (known >= 0) return known;
    if (2 * this.#taken >= slots) this.flush();
    let slot = hashOf(key);
    while (this.#told[slot] !== undefined) slot = (slot + 1) & (slots - 1);
    this.#keys[slot] = key;
    const told = this.#bulk.judge(bytes);
    this.#told[slot] = told;
    this.#seen(told);
    this.#taken++;
    return slot;
  }
}

function hashOf(key: number): number {
  return (Math.imul(key, 0x9e3779b1) >>> 20) & (slots - 1);
}

/** What a digest tells of the structs of an array. */
interface Story {
  /** Takes in structs `from` up to `to` of the block. */
  add(from: number, to: number): void;
  /** Puts what was taken in into the digest. */
  flush(): void;
}

/** Of structs that are not judged: how many. */
class OtherStory implements Story {
  readonly #bulk: BulkJudge;
  readonly #digest: Digest;
  #calls = 0;

  constructor(bulk: BulkJudge, digest: Digest) {
    this.#bulk = bulk;
    this.#digest = digest;
  }

  add(from: number, to: number): void {
    this.#calls += to - from;
  }

  flush(): void {
    if (this.#calls > 0) addCalls(this.#digest, this.#bulk.op, this.#bulk.caller, this.#calls);
    passCalls(this.#digest, this.#calls);
    this.#calls = 0;
  }
}

/** Orders that a machine can have and some more are counted in a table. */
const smallOrders = 64;
/** No row yet, and no room for one. */
const [none, noRoom] = [-1, -2];

/**
 * What a digest tells of structs alone: how many of each domain and order, in the order of their
 * coming.
 */
class StructStory implements Story {
  readonly #bulk: BulkJudge;
  readonly #digest: Digest;
  readonly #domid: number;
  readonly #order: number;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  /** The row of each domid: its index, or `none` or `noRoom`. */
  readonly #rowOf = new Int16Array(1 << 16).fill(none);
  /** Structs of a row and a small order. */
  readonly #small = new Float64Array(mostRows * smallOrders);
  readonly #rows: { readonly domid: number; readonly orders: Map<number | undefined, number> }[] = [];
  #others = 0;
  #calls = 0;

  constructor(bulk: BulkJudge, layout: Layout, digest: Digest) {
    this.#bulk = bulk;
    this.#digest = digest;
    const path = layout.members.some(({ name }) => name === 'in') ? 'in.' : '';
    this.#domid = fieldOf(layout, `${path}domid`).offset;
    this.#order = fieldOf(layout, `${path}extent_order`).offset;
    const { input } = bulk.scan;
    this.#words = new Uint32Array(input.buffer, input.byteOffset, input.byteLength >> 2);
    this.#halves = new Uint16Array(input.buffer, input.byteOffset, input.byteLength >> 1);
  }

  add(from: number, to: number): void {
    const { size } = this.#bulk;
    const [words, halves, small, rowOf] = [this.#words, this.#halves, this.#small, this.#rowOf];
    let others = 0;
    const [order4, domid2] = [this.#order >> 2, this.#domid >> 1];
    for (let at = from * size; at < to * size; at += size) {
      const domid = halves[(at >> 1) + domid2] as number;
      const order = words[(at >> 2) + order4] as number;
      const row = rowOf[domid] as number;
      const slot = row * smallOrders + order;
      if (row === noRoom) others++;
      else if (order < smallOrders && row !== none && (small[slot] as number) > 0) small[slot] = (small[slot] as number) + 1;
      else this.#count(domid, order);
    }
    this.#others += others;
    this.#calls += to - from;
  }

  /** Counts a struct whose domid or order is new, or rare. */
  #count(domid: number, order: number): void {
    let row = this.#rowOf[domid] as number;
    if (row === none) {
      row = this.#rows.length < mostRows ? this.#rows.push({ domid, orders: new Map() }) - 1 : noRoom;
      this.#rowOf[domid] = row;
    }
    const orders = this.#rows[row]?.orders;
    if (!orders) {
      this.#others++;
      return;
    }
    const known = orders.has(order) || orders.size < mostKinds ? order : undefined;
    // One of a small order is counted in the table from now on, and here no more.
    if (known !== undefined && order < smallOrders) {
      orders.set(order, 0);
      this.#small[row * smallOrders + order] = 1;
    } else orders.set(known, (orders.get(known) ?? 0) + 1);
  }

  flush(): void {
    for (const [row, { domid, orders }] of this.#rows.entries()) {
      const owner = domid === DOMID.SELF ? this.#bulk.caller : domid;
      for (const [order, rare] of orders) {
        const isSmall = order !== undefined && order < smallOrders;
        const calls = isSmall ? (this.#small[row * smallOrders + order] as number) : rare;
        addStructs(this.#digest, this.#bulk.op, owner, order, calls);
      }
    }
    this.#small.fill(0);
    this.#digest.otherRows += this.#others;
    passCalls(this.#digest, this.#calls);
    this.#rows.length = 0;
    this.#rowOf.fill(none);
    [this.#others, this.#calls] = [0, 0];
  }
}
