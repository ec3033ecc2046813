import { addressLimit } from '../../src/abi/arch.ts';
import { DOMID } from '../../src/abi/constants.ts';
import { isExchangeOp, type JudgedOp } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import type { Inject } from '../protocol/implementation.ts';
import type { Choices } from './choices.ts';
import { bystander, caller, controlPage, extentsOf, type Plan, wholeOf } from './plan.ts';

/** A call in the making. */
export interface Draft {
  readonly op: JudgedOp;
  start: number;
  domid: number;
  arg: bigint;
  in: XenMemoryReservation;
  out?: XenMemoryReservation;
  inList: readonly bigint[] | undefined;
  outList?: readonly bigint[] | undefined;
  nrExchanged: bigint;
  padding: number;
  inject?: Inject;
  /** What was done to it; such a call changes no plan. */
  broken?: string;
}

type Break = (draft: Draft, choices: Choices, plan: Plan) => void;

const orders = [19, 20, 31, 32, 63, 64, 255, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const words = [
  0n,
  1n,
  2n,
  0xffff_ffffn,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 53n) + 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/**
 * Breaks one thing about a valid call: mostly a duty of the caller, sometimes only what it may rely
 * on.
 */
export function breakCall(choices: Choices, plan: Plan, draft: Draft): void {
  // With a neighbour there, to name it is what matters most.
  const names = plan.world.domains.length > 1 && choices.percent(15);
  const [name, apply] = names
    ? (['bystander', (d) => foreign(d, bystander)] satisfies [string, Break])
    : choices.pick(draft.out ? [...anyBreaks, ...exchangeBreaks, ...exchangeBreaks] : anyBreaks);
  apply(draft, choices, plan);
  draft.broken = name;
}

/** Breaks for every op. */
const anyBreaks: readonly (readonly [string, Break])[] = [
  ['padding', (d) => set(d, { padding: 0xa5 })],
  ['struct-in-hole', (d, _, plan) => set(d, { arg: endOfRam(plan) - 8n })],
  ['struct-unaligned', (d, c) => set(d, { arg: d.arg + c.pick([1n, 3n, 4n]) })],
  ['struct-wraps', (d, _, plan) => set(d, { arg: addressLimit(plan.world.arch) - 8n })],
  ['in-list-runs-into-hole', (d, c, plan) => setIn(d, { extent_start: endOfRam(plan) - c.pick([8n, 16n]) })],
  ['in-list-in-hole', (d, c) => setIn(d, { extent_start: c.pick([0x1000_0000n, 0n]) })],
  ['in-list-wraps', (d, _, plan) => setIn(d, { extent_start: addressLimit(plan.world.arch) - 8n })],
  ['in-list-unaligned', (d, c) => setIn(d, { extent_start: d.in.extent_start + c.pick([1n, 3n, 4n]) })],
  ['in-handle-dirty', (d) => setIn(d, { extent_start: d.in.extent_start | (0xdead_beefn << 32n) })],
  ['in-order', (d, c) => setIn(d, { extent_order: c.pick(orders) })],
  ['order-too-big', (d, c) => both(d, { extent_order: c.pick(orders) })],
  ['in-unmapped', (d, c, plan) => replaceIn(d, c, extentsOf(plan, caller, 0, 'hole')[0] ?? 0n)],
  ['in-huge', (d, c) => replaceIn(d, c, c.pick([1n << 40n, 1n << 52n, 1n << 63n, (1n << 64n) - 1n, (1n << 32n) | 0x40004n]))],
  ['in-twice', (d, c) => replaceIn(d, c, d.inList?.[0] ?? 0n, 1)],
  ['in-misaligned', (d, c) => replaceIn(d, c, (d.inList?.[0] ?? 0n) + 1n)],
  ['in-pinned', (d, c, plan) => replaceIn(d, c, extentsOf(plan, caller, d.in.extent_order % 4, 'pinned')[0] ?? 0n)],
  ['in-not-pinned', (d, c, plan) => replaceIn(d, c, extentsOf(plan, caller, d.in.extent_order % 4, 'mapped')[0] ?? 0n)],
  ['in-control-page', (d, c, plan) => replaceIn(d, c, controlPage(plan, c.below(3)) >> 12n)],
  ['foreign', (d, c) => foreign(d, c.pick([bystander, 5, DOMID.IO, DOMID.INVALID, 0xffff]))],
  ['too-many', (d) => both(d, { nr_extents: 0x400_0000n })],
  // Once more, so that it comes twice as often: little else reaches bounded-work.
  ['order-too-big', (d, c) => both(d, { extent_order: c.pick(orders) })],
  ['start-extent', (d, c) => set(d, { start: c.pick([1, 2, 7, 0x3ff_ffff]) })],
  ['nothing', (d) => nothing(d)],
];

/** Breaks for ops with two reservations. */
const exchangeBreaks: readonly (readonly [string, Break])[] = [
  ['domid-self-and-own', (d) => setOut(d, { domid: d.in.domid === caller ? DOMID.SELF : caller })],
  ['domids-differ', (d, c) => setOut(d, { domid: c.pick([bystander, 0, 0x7ff1]) })],
  ['one-input-more', (d, _, plan) => addInput(d, plan)],
  ['one-output-less', (d) => setOut(d, { nr_extents: outOf(d).nr_extents === 0n ? 1n : outOf(d).nr_extents - 1n })],
  [
    'sizes-equal-modulo-2^64',
    (d) => {
      d.in = { ...d.in, nr_extents: 1n << 63n, extent_order: 1 };
      d.out = { ...outOf(d), nr_extents: 0n };
    },
  ],
  ['sizes-equal-modulo-2^32', (d) => setIn(d, { nr_extents: d.in.nr_extents + (1n << 32n) })],
  ['lists-are-one', (d) => setOut(d, { extent_start: d.in.extent_start })],
  ['lists-overlap', (d) => setOut(d, { extent_start: d.in.extent_start + 8n })],
  ['list-over-struct', (d) => setOut(d, { extent_start: d.arg + 64n })],
  ['out-list-runs-into-hole', (d, c, plan) => setOut(d, { extent_start: endOfRam(plan) - c.pick([8n, 16n]) })],
  ['out-list-in-hole', (d, c) => setOut(d, { extent_start: c.pick([0x1000_0000n, 0n]) })],
  ['out-list-wraps', (d, _, plan) => setOut(d, { extent_start: addressLimit(plan.world.arch) - 8n })],
  ['out-handle-dirty', (d) => setOut(d, { extent_start: outOf(d).extent_start | (0xdead_beefn << 32n) })],
  ['count-not-zero', (d, c) => set(d, { nrExchanged: c.pick([1n, d.in.nr_extents, d.in.nr_extents + 1n, 1n << 32n, (1n << 64n) - 1n]) })],
  ['out-twice', (d) => replaceOut(d, d.outList?.[0] ?? 0n, 1)],
  ['out-is-later-input', (d) => replaceOut(d, d.inList?.at(-1) ?? 0n, 0)],
  ['out-populated', (d, _, plan) => replaceOut(d, extentsOf(plan, caller, outOf(d).extent_order % 4, 'mapped').at(-1) ?? 0n, 0)],
  ['out-pinned', (d, _, plan) => replaceOut(d, extentsOf(plan, caller, outOf(d).extent_order % 4, 'pinned')[0] ?? 0n, 0)],
  ['out-misaligned', (d) => replaceOut(d, (d.outList?.[0] ?? 0n) + 1n, 0)],
  ['out-huge', (d, c) => replaceOut(d, c.pick([1n << 40n, 1n << 52n, 1n << 63n, (1n << 64n) - 1n]), 0)],
  ['out-order', (d, c) => setOut(d, { extent_order: c.pick(orders) })],
  ['address-bits', (d, c) => setOut(d, { address_bits: c.pick([12, 1, 13, 20, 31, 0x120, 0x10000, 0xffff_ffff]) })],
];

/** Any numbers at all, with a liking for limits. */
export function wildCall(choices: Choices, plan: Plan, op: JudgedOp): Draft {
  const word = (): bigint => (choices.percent(50) ? BigInt(choices.below(2 ** 32)) : choices.pick(words));
  const address = (): bigint => choices.pick([controlPage(plan, 1), controlPage(plan, 2) + 0x100n, endOfRam(plan) - 16n, word()]);
  const frame = (): bigint => choices.pick([...extentsOf(plan, caller, 0, 'any'), word()]);
  const wild = (): XenMemoryReservation => ({
    extent_start: address(),
    nr_extents: choices.pick([1n, 2n, 0n, 3n, word()]),
    extent_order: choices.pick([0, 1, 2, ...orders]),
    address_bits: choices.pick([0, 32, choices.below(2 ** 32)]),
    domid: choices.pick([DOMID.SELF, caller, bystander, choices.below(0x10000)]),
  });
  const list = (): bigint[] => Array.from({ length: choices.below(4) }, frame);
  const exchange = isExchangeOp(op);
  return {
    op,
    start: choices.percent(20) ? choices.below(2 ** 26) : 0,
    domid: caller,
    arg: choices.pick([controlPage(plan, 0) + 0x100n, address()]),
    in: wild(),
    ...(exchange && { out: wild(), outList: list() }),
    inList: list(),
    nrExchanged: choices.pick([0n, word()]),
    padding: choices.below(256),
    broken: 'wild',
  };
}

function set(draft: Draft, change: Partial<Draft>): void {
  Object.assign(draft, change);
}

function setIn(draft: Draft, change: Partial<XenMemoryReservation>): void {
  draft.in = { ...draft.in, ...change };
}

function setOut(draft: Draft, change: Partial<XenMemoryReservation>): void {
  draft.out = { ...outOf(draft), ...change };
}

function outOf(draft: Draft): XenMemoryReservation {
  return draft.out as XenMemoryReservation;
}

function both(draft: Draft, change: Partial<XenMemoryReservation>): void {
  draft.in = { ...draft.in, ...change };
  if (draft.out) draft.out = { ...draft.out, ...change };
}

function foreign(draft: Draft, domid: number): void {
  both(draft, { domid });
}

function nothing(draft: Draft): void {
  both(draft, { nr_extents: 0n });
  draft.inList = [];
  if (draft.out) draft.outList = [];
}

function replaceIn(draft: Draft, choices: Choices, gfn: bigint, from = 0): void {
  const list = [...(draft.inList ?? [])];
  if (list.length === 0) return;
  list[from + choices.below(list.length - from)] = gfn;
  draft.inList = list.slice(0, Number(draft.in.nr_extents));
}

function replaceOut(draft: Draft, gfn: bigint, at: number): void {
  const list = [...(draft.outList ?? [])];
  if (list.length === 0) return;
  list[Math.min(at, list.length - 1)] = gfn;
  draft.outList = list;
}

function addInput(draft: Draft, plan: Plan): void {
  const spare = extentsOf(plan, caller, draft.in.extent_order % 4, 'mapped').find((gfn) => !draft.inList?.includes(gfn));
  draft.inList = [...(draft.inList ?? []), spare ?? 0n];
  draft.in = { ...draft.in, nr_extents: draft.in.nr_extents + 1n };
}

/**
 * Where the RAM that the caller began with ends and its holes begin: what lies across it is half
 * there.
 */
function endOfRam(plan: Plan): bigint {
  const { gfn, pages } = plan.world.domains[0]?.ram[0] ?? wholeOf(plan, caller);
  return (gfn + BigInt(pages)) << 12n;
}
