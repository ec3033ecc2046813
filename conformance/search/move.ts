import { DOMID, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import { codecFor } from '../../src/codec/codec.ts';
import type { Inject } from '../../src/guest/world.ts';
import { controlGfn, firstGfn } from './scope.ts';
import { type Window, Windows } from './windows.ts';

/** How moves end, and so what they are counted as. */
export type Ending = 'done' | 'partly' | 'refused';

interface Named {
  /** The kind of move, under which it is counted. */
  readonly kind: string;
  readonly text: string;
  /** The scope's gfns that the move names, one bit each. */
  readonly named: number;
  /**
   * How moves of this kind must be seen to end somewhere in the scope; they may end otherwise too.
   */
  readonly endings: readonly Ending[];
}

/**
 * A hypercall, with the bytes it leaves in guest memory before. It is made once and played in every
 * state.
 */
export interface CallMove extends Named {
  readonly do: 'call';
  readonly cmd: number;
  readonly arg: bigint;
  /** What is written, and watched. */
  readonly windows: readonly Window[];
  readonly before: Windows;
  /** Does one of them lie in a page of the scope? Then it may not be there. */
  readonly inScope: boolean;
  readonly inject: Inject;
  /** The gfns of each output extent, one bit each. */
  readonly outputs: readonly number[];
  /** Is there a gfn in the list of a put that is not the scope's? */
  readonly strangers: boolean;
  /** Is there a number twice in its first list? */
  readonly twice: boolean;
  /** Does the specification say of this call that nothing at all may change? */
  readonly mustRefuse: boolean;
  /** The same call with other bits in the field that is ignored: it has to end the same way. */
  readonly varied?: CallMove;
}

/** The hypervisor moves pages by itself. */
export interface ChurnMove extends Named {
  readonly do: 'churn';
  readonly gfn: number;
  readonly pages: number;
}

export type Move = CallMove | ChurnMove;

/** What a call says, in plain words: gfns count from the first of the scope. */
export interface Wish {
  readonly kind: string;
  readonly endings?: readonly Ending[];
  readonly cmd: number;
  readonly in: readonly number[];
  readonly out?: readonly number[];
  readonly inOrder?: number;
  readonly outOrder?: number;
  /** The address_bits of the reservation that has a use for them: out, or the only one. */
  readonly bits?: number;
  /** What differs from the usual in the struct. */
  readonly struct?: { in?: Partial<XenMemoryReservation>; out?: Partial<XenMemoryReservation>; nr_exchanged?: bigint };
  /** Every padding byte. */
  readonly padding?: number;
  readonly at?: { readonly struct?: bigint; readonly in?: bigint; readonly out?: bigint };
  readonly inject?: Inject;
  readonly mustRefuse?: boolean;
  readonly pair?: boolean;
}

const { get_dma_buf, put_dma_buf, exchange } = XENMEM['dma-buf'];
const codecs = codecFor('arm64');
const page = BigInt(controlGfn) << BigInt(PAGE_SHIFT);

/**
 * Where struct and lists usually lie, all in one window; around them is a pattern that must stay.
 */
export const usual = { struct: page, in: page + 0x80n, out: page + 0x100n };
/** The last bytes of the control page: behind them is a hole. */
export const endOfPage: bigint = page + 0x1000n;
/** The middle of the scope's first page, which may be exchanged. */
export const inFirstPage: bigint = (BigInt(firstGfn) << BigInt(PAGE_SHIFT)) + 0x100n;
export const nowhere: bigint = page + 0x5000n;
const windowsThere = [
  { address: page, length: 0x180 },
  { address: endOfPage - 0x80n, length: 0x80 },
  { address: inFirstPage, length: 0x100 },
] as const;
const pattern = 0xa5;

/** Turns a wish into bytes. */
export function callMove(wish: Wish): CallMove {
  const { kind, cmd, in: ins, out: outs = [], inOrder = 0, outOrder = 0, bits = 0, inject = {}, padding = 0, pair = false } = wish;
  const op = cmd & 0x3f;
  const isExchange = op === get_dma_buf || op === exchange;
  const at = { ...usual, ...wish.at };
  const usedBits = isExchange ? 0 : bits;
  const input = { ...reservation(at.in, ins.length, inOrder, usedBits), ...wish.struct?.in };
  const output = { ...reservation(at.out, outs.length, outOrder, bits), ...wish.struct?.out };
  const codec = isExchange ? codecs.xen_get_dma_buf : op === put_dma_buf ? codecs.xen_put_dma_buf : codecs.xen_memory_reservation;
  const value = isExchange
    ? { in: input, out: output, nr_exchanged: wish.struct?.nr_exchanged ?? 0n }
    : op === put_dma_buf
      ? { in: input }
      : input;
  const gaps = Object.fromEntries(codec.layout.padding.map((gap) => [gap.owner, new Uint8Array(gap.size).fill(padding)]));
  const windows = windowsThere.map(({ address, length }) => ({ address, bytes: new Uint8Array(length).fill(pattern), used: false }));
  for (const [address, bytes] of [
    [input.extent_start, entries(ins)],
    [output.extent_start, entries(outs)],
    [at.struct, codec.encode(value as never, gaps)],
  ] as const) {
    for (const window of windows) place(window, address, bytes);
  }
  const used = windows.filter((w) => w.used).map(({ address, bytes }) => ({ address, bytes }));
  const inPages = masks(ins, input.extent_order);
  const outputs = isExchange ? masks(outs, output.extent_order) : [];
  const other = pair && { ...wish, pair: false, struct: { ...wish.struct, in: { ...wish.struct?.in, address_bits: 13 } } };
  return {
    do: 'call',
    kind,
    text: wordsOf(wish),
    named: [...inPages, ...outputs].reduce((all, mask) => all | mask, 0),
    endings: wish.endings ?? [],
    cmd,
    arg: at.struct,
    windows: used,
    before: new Windows(used),
    inScope: windows[2]?.used ?? false,
    inject,
    outputs,
    strangers: op === put_dma_buf && ins.some((gfn) => gfn < 0 || gfn + 2 ** inOrder > 4),
    twice: new Set(ins).size < ins.length,
    mustRefuse: wish.mustRefuse ?? false,
    ...(other && { varied: callMove(other) }),
  };
}

function reservation(extent_start: bigint, nr: number, extent_order: number, address_bits: number): XenMemoryReservation {
  return { extent_start, nr_extents: BigInt(nr), extent_order, address_bits, domid: DOMID.SELF };
}

/**
 * A list as bytes. Entries count from the scope's first gfn; a number that cannot be one of those
 * stands for itself.
 */
function entries(list: readonly number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(list, (entry) => entryOf(entry)).buffer);
}

function entryOf(entry: number): bigint {
  return BigInt(entry < 0x100 ? firstGfn + entry : entry);
}

function place(window: { address: bigint; bytes: Uint8Array; used: boolean }, address: bigint, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) {
    const at = Number(address - window.address) + i;
    if (at < 0 || at >= window.bytes.length) continue;
    window.bytes[at] = bytes[i] as number;
    window.used = true;
  }
}

/** One bit for each of the scope's gfns that an extent holds. */
function masks(bases: readonly number[], order: number): number[] {
  const pages = order < 3 ? 2 ** order : 0;
  return bases.map((base) => (base < 8 ? ((1 << pages) - 1) << base : 0));
}

function wordsOf({ kind, cmd, in: ins, out: outs, bits = 0, inject }: Wish): string {
  const list = (entries: readonly number[]): string => `[${entries.map((e) => (e < 0x100 ? e : `0x${e.toString(16)}`)).join(' ')}]`;
  const lists = outs ? `${list(ins)}→${list(outs)}` : list(ins);
  const limit = bits === 0 ? '' : ` under 2^${bits}`;
  const faults = Object.entries(inject ?? {}).map(([name, n]) => ` ${name}=${n}`);
  return `${kind} (cmd ${cmd}) ${lists}${limit}${faults.join('')}`;
}
