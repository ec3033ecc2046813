import type { Arch } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { argumentOf, type JudgedOp, XENMEM } from '../abi/ops.ts';
import { codecFor, type StructCodec } from '../codec/codec.ts';
import { type GuestMemory, type Piece, sparseMemory } from '../guest/memory.ts';
import { type ObservedCall, observedCall } from '../trace/call.ts';
import type { Answer } from './answer.ts';
import { judge } from './judge.ts';
import { ruleOf } from './table.ts';

// Addresses of the struct and of the two lists in every staged call.
export const [ARG, IN, OUT] = [0x6000_0000n, 0x6000_0100n, 0x6000_0200n] as const;

/** What a staged call differs in from a clean get of two single pages. */
export interface Stage {
  arch?: Arch;
  op?: JudgedOp;
  /** `start_extent` in cmd. */
  start?: number;
  in?: Partial<Side>;
  out?: Partial<Side>;
  /** nr_exchanged before and after. */
  entry?: bigint;
  N?: bigint;
  rc?: number | undefined;
  /** Output list after the call; by default as before. */
  returned?: bigint[];
  /** Input list after the call. */
  inAfter?: bigint[];
  p2m?: [before: [bigint, bigint | null][], after: [bigint, bigint | null][]];
  more?: Partial<ObservedCall>;
  /**
   * Bytes written over the struct before and after, at an offset: padding, or what a hypervisor
   * scribbled.
   */
  scribble?: { at: number; before?: number; after?: number };
}

interface Side {
  start: bigint;
  list: bigint[];
  nr: bigint;
  order: number;
  bits: number;
  domid: number;
}

function words(list: bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(list).buffer);
}

/**
 * A call as a capture would show it: struct and lists, before and after. By default a clean get of
 * two single pages.
 */
export function staged(stage: Stage = {}): ObservedCall {
  const { arch = 'arm64', op = 'get_dma_buf' } = stage;
  const side = (at: bigint, list: bigint[], given: Partial<Side> = {}): Side => ({
    start: at,
    list: given.list ?? list,
    nr: BigInt((given.list ?? list).length),
    order: 0,
    bits: 0,
    domid: 0x7ff0,
    ...given,
  });
  const input = side(IN, [0x40n, 0x41n], stage.in);
  const output = side(OUT, [0x50n, 0x51n], stage.out);
  const reservation = (s: Side) => ({
    extent_start: s.start,
    nr_extents: s.nr,
    extent_order: s.order,
    address_bits: s.bits,
    domid: s.domid,
  });
  const name = argumentOf[op];
  const codec = codecFor(arch)[name] as unknown as StructCodec<'xen_get_dma_buf'>;
  const value = (n: bigint): never =>
    (name === 'xen_memory_reservation'
      ? reservation(input)
      : name === 'xen_put_dma_buf'
        ? { in: reservation(input) }
        : { in: reservation(input), out: reservation(output), nr_exchanged: n }) as never;
  const struct = (n: bigint, scribbled: number | undefined): Uint8Array => {
    const bytes = codec.encode(value(n));
    if (scribbled !== undefined) bytes[stage.scribble?.at ?? 0] = scribbled;
    return bytes;
  };
  const exchange = name === 'xen_get_dma_buf' || name === 'xen_memory_exchange';
  const lists = (ins: bigint[], outs: bigint[]): Piece[] => [
    { address: input.start, bytes: words(ins) },
    ...(exchange ? [{ address: output.start, bytes: words(outs) }] : []),
  ];
  const entry = stage.entry ?? 0n;
  return observedCall(XENMEM['dma-buf'][op] + ((stage.start ?? 0) << 6), {
    arch,
    arg: ARG,
    rc: 'rc' in stage ? stage.rc : 0,
    before: sparseMemory([{ address: ARG, bytes: struct(entry, stage.scribble?.before) }, ...lists(input.list, output.list)]),
    after: sparseMemory([
      { address: ARG, bytes: struct(stage.N ?? BigInt(input.list.length), stage.scribble?.after ?? stage.scribble?.before) },
      ...lists(stage.inAfter ?? input.list, stage.returned ?? output.list),
    ]),
    ...(stage.p2m && { p2mBefore: new Map(stage.p2m[0]), p2mAfter: new Map(stage.p2m[1]) }),
    ...stage.more,
  });
}

/** A staged call of whose memory only the struct was captured. */
export function structOnly(stage: Stage): Pick<ObservedCall, 'before' | 'after'> {
  const { before, after } = staged(stage);
  const size = layoutOf(argumentOf[stage.op ?? 'get_dma_buf'], stage.arch ?? 'arm64').size;
  const only = (memory: GuestMemory): GuestMemory => sparseMemory([{ address: ARG, bytes: memory.read(ARG, size) ?? new Uint8Array(0) }]);
  return { before: only(before), after: only(after) };
}

/** A call of which only these ranges were captured, before and after. */
export function only(call: ObservedCall, ...ranges: { address: bigint; length: bigint }[]): ObservedCall {
  const part = (memory: GuestMemory): GuestMemory => sparseMemory(ranges.flatMap((range) => [...memory.known(range)]));
  return { ...call, before: part(call.before), after: part(call.after) };
}

/**
 * What one rule says of a staged call, as one line: `holds`, `unknown: why`, or `violated: what
 * [where from..to]`.
 */
export function said(id: string, stage: Stage): string {
  return saidOf(id, staged(stage));
}

/**
 * The same of any observed call. A duty of the caller is asked by itself, a requirement as `judge`
 * answers it.
 */
export function saidOf(id: string, call: ObservedCall): string {
  const judgement = judge(call);
  const rule = ruleOf(id);
  if (!judgement || !rule?.ops.includes(judgement.op)) return 'not asked';
  const answer = judgement.requirements.get(id) ?? rule.check?.(judgement.facts);
  return answer === undefined ? 'not asked' : inWords(answer);
}

/** An answer as one line. */
export function inWords(answer: Answer): string {
  if (answer.answer === 'holds') return 'holds';
  if (answer.answer === 'unknown') return `unknown: ${answer.why}`;
  const all = answer.violations.map(({ message, where, bytes }) => {
    const place = [where, bytes?.join('..')].filter((part) => part !== undefined).join(' ');
    return place === '' ? message : `${message} [${place}]`;
  });
  return `violated: ${all.join('; ')}`;
}
