import { type Side, sideOf } from '../abi/frames.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { hex64 } from '../codec/hex.ts';
import type { Frame } from '../guest/frames.ts';
import { overlaps } from '../guest/memory.ts';
import { type ObservedCall, opOf, type P2m } from '../trace/call.ts';
import { type Answer, holds, violated } from './answer.ts';
import { moved } from './changes.ts';
import { churnsToMove, DomainPins, type PinsOfPages } from './domain-pins.ts';
import { isMultiple } from './exact.ts';
import { type Extent, pagesOfExtents } from './extents.ts';
import { Facts, placeOf } from './facts.ts';
import { type Finding, findingOf, type Judgement } from './judge.ts';
import { type Alike, knewNoPage, namedDomain, type OwnFrames, pinsOf, reachOf } from './reach.ts';
import { ruleOf } from './table.ts';

/** Marked pages whose content a move lost, and those whose content it kept. */
export interface MovedContent {
  readonly lost: readonly bigint[];
  readonly kept: readonly bigint[];
}

const unmarked: MovedContent = { lost: [], kept: [] };

/** An answer to a requirement, from more than one call. */
export type PinAnswers = Map<string, Answer>;

/**
 * Follows the pins of every domain through a sequence of calls and moves, and judges what no single
 * call shows: that a pinned page stays, that a put page may move again, and that puts list what
 * gets pinned. It knows only what was observed.
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
    return this.#isPinned(domid, gfn);
  }

  #isPinned(domid: number, gfn: Frame): boolean | undefined {
    const pins = this.#domains.get(domid);
    if (pins?.pinned.has(gfn)) return true;
    return this.#missed || pins?.uncertain.has(gfn) ? undefined : false;
  }

  /**
   * Findings against the guest that need earlier calls. Call this before `called` for the same
   * call.
   */
  findings(call: ObservedCall): Finding[] {
    if (opOf(call) !== 'put_dma_buf') return [];
    const facts = new Facts(call, 'put_dma_buf');
    const domid = namedDomain(facts);
    if (domid === undefined || facts.in.list === undefined) return [];
    const extents = facts.extents(facts.in);
    const mistaken = extents.find(({ base }) => this.#isReturned(domid, base));
    if (mistaken)
      return [
        finding(facts, 'caller-put-lists-gpfns', `entry ${mistaken.index} is ${hex64(mistaken.base)}, a machine frame that a get returned`),
      ];
    const stranger = pagesOfExtents(extents)?.find((gfn) => this.isPinned(domid, gfn) === false);
    return stranger === undefined
      ? []
      : [finding(facts, 'caller-put-after-get', `guest frame ${hex64(stranger)} is listed, which no get has pinned`)];
  }

  /** Is this a frame that a get returned, and not a page of which a put may speak? */
  #isReturned(domid: number, frame: Frame): boolean {
    const pins = this.#domains.get(domid);
    return pins?.returned.has(frame) === true && !pins.pinned.has(frame) && !pins.uncertain.has(frame);
  }

  /**
   * Takes in a call that is judged like another one, and of which no p2m was captured; `false`, with
   * nothing taken in, if it must be judged by itself for what it says of pins. Such are calls of a
   * trace, which has no churns: whether a put came since a pin, only those ask.
   */
  takes({ judgement: { op, facts, callerErred }, domid, isFollowed, isDoubtful }: Alike, frames: OwnFrames): boolean {
    const { entries, returned, listed, wanted, committed } = frames;
    const isPut = op === 'put_dma_buf';
    if (isPut && (facts.call.rc !== 0 || callerErred)) return false;
    if (isPut && domid !== undefined) {
      for (let i = 0; i < entries.length; i++) if (this.#isReturned(domid, entries.values[i] as number)) return false;
      for (let i = 0; i < listed.length; i++) if (this.#isPinned(domid, listed.values[i] as number) === false) return false;
    }
    if (domid === undefined || !isFollowed) {
      this.missed();
      return true;
    }
    const pins = this.#domain(domid);
    for (let i = 0; i < listed.length; i++) this.#page(pins, op, listed.values[i] as number, isDoubtful);
    for (let i = 0; i < wanted.length; i++) this.#page(pins, op, wanted.values[i] as number, isDoubtful);
    if (op !== 'get_dma_buf') return true;
    if (!callerErred) for (let i = 0; i < committed.length; i++) pins.pin(committed.values[i] as number);
    for (let i = 0; i < returned.length; i++) pins.returned.add(returned.values[i] as number);
    return true;
  }

  /** A page that a call named; a put of it was accepted, and its caller did not err. */
  #page(pins: DomainPins, op: JudgedOp, gfn: Frame, doubtful: boolean): void {
    if (op === 'put_dma_buf') {
      pins.unpin(gfn);
      return;
    }
    if (op !== 'get_dma_buf') {
      pins.named(gfn);
      return;
    }
    pins.renamed(gfn);
    if (doubtful) pins.doubt(gfn);
  }

  /** Takes in a judged call; answers what it shows of earlier pins. */
  called(judgement: Judgement): PinAnswers {
    const { facts, op } = judgement;
    const answers: PinAnswers = new Map();
    const others = facts.call.others ?? [];
    for (const other of others) this.#watched(this.#domain(other.domid), other.p2mBefore, other.p2mAfter, answers);
    const domid = namedDomain(facts);
    if (domid !== undefined && !knewNoPage(facts) && facts.call.domids?.includes(domid) === false) {
      // Nobody has such pages, and what is seen are the caller's.
      const { domid: own, p2mBefore, p2mAfter } = facts.call;
      if (own !== undefined) this.#watched(this.#domain(own), p2mBefore, p2mAfter, answers);
      return answers;
    }
    const reach = reachOf(judgement);
    if (reach === 'anything') this.missed();
    if (typeof reach === 'string') return answers;
    const pins = this.#domain(reach.domid);
    const { named } = reach;
    this.#compare(pins, pins.p2m, facts.call.p2mBefore, new Set(), answers);
    // What a put unpins may move before it returns.
    if (op === 'put_dma_buf') this.#put(reach.domid, pins, judgement, named);
    const asked = op === 'put_dma_buf' ? new Set<bigint>() : askedToChange(judgement, named);
    this.#compare(pins, facts.call.p2mBefore, facts.call.p2mAfter, asked, answers);
    if (op === 'get_dma_buf') pins.got(named, pinsOf(judgement, named));
    else if (op !== 'put_dma_buf') for (const gfn of named) pins.named(gfn);
    if (facts.call.p2mAfter.size > 0) pins.p2m = facts.call.p2mAfter;
    return answers;
  }

  /** What a call shows of the pins of a domain that it has no business with. */
  #watched(pins: DomainPins, before: P2m, after: P2m, answers: PinAnswers): void {
    this.#compare(pins, pins.p2m, before, new Set(), answers);
    this.#compare(pins, before, after, new Set(), answers);
    if (after.size > 0) pins.p2m = after;
  }

  /**
   * Takes in a move that the hypervisor made by itself: sharing, paging, migration. `free`: the
   * sides of 4 GiB that are known to have had a free frame before it.
   */
  churned(
    domid: number,
    before: P2m,
    after: P2m,
    { lost, kept }: MovedContent = unmarked,
    free: ReadonlySet<Side> = new Set(),
  ): PinAnswers {
    const answers: PinAnswers = new Map();
    const pins = this.#domain(domid);
    const other = lost.find((gfn) => !pins.put.has(gfn));
    if (other !== undefined) answers.set('no-stray-writes', violated(`a move of pages lost the content of guest frame ${hex64(other)}`));
    const gone = lost.find((gfn) => pins.put.has(gfn));
    if (gone !== undefined) answers.set('put-keeps-pages', violated(`guest frame ${hex64(gone)} was put, and a move lost its content`));
    else if (kept.some((gfn) => pins.put.has(gfn))) answers.set('put-keeps-pages', holds);
    const movedPage = (gfn: bigint): boolean => {
      const [a, b] = [before.get(gfn), after.get(gfn)];
      return a !== undefined && b !== undefined && a !== b;
    };
    // What moved before, in a call that could not have named it.
    if (pins.p2m.size > 0) this.#compare(pins, pins.p2m, before, new Set(), answers);
    /**
     * Sides from which a page moved that nothing ever pinned, and those of them that had room for
     * another.
     */
    const [left, roomy] = [new Set<Side>(), new Set<Side>()];
    for (const [gfn, from] of before) {
      const to = after.get(gfn);
      if (typeof from !== 'bigint' || typeof to !== 'bigint' || from === to) continue;
      if (pins.everPinned.has(gfn) || pins.uncertain.has(gfn)) continue;
      left.add(sideOf(from));
      if (free.has(sideOf(from)) || sideOf(from) === sideOf(to)) roomy.add(sideOf(from));
    }
    this.#compare(pins, before, after, new Set(), answers);
    for (const [gfn, page] of pins.pinned) {
      if (left.size === 0 || before.get(gfn) === undefined || after.get(gfn) === undefined) continue;
      const isPutSince = pins.isPutSince(page);
      if (!isPutSince) page.stayed = true;
      const id = page.refused ? 'put-refused-prefix' : isPutSince ? 'put-only-listed' : 'get-pinned';
      if (!answers.has(id)) answers.set(id, holds);
    }
    for (const gfn of [...pins.prefixes.keys()]) if (movedPage(gfn)) pins.unpinnedTo(gfn);
    for (const [gfn, { left: churns, id }] of pins.released) {
      const frame = before.get(gfn);
      // Nothing is there that could move, or nobody looked.
      if (frame === undefined || frame === null) continue;
      if (movedPage(gfn)) {
        pins.released.delete(gfn);
        if (!answers.has(id)) answers.set(id, holds);
      } else if (!roomy.has(sideOf(frame)) || pins.isBesidePinned(gfn)) {
        // It may be that it cannot move.
      } else if (churns > 1) {
        pins.released.set(gfn, { left: churns - 1, id });
      } else {
        pins.released.delete(gfn);
        const what = id === 'put-unpins' ? 'was put' : 'comes before a page that a refused put has unpinned';
        answers.set(id, violated(`guest frame ${hex64(gfn)} ${what}, and has not moved in ${churnsToMove} churns that moved other pages`));
      }
    }
    pins.p2m = after;
    return answers;
  }

  /** A call named these pages that neither got nor put them; no p2m was seen with it. */
  named(domid: number, pages: ReadonlySet<bigint>): void {
    const pins = this.#domain(domid);
    for (const gfn of pages) pins.named(gfn);
  }

  /** Gets and puts whose outcome is known, and with which no p2m was seen, left pages so. */
  left(domid: number, pages: PinsOfPages): void {
    this.#domain(domid).left(pages);
  }

  #domain(domid: number): DomainPins {
    let pins = this.#domains.get(domid);
    if (!pins) {
      pins = new DomainPins();
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
      pins.forget(gfn);
      if (named.has(gfn)) continue; // the guest asked for it: a reading
      const message = `pinned guest frame ${hex64(gfn)} ${moved(a, b)}`;
      if (page.refused)
        answers.set('put-refused-prefix', violated(`${message}; the put before was refused, and could not have reached it`));
      else if (pins.isPutSince(page) && page.stayed) answers.set('put-only-listed', violated(`${message}; the put before did not list it`));
      else answers.set('get-pinned', violated(message));
    }
  }

  #put(domid: number, pins: DomainPins, { facts, callerErred }: Judgement, listed: ReadonlySet<bigint>): void {
    const { rc } = facts.call;
    const kept = rc !== undefined && rc < 0 ? this.#keptBy(domid, facts) : new Set<bigint>();
    pins.puts++;
    for (const gfn of kept) {
      const page = pins.pinned.get(gfn);
      if (page) page.refused = true;
    }
    const refused: bigint[] = [];
    for (const gfn of listed) {
      if (rc === 0 && !callerErred) pins.unpin(gfn);
      else {
        if (rc === 0) pins.put.add(gfn);
        if (!pins.pinned.has(gfn) || kept.has(gfn)) continue;
        pins.forget(gfn);
        if (rc !== undefined && rc < 0) refused.push(gfn);
      }
    }
    pins.refused(refused);
  }

  /**
   * The listed pages that a refused put cannot have unpinned: those from the last one on that it
   * can have stopped at, or all.
   */
  #keptBy(domid: number, facts: Facts): Set<bigint> {
    const { privileged, unmapped } = facts.call;
    const list = facts.in.list?.range;
    const isAway = list !== undefined && list.length > 0n && unmapped.some((hole) => overlaps(hole, list));
    const extents = facts.extents(facts.in);
    const pages = pagesOfExtents(extents) ?? [];
    if ((facts.foreign && privileged === false) || isAway || facts.in.list?.wraps) return new Set(pages);
    const seen = new Set<bigint>();
    let from = pages.length;
    for (const [i, gfn] of pages.entries()) {
      if (this.isPinned(domid, gfn) === false || seen.has(gfn) || isMisaligned(facts, extents, i)) from = i;
      seen.add(gfn);
    }
    // One that is named before it too may have been unpinned there.
    const earlier = new Set(pages.slice(0, from));
    return new Set(pages.slice(from).filter((gfn) => !earlier.has(gfn)));
  }
}

/** Where one of these holds, a call was refused that may change nothing at all. */
const mustBeRefused = [
  'get-refuses-domid-mismatch',
  'get-refuses-size-mismatch',
  'get-refuses-foreign-domid',
  'refuses-unknown-domid',
  'reservation-refuses-foreign-domid',
];

/**
 * Does a page of a list belong to an extent whose first frame is no multiple of its size, which may
 * be refused?
 */
function isMisaligned(facts: Facts, extents: readonly Extent[], page: number): boolean {
  const order = facts.in.extent_order ?? 0;
  const extent = order === 0 ? undefined : extents[Math.floor(page / 2 ** order)];
  return extent !== undefined && !isMultiple(extent.base, order);
}

/**
 * Of the pages that a call names those whose mapping it may have changed because the guest asked
 * for it, by what it says that it has done. After an error of the caller all of them: what such a
 * call does is a reading.
 */
function askedToChange({ facts, callerErred, requirements }: Judgement, named: ReadonlySet<bigint>): ReadonlySet<bigint> {
  if (mustBeRefused.some((id) => requirements.get(id)?.answer === 'holds')) return new Set();
  const { rc } = facts.call;
  const done = (from: bigint, ...upTo: readonly bigint[]): ReadonlySet<bigint> =>
    new Set(
      facts.reservations.flatMap(
        (r, i) => pagesOfExtents(facts.extents(r).filter(({ index }) => index >= from && index < (upTo[i] ?? 0n))) ?? [],
      ),
    );
  if (callerErred || rc === undefined) return named;
  if (facts.exchanges) return facts.done ? done(0n, facts.done.N, facts.done.K) : named;
  return BigInt(rc) <= facts.start ? new Set() : done(facts.start, BigInt(rc));
}

function finding(facts: Facts, id: string, message: string): Finding {
  const rule = ruleOf(id);
  if (!rule) throw new TypeError(`no rule ${id}`);
  return findingOf(rule, { message, ...placeOf(facts, 'in.extent_start') });
}
