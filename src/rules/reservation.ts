import { knownEntries, readEntry } from '../guest/handle.ts';
import type { ByteRange } from '../guest/memory.ts';
import { type Answer, holds, holdsUnless, missing, notExercised, unknown, unless, violated, wrongRc } from './answer.ts';
import { describe, entriesRange, strayChange } from './changes.ts';
import type { Facts } from './facts.ts';
import type { Check } from './row.ts';
import { type Basis, type Rule, reservationOps } from './rule.ts';

/** What ops 0, 1 and 6 do on a real Xen: the neighbours that every ballooning guest calls with the same struct. */
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
];

function requirement(id: string, rest: Basis & Pick<Rule, 'reading'> & Check): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level: 0, scope: 'call', ops: reservationOps, always: false, ...rest };
}

/** The list entries that the call may write: [start, rc), none for op 1, none where the caller passed no list to op 0. */
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
  const stray = strayChange(facts, writableEntries(facts), [list.range]);
  if (stray) return unless([describe(facts, stray)]);
  const mustWrite = !translated && facts.op !== 'decrease_reservation';
  if (mustWrite) {
    const same = knownEntries(facts.call.before, list).find(
      ({ index, value }) => index >= facts.start && index < BigInt(rc) && readEntry(facts.call.after, list, index) === value,
    );
    // The allocator may have handed out the very frame that the entry named, so this is no proof.
    if (same) return unknown(`entry ${same.index} is as before: written with the same frame, or not at all`);
  }
  return holdsUnless(facts.unseen(facts.in));
}

function isNullList(facts: Facts): boolean {
  return facts.op === 'increase_reservation' && facts.in.extent_start === 0n;
}
