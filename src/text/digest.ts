import { errnoName } from '../abi/constants.ts';
import { isExchangeOp, type JudgedOp, xenName } from '../abi/ops.ts';
import { type Frame, frameOf } from '../guest/frames.ts';
import type { Extent } from '../rules/extents.ts';
import { pagesOfExtents } from '../rules/extents.ts';
import type { Facts, Reservation } from '../rules/facts.ts';
import type { Judgement } from '../rules/judge.ts';
import { namedDomain, type OwnFrames } from '../rules/reach.ts';
import type { ObservedCall } from '../trace/call.ts';
import { type Followed, followPage, nothingFollowed } from './followed.ts';

/** The version of the JSON form. */
export const digestSchema = 'xenmem/trace-summary@1';

/**
 * What the calls of one op on one domain came to. Counts of extents and pages are of calls whose
 * struct and result were captured.
 */
export interface DigestRow {
  readonly op: string;
  /** The domain whose memory it is, `undefined` where that was not captured. */
  readonly domid: number | undefined;
  calls: number;
  refused: number;
  /** Calls whose count of extents, order or result was not captured. */
  not_counted: number;
  readonly extents: { asked: bigint; done: bigint };
  readonly pages: { asked: bigint; done: bigint };
  /** Calls by extent_order, and by what came back. */
  readonly orders: Map<string, number>;
  readonly rc: Map<string, number>;
}

/**
 * Consecutive calls, and where they left the guest: all it has taken less what it gave back since
 * the trace began, and its pins.
 */
export interface Stretch {
  calls: number;
  /** Calls by extent_order, where it and the result were captured. */
  readonly orders: Map<number, number>;
  taken: bigint;
  given: bigint;
  net: bigint;
  pins: number;
}

/** A trace as a story. Its memory is bounded; what was cut is counted. */
export interface Digest extends Followed {
  readonly rows: Map<string, DigestRow>;
  /** Calls that found no room in `rows`. */
  otherRows: number;
  readonly timeline: Stretch[];
  /** Calls to a stretch; it doubles when there are too many stretches. */
  stride: number;
}

/** Rows of a digest, and kinds that each tells apart. */
export const mostRows = 64;
export const mostKinds = 24;
const mostStretches = 60;

/** The story of no calls. */
export function newDigest(): Digest {
  return {
    rows: new Map(),
    otherRows: 0,
    timeline: [],
    stride: 1,
    ...nothingFollowed(),
  };
}

/** Takes in a call; `place` is how the output calls it. */
export function addToDigest(digest: Digest, call: ObservedCall, judgement: Judgement | undefined, place: string): void {
  const work = judgement && workOf(judgement);
  countCalls(digest, call, judgement, work, 1);
  if (judgement && work) follow(digest, judgement, work, place);
  advanceBy(digest, judgement?.op, work);
}

/**
 * Takes in calls that are judged alike, each at once for its place in the story: `count` puts them
 * into the rows.
 */
export class LikeCalls {
  readonly #digest: Digest;
  readonly #judgement: Judgement;
  readonly #work: Work | undefined;

  constructor(digest: Digest, judgement: Judgement) {
    this.#digest = digest;
    this.#judgement = judgement;
    this.#work = workOf(judgement);
  }

  /** Takes in one of them, by its own frames. */
  add({ listed, committed }: OwnFrames, place: string): void {
    const { op, facts } = this.#judgement;
    const work = this.#work;
    if (work) {
      const pages = Number(1n << BigInt(work.order));
      const isGet = op === 'get_dma_buf';
      const [from, to] = isGet ? [0, committed.length] : [Number(work.from) * pages, Number(work.from + work.done) * pages];
      followPages(this.#digest, facts, isGet ? committed : listed, from, to, work, place);
    }
    advanceBy(this.#digest, op, work);
  }

  /** Counts so many of them. */
  count(calls: number): void {
    countCalls(this.#digest, this.#judgement.facts.call, this.#judgement, this.#work, calls);
  }
}

/** Counts calls in the row of their op and domain. */
function countCalls(digest: Digest, call: ObservedCall, judgement: Judgement | undefined, work: Work | undefined, calls: number): void {
  const domid = judgement ? namedDomain(judgement.facts) : call.domid;
  const row = rowOf(digest, judgement?.op ?? xenName(call.cmd, call.profile), domid);
  if (!row) {
    digest.otherRows += calls;
    return;
  }
  row.calls += calls;
  if (isRefusal(call, judgement)) row.refused += calls;
  if (judgement) {
    if (work) {
      const times = BigInt(calls);
      row.extents.asked += times * work.asked;
      row.extents.done += times * work.done;
      row.pages.asked += times * (work.asked << BigInt(work.order));
      row.pages.done += times * (work.done << BigInt(work.order));
    } else row.not_counted += calls;
    const { extent_order: order } = judgement.facts.in;
    if (order !== undefined) counted(row.orders, String(order), calls);
  }
  counted(row.rc, resultOf(call, work), calls);
}

/** Moves the timeline on by a call. */
function advanceBy(digest: Digest, op: JudgedOp | undefined, work: Work | undefined): void {
  const pages = work && op !== 'get_dma_buf' && op !== 'put_dma_buf' ? work.done << BigInt(work.order) : 0n;
  const taken = op === 'populate_physmap' || op === 'increase_reservation' ? pages : 0n;
  advance(digest, op === 'decrease_reservation' ? pages : 0n, taken, work?.order);
}

interface Work {
  readonly order: number;
  /** The first extent of this call, and how many it was asked for and did from there on. */
  readonly from: bigint;
  readonly asked: bigint;
  readonly done: bigint;
}

/** Orders that a machine can have: beyond them there are no pages to count. */
const mostOrder = 40;

function workOf({ op, facts }: Judgement): Work | undefined {
  const { nr_extents: asked, extent_order: order } = facts.in;
  const { rc } = facts.call;
  if (asked === undefined || order === undefined || order > mostOrder) return undefined;
  if (isExchangeOp(op)) {
    return facts.N === undefined ? undefined : { order, from: 0n, asked, done: facts.N < asked ? facts.N : asked };
  }
  if (rc === undefined) return undefined;
  if (op === 'put_dma_buf') return { order, from: 0n, asked, done: rc === 0 ? asked : 0n };
  const from = facts.start < asked ? facts.start : asked;
  const end = BigInt(rc) < asked ? BigInt(rc) : asked;
  return { order, from, asked: asked - from, done: end > from ? end - from : 0n };
}

function isRefusal({ rc }: ObservedCall, judgement: Judgement | undefined): boolean {
  if (rc === undefined) return false;
  if (rc < 0) return true;
  const work = judgement && countsExtents(judgement) ? workOf(judgement) : undefined;
  return work !== undefined && work.asked > 0n && work.done === 0n;
}

function countsExtents({ op }: Judgement): boolean {
  return op === 'increase_reservation' || op === 'decrease_reservation' || op === 'populate_physmap';
}

/** What came back, in a word: a refusal by its name, a count by what it says. */
function resultOf({ rc }: Pick<ObservedCall, 'rc'>, work: Work | undefined): string {
  if (rc === undefined) return 'not captured';
  if (rc < 0) return errnoName(rc) ?? String(rc);
  if (rc === 0 && (!work || work.asked === 0n || work.done === work.asked)) return '0';
  if (!work) return 'a count';
  return work.done === work.asked ? 'all' : work.done === 0n ? 'none' : 'a part';
}

function counted(map: Map<string, number>, key: string, times = 1): void {
  const known = map.has(key) || map.size < mostKinds ? key : 'other';
  map.set(known, (map.get(known) ?? 0) + times);
}

function rowOf(digest: Digest, op: string, domid: number | undefined): DigestRow | undefined {
  const key = `${op} ${domid}`;
  const known = digest.rows.get(key);
  if (known || digest.rows.size >= mostRows) return known;
  const zero = { asked: 0n, done: 0n };
  const row = {
    op,
    domid,
    calls: 0,
    refused: 0,
    not_counted: 0,
    extents: { ...zero },
    pages: { ...zero },
    orders: new Map(),
    rc: new Map(),
  };
  digest.rows.set(key, row);
  return row;
}

/** Follows the pages that are named one by one: in whose hands they are, and which are pinned. */
function follow(digest: Digest, { op, facts }: Judgement, work: Work, place: string): void {
  const within = (r: Reservation, from: bigint, to: bigint): readonly Extent[] =>
    facts.extents(r).filter(({ index }) => index >= from && index < to);
  const { from, done } = work;
  const isGet = op === 'get_dma_buf';
  const extents = isGet ? within(facts.out, 0n, facts.K ?? 0n) : within(facts.in, from, from + done);
  const pages = (follows(facts) && pagesOfExtents(extents)) || [];
  const values = pages.map(frameOf);
  followPages(digest, facts, { values, length: values.length }, 0, values.length, work, place);
}

/**
 * Are the pages of such a call followed? The lists of a guest that is not translated hold machine
 * frames, which go from hand to hand.
 */
function follows(facts: Facts): boolean {
  const { op, call } = facts;
  if (!call.translated) return false;
  return op === 'get_dma_buf' ? facts.done !== undefined : op !== 'exchange' && op !== 'increase_reservation';
}

/** Follows pages `from` up to `to` of a list, which are those that a call has done its work on. */
function followPages(
  digest: Digest,
  facts: Facts,
  { values, length }: { readonly values: ArrayLike<Frame>; readonly length: number },
  from: number,
  to: number,
  work: Work,
  place: string,
): void {
  const { op, call } = facts;
  const domid = namedDomain(facts);
  if (!call.translated) digest.notFollowed += work.done << BigInt(work.order);
  else if (follows(facts)) {
    const end = Math.min(to, length);
    const wanted = op === 'get_dma_buf' && facts.done ? facts.done.K << BigInt(facts.done.oo) : work.done << BigInt(work.order);
    const seen = Math.max(0, end - from);
    if (BigInt(seen) !== wanted) digest.notFollowed += wanted - BigInt(seen);
    for (let i = from; i < end; i++) followPage(digest, op, domid, values[i] as Frame, place);
  }
  digest.mostPins = Math.max(digest.mostPins, digest.pins);
}

/**
 * Takes in calls of which the struct alone was captured: `order` is that of the first reservation,
 * `undefined` for any other.
 */
export function addStructs(digest: Digest, op: string, domid: number | undefined, order: number | undefined, calls: number): void {
  const row = addCalls(digest, op, domid, calls);
  if (!row) return;
  row.not_counted += calls;
  counted(row.orders, order === undefined ? 'other' : String(order), calls);
}

/**
 * Takes in calls of which no more is known than that they were made; their row, if there is room.
 */
export function addCalls(digest: Digest, op: string, domid: number | undefined, calls: number): DigestRow | undefined {
  const row = rowOf(digest, op, domid);
  if (row) {
    row.calls += calls;
    counted(row.rc, resultOf({ rc: undefined }, undefined), calls);
  } else digest.otherRows += calls;
  return row;
}

/** Takes in what a later part of an array of structs came to. */
export function addStructsOf(digest: Digest, part: Digest): void {
  for (const { op, domid, orders, calls: all } of part.rows.values()) {
    if (orders.size === 0) addCalls(digest, op, domid, all);
    for (const [order, calls] of orders) addStructs(digest, op, domid, order === 'other' ? undefined : Number(order), calls);
  }
  digest.otherRows += part.otherRows;
  passCalls(
    digest,
    part.timeline.reduce((sum, { calls }) => sum + calls, 0),
  );
}

/** Moves the timeline on by calls that changed nothing that was seen. */
export function passCalls(digest: Digest, calls: number): void {
  for (let left = calls; left > 0; ) {
    advance(digest, 0n, 0n);
    const last = digest.timeline.at(-1);
    const more = last ? Math.min(left - 1, digest.stride - last.calls) : 0;
    if (last) last.calls += more;
    left -= 1 + more;
  }
}

function advance(digest: Digest, given: bigint, taken: bigint, order?: number): void {
  let last = digest.timeline.at(-1);
  const before = last?.net ?? 0n;
  const net = taken === given ? before : before + taken - given;
  if (!last || last.calls >= digest.stride) {
    if (digest.timeline.length >= mostStretches) {
      const old = digest.timeline.splice(0);
      for (let i = 0; i < old.length; i += 2) {
        const [a, b] = [old[i], old[i + 1]];
        if (a) digest.timeline.push(b ? joined(a, b) : a);
      }
      digest.stride *= 2;
      last = digest.timeline.at(-1);
    }
    if (!last || last.calls >= digest.stride) {
      last = { calls: 0, orders: new Map(), taken: 0n, given: 0n, net, pins: 0 };
      digest.timeline.push(last);
    }
  }
  last.calls++;
  if (order !== undefined) last.orders.set(order, (last.orders.get(order) ?? 0) + 1);
  if (taken !== 0n) last.taken += taken;
  if (given !== 0n) last.given += given;
  last.net = net;
  last.pins = digest.pins;
}

function joined(a: Stretch, b: Stretch): Stretch {
  const orders = new Map(a.orders);
  for (const [order, calls] of b.orders) orders.set(order, (orders.get(order) ?? 0) + calls);
  return { ...b, calls: a.calls + b.calls, orders, taken: a.taken + b.taken, given: a.given + b.given };
}
