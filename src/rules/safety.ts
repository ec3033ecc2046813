import { addressLimit } from '../abi/arch.ts';
import { DOMID } from '../abi/constants.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { hex64 } from '../codec/hex.ts';
import { type ByteRange, overlaps } from '../guest/memory.ts';
import { type Answer, holds, holdsUnless, missing, notExercised, unknown, unless, type Violation, violated } from './answer.ts';
import { anyChange, bytes, describe, entriesRange, firstRemapped, pagesGained, strayChange } from './changes.ts';
import { addressesOf } from './extents.ts';
import { asksForAny, type Facts, nameDomid } from './facts.ts';
import { finder, restUnmoved } from './mappings.ts';
import { writableEntries } from './reservation.ts';
import { refused } from './row.ts';
import { type Basis, everyOp, exchanges, type Rule } from './rule.ts';

const exchangesAndPut: readonly JudgedOp[] = [...exchanges, 'put_dma_buf'];

/** What must hold whatever the caller did. */
export const safetyRules: readonly Rule[] = [
  safety('no-stray-writes', 0, 'call', {
    ops: everyOp,
    source: 'safety',
    remark: 'the headers name every byte a call writes',
    reading:
      'No captured guest byte changes but: for get nr_exchanged, the output entries that it covers and the exchanged pages; for put nothing; for ops 0, 1, 6 the list entries they may write and the pages given or taken. With virtual addresses, bytes outside struct and lists are judged only when no page changed hands.',
    needs: ['struct', 'struct after', 'in list', 'in list after', 'out list', 'out list after'],
    check: checkStrayWrites,
  }),
  safety('frames-conserved', 1, 'call', {
    ops: exchangesAndPut,
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    reading:
      'The domain owns as many pages as before, and the call makes no frame appear behind two guest frames or in two domains. In a run a populate of single pages finds just what calls have left.',
    needs: ['struct', 'in list', 'out list', 'p2m', 'p2m after', 'pages'],
    check: checkConserved,
  }),
  safety('isolation', 0, 'call', {
    ops: everyOp,
    source: 'safety',
    reading: 'Domains other than the caller and the one named keep their mappings and their content.',
    check: checkIsolation,
  }),
  safety('refuses-unknown-domid', 0, 'call', {
    ops: everyOp,
    source: 'memory.h',
    quote: 'Domain whose reservation is being changed',
    reading:
      'A domid that is no domain’s number and not DOMID_SELF, with extents asked for: refused with no change (rc < 0; for ops 0, 1, 6 rc = start_extent). Judged where all domains are known, as in a run.',
    needs: ['rc', 'struct'],
    check: checkUnknownDomid,
  }),
  safety('bad-address-fails', 0, 'call', {
    ops: exchangesAndPut,
    source: 'safety',
    reading:
      'A struct or a non-empty list known not to lie in guest memory, or one whose range wraps (2^32 on arm32, else 2^64): rc < 0, and nothing changes beyond the chunks that nr_exchanged counts.',
    check: checkBadAddress,
  }),
  safety('bounded-work', 0, 'run', {
    ops: exchangesAndPut,
    source: 'safety',
    judgedBy: 'works',
    reading: 'An order above the limit, with an extent asked for, is refused within the normal time limit.',
  }),
  safety('survives', 0, 'run', {
    ops: everyOp,
    source: 'safety',
    judgedBy: 'play',
    reading: 'No crash, no hang, no malformed answer.',
  }),
];

function safety(
  id: string,
  level: Rule['level'],
  scope: Rule['scope'],
  rest: Basis & Pick<Rule, 'ops' | 'reading'> & Pick<Rule, 'needs' | 'check' | 'judgedBy'>,
): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level, scope, always: true, ...rest };
}

function checkStrayWrites(facts: Facts): Answer {
  const lost = unnamedLost(facts);
  if (lost !== undefined) return violated(lost);
  const own = ownRanges(facts);
  const handedOver = pagesChangedHands(facts);
  // Whose pages changed hands, and how many entries were written, decides what may have changed.
  if (handedOver !== 'none' && facts.call.space === 'physical' && !facts.knowsOwner) return missing('domid');
  if (handedOver !== 'none' && facts.exchanges && facts.K === undefined) return missing(facts.asked ? 'struct after' : 'struct');
  const where = facts.call.space === 'virtual' && handedOver !== 'none' ? own : undefined;
  const stray = strayChange(facts, writable(facts), where);
  if (!stray) return holdsUnless(facts.unseenAtAll);
  const unseen = handedOver === 'unknown' ? 'rc' : facts.handedOverUnseen;
  return unseen === undefined ? unless([describe(facts, stray)]) : missing(unseen);
}

/**
 * A page that was RAM and is none any more, although the call does not name it: all its bytes are
 * gone.
 */
function unnamedLost(facts: Facts): string | undefined {
  const { p2mBefore, p2mAfter } = facts.call;
  // Of a guest that works with machine frames it is the guest that leads its pages elsewhere.
  if (p2mBefore === p2mAfter || !facts.call.translated || facts.unlistedAtAll !== undefined) return undefined;
  const named = facts.reservations.map((r) => finder(facts.sorted(r)));
  return firstRemapped(p2mBefore, p2mAfter, ', which the call does not name,', (gfn) => named.some((at) => at(gfn) !== undefined));
}

/** The ranges a call may write. */
export function writable(facts: Facts): ByteRange[] {
  if (facts.op === 'put_dma_buf') return [];
  if (facts.exchanges) {
    const returned = entriesRange(facts.out, 0n, facts.K ?? 0n);
    return [...returned, ...facts.committed, ...(facts.nrExchangedRange ? [facts.nrExchangedRange] : [])];
  }
  // No guest frame of a translated guest leads to what op 0 gives: the entries of its list name none.
  const namesPages = facts.op !== 'increase_reservation' || !facts.call.translated;
  const pages = facts.call.space === 'physical' && !facts.foreign && namesPages ? facts.extents(facts.in).map(addressesOf) : [];
  return [...writableEntries(facts), ...(pagesChangedHands(facts) === 'none' ? [] : pages)];
}

function pagesChangedHands(facts: Facts): 'none' | 'some' | 'unknown' {
  if (facts.op === 'put_dma_buf') return 'none';
  if (facts.exchanges) return facts.N === 0n ? 'none' : 'some';
  const { rc } = facts.call;
  if (rc === undefined) return 'unknown';
  return BigInt(rc) > facts.start ? 'some' : 'none';
}

function ownRanges(facts: Facts): ByteRange[] {
  return [facts.argumentRange, ...facts.reservations.map((r) => r.list?.range)].filter((range) => range !== undefined);
}

function checkIsolation({ call: { others } }: Facts): Answer {
  if (others === undefined) return unknown('no other domain was watched');
  if (others.length === 0) return notExercised;
  for (const { domid, changes, p2mBefore, p2mAfter } of others) {
    const [change] = changes;
    if (change) return violated(`${bytes(change.length)} at ${hex64(change.address)} of domain ${domid} changed`);
    const other = firstRemapped(p2mBefore, p2mAfter, ` of domain ${domid}`);
    if (other) return violated(other);
  }
  return holds;
}

function checkUnknownDomid(facts: Facts): Answer {
  const { rc, domids } = facts.call;
  const named = facts.reservations.map((r) => r.domid);
  if (named.includes(undefined)) return missing('struct');
  const nobody = named.find((domid) => domid !== DOMID.SELF && !domids?.includes(domid as number));
  if (nobody === undefined || !asksForAny(facts)) return notExercised;
  if (domids === undefined) return unknown('it is not known which domains there are');
  if (isDoneBefore(facts)) return nothingLeft;
  return rc === undefined ? missing('rc') : refused(facts, rc, `there is no domain ${nameDomid(nobody)}`);
}

/**
 * Does the caller say that all is exchanged already, and is that taken so? Real Xen then looks
 * neither at the domain nor at the lists (count-not-zero).
 */
function isDoneBefore({ call: { rc }, exchanges, nrExchangedBefore, in: given }: Facts): boolean {
  return exchanges && rc === 0 && nrExchangedBefore !== undefined && nrExchangedBefore === given.nr_extents;
}

const nothingLeft = unknown('the caller says that everything is exchanged already');

function checkConserved(facts: Facts): Answer {
  const { pagesBefore, pagesAfter, p2mBefore, p2mAfter } = facts.call;
  const gained = pagesGained(facts.call);
  if (gained !== undefined) return violated(gained);
  const doubled = p2mBefore === p2mAfter ? undefined : firstDoubled(facts);
  if (doubled) return violated(doubled);
  const unlisted = facts.unlistedAtAll;
  if (unlisted !== undefined) return missing(unlisted);
  if (pagesBefore === undefined || pagesAfter === undefined) return missing('pages');
  const bases = facts.reservations.flatMap((r) => facts.extents(r)).map(({ base }) => base);
  if (p2mAfter.size === 0 || !bases.every((gfn) => p2mAfter.has(gfn))) return missing('p2m after');
  return bases.every((gfn) => p2mBefore.has(gfn)) ? holds : missing('p2m');
}

/**
 * The first frame that the call made appear behind two guest frames or in two domains, in words.
 */
function firstDoubled({ call: { p2mBefore, p2mAfter, others = [] } }: Facts): string | undefined {
  const come = new Set<bigint | null>();
  for (const [gfn, frame] of p2mAfter) if (p2mBefore.get(gfn) !== frame) come.add(frame);
  if (come.size === 0) return undefined;
  const elsewhere = new Set(others.flatMap((other) => [...other.p2mAfter.values()]));
  const owner = new Map<bigint, bigint>();
  for (const [gfn, frame] of p2mAfter) {
    if (frame === null || !come.has(frame)) continue;
    const other = owner.get(frame);
    const seen = other !== undefined && p2mBefore.has(gfn) && p2mBefore.has(other);
    const shared = seen && !(p2mBefore.get(gfn) === frame && p2mBefore.get(other) === frame);
    if (shared) return `frame ${hex64(frame)} is behind guest frames ${hex64(other)} and ${hex64(gfn)}`;
    if (elsewhere.has(frame) && p2mBefore.get(gfn) !== frame) return `frame ${hex64(frame)} is in two domains`;
    owner.set(frame, gfn);
  }
  return undefined;
}

function checkBadAddress(facts: Facts): Answer {
  const { rc, unmapped, arch } = facts.call;
  if (rc === undefined) return missing('rc');
  const why = (range: ByteRange): string | undefined => {
    if (range.length === 0n) return undefined;
    if (range.address + range.length > addressLimit(arch)) return 'runs past the end of the address space';
    return unmapped.some((hole) => overlaps(hole, range)) ? 'does not lie in guest memory' : undefined;
  };
  const struct = facts.argumentRange && why(facts.argumentRange);
  const list = facts.reservations.find((r) => r.list !== undefined && why(r.list.range) !== undefined);
  const unseen = facts.unseenAtAll;
  if (!struct && !list?.list) return unseen === undefined || unmapped.length > 0 ? notExercised : missing(unseen);
  if (!struct && isDoneBefore(facts)) return nothingLeft;
  const name = struct ? `the struct ${struct}` : `the ${list?.path} list ${why(list?.list?.range as ByteRange)}`;
  if (rc >= 0) return violated(`${name}, but rc is ${rc}`);
  const butChanged = (change: Violation): Answer => unless([{ ...change, message: `${name}, but ${change.message}` }]);
  const watched = facts.call.changes === undefined ? missing('memory') : holds;
  if (struct) return anyChange(facts) ? missing('struct after') : watched;
  if (facts.op === 'put_dma_buf') {
    const change = anyChange(facts);
    return change ? butChanged(change) : watched;
  }
  if (!facts.done) return missing(facts.asked ? 'struct after' : 'struct');
  const stray = strayChange(facts, writable(facts), ownRanges(facts));
  if (stray) return butChanged(describe(facts, stray));
  const rest = restUnmoved(facts, facts.done);
  if (rest.answer === 'violated') return butChanged(rest.violations[0] as Violation);
  const lacks = facts.unseen(facts.in);
  return lacks === undefined ? holds : holdsUnless(facts.unseen(facts.out));
}
