import { XENMEMF } from '../abi/constants.ts';
import { hex64 } from '../codec/hex.ts';
import { knownEntries, readEntry } from '../guest/handle.ts';
import type { ByteRange } from '../guest/memory.ts';
import { type Answer, holds, holdsUnless, missing, notExercised, unknown, unless, violated, wrongRc } from './answer.ts';
import { describe, entriesRange, isRemapped, moved, strayChange } from './changes.ts';
import { endsBelow, isMultiple, pagesOf } from './exact.ts';
import { addressesOf, type Extent } from './extents.ts';
import { asksForAny, type Facts } from './facts.ts';
import { checkForeign } from './get.ts';
import { finder } from './mappings.ts';
import { type Check, each, when } from './row.ts';
import { type Basis, type Rule, reservationOps } from './rule.ts';

/**
 * What ops 0, 1 and 6 do on a real Xen: the neighbours that every ballooning guest calls with the
 * same struct.
 */
export const reservationRules: readonly Rule[] = [
  requirement('reservation-count', {
    source: 'memory.h',
    quote: 'Returns the number of extents successfully allocated or freed',
    reading:
      'start_extent ≤ rc ≤ max(nr_extents, start_extent). A negative rc is an errno that the public header knows, and then no answer of these calls (reservation-negative).',
    needs: ['rc', 'struct'],
    check: checkCount,
  }),
  requirement('reservation-list', {
    source: 'memory.h',
    quote: 'OUT: GMFN bases of extents that were allocated',
    also: [{ source: 'memory.h', quote: 'OUT: MFN (*not* GMFN) bases of extents that were allocated' }],
    remark: 'the first is said of XENMEM_populate_physmap, the second of XENMEM_increase_reservation',
    reading:
      'Ops 0 and 6 of a translated guest may write list entries from start_extent up to rc and nothing else in the list; an x86 PV guest gets exactly those. Op 1 writes none.',
    needs: ['rc', 'struct', 'struct after', 'in list', 'in list after'],
    check: checkList,
  }),
  requirement('reservation-refuses-foreign-domid', {
    always: true,
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading: 'A caller known to be unprivileged names another domain, and asks for an extent: rc = start_extent and no change.',
    needs: ['rc', 'struct', 'privileged'],
    check: checkForeign,
  }),
  requirement('reservation-effects', {
    level: 1,
    source: 'memory.h',
    quote: 'Returns the number of extents successfully allocated or freed',
    reading:
      'The pages of extents from start_extent up to rc are unmapped and no longer owned (op 1), mapped and owned (op 6), owned (op 0); the others are mapped as before. A direct-mapped domain keeps owning what it gives up, which is taken for a reading.',
    needs: ['rc', 'struct', 'in list', 'p2m', 'p2m after', 'pages'],
    check: checkEffects,
  }),
  requirement('reservation-contiguous', {
    level: 1,
    ops: ['populate_physmap'],
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: 'The pages of a populated extent lie one after another in machine memory, the first at a multiple of 2^extent_order.',
    ...each({
      when: when(['rc', 'order'], ({ order }) => order > 0),
      needs: [],
      each: populatedPages,
      shown: ['in list', 'p2m after'],
      must: ({ j, base, frame }, { order }) => frame === null || base === null || (frame === base + j && isMultiple(base, order)),
      else: ({ index, j, base, frame }, { order }) =>
        frame === (base ?? 0n) + j
          ? `extent ${index} lies at frame ${hex64(base ?? 0n)}, no multiple of 2^${order}`
          : `page ${j} of extent ${index} lies at frame ${hex64(frame ?? 0n)}, the extent at ${hex64(base ?? 0n)}`,
    }),
  }),
  requirement('reservation-limit', {
    level: 1,
    ops: ['increase_reservation', 'populate_physmap'],
    source: 'memory.h',
    quote: 'Maximum # bits addressable by the user of the allocated region',
    also: [{ source: 'memory.h', quote: 'If zero then the user has no addressing restriction' }],
    reading:
      'With 0 < address_bits = b ≤ 255 each new extent ends at or below frame 2^(b-12): seen in the p2m for op 6, in the list that an x86 PV guest gets for ops 0 and 6.',
    ...each({
      when: when(['rc', 'in.bits'], (seen) => seen['in.bits'] !== 0 && seen['in.bits'] <= 0xff),
      needs: [],
      each: newFrames,
      shown: ['in list', 'in list after', 'p2m after'],
      must: ({ frame, pages }, seen) => frame === null || endsBelow(frame, pages, seen['in.bits']),
      else: ({ index, frame }, seen) => `extent ${index} at frame ${hex64(frame ?? 0n)} does not end below 2^${seen['in.bits']} bytes`,
    }),
  }),
];

type Optional = Partial<Pick<Rule, 'level' | 'ops' | 'always'>>;

function requirement(id: string, rest: Basis & Pick<Rule, 'reading'> & Check & Optional): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level: 0, scope: 'call', ops: reservationOps, always: false, ...rest };
}

/** Was an extent done: is it one of [start, rc)? None is of a negative rc. */
function doneBy({ call: { rc = 0 }, start }: Facts): (extent: { readonly index: bigint }) => boolean {
  const end = BigInt(rc);
  return ({ index }) => index >= start && index < end;
}

/**
 * Are pages asked for that get their memory only when they are touched? Of those nothing is to be
 * seen.
 */
function isOnDemand({ op, in: { address_bits: bits } }: Facts): boolean {
  return op === 'populate_physmap' && ((bits ?? 0) & XENMEMF.populate_on_demand) !== 0;
}

function checkEffects(facts: Facts): Answer {
  const { rc, pagesBefore, pagesAfter, p2mBefore, p2mAfter, privileged, translated } = facts.call;
  const { nr_extents: nr, extent_order: order } = facts.in;
  if (rc === undefined) return missing('rc');
  if (nr === undefined || order === undefined) return missing('struct');
  if (!translated) return unknown('a guest that works with machine frames keeps its own p2m');
  if (isOnDemand(facts)) return unknown('the pages are populated when they are touched');
  const isDone = doneBy(facts);
  const count = rc < 0 || BigInt(rc) <= facts.start ? 0n : BigInt(rc) - facts.start;
  if (!asksForAny(facts)) return notExercised;
  let kept: Answer | undefined;
  const said = (): string => `it counts ${count} extents of order ${order}`;
  // What was mapped before an extent was populated over it stays owned or not: a reading.
  const [doneAt, mapped] = [finder(facts.sorted(facts.in).filter(isDone)), facts.op === 'populate_physmap'];
  const isOver = mapped && [...p2mBefore].some(([gfn, frame]) => frame !== null && doneAt(gfn) !== undefined);
  const pages = pagesOf(order);
  if (pages === undefined && count > 0n) return violated(`${said()}, and no machine has one`);
  if (pagesBefore !== undefined && pagesAfter !== undefined && pages !== undefined && !isOver) {
    const sign = facts.op === 'decrease_reservation' ? -1n : 1n;
    const gained = BigInt(pagesAfter - pagesBefore);
    // Of the extent at which a decrease stopped it may have freed some pages.
    const isCut =
      facts.op === 'decrease_reservation' && count < nr - facts.start && -gained > count * pages && -gained < (count + 1n) * pages;
    const keeps = privileged !== false && gained === 0n && facts.op !== 'increase_reservation';
    if (gained !== sign * count * pages) {
      if (!keeps && !isCut) return violated(`${said()}, and the domain owned ${pagesBefore} pages before and ${pagesAfter} after`);
      kept = unknown(isCut ? cutShortOf : 'a direct-mapped domain keeps its pages');
    }
  }
  if (facts.op === 'increase_reservation') return pagesBefore === undefined || pagesAfter === undefined ? missing('pages') : holds;
  let unseen: 'p2m' | 'p2m after' | undefined;
  const cut = cutShort(facts, (page) => p2mBefore.get(page) === null || doneAt(page) !== undefined);
  // Extents may lie on each other: from where on no page was looked at, of done ones and of others.
  const next = new Map<boolean, bigint>();
  for (const extent of facts.sorted(facts.in)) {
    const { index, base } = extent;
    const own = isDone(extent);
    const from = next.get(own) ?? 0n;
    let gfn = base > from ? base : from;
    for (; gfn < base + extent.pages; gfn++) {
      const [before, after] = [p2mBefore.get(gfn), p2mAfter.get(gfn)];
      if (after === undefined || (!own && before === undefined)) {
        unseen ??= after === undefined ? 'p2m after' : 'p2m';
        break;
      }
      if (own && (after !== null) !== mapped) {
        return violated(`${said()}, and guest frame ${hex64(gfn)} of extent ${index} is ${mapped ? 'not' : 'still'} mapped`);
      }
      // Two extents may share a page, and one of them is done.
      if (!own && isRemapped(before ?? null, after) && !doneAt(gfn)) {
        if (cut && gfn >= cut.base && gfn < cut.base + cut.pages) {
          kept ??= unknown(cutShortOf);
          break;
        }
        return violated(`${said()}, and guest frame ${hex64(gfn)} of extent ${index} ${moved(before ?? null, after)}`);
      }
    }
    next.set(own, gfn);
  }
  return kept ?? holdsUnless(unseen ?? facts.unlisted(facts.in));
}

const cutShortOf = 'the extent that it stopped at has a hole, and may be done up to there';

/**
 * The extent at which a decrease stopped, if there is a hole in it. Real Xen frees page by page: it
 * does not count an extent of which it freed a part.
 */
function cutShort(facts: Facts, isHole: (gfn: bigint) => boolean): Extent | undefined {
  const stopped = BigInt(facts.call.rc ?? -1);
  const extent = facts.op === 'decrease_reservation' ? facts.extents(facts.in).find(({ index }) => index === stopped) : undefined;
  if (!extent) return undefined;
  // By the pages that were looked at: an extent may be of any size.
  const looked = [...facts.call.p2mBefore.keys()].filter((gfn) => gfn >= extent.base && gfn < extent.base + extent.pages);
  return looked.some(isHole) ? extent : undefined;
}

/** A page that was populated, the frame behind it and behind the first page of its extent. */
interface Populated {
  readonly index: bigint;
  readonly j: bigint;
  readonly base: bigint | null;
  readonly frame: bigint | null;
}

function* populatedPages(facts: Facts): Generator<Populated | Answer> {
  const { p2mAfter, translated } = facts.call;
  if (!translated || isOnDemand(facts)) return;
  const done = facts.extents(facts.in).filter(doneBy(facts));
  const shared = sharing(facts.sorted(facts.in).filter(doneBy(facts)));
  for (const { index, base: gfn, pages } of done) {
    // One that a later extent was populated over is not what it was.
    if (shared.has(index)) continue;
    const base = p2mAfter.get(gfn);
    if (base === gfn) continue; // direct-mapped: it lies where its guest frame does
    for (let j = 0n; j < pages; j++) {
      const frame = p2mAfter.get(gfn + j);
      if (frame === undefined || base === undefined) {
        yield missing('p2m after');
        break;
      }
      yield { index, j, base, frame };
    }
  }
}

/** Which extents of a sorted list share pages with another one: as all are of one size, a next one. */
function sharing(sorted: readonly Extent[]): ReadonlySet<bigint> {
  const shared = new Set<bigint>();
  for (const [i, extent] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next && next.base < extent.base + extent.pages) shared.add(extent.index).add(next.index);
  }
  return shared;
}

/** New extents by their frames, each page by itself where it is the p2m that shows them. */
function* newFrames(facts: Facts): Generator<{ index: bigint; frame: bigint | null; pages: bigint } | Answer> {
  const { translated, after } = facts.call;
  const { list, extent_order: order } = facts.in;
  const isDone = doneBy(facts);
  const pages = order === undefined ? undefined : pagesOf(order);
  if (translated) {
    if (facts.op === 'increase_reservation') return; // no guest frame leads to them
    for (const page of populatedPages(facts)) yield 'answer' in page ? page : { ...page, pages: 1n };
    return;
  }
  if (!list || pages === undefined || isNullList(facts)) return;
  for (const entry of knownEntries(after, list)) if (isDone(entry)) yield { index: entry.index, frame: entry.value, pages };
}

/**
 * The list entries that the call may write: [start, rc), none for op 1, none where the caller
 * passed no list to op 0.
 */
export function writableEntries(facts: Facts): ByteRange[] {
  const { rc } = facts.call;
  if (facts.op === 'decrease_reservation' || rc === undefined || isNullList(facts)) return [];
  return entriesRange(facts.in, facts.start, BigInt(rc));
}

function checkCount({ call: { rc }, start, in: { nr_extents } }: Facts): Answer {
  if (rc === undefined) return missing('rc');
  const wrong = rc < 0 ? wrongRc(rc) : undefined;
  if (wrong !== undefined) return violated(wrong);
  if (rc < 0) return unknown('a count is answered, and this is none: see capture-rc');
  if (BigInt(rc) < start) return violated(`rc is ${rc}, below start_extent ${start}`);
  if (BigInt(rc) === start) return holds;
  if (nr_extents === undefined) return missing('struct');
  if (BigInt(rc) <= nr_extents) return holds;
  return violated(`rc is ${rc}, more than the ${nr_extents} extents asked for`);
}

function checkList(facts: Facts): Answer {
  const { rc, translated } = facts.call;
  const { list } = facts.in;
  if (rc === undefined) return missing('rc');
  if (list === undefined) return missing('struct');
  if (isNullList(facts)) return notExercised;
  // A list may run on into pages that the call populates, or gives away.
  const isOwn = facts.call.space === 'physical' && !facts.foreign;
  const handedOver = isOwn ? facts.extents(facts.in).filter(doneBy(facts)) : [];
  const stray = strayChange(facts, [...writableEntries(facts), ...handedOver.map(addressesOf)], [list.range]);
  const isAllSeen = !isOwn || BigInt(handedOver.length) >= BigInt(rc) - facts.start;
  if (stray) return isAllSeen ? unless([describe(facts, stray)]) : missing('in list');
  const mustWrite = !translated && facts.op !== 'decrease_reservation';
  if (mustWrite) {
    const isDone = doneBy(facts);
    const same = knownEntries(facts.call.before, list).find(
      (entry) => isDone(entry) && readEntry(facts.call.after, list, entry.index) === entry.value,
    );
    // The allocator may have handed out the very frame that the entry named, so this is no proof.
    if (same) return unknown(`entry ${same.index} is as before: written with the same frame, or not at all`);
  }
  return holdsUnless(facts.unseen(facts.in));
}

function isNullList(facts: Facts): boolean {
  return facts.op === 'increase_reservation' && facts.in.extent_start === 0n;
}
