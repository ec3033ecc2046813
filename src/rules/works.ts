import { errno, XENMEMF } from '../abi/constants.ts';
import { bitsBelow4G } from '../abi/frames.ts';
import { isExchangeOp, type JudgedOp } from '../abi/ops.ts';
import type { ObservedCall } from '../trace/call.ts';
import { type Answer, holds, missing, notExercised, unknown, violated } from './answer.ts';
import { inputsPerChunk, isMultiple, outputsPerChunk } from './exact.ts';
import { pagesOfExtents } from './extents.ts';
import type { Facts } from './facts.ts';
import type { Judgement } from './judge.ts';
import type { PinWatch } from './pins.ts';
import { namedDomain } from './reach.ts';
import { exchanges } from './rule.ts';

/** What is known of a live run beside the call itself. */
export interface LiveContext {
  readonly pins: Pick<PinWatch, 'isPinned'>;
  /** Was a failure injected into this call? Preemption is none. */
  readonly failureInjected: boolean;
  /**
   * Is a guest frame mapped to plain RAM before the call: yes, no, or `undefined` where it cannot
   * be told.
   */
  readonly isMapped: (domid: number, gfn: bigint) => boolean | undefined;
  /**
   * Frames known to be free under the limit of so many address bits (0: no limit), or `undefined`.
   */
  readonly freeFrames: (bits: number) => bigint | undefined;
  /** Pages that the world has room for in a domain: those of its RAM and its holes. */
  readonly roomFor: (domid: number) => bigint;
  /** What the implementation declared it can do. */
  readonly maxOrder: number;
  readonly maxExtents: bigint;
  readonly maxGfn: bigint;
}

/**
 * What a live run shows of one call beside what the call itself does. Ask before the pins have
 * taken it in.
 */
export function judgeWorks(judgement: Judgement, live: LiveContext): Map<string, Answer> {
  if (judgement.op === 'populate_physmap') return new Map([['frames-conserved', judgeMemoryLeft(judgement, live)]]);
  const isPut = judgement.op === 'put_dma_buf';
  if (!isPut && !exchanges.includes(judgement.op)) return new Map();
  const answers = isPut ? new Map([['put-works', judgePutWorks(judgement, live)]]) : judgeGetWorks(judgement, live);
  return answers.set('bounded-work', judgeBoundedWork(judgement.facts, live.maxOrder));
}

/** `get-works`, and `get-same-gfn` where the call names one frame on both sides of a chunk. */
export function judgeGetWorks(judgement: Judgement, live: LiveContext): Map<string, Answer> {
  const answer = getWorks(judgement, live);
  const answers = new Map([['get-works', answer]]);
  if (answer.answer !== 'unknown' && namesSameFrame(judgement.facts)) answers.set('get-same-gfn', answer);
  return answers;
}

/**
 * `put-works`: a put of pages that are all pinned, each named once, within the declared limits.
 */
export function judgePutWorks(judgement: Judgement, live: LiveContext): Answer {
  const { facts } = judgement;
  const { rc } = facts.call;
  const domid = namedDomain(facts);
  if (rc === undefined) return missing('rc');
  if (domid === undefined) return missing(facts.in.domid === undefined ? 'struct' : 'domid');
  if (judgement.findings.some((f) => f.blame === 'caller') || isCut(facts)) return notExercised;
  if (live.failureInjected || facts.start > 0n) return notExercised;
  const listed = pagesOfExtents(facts.extents(facts.in)) ?? [];
  const gfns = new Set(listed);
  if (gfns.size < listed.length) return notExercised;
  if (facts.unlisted(facts.in) !== undefined) return notExercised;
  if ((facts.in.nr_extents ?? 0n) > live.maxExtents || (facts.in.extent_order ?? 0) > live.maxOrder) return notExercised;
  // A frame that is no multiple of its extent's size is for each to accept or refuse.
  if (facts.extents(facts.in).some(({ base }) => !isMultiple(base, facts.in.extent_order ?? 0))) return notExercised;
  if (gfns.size === 0 || [...gfns].some((gfn) => live.pins.isPinned(domid, gfn) !== true)) return notExercised;
  return rc === 0 ? holds : violated(`each of the ${gfns.size} pages was pinned, and a put of them returned ${rc}`);
}

/**
 * `frames-conserved` as a call shows it that takes single frames for holes, as many as are left: what
 * calls before have lost to nobody is not found, and what they have freed twice is found twice.
 */
export function judgeMemoryLeft({ facts, findings }: Judgement, live: LiveContext): Answer {
  const { rc } = facts.call;
  const { nr_extents: asked, extent_order: order, address_bits: bits } = facts.in;
  const domid = namedDomain(facts);
  if (rc === undefined) return missing('rc');
  if (asked === undefined || domid === undefined) return missing('struct');
  if (order !== 0 || bits !== 0 || facts.start >= asked || asked > live.maxExtents || live.failureInjected || rc < 0) return notExercised;
  if (findings.some((f) => f.blame === 'caller') || isCut(facts) || facts.unlistedAtAll !== undefined) return notExercised;
  const gfns = pagesOfExtents(facts.extents(facts.in)) ?? [];
  if (gfns.length === 0 || gfns.some((gfn) => gfn > live.maxGfn || live.isMapped(domid, gfn) !== false)) return notExercised;
  const free = live.freeFrames(0);
  const owned = facts.call.pagesBefore;
  if (free === undefined || owned === undefined) return notExercised;
  // A domain may be held to what it was made for.
  if (BigInt(owned) + asked - facts.start > live.roomFor(domid)) return notExercised;
  const wanted = asked - facts.start;
  const done = BigInt(rc) - facts.start;
  const can = wanted < free ? wanted : free;
  if (done === can) return holds;
  return violated(`${free} frames are left by what was seen of the calls before, and of ${wanted} pages ${done} could be populated`);
}

/**
 * `bounded-work`: an order above the limit has been refused, since the call is over and nothing
 * timed out.
 */
export function judgeBoundedWork(facts: Facts, maxOrder: number): Answer {
  const { rc } = facts.call;
  const above = facts.reservations.find((r) => (r.extent_order ?? 0) > maxOrder && (r.nr_extents ?? 0n) > 0n);
  if (rc === undefined) return missing('rc');
  if (!above) return notExercised;
  return rc < 0 ? holds : violated(`order ${above.extent_order} is above the limit of ${maxOrder}, but rc is ${rc}`);
}

/** The requirement that a pair of runs of a call of this op shows. */
export function pairRequirement(op: JudgedOp): string | undefined {
  if (op === 'put_dma_buf') return 'put-ignores-address-bits';
  return isExchangeOp(op) ? 'get-ignores-in-address-bits' : undefined;
}

/**
 * `get-ignores-in-address-bits` and `put-ignores-address-bits`: of three runs from one world, A, A
 * again and B, which differs only there, B must agree with the others if they agree with each
 * other.
 */
export function judgePair(first: CallEnd, again: CallEnd, varied: CallEnd): Answer {
  const same = (a: CallEnd, b: CallEnd): boolean => a.rc === b.rc && a.N === b.N;
  const isCounted = (outcome: CallEnd): boolean => outcome.N !== undefined;
  if (isCounted(first) !== isCounted(again) || isCounted(first) !== isCounted(varied)) return missing('struct after');
  if (!same(first, again)) return unknown('the same call from the same world ended differently');
  if (same(first, varied)) return holds;
  return violated(`rc ${first.rc}, nr_exchanged ${first.N ?? '-'} became rc ${varied.rc}, nr_exchanged ${varied.N ?? '-'}`);
}

/** How a call ended. */
export interface CallEnd {
  readonly rc: ObservedCall['rc'];
  readonly N: bigint | undefined;
}

/**
 * May an exchange under this limit be refused so for want of memory? A limit below 4 GiB, where
 * hardly any machine has some, may be called invalid.
 */
export function isForMemory(rc: number, addressBits: number): boolean {
  return rc === -errno.ENOMEM || (rc === -errno.EINVAL && addressBits !== 0 && addressBits < bitsBelow4G);
}

function getWorks({ facts, findings }: Judgement, live: LiveContext): Answer {
  const { rc } = facts.call;
  const domid = namedDomain(facts);
  const { address_bits: bits } = facts.out;
  if (rc === undefined) return missing('rc');
  if (bits === undefined || !facts.asked) return missing('struct');
  if (domid === undefined) return missing(facts.in.domid === undefined ? 'struct' : 'domid');
  const { I, oi, O, oo } = facts.asked;
  if (findings.some((f) => f.blame === 'caller') || live.failureInjected || facts.start > 0n) return notExercised;
  // Nodes and flags above bit 7 are for the hypervisor to have or to refuse
  if (XENMEMF.address_bits(bits) !== bits) return notExercised;
  if (I === 0n) return rc === 0 ? notExercised : unknown('refusing to exchange nothing is not spoken of');
  if (Math.max(oi, oo) > live.maxOrder || I > live.maxExtents || O > live.maxExtents) return notExercised;
  if (isCut(facts) || facts.unlistedAtAll !== undefined) return notExercised;
  const given = new Set(pagesOfExtents(facts.extents(facts.in)));
  if (given.size === 0) return notExercised; // too many to look at each
  for (const gfn of given) {
    if (live.isMapped(domid, gfn) !== true || live.pins.isPinned(domid, gfn) !== false) return notExercised;
  }
  const wanted = pagesOfExtents(facts.extents(facts.out)) ?? [];
  for (const gfn of wanted) {
    // caller-out-not-later-input has been answered, so an output that is an input belongs to this
    // chunk or an earlier one.
    if (gfn > live.maxGfn || (!given.has(gfn) && live.isMapped(domid, gfn) !== false)) return notExercised;
    if (live.pins.isPinned(domid, gfn) !== false) return notExercised;
  }
  if (rc === 0) return holds;
  if (isForMemory(rc, bits)) {
    const free = oi === 0 && oo === 0 ? live.freeFrames(bits) : undefined;
    if (free === undefined || free < O) return unknown('out of memory is excused');
  }
  return violated(`nothing is wrong with the call, but rc is ${rc}`);
}

/** Is a part of the struct not known? Then it may lie in no memory, and the call must fail. */
function isCut({ argument, layout }: Facts): boolean {
  return argument.length < layout.size;
}

/** Does the call name one frame on both sides of a chunk? */
function namesSameFrame(facts: Facts): boolean {
  if (!facts.asked) return false;
  const { oi, oo } = facts.asked;
  const [perIn, perOut] = [inputsPerChunk(oi, oo), outputsPerChunk(oi, oo)];
  const inputs = new Map(facts.extents(facts.in).map((e) => [e.base, e.index / perIn]));
  return facts.extents(facts.out).some((e) => inputs.get(e.base) === e.index / perOut);
}
