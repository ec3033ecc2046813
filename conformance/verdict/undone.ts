import { sizeOfType } from '../../src/abi/arch.ts';
import { DOMID, PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { type JudgedOp, startExtent, XENMEM } from '../../src/abi/ops.ts';
import { pagesOfExtents } from '../../src/rules/extents.ts';
import { namedDomain } from '../../src/rules/reach.ts';
import { exchanges } from '../../src/rules/rule.ts';
import type { P2m } from '../../src/trace/call.ts';
import type { DomainPlan, Hello } from '../protocol/implementation.ts';
import { pagesIn } from '../protocol/page-runs.ts';
import { type CallStep, mostSteps, type Scenario, type Step } from '../scenario/scenario.ts';
import { type Difference, isForWant, p2mAtEnd } from './alike.ts';
import type { Checked, JudgedCall } from './check.ts';

// Whatever has happened, once all of it is undone the world is as rich as it was.

const ops = XENMEM['dma-buf'];
const shift = BigInt(PAGE_SHIFT);
/** What is asked of each page of RAM. */
const able = ['decrease_reservation', 'populate_physmap', 'get_dma_buf', 'put_dma_buf'] as const satisfies readonly JudgedOp[];
type Undoing = (typeof able)[number];
/** Bytes of an entry of a list, on each architecture that is played. */
const stride = sizeOfType('xen_pfn_t', 'arm64');
/** Entries of a list: a page has room for two. */
const mostListed = PAGE_SIZE / 2 / stride;
/** Pages that are asked about at most: a page is as good as the next one. */
const mostAsked = 64;

/** A history that was undone, and the same questions asked behind it and of the world as new. */
export interface Undone {
  readonly after: Scenario;
  readonly fresh: Scenario;
  /** The first step of `after` that undoes something. */
  readonly from: number;
  /** The first question, in `after`; in `fresh` it is step 0. */
  readonly asked: number;
}

/** What a guest has to do to be as it was made, and where it writes that. */
interface Guest {
  readonly plan: DomainPlan;
  /** Pages for structs and for lists. */
  readonly places: readonly [bigint, bigint];
  readonly pinned: readonly bigint[];
  /** Holes that are mapped now, and RAM that is not. */
  readonly surplus: readonly bigint[];
  readonly missing: readonly bigint[];
}

/**
 * The scenario with all undone that its calls did: what is pinned is put, what was a hole is given
 * up, what was RAM is populated. `undefined` where that cannot be: something was undefined or not
 * seen, or took memory that no guest frame leads to.
 */
export function undone(scenario: Scenario, checked: Checked, { commands, translated, limits }: Hello): Undone | undefined {
  if (!translated || able.some((op) => commands[op] === undefined) || !isKnown(scenario, checked)) return undefined;
  const pins = pinsAtEnd(checked);
  const p2ms = p2mAtEnd(checked);
  const guests: Guest[] = [];
  for (const plan of scenario.world.domains) {
    const guest = pins && guestOf(plan, p2ms.get(plan.domid), pins.get(plan.domid) ?? new Set());
    if (!guest) return undefined;
    guests.push(guest);
  }
  const most = Math.min(mostListed, Number(limits.max_extents ?? mostListed));
  const each = (op: Undoing, of: (guest: Guest) => readonly bigint[]): Step[] =>
    guests.flatMap((guest) => callsOf(guest, op, of(guest), most));
  const undo = [
    ...each('put_dma_buf', ({ pinned }) => pinned),
    ...each('decrease_reservation', ({ surplus }) => surplus),
    ...each('populate_physmap', ({ missing }) => missing),
  ];
  // What a world as new does: each page can be given up and taken again, got and put, and each hole
  // is populated as long as memory lasts.
  const questions = [
    ...able.flatMap((op) => each(op, asks)),
    ...each('populate_physmap', ({ plan }) => pagesIn(plan.holes).slice(0, mostAsked)),
  ];
  const { world, steps } = scenario;
  const asked = steps.length + undo.length;
  if (asked + questions.length > mostSteps) return undefined;
  const after = { world, steps: [...steps, ...undo, ...questions] };
  return { after, fresh: { world, steps: questions }, from: steps.length, asked };
}

function asks({ plan, places }: Guest): bigint[] {
  return pagesIn(plan.ram)
    .filter((gfn) => !places.includes(gfn))
    .slice(0, mostAsked);
}

/**
 * Does a world as new do what undoing needs? It does not have to: then nothing follows from what
 * could not be undone.
 */
export function canUndo({ calls }: Checked): boolean {
  return able.every((op) => {
    const first = calls.find(({ judgement }) => judgement.op === op);
    return first !== undefined && isDone(first);
  });
}

/** Was a call of these done to its end? */
function isDone({ judgement: { op, facts }, event: { call } }: JudgedCall): boolean {
  return call.rc === (op === 'get_dma_buf' || op === 'put_dma_buf' ? 0 : Number(facts.in.nr_extents));
}

/** The first call that was to undo something and did not, or not all of it, unless for want of memory. */
export function leftUndone({ after, from, asked }: Undone, { calls }: Checked, hello: Hello): Difference | 'unknown' | undefined {
  const failed = calls.find((call) => call.step >= from && call.step < asked && !isDone(call));
  if (!failed) return undefined;
  if (isForWant(failed, hello, after.world)) return 'unknown';
  const { op, facts } = failed.judgement;
  return { step: failed.step, op, did: ['does it', `returned ${failed.event.call.rc} for ${facts.in.nr_extents} pages`] };
}

/** Was all seen, was nothing undefined, and does a guest frame lead to every page that was taken? */
function isKnown({ steps }: Scenario, { events, calls, crash }: Checked): boolean {
  if (crash || events.length < steps.length) return false;
  const wasSeen = events.every((event) => event.kind !== 'skipped' && (event.kind !== 'call' || calls.some((c) => c.step === event.step)));
  return wasSeen && calls.every((call) => !call.judgement.callerErred && !takesUnseen(call));
}

/** Was memory given to which no guest frame leads, or a page taken from under another one? */
function takesUnseen({ judgement: { op, facts }, event: { call } }: JudgedCall): boolean {
  const { rc = 0, p2mBefore } = call;
  const start = startExtent(call.cmd);
  if (op === 'increase_reservation') return rc > start;
  const isExchange = exchanges.includes(op);
  if (isExchange ? facts.N === 0n : op !== 'populate_physmap' || rc <= start) return false;
  const own = new Set(isExchange ? pagesOfExtents(facts.extents(facts.in)) : []);
  const taken = pagesOfExtents(facts.extents(isExchange ? facts.out : facts.in));
  return taken === undefined || taken.some((gfn) => !own.has(gfn) && p2mBefore.get(gfn) !== null);
}

/** What is pinned, by domain; `undefined` where that cannot be told. */
function pinsAtEnd({ calls }: Checked): Map<number, Set<bigint>> | undefined {
  const pins = new Map<number, Set<bigint>>();
  for (const { judgement, event } of calls) {
    const { op, facts } = judgement;
    const domid = namedDomain(facts);
    const { rc } = event.call;
    if (domid === undefined || rc === undefined) return undefined;
    const own = pins.get(domid) ?? new Set<bigint>();
    pins.set(domid, own);
    const given = pagesOfExtents(facts.extents(facts.in)) ?? [];
    const touchesPinned = given.some((gfn) => own.has(gfn));
    if (op === 'put_dma_buf') {
      // Of a put that was refused a part may have been done.
      if (rc < 0 && touchesPinned) return undefined;
      if (rc === 0) for (const gfn of given) own.delete(gfn);
      continue;
    }
    // What a call on a pinned page comes to is left open.
    if (touchesPinned && op !== 'increase_reservation') return undefined;
    if (op !== 'get_dma_buf') continue;
    const { K } = facts;
    if (K === undefined) return undefined;
    for (const gfn of pagesOfExtents(facts.extents(facts.out).filter(({ index }) => index < K)) ?? []) own.add(gfn);
  }
  return pins;
}

function guestOf(plan: DomainPlan, p2m: P2m | undefined, pinned: ReadonlySet<bigint>): Guest | undefined {
  const [ram, holes] = [pagesIn(plan.ram), pagesIn(plan.holes)];
  // Of a guest that nobody has named nothing has changed.
  const isMapped = (gfn: bigint, was: boolean): boolean | undefined => {
    const frame = p2m ? p2m.get(gfn) : was ? 0n : null;
    return frame === undefined ? undefined : frame !== null;
  };
  const isUnseen = [...ram.map((gfn) => isMapped(gfn, true)), ...holes.map((gfn) => isMapped(gfn, false))].includes(undefined);
  const [first, second] = ram.filter((gfn) => isMapped(gfn, true) && !pinned.has(gfn));
  if (isUnseen || first === undefined || second === undefined) return undefined;
  return {
    plan,
    places: [first, second],
    pinned: [...pinned],
    surplus: holes.filter((gfn) => isMapped(gfn, false)),
    missing: ram.filter((gfn) => !isMapped(gfn, true)),
  };
}

/** Calls of single pages, as many as these need. */
function callsOf({ plan: { domid }, places }: Guest, op: Undoing, gfns: readonly bigint[], most: number): CallStep[] {
  const [structs, lists] = places;
  const found: CallStep[] = [];
  for (let from = 0; from < gfns.length; from += most) {
    const some = gfns.slice(from, from + most);
    const sides = exchanges.includes(op) ? [0n, BigInt(mostListed)] : [0n];
    found.push({
      do: 'call',
      domid,
      cmd: ops[op],
      arg: structs << shift,
      reservations: sides.map((entry) => ({
        extent_start: (lists << shift) + entry * BigInt(stride),
        nr_extents: BigInt(some.length),
        extent_order: 0,
        address_bits: 0,
        domid: DOMID.SELF,
      })),
      nrExchanged: 0n,
      padding: 0,
      lists: sides.map(() => some),
    });
  }
  return found;
}
