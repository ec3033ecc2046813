import { PAGE_SHIFT, XENMEMF } from '../abi/constants.ts';
import { startExtent } from '../abi/ops.ts';
import type { XenMemoryReservation } from '../abi/values.ts';
import type { GuestList } from '../guest/handle.ts';
import { take } from './allocator.ts';
import { type Call, domainNamed, frameLimit, isMisaligned, listOf, pagesOf, readEntries, readStruct } from './call.ts';
import { giveUp, mapPage, mappableGfns } from './p2m.ts';
import type { Domain } from './state.ts';

export type ReservationOp = 'increase_reservation' | 'decrease_reservation' | 'populate_physmap';

/** One of these ops on its way: its struct, whose pages it is about, and its list. */
interface Work extends XenMemoryReservation {
  readonly call: Call;
  readonly domain: Domain;
  readonly list: GuestList;
}

/** Each does one extent, or nothing of it: was it done? */
const extent: { readonly [op in ReservationOp]: (work: Work, index: number) => boolean } = {
  increase_reservation: increase,
  decrease_reservation: decrease,
  populate_physmap: populate,
};

/**
 * XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap of a translated
 * guest: never a negative number. The result counts the extents done from 0, so any early failure
 * returns `start_extent`; a short count says nothing about the cause, and no list is written.
 * Stricter than real Xen (src/model/xen): an extent is done whole or not at all, and a populated
 * gfn is refused.
 */
export function reservationOp(call: Call, op: ReservationOp, cmd: number): number {
  const start = startExtent(cmd);
  const asked = readStruct(call, 'xen_memory_reservation');
  const domain = asked && domainNamed(call, asked.domid);
  if (!asked || !domain || isUnwelcome(call, op, asked, domain)) return start;
  const work: Work = { ...asked, call, domain, list: listOf(call, asked) };
  let done = start;
  while (done < asked.nr_extents && extent[op](work, done)) done++;
  return done;
}

/** What real Xen looks at before the first extent. */
function isUnwelcome({ caller, freedoms }: Call, op: ReservationOp, asked: XenMemoryReservation, domain: Domain): boolean {
  const { max_order, max_order_unprivileged, max_extents } = freedoms['more-limits'];
  const bits = XENMEMF.address_bits(asked.address_bits);
  if (asked.nr_extents > max_extents) return true;
  if (asked.extent_order > (caller.privileged ? max_order : Math.min(max_order, max_order_unprivileged))) return true;
  if (domain !== caller && !caller.privileged) return true; // reservation-refuses-foreign-domid
  if (bits !== 0 && bits <= PAGE_SHIFT) return true;
  return op === 'populate_physmap' && domain === caller && (asked.address_bits & XENMEMF.populate_on_demand) !== 0;
}

/** Gives the domain memory that no gfn leads to. */
function increase(work: Work): boolean {
  if (newExtent(work) === undefined) return false;
  work.domain.unaddressed += 2 ** work.extent_order;
  return true;
}

function decrease({ call, domain, list, extent_order }: Work, index: number): boolean {
  const bases = readEntries(call, list, index, 1);
  if (!bases) return false;
  const pages = 2 ** extent_order;
  if (isMisaligned(call, bases, pages)) return false;
  const isPinRefused = call.freedoms['guest-changes-pinned'] === 'refused';
  for (const gfn of pagesOf(bases, pages)) {
    if (!domain.p2m.has(gfn) || (isPinRefused && domain.pins.has(gfn))) return false; // get-pinned
  }
  for (const gfn of pagesOf(bases, pages)) giveUp(call.state, domain, gfn);
  return true;
}

function populate(work: Work, index: number): boolean {
  const { call, domain, list, extent_order } = work;
  const bases = readEntries(call, list, index, 1);
  if (!bases) return false;
  const [gpfn] = bases as [number];
  const pages = 2 ** extent_order;
  if (isMisaligned(call, bases, pages) || gpfn + pages > mappableGfns(call.state.arch)) return false;
  for (const gfn of pagesOf(bases, pages)) {
    if (!domain.p2m.has(gfn)) continue;
    if (domain.pins.has(gfn) && call.freedoms['guest-changes-pinned'] === 'refused') return false; // get-pinned
    if (call.freedoms['populated-output'] === 'refused') return false;
  }
  const mfn = newExtent(work);
  if (mfn === undefined) return false;
  for (let j = 0; j < pages; j++) {
    if (domain.p2m.has(gpfn + j)) domain.unaddressed++;
    mapPage(domain, gpfn + j, mfn + j);
  }
  return true;
}

/** Memory within the domain's allowance and below the limit; it is the domain's from here on. */
export function newExtent({ call, domain, extent_order, address_bits }: Omit<Work, 'list'>): number | undefined {
  const pages = 2 ** extent_order;
  if (domain.dying || domain.owned.size + pages > domain.allowance) return undefined;
  if (call.allocations++ === call.inject.fail_alloc) return undefined;
  const mfn = take(call.state.free, extent_order, frameLimit(address_bits));
  if (mfn !== undefined) for (let j = 0; j < pages; j++) domain.owned.add(mfn + j);
  return mfn;
}
