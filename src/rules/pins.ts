import { DOMID } from '../abi/constants.ts';
import { hex64 } from '../codec/hex.ts';
import { type ObservedCall, opOf, type P2m } from '../trace/call.ts';
import { type Answer, holds, violated } from './answer.ts';
import { moved } from './changes.ts';
import { Facts, pagesOfExtents, placeOf } from './facts.ts';
import { type Finding, findingOf, type Judgement } from './judge.ts';
import { ruleOf } from './table.ts';

/** Churns in which a put page must have moved, if a never-pinned page of its domain moved in each of them. */
const churnsToMove = 4;

interface PinnedPage {
  /** Was it seen to stay through a churn that moved an unpinned page, before any put? */
  stayed: boolean;
  /** Has there been a put in its domain since it was pinned? */
  putSince: boolean;
}

interface DomainPins {
  readonly pinned: Map<bigint, PinnedPage>;
  /** Pages whose pin cannot be told any more: a call on them was not seen to the end, or its outcome is a reading. */
  readonly uncertain: Set<bigint>;
  /** Pages that a put released and that have not moved since, with the churns they have left. */
  readonly released: Map<bigint, number>;
  /** Pages that a put listed, whose content every later move must keep: "still accessible". */
  readonly put: Set<bigint>;
  readonly everPinned: Set<bigint>;
  /** Frame numbers that a get returned. */
  readonly returned: Set<bigint>;
  /** What the get that pinned a page committed with it, as long as all of that is pinned. */
  readonly commitOf: Map<bigint, ReadonlySet<bigint>>;
  p2m: P2m;
}

/** Marked pages whose content a move lost, and those whose content it kept. */
export interface MovedContent {
  readonly lost: readonly bigint[];
  readonly kept: readonly bigint[];
}

const unmarked: MovedContent = { lost: [], kept: [] };

/** An answer to a requirement, from more than one call. */
export type PinAnswers = Map<string, Answer>;

/**
 * Follows the pins of every domain through a sequence of calls and moves, and judges what no single call shows: that a pinned
 * page stays, that a put page may move again, and that puts list what gets pinned. It knows only what was observed.
 */
export class PinWatch {
  readonly #domains = new Map<number, DomainPins>();
  /** Was anything missed before the first call? Then a page may be pinned without our knowing. */
  #missed: boolean;

  constructor(fromStart: boolean) {
    this.#missed = !fromStart;
  }

  /** Something was not seen: a page may have been pinned or put without our knowing. */
  missed(): void {
    this.#missed = true;
    this.#domains.clear();
  }

  /** Is a page pinned: yes, no, or `undefined` where it cannot be told. */
  isPinned(domid: number, gfn: bigint): boolean | undefined {
    const pins = this.#domains.get(domid);
    if (pins?.pinned.has(gfn)) return true;
    return this.#missed || pins?.uncertain.has(gfn) ? undefined : false;
  }

  /** Does this put list exactly what one get committed and nothing has released? */
  isExactCommit(domid: number, gfns: ReadonlySet<bigint>): boolean {
    const [first] = gfns;
    const commit = first === undefined ? undefined : this.#domains.get(domid)?.commitOf.get(first);
    return commit !== undefined && commit.size === gfns.size && [...commit].every((gfn) => gfns.has(gfn));
  }

  /** Findings against the guest that need earlier calls. Call this before `called` for the same call. */
  findings(call: ObservedCall): Finding[] {
    if (opOf(call) !== 'put_dma_buf') return [];
    const facts = new Facts(call, 'put_dma_buf');
    const domid = namedDomain(facts);
    const pins = domid === undefined ? undefined : this.#domains.get(domid);
    if (domid === undefined || facts.in.list === undefined) return [];
    const extents = facts.extents(facts.in);
    const mistaken = extents.find(
      (e) => pins?.returned.has(e.base) && pins.pinned.get(e.base) === undefined && !pins.uncertain.has(e.base),
    );
    if (mistaken)
      return [
        finding(facts, 'caller-put-lists-gpfns', `entry ${mistaken.index} is ${hex64(mistaken.base)}, a machine frame that a get returned`),
      ];
    const stranger = pagesOfExtents(extents)?.find((gfn) => this.isPinned(domid, gfn) === false);
    return stranger === undefined
      ? []
      : [finding(facts, 'caller-put-after-get', `guest frame ${hex64(stranger)} is listed, which no get has pinned`)];
  }

  /** Takes in a judged call; answers what it shows of earlier pins. */
  called(judgement: Judgement): PinAnswers {
    const { facts, op } = judgement;
    const answers: PinAnswers = new Map();
    const domid = namedDomain(facts);
    if (facts.unreadable && (facts.call.rc ?? 0) < 0) return answers; // it cannot have known any page
    if (domid === undefined) {
      this.missed();
      return answers;
    }
    const pins = this.#domain(domid);
    const pages = facts.reservations.map((r) => pagesOfExtents(facts.extents(r)));
    if (pages.includes(undefined)) {
      // Too many to follow.
      this.missed();
      return answers;
    }
    if (!isRefused(judgement) && facts.unlistedAtAll !== undefined) {
      // It did something to pages that were not captured, or to more than can be told.
      this.missed();
      return answers;
    }
    const named = new Set(pages.flatMap((gfns) => gfns ?? []));
    this.#compare(pins, pins.p2m, facts.call.p2mBefore, new Set(), answers);
    this.#compare(pins, facts.call.p2mBefore, facts.call.p2mAfter, named, answers);
    if (op === 'get_dma_buf') this.#got(pins, judgement, named);
    else if (op === 'put_dma_buf') this.#put(pins, judgement, named);
    else this.#named(pins, named);
    if (facts.call.p2mAfter.size > 0) pins.p2m = facts.call.p2mAfter;
    return answers;
  }

  /** Takes in a move that the hypervisor made by itself: sharing, paging, migration. */
  churned(domid: number, before: P2m, after: P2m, { lost, kept }: MovedContent = unmarked): PinAnswers {
    const answers: PinAnswers = new Map();
    const pins = this.#domain(domid);
    const gone = lost.find((gfn) => pins.put.has(gfn));
    if (gone !== undefined) answers.set('put-keeps-pages', violated(`guest frame ${hex64(gone)} was put, and a move lost its content`));
    else if (kept.some((gfn) => pins.put.has(gfn))) answers.set('put-keeps-pages', holds);
    const movedPage = (gfn: bigint): boolean => {
      const [a, b] = [before.get(gfn), after.get(gfn)];
      return a !== undefined && b !== undefined && a !== b;
    };
    // What moved before, in a call that could not have named it.
    if (pins.p2m.size > 0) this.#compare(pins, pins.p2m, before, new Set(), answers);
    const controlMoved = some(before.keys(), (gfn) => !pins.everPinned.has(gfn) && !pins.uncertain.has(gfn) && movedPage(gfn));
    this.#compare(pins, before, after, new Set(), answers);
    for (const [gfn, page] of pins.pinned) {
      if (!controlMoved || before.get(gfn) === undefined || after.get(gfn) === undefined) continue;
      if (!page.putSince) page.stayed = true;
      const id = page.putSince ? 'put-only-listed' : 'get-pinned';
      if (!answers.has(id)) answers.set(id, holds);
    }
    for (const [gfn, left] of pins.released) {
      // Nothing is there that could move, or nobody looked.
      if (before.get(gfn) === undefined || before.get(gfn) === null) continue;
      if (movedPage(gfn)) {
        pins.released.delete(gfn);
        if (!answers.has('put-unpins')) answers.set('put-unpins', holds);
      } else if (controlMoved && left > 1) {
        pins.released.set(gfn, left - 1);
      } else if (controlMoved) {
        pins.released.delete(gfn);
        answers.set(
          'put-unpins',
          violated(`guest frame ${hex64(gfn)} was put, and has not moved in ${churnsToMove} churns that moved other pages`),
        );
      }
    }
    pins.p2m = after;
    return answers;
  }

  #domain(domid: number): DomainPins {
    let pins = this.#domains.get(domid);
    if (!pins) {
      pins = {
        pinned: new Map(),
        uncertain: new Set(),
        released: new Map(),
        put: new Set(),
        everPinned: new Set(),
        returned: new Set(),
        commitOf: new Map(),
        p2m: new Map(),
      };
      this.#domains.set(domid, pins);
    }
    return pins;
  }

  /** A pinned page whose mapping changed although nobody asked for it. */
  #compare(pins: DomainPins, before: P2m, after: P2m, named: ReadonlySet<bigint>, answers: PinAnswers): void {
    if (before === after || before.size === 0 || after.size === 0) return;
    for (const [gfn, page] of pins.pinned) {
      const [a, b] = [before.get(gfn), after.get(gfn)];
      if (a === undefined || b === undefined || a === b) continue;
      this.#forget(pins, gfn);
      if (named.has(gfn)) continue; // the guest asked for it: a reading
      const message = `pinned guest frame ${hex64(gfn)} ${moved(a, b)}`;
      if (!page.putSince) answers.set('get-pinned', violated(message));
      else if (page.stayed) answers.set('put-only-listed', violated(`${message}; the put before did not list it`));
    }
  }

  #got(pins: DomainPins, { facts, callerErred }: Judgement, named: ReadonlySet<bigint>): void {
    const { K } = facts;
    for (const gfn of named) {
      pins.released.delete(gfn);
      if (K !== 0n && (K === undefined || callerErred)) this.#doubt(pins, gfn);
    }
    const committed = K === undefined || callerErred ? [] : facts.extents(facts.out).filter((e) => e.index < K);
    const pages = pagesOfExtents(committed) ?? [];
    for (const gfn of pages) {
      pins.uncertain.delete(gfn);
      pins.pinned.set(gfn, { stayed: false, putSince: false });
      pins.everPinned.add(gfn);
    }
    const commit = new Set(pages);
    for (const gfn of pages) pins.commitOf.set(gfn, commit);
    if (K === undefined) return;
    for (const { index, value } of facts.returned) if (index < K) pins.returned.add(value);
  }

  #put(pins: DomainPins, { facts, callerErred }: Judgement, listed: ReadonlySet<bigint>): void {
    for (const page of pins.pinned.values()) page.putSince = true;
    const { rc } = facts.call;
    for (const gfn of listed) {
      if (rc === 0) pins.put.add(gfn);
      if (!pins.pinned.has(gfn)) continue;
      this.#forget(pins, gfn);
      if (rc === 0 && !callerErred) {
        pins.uncertain.delete(gfn);
        pins.released.set(gfn, churnsToMove);
      }
    }
  }

  /** A call of another op on these pages: whether it was allowed to touch a pinned one is a reading. */
  #named(pins: DomainPins, named: ReadonlySet<bigint>): void {
    for (const gfn of named) {
      pins.released.delete(gfn);
      if (pins.pinned.has(gfn) && pins.p2m.get(gfn) === undefined) this.#forget(pins, gfn);
    }
  }

  #forget(pins: DomainPins, gfn: bigint): void {
    pins.pinned.delete(gfn);
    pins.uncertain.add(gfn);
    for (const other of pins.commitOf.get(gfn) ?? []) pins.commitOf.delete(other);
  }

  #doubt(pins: DomainPins, gfn: bigint): void {
    if (pins.pinned.has(gfn)) this.#forget(pins, gfn);
    pins.uncertain.add(gfn);
    pins.everPinned.add(gfn);
  }
}

function some<T>(values: Iterable<T>, is: (value: T) => boolean): boolean {
  for (const value of values) if (is(value)) return true;
  return false;
}

/** Did the call change nothing, by what it returned? */
function isRefused({ facts, op }: Judgement): boolean {
  const { rc } = facts.call;
  if (rc === undefined) return false;
  if (facts.exchanges) return rc < 0 && facts.N === 0n;
  return op === 'put_dma_buf' ? rc < 0 : BigInt(rc) <= facts.start;
}

/** The domain whose pages a call is about: the one it names, or the caller for DOMID_SELF. */
export function namedDomain(facts: Facts): number | undefined {
  const named = facts.in.domid;
  return named === DOMID.SELF ? facts.call.domid : named;
}

function finding(facts: Facts, id: string, message: string): Finding {
  const rule = ruleOf(id);
  if (!rule) throw new TypeError(`no rule ${id}`);
  return findingOf(rule, { message, ...placeOf(facts, 'in.extent_start') });
}
