import { errnoName } from '../abi/constants.ts';
import { xenName } from '../abi/ops.ts';
import type { Extent, Reservation } from '../rules/facts.ts';
import { pagesOfExtents } from '../rules/facts.ts';
import type { Judgement } from '../rules/judge.ts';
import { namedDomain } from '../rules/reach.ts';
import type { ObservedCall } from '../trace/call.ts';

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
  taken: bigint;
  given: bigint;
  net: bigint;
  pins: number;
}

/** A page that changed hands twice in the same direction. */
export interface Twice {
  readonly domid: number | undefined;
  readonly gfn: bigint;
  readonly place: string;
  readonly before: string;
}

/** A trace as a story. Its memory is bounded; what was cut is counted. */
export interface Digest {
  readonly rows: Map<string, DigestRow>;
  /** Calls that found no room in `rows`. */
  otherRows: number;
  readonly timeline: Stretch[];
  /** Calls to a stretch; it doubles when there are too many stretches. */
  stride: number;
  readonly followed: Map<string, { readonly state: 'given' | 'taken' | 'pinned'; readonly place: string }>;
  /** Pages that were not followed, for want of room or since they were not listed. */
  notFollowed: bigint;
  pins: number;
  mostPins: number;
  readonly givenTwice: { count: number; readonly first: Twice[] };
  readonly takenTwice: { count: number; readonly first: Twice[] };
}

/** Rows of a digest, and kinds that each tells apart. */
export const mostRows = 64;
export const mostKinds = 24;
const mostStretches = 60;
const mostFollowed = 1 << 17;
const mostTold = 8;

/** The story of no calls. */
export function newDigest(): Digest {
  return {
    rows: new Map(),
    otherRows: 0,
    timeline: [],
    stride: 1,
    followed: new Map(),
    notFollowed: 0n,
    pins: 0,
    mostPins: 0,
    givenTwice: { count: 0, first: [] },
    takenTwice: { count: 0, first: [] },
  };
}

/** Takes in a call; `place` is how the output calls it. */
export function addToDigest(digest: Digest, call: ObservedCall, judgement: Judgement | undefined, place: string): void {
  const domid = judgement ? namedDomain(judgement.facts) : call.domid;
  const row = rowOf(digest, judgement?.op ?? xenName(call.cmd, call.profile), domid);
  if (row) {
    row.calls++;
    if (isRefusal(call, judgement)) row.refused++;
  } else digest.otherRows++;
  const work = judgement && workOf(judgement);
  if (row && judgement) {
    if (work) {
      row.extents.asked += work.asked;
      row.extents.done += work.done;
      row.pages.asked += work.asked << BigInt(work.order);
      row.pages.done += work.done << BigInt(work.order);
    } else row.not_counted++;
    const { extent_order: order } = judgement.facts.in;
    if (order !== undefined) counted(row.orders, String(order));
  }
  if (row) counted(row.rc, resultOf(call, work));
  const pages = (work?.done ?? 0n) << BigInt(work?.order ?? 0);
  const op = judgement?.op;
  const given = op === 'decrease_reservation' ? pages : 0n;
  const taken = op === 'populate_physmap' || op === 'increase_reservation' ? pages : 0n;
  if (judgement && work) follow(digest, judgement, work, domid, place);
  advance(digest, given, taken);
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
  if (op === 'get_dma_buf' || op === 'exchange') {
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
function follow(digest: Digest, { op, facts }: Judgement, work: Work, domid: number | undefined, place: string): void {
  const within = (r: Reservation, from: bigint, to: bigint): readonly Extent[] =>
    facts.extents(r).filter(({ index }) => index >= from && index < to);
  const each = (extents: readonly Extent[], wanted: bigint, order: number, visit: (key: string, gfn: bigint) => void): void => {
    const pages = pagesOfExtents(extents);
    digest.notFollowed += (wanted << BigInt(order)) - BigInt(pages?.length ?? 0);
    for (const gfn of pages ?? []) visit(`${domid} ${gfn.toString(16)}`, gfn);
  };
  const put = (key: string, state: 'given' | 'taken' | 'pinned'): void => {
    if (digest.followed.has(key) || digest.followed.size < mostFollowed) digest.followed.set(key, { state, place });
    else digest.notFollowed++;
  };
  const twice = (list: Digest['givenTwice'], gfn: bigint, before: string): void => {
    list.count++;
    if (list.first.length < mostTold) list.first.push({ domid, gfn, place, before });
  };
  const { from, done, order } = work;
  // The lists of a guest that is not translated hold machine frames, which go from hand to hand.
  if (!facts.call.translated) digest.notFollowed += done << BigInt(order);
  else if (op === 'decrease_reservation' || op === 'populate_physmap') {
    const state = op === 'decrease_reservation' ? 'given' : 'taken';
    each(within(facts.in, from, from + done), done, order, (key, gfn) => {
      const known = digest.followed.get(key);
      if (known?.state === state) twice(state === 'given' ? digest.givenTwice : digest.takenTwice, gfn, known.place);
      if (known?.state !== 'pinned') put(key, state);
    });
  } else if (op === 'get_dma_buf' && facts.done) {
    const { K, oo } = facts.done;
    each(within(facts.out, 0n, K), K, oo, (key) => {
      if (digest.followed.get(key)?.state !== 'pinned') digest.pins++;
      put(key, 'pinned');
    });
  } else if (op === 'put_dma_buf') {
    each(within(facts.in, 0n, done), done, order, (key) => {
      if (digest.followed.get(key)?.state !== 'pinned') return;
      digest.pins--;
      digest.followed.delete(key);
    });
  }
  digest.mostPins = Math.max(digest.mostPins, digest.pins);
}

/**
 * Takes in calls of which the struct alone was captured: `order` is that of the first reservation,
 * `undefined` for any other.
 */
export function addStructs(digest: Digest, op: string, domid: number | undefined, order: number | undefined, calls: number): void {
  const row = rowOf(digest, op, domid);
  if (row) {
    row.calls += calls;
    row.not_counted += calls;
    counted(row.orders, order === undefined ? 'other' : String(order), calls);
    counted(row.rc, resultOf({ rc: undefined }, undefined), calls);
  } else digest.otherRows += calls;
}

/** Takes in what a later part of an array of structs came to. */
export function addStructsOf(digest: Digest, part: Digest): void {
  for (const { op, domid, orders } of part.rows.values()) {
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

function advance(digest: Digest, given: bigint, taken: bigint): void {
  let last = digest.timeline.at(-1);
  const net = (last?.net ?? 0n) + taken - given;
  if (!last || last.calls >= digest.stride) {
    if (digest.timeline.length >= mostStretches) {
      const old = digest.timeline.splice(0);
      for (let i = 0; i < old.length; i += 2) {
        const [a, b] = [old[i], old[i + 1]];
        if (a) digest.timeline.push(b ? { ...b, calls: a.calls + b.calls, taken: a.taken + b.taken, given: a.given + b.given } : a);
      }
      digest.stride *= 2;
      last = digest.timeline.at(-1);
    }
    if (!last || last.calls >= digest.stride) {
      last = { calls: 0, taken: 0n, given: 0n, net, pins: 0 };
      digest.timeline.push(last);
    }
  }
  last.calls++;
  last.taken += taken;
  last.given += given;
  last.net = net;
  last.pins = digest.pins;
}

/** Pages that are pinned at the end, as far as they were followed. */
export function pinnedPages({ followed }: Digest): { readonly count: number; readonly first: readonly string[] } {
  const all = [...followed].filter(([, { state }]) => state === 'pinned').map(([key]) => key);
  return { count: all.length, first: all.slice(0, mostTold) };
}
