import { errnoName } from '../../src/abi/constants.ts';
import { type JudgedOp, startExtent } from '../../src/abi/ops.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { namedDomain } from '../../src/rules/reach.ts';
import { exchanges } from '../../src/rules/rule.ts';
import { isForMemory } from '../../src/rules/works.ts';
import type { P2m } from '../../src/trace/call.ts';
import type { Hello, World } from '../protocol/implementation.ts';
import type { Checked, JudgedCall } from './check.ts';

/** What is what in the other of two scenarios that are to end alike. */
export interface Renaming {
  readonly stepOf: (step: number) => number;
  readonly gfnOf: (gfn: bigint) => bigint;
}

/** A scenario as it was played. */
export interface PlayedIn {
  readonly world: World;
  readonly checked: Checked;
}

/** How two scenarios first ended otherwise: the step of the first one, and what a call did in each. */
export interface Difference {
  readonly step: number;
  readonly op: JudgedOp;
  readonly did: readonly [string, string];
}

/**
 * The first call that ended otherwise in the other world: by its return code, its count, which
 * guest frames are mapped after it, or by how many pages more or fewer the domain owns. Never by
 * the frames themselves, nor by which errno refused it. Nothing is said from the first call on that
 * was undefined, was not seen, or may have ended so for want of memory in one of the worlds.
 * `from`: the first step that is looked at.
 */
export function differenceOf(
  [{ world, checked: one }, { world: otherWorld, checked: other }]: readonly [PlayedIn, PlayedIn],
  { stepOf, gfnOf }: Renaming,
  hello: Hello,
  from = 0,
): Difference | undefined {
  if (!hello.translated) return undefined;
  for (const event of one.events) {
    if (event.step < from) continue;
    const { step } = event;
    const elsewhere = other.events.find((e) => e.step === stepOf(step));
    if (event.kind !== elsewhere?.kind || event.kind === 'skipped') return undefined;
    if (event.kind === 'churn') continue;
    const [a, b] = [callAt(one, step), callAt(other, stepOf(step))];
    if (!a || !b || a.judgement.callerErred || b.judgement.callerErred) return undefined;
    // Two calls that come in the other order leave what they leave together.
    const isInPlace = stepOf(step) - step === stepOf(one.events.length) - one.events.length;
    const did = endsOtherwise(a, b) ?? (isInPlace ? leavesOtherwise(a, b, gfnOf) : undefined);
    if (did === undefined) continue;
    // Of two calls the first one has more left to take.
    const isExcused = stepOf(step) === step ? isForWant(a, hello, world) || isForWant(b, hello, otherWorld) : isInWant(a) || isInWant(b);
    return isExcused ? undefined : { step, op: a.judgement.op, did };
  }
  return undefined;
}

function callAt({ calls }: Checked, step: number): JudgedCall | undefined {
  return calls.find((call) => call.step === step);
}

function endsOtherwise(a: JudgedCall, b: JudgedCall): Difference['did'] | undefined {
  const [x, y] = [a.event.call.rc, b.event.call.rc];
  if (x === undefined || y === undefined) return undefined;
  if (Math.max(x, -1) !== Math.max(y, -1)) return [`returned ${told(x)}`, `returned ${told(y)}`];
  const [n, m] = [a.judgement.facts.N, b.judgement.facts.N];
  if (n === undefined || m === undefined || n === m) return undefined;
  return [`counted ${n} extents in nr_exchanged`, `counted ${m}`];
}

function leavesOtherwise(a: JudgedCall, b: JudgedCall, gfnOf: (gfn: bigint) => bigint): Difference['did'] | undefined {
  const there = b.event.call.p2mAfter;
  for (const [gfn, frame] of a.event.call.p2mAfter) {
    const other = there.get(gfnOf(gfn));
    if (other === undefined || (frame === null) === (other === null)) continue;
    const left = (page: bigint | null, at: bigint): string => `left ${page === null ? 'no' : 'a'} page at guest frame ${hex64(at)}`;
    return [left(frame, gfn), left(other, gfnOf(gfn))];
  }
  const [x, y] = [gained(a), gained(b)];
  if (x === undefined || y === undefined || x === y) return undefined;
  return [`made the domain own ${x} pages more`, `made it own ${y} more`];
}

function gained({ event: { call } }: JudgedCall): number | undefined {
  return call.pagesBefore === undefined || call.pagesAfter === undefined ? undefined : call.pagesAfter - call.pagesBefore;
}

/**
 * May a call have ended so for want of memory? Which frames are left, and in what pieces, depends
 * on those that were picked before, which is free; how many single ones are left does not, where
 * that is exact.
 */
export function isForWant(judged: JudgedCall, { capabilities }: Hello, { domains }: World): boolean {
  if (!isInWant(judged)) return false;
  const { facts, op } = judged.judgement;
  const { call } = judged.event;
  const isExchange = exchanges.includes(op);
  const { address_bits: bits = 0, nr_extents: asked = 0n } = isExchange ? facts.out : facts.in;
  if (facts.reservations.some((r) => r.extent_order !== 0) || bits !== 0 || !capabilities.has('free')) return true;
  if (isExchange) return false;
  const plan = domains.find(({ domid }) => domid === namedDomain(facts));
  const room = plan && [...plan.ram, ...plan.holes].reduce((sum, { pages }) => sum + pages, 0);
  // A domain may be held to what it was made for.
  return room === undefined || call.pagesBefore === undefined || BigInt(call.pagesBefore - startExtent(call.cmd)) + asked > BigInt(room);
}

/** Did a call end as one that finds no memory? */
function isInWant({ judgement: { op, facts }, event: { call } }: JudgedCall): boolean {
  const { rc = 0 } = call;
  if (exchanges.includes(op)) return isForMemory(rc, facts.out.address_bits ?? 0);
  const takes = op === 'increase_reservation' || op === 'populate_physmap';
  return takes && (rc < 0 || BigInt(rc) < (facts.in.nr_extents ?? 0n));
}

function told(rc: number): string {
  return rc < 0 ? (errnoName(rc) ?? String(rc)) : String(rc);
}

/** How the guests' memory was last seen to be, by domain. */
export function p2mAtEnd({ events, calls }: Checked): Map<number, P2m> {
  const found = new Map<number, P2m>();
  for (const event of events) {
    if (event.kind === 'churn') found.set(event.domid, event.after);
    if (event.kind !== 'call') continue;
    const judged = calls.find(({ step }) => step === event.step);
    const named = judged && namedDomain(judged.judgement.facts);
    if (named !== undefined) found.set(named, event.call.p2mAfter);
    for (const { domid, p2mAfter } of event.call.others ?? []) found.set(domid, p2mAfter);
  }
  return found;
}
