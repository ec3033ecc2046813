import { DOMID } from '../abi/constants.ts';
import type { FrameList } from '../guest/frames.ts';
import type { PinsOfPages } from './domain-pins.ts';
import { pagesOfExtents } from './extents.ts';
import type { Facts } from './facts.ts';
import type { Judgement } from './judge.ts';

/** What a get has done to the pins of the pages that it names. */
export function pinsOf({ facts, callerErred }: Judgement, named: ReadonlySet<bigint>): PinsOfPages {
  const { K } = facts;
  const isSure = K !== undefined && !callerErred;
  const pinned = new Set(isSure ? pagesOfExtents(facts.extents(facts.out).filter((e) => e.index < K)) : []);
  const doubted = new Set(isSure || K === 0n ? [] : [...named].filter((gfn) => !pinned.has(gfn)));
  const returned = new Set(K === undefined ? [] : facts.returned.filter(({ index }) => index < K).map(({ value }) => value));
  return { pinned, doubted, free: new Set(), returned };
}

/** Whose pages a call may have touched, and which; or any at all. */
export type Reach = 'nothing' | 'anything' | { readonly domid: number; readonly named: ReadonlySet<bigint> };

/** How far a call reaches, as far as it was captured. */
export function reachOf(judgement: Judgement): Reach {
  const { facts } = judgement;
  if (knewNoPage(facts)) return 'nothing';
  const domid = namedDomain(facts);
  if (domid === undefined) return 'anything';
  const pages = facts.reservations.map((r) => pagesOfExtents(facts.extents(r)));
  // Too many to follow
  if (pages.includes(undefined)) return 'anything';
  // It did something to pages that were not captured, or to more than can be told.
  if (!isRefused(judgement) && facts.unlistedAtAll !== undefined) return 'anything';
  return { domid, named: new Set(pages.flatMap((gfns) => gfns ?? [])) };
}

/** A judged call, and what it tells of pages whatever those are. */
export interface Alike {
  readonly judgement: Judgement;
  /** The domain that it names. */
  readonly domid: number | undefined;
  /** Are its pages all known, and not too many? */
  readonly isFollowed: boolean;
  /** Can it not be told whether it pinned them? */
  readonly isDoubtful: boolean;
}

/** The frames of a call that is judged like another: its own. */
export interface OwnFrames {
  /** The entries of the list of extents given, and those that it has returned. */
  readonly entries: FrameList;
  readonly returned: FrameList;
  /** The pages of the extents given, of those asked for, and of those it has made. */
  readonly listed: FrameList;
  readonly wanted: FrameList;
  readonly committed: FrameList;
}

/** A judged call, for those that are judged like it. */
export function alikeOf(judgement: Judgement): Alike {
  const { facts, callerErred } = judgement;
  const isFollowed = typeof reachOf(judgement) === 'object';
  const isDoubtful = facts.exchanges && facts.K !== 0n && (facts.K === undefined || callerErred);
  return { judgement, domid: namedDomain(facts), isFollowed, isDoubtful };
}

/** Was the call refused before it could know any page? */
export function knewNoPage(facts: Facts): boolean {
  return facts.unreadable && (facts.call.rc ?? 0) < 0;
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
