import type { Arch } from '../../src/abi/arch.ts';
import { DOMID } from '../../src/abi/constants.ts';
import { isExchangeOp, type JudgedOp, XENMEM } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import { type Hello, levelOf } from '../protocol/implementation.ts';
import { breakCall, type Draft, wildCall } from './break-call.ts';
import { Choices } from './choices.ts';
import { type Row, rowsFor } from './dimensions.ts';
import { historyFrom } from './history.ts';
import { kindsFor } from './kinds.ts';
import { mostNumbers } from './numbers.ts';
import { bystander, caller, controlPage, extentsOf, intend, type Plan, planWorld, wholeOf } from './plan.ts';
import { plannedFrom } from './planned.ts';
import { rareFor } from './rare.ts';
import { type CallStep, framesOf, type Scenario, type Step } from './scenario.ts';

const ops = XENMEM['dma-buf'];

/**
 * A scenario from a list of numbers: of its calls about 60 in 100 are valid, 30 break one duty, 10
 * are wild. Few numbers make a whole call, because making many small things is what costs time.
 */
export function scenarioFrom(numbers: readonly number[], arch: Arch, hello: Hello): Scenario {
  const row = plannedRow(numbers, arch, hello);
  if (row) return plannedFrom(row, new Choices(numbers), arch, hello);
  const kind = kindAt(numbers, arch, hello);
  if (kind) return kind();
  const history = isHistory(numbers) ? historyFrom(numbers, arch, hello) : undefined;
  if (history) return history;
  const rare = numbers.length === mostNumbers ? rareFor(numbers[mostNumbers - 1] as number, arch, hello) : undefined;
  if (rare) return rare;
  const choices = new Choices(numbers);
  const plan = planWorld(choices, arch, hello);
  const steps: Step[] = [];
  const wanted = 1 + choices.below(6);
  if (levelOf(hello) === 2 && choices.percent(12)) steps.push(...lifeOfABuffer(choices, plan, hello));
  while (steps.length < wanted) steps.push(...nextSteps(choices, plan, hello, steps.length === 0));
  const gets = steps.flatMap((step, i) =>
    step.do === 'call' && (step.cmd === ops.get_dma_buf || step.cmd === ops.put_dma_buf) ? [i] : [],
  );
  const pair =
    gets.length > 0 && choices.percent(15) ? { step: choices.pick(gets), addressBits: choices.pick([1, 13, 32, 0xffff_ffff]) } : undefined;
  return { world: plan.world, steps, ...(pair && { pair }) };
}

/** One scenario in so many is a long history, where the implementation has room for one. */
const historyEach = 30;
/** Which of the numbers says so: one that no other scenario comes to. */
const historyAt = mostNumbers - 2;

function isHistory(numbers: readonly number[]): boolean {
  return numbers.length === mostNumbers && (numbers[historyAt] as number) % historyEach === 0;
}

/** The same numbers, where they stand for a long history standing for something short instead. */
export function brief(numbers: readonly number[]): readonly number[] {
  return isHistory(numbers) ? numbers.with(historyAt, (numbers[historyAt] as number) + 1) : numbers;
}

/** The row of the plan that numbers stand for, if they stand for one. */
export function plannedRow(numbers: readonly number[], arch: Arch, hello: Hello): Row | undefined {
  return numbers.length > mostNumbers ? rowsFor(arch, hello)[numbers[mostNumbers] as number] : undefined;
}

/** The kind that comes in its turn behind all rows. */
function kindAt(numbers: readonly number[], arch: Arch, hello: Hello): (() => Scenario) | undefined {
  if (numbers.length <= mostNumbers) return undefined;
  return kindsFor(arch, hello)[(numbers[mostNumbers] as number) - rowsFor(arch, hello).length];
}

function nextSteps(choices: Choices, plan: Plan, hello: Hello, first: boolean): Step[] {
  const has = (op: JudgedOp): boolean => hello.commands[op] !== undefined;
  const kinds: (JudgedOp | 'churn')[] = [];
  const add = (kind: JudgedOp | 'churn', weight: number): void => void kinds.push(...Array<typeof kind>(weight).fill(kind));
  if (has('get_dma_buf')) add('get_dma_buf', first ? 12 : 8);
  if (has('put_dma_buf')) add('put_dma_buf', plan.commits.length > 0 ? 7 : 1);
  if (!first && levelOf(hello) === 2) add('churn', 6);
  if (has('exchange')) add('exchange', 2);
  for (const op of ['decrease_reservation', 'populate_physmap', 'increase_reservation'] as const) if (has(op)) add(op, 1);
  if (kinds.length === 0) return [{ do: 'churn', domid: caller, ...wholeOf(plan, caller) }];
  const kind = choices.pick(kinds);
  if (kind === 'churn') return churns(choices, plan);
  const mode = choices.below(10);
  const call = mode === 9 ? wildCall(choices, plan, kind) : validCall(choices, plan, kind);
  if (mode >= 6 && mode < 9) breakCall(choices, plan, call);
  const step = finish(plan, call);
  // What a get pins and a put unpins shows only when pages move.
  const pins = kind === 'get_dma_buf' || kind === 'put_dma_buf';
  return pins && levelOf(hello) === 2 && choices.percent(35) ? [step, ...churns(choices, plan)] : [step];
}

/**
 * Got, moved around, put, moved around again: by chance alone these hardly ever meet, and each of
 * them done right.
 */
function lifeOfABuffer(choices: Choices, plan: Plan, { commands }: Hello): Step[] {
  if (commands.get_dma_buf === undefined || commands.put_dma_buf === undefined) return [];
  const got = finish(plan, exchangeCall(choices, plan, 'get_dma_buf'));
  const before = churns(choices, plan);
  const put = putCall(choices, plan, ['all', 'some', 'rest', 'frames', 'all', 'pages', 'partly']);
  return [got, ...before, finish(plan, put), ...churns(choices, plan, [1, 4])];
}

/** Several churns in a row: a put page has four of them to move in. */
function churns(choices: Choices, plan: Plan, howMany: readonly number[] = [1, 1, 2, 4]): Step[] {
  return Array.from({ length: choices.pick(howMany) }, () => ({ do: 'churn' as const, domid: caller, ...wholeOf(plan, caller) }));
}

/** A call that keeps every duty, as long as the calls before it did what they should. */
function validCall(choices: Choices, plan: Plan, op: JudgedOp): Draft {
  if (isExchangeOp(op)) return exchangeCall(choices, plan, op);
  if (op === 'put_dma_buf') return putCall(choices, plan);
  return reservationCall(choices, plan, op);
}

function exchangeCall(choices: Choices, plan: Plan, op: JudgedOp): Draft {
  const named = domainOf(choices, plan);
  const relations = [
    [0, 0],
    [1, 1],
    [0, 1],
    [1, 0],
    [0, 2],
    [2, 0],
    [0, 0],
    [2, 2],
    [1, 2],
    [2, 1],
    [0, 3],
    [3, 0],
  ].filter((pair) => Math.max(...pair) <= plan.maxOrder);
  let [oi, oo] = choices.pick(relations) as [number, number];
  let inputs = extentsOf(plan, named.domid, oi, 'mapped');
  let holes = extentsOf(plan, named.domid, oo, 'hole');
  const perIn = () => 2 ** Math.max(0, oo - oi);
  const perOut = () => 2 ** Math.max(0, oi - oo);
  if (inputs.length < perIn()) {
    [oi, oo] = [0, 0];
    inputs = extentsOf(plan, named.domid, 0, 'mapped');
    holes = extentsOf(plan, named.domid, 0, 'hole');
  }
  const most = Math.min(Math.floor(inputs.length / perIn()), Math.floor(plan.maxExtents / Math.max(perIn(), perOut())));
  const chunks = Math.max(0, Math.min(1 + choices.below(4), most));
  const inList = rotate(inputs, choices.below(inputs.length)).slice(0, chunks * perIn());
  const outList = outputs(choices, { chunks, perIn: perIn(), perOut: perOut(), oi, oo, inList, holes });
  const inject = choices.pick([undefined, undefined, undefined, 'fail', 'preempt'] as const);
  return {
    op,
    start: 0,
    domid: caller,
    arg: controlPage(plan, 0) + choices.pick([0x100n, 0n, 0xfc8n]),
    in: reservation(
      controlPage(plan, 1) + choices.pick([0n, 0x800n, 0xff8n]),
      inList,
      oi,
      choices.pick([0, 0, 0, 1, 32, 0xffff_ffff]),
      named.as,
    ),
    out: reservation(
      controlPage(plan, 2) + choices.pick([0x100n, 0x800n, 0xff8n]),
      outList,
      oo,
      choices.pick([0, 32, 0, 32, 33, 44, 255]),
      named.as,
    ),
    inList,
    outList,
    nrExchanged: 0n,
    padding: 0,
    ...(inject === 'fail' && { inject: { fail_alloc: choices.below(Math.max(1, outList.length)) } }),
    ...(inject === 'preempt' && { inject: { preempt: 1 + choices.below(4) } }),
  };
}

interface Shape {
  readonly chunks: number;
  readonly perIn: number;
  readonly perOut: number;
  readonly oi: number;
  readonly oo: number;
  readonly inList: readonly bigint[];
  readonly holes: readonly bigint[];
}

/**
 * Output frames: holes, the chunk's own inputs (as the real client does), or what an earlier chunk
 * has released.
 */
function outputs(choices: Choices, { chunks, perIn, perOut, oi, oo, inList, holes }: Shape): bigint[] {
  const style = choices.pick(['holes', 'own', 'earlier'] as const);
  const found: bigint[] = [];
  let hole = choices.below(holes.length);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const from = style === 'own' ? chunk : style === 'earlier' ? chunk - 1 : -1;
    const released = from < 0 ? [] : framesOf(inList.slice(from * perIn, (from + 1) * perIn), oi);
    const fitting = released.filter((gfn) => gfn % BigInt(2 ** oo) === 0n && framesOf([gfn], oo).every((page) => released.includes(page)));
    for (let k = 0; k < perOut; k++) {
      const own = fitting[k];
      if (own !== undefined) found.push(own);
      else found.push(holes.length > 0 ? (holes[hole++ % holes.length] as bigint) : (released[0] ?? 0x50000n));
    }
  }
  return found;
}

const putHows = ['all', 'all', 'all', 'some', 'pages', 'one', 'frames', 'none', 'rest', 'partly'] as const;
type PutHow = (typeof putHows)[number];

/**
 * A put of what a get committed: all of it, some of it, in other extents, or by the list that get
 * has overwritten.
 */
function putCall(choices: Choices, plan: Plan, hows: readonly PutHow[] = putHows): Draft {
  const commit = plan.commits.length > 0 ? choices.pick([...plan.commits].reverse()) : undefined;
  const order = commit?.order ?? 0;
  const bases = commit?.bases ?? extentsOf(plan, caller, 0, 'mapped').slice(0, 1);
  const how = choices.pick(hows);
  const [other] = extentsOf(plan, caller, order, 'mapped');
  const list = {
    all: bases,
    some: bases.slice(0, Math.max(1, bases.length - 1)),
    rest: bases.slice(Math.min(1, bases.length - 1)),
    pages: framesOf(bases, order),
    one: bases.slice(0, 1),
    frames: undefined,
    none: [],
    partly: bases.length > 1 && other !== undefined ? [...bases.slice(0, -1), other, ...bases.slice(-1)] : bases,
  }[how];
  const at = how === 'frames' && commit ? commit.listAt : controlPage(plan, 3) + choices.pick([0n, 0x800n]);
  const as = commit && commit.domid !== caller ? commit.domid : choices.pick([DOMID.SELF, DOMID.SELF, DOMID.SELF, caller]);
  return {
    op: 'put_dma_buf',
    start: 0,
    domid: caller,
    arg: controlPage(plan, 0) + choices.pick([0x200n, 0x20n, 0xff0n]),
    in: { ...reservation(at, list ?? bases, how === 'pages' ? 0 : order, choices.pick([0, 0, 1, 32, 0xffff_ffff]), as) },
    inList: list,
    nrExchanged: 0n,
    padding: 0,
    ...(choices.percent(20) && { inject: { preempt: 1 + choices.below(3) } }),
    ...(list?.length !== bases.length && how === 'partly' && { broken: how }),
  };
}

function reservationCall(choices: Choices, plan: Plan, op: JudgedOp): Draft {
  const order = choices.pick([0, 0, 1]);
  const wanted = op === 'decrease_reservation' ? choices.pick(['mapped', 'mapped', 'pinned'] as const) : 'hole';
  const candidates = extentsOf(plan, caller, order, wanted);
  const list = rotate(candidates, choices.below(candidates.length)).slice(0, Math.min(1 + choices.below(3), plan.maxExtents));
  return {
    op,
    start: choices.percent(15) ? choices.below(3) : 0,
    domid: caller,
    arg: controlPage(plan, 0) + choices.pick([0x300n, 0xff0n]),
    in: reservation(controlPage(plan, 3) + choices.pick([0x400n, 0xc00n]), list, order, choices.pick([0, 32]), DOMID.SELF),
    inList: list,
    nrExchanged: 0n,
    padding: 0,
  };
}

/** The draft as a step; what it means to do becomes part of the plan. */
function finish(plan: Plan, draft: Draft): CallStep {
  const { op, start, domid, arg, nrExchanged, padding, inject } = draft;
  const reservations = draft.out ? [draft.in, draft.out] : [draft.in];
  const lists = draft.out ? [draft.inList, draft.outList] : [draft.inList];
  remember(plan, draft);
  return {
    do: 'call',
    domid,
    cmd: (ops[op] + start * 64) >>> 0,
    arg,
    reservations,
    nrExchanged,
    padding,
    lists,
    ...(inject && { inject }),
  };
}

function remember(plan: Plan, { op, in: given, out, inList = [], outList = [], broken }: Draft): void {
  if (broken) return;
  const domid = given.domid === DOMID.SELF ? caller : given.domid;
  const inputs = framesOf(inList, given.extent_order);
  if (op === 'put_dma_buf') intend(plan, domid, inputs, undefined, false);
  else if (op === 'decrease_reservation') intend(plan, domid, inputs, false, false);
  else if (op === 'populate_physmap') intend(plan, domid, inputs, true, false);
  else if (out) {
    const pins = op === 'get_dma_buf';
    intend(plan, domid, inputs, false, false);
    intend(plan, domid, framesOf(outList, out.extent_order), true, pins);
    if (pins && outList.length > 0) plan.commits.push({ domid, order: out.extent_order, bases: outList, listAt: out.extent_start });
  }
}

/**
 * Whose pages: nearly always the caller's own, by DOMID_SELF; a privileged caller may name another.
 */
function domainOf(choices: Choices, plan: Plan): { domid: number; as: number } {
  const raised = plan.world.domains[0]?.privileged === true && plan.world.domains.length > 1;
  if (raised && choices.percent(25)) return { domid: bystander, as: bystander };
  return { domid: caller, as: choices.pick([DOMID.SELF, DOMID.SELF, DOMID.SELF, DOMID.SELF, caller]) };
}

function reservation(at: bigint, list: readonly bigint[], order: number, bits: number, domid: number): XenMemoryReservation {
  return { extent_start: at, nr_extents: BigInt(list.length), extent_order: order, address_bits: bits, domid };
}

function rotate<T>(list: readonly T[], by: number): T[] {
  return [...list.slice(by), ...list.slice(0, by)];
}
