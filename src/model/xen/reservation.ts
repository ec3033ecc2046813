import { MEMOP_MAX_EXTENTS, PAGE_SHIFT, XENMEMF } from '../../abi/constants.ts';
import type { XenMemoryReservation } from '../../abi/values.ts';
import { domainNamed, listOf, readStruct, writeEntry } from '../call.ts';
import { releaseFrame, unmapPage } from '../p2m.ts';
import { newExtent, type ReservationOp } from '../reservation-ops.ts';
import type { Domain } from '../state.ts';
import { addPages, entry, hasNode, lacksNode, nodeFlags, type ReleaseCall } from './release.ts';

/** "construct_memop_from_reservation" and what stands around it. */
export function reservation(s: ReleaseCall, op: ReservationOp, start: number): number {
  const { call, release } = s;
  const { caller, state } = call;
  const asked = readStruct(call, 'xen_memory_reservation');
  if (!asked || asked.nr_extents > MEMOP_MAX_EXTENTS || start >= asked.nr_extents) return start;
  const bits = XENMEMF.address_bits(asked.address_bits);
  const domain = domainNamed(call, asked.domid);
  if (!domain || (bits !== 0 && bits <= PAGE_SHIFT) || !hasNode(call, nodeFlags(asked.address_bits))) return start;
  if (domain !== caller && !caller.privileged) return release.foreign(start);
  const maxOrder = op === 'decrease_reservation' ? release.maxDecreaseOrder : release.maxOrder;
  if (asked.extent_order > maxOrder(caller.privileged, state.arch)) return start;
  // "Disallow populating PoD pages on oneself."
  if (op === 'populate_physmap' && domain === caller && (asked.address_bits & XENMEMF.populate_on_demand) !== 0) return start;
  const one = { increase_reservation: increase, decrease_reservation: decrease, populate_physmap: populate }[op];
  let done = start;
  while (done < asked.nr_extents && one(s, asked, domain, done)) done++;
  return done;
}

function increase({ call, release, translated }: ReleaseCall, asked: XenMemoryReservation, domain: Domain, i: number): boolean {
  const mfn = lacksNode(call, nodeFlags(asked.address_bits)) ? undefined : newExtent({ ...asked, call, domain });
  if (mfn === undefined) return false;
  domain.unaddressed += 2 ** asked.extent_order;
  // "Inform the domain of the new page's machine address."
  if ((translated && !release.tellsTranslated) || asked.extent_start === 0n) return true;
  return entry(call, asked, i) !== undefined && writeEntry(call, listOf(call, asked), i, mfn);
}

/**
 * Page by page: what was removed of an extent before it failed stays removed, and is not counted.
 */
function decrease({ call, translated, directMapped }: ReleaseCall, asked: XenMemoryReservation, domain: Domain, i: number): boolean {
  const gmfn = entry(call, asked, i);
  if (gmfn === undefined) return false;
  for (let gfn = gmfn; gfn < gmfn + 2 ** asked.extent_order; gfn++) {
    const mfn = translated ? domain.p2m.get(gfn) : gfn;
    if (mfn === undefined || !domain.owned.has(mfn)) return false;
    if (translated) unmapPage(domain, gfn);
    if (directMapped) {
      domain.unaddressed++; // "the page is kept allocated": populate_physmap must give the same one back
    } else {
      if (!translated) domain.unaddressed--;
      domain.owned.delete(mfn);
      releaseFrame(call.state, mfn);
    }
  }
  return true;
}

function populate(s: ReleaseCall, asked: XenMemoryReservation, domain: Domain, i: number): boolean {
  const { call, release, translated, directMapped } = s;
  const gpfn = entry(call, asked, i);
  if (gpfn === undefined) return false;
  const pages = 2 ** asked.extent_order;
  if (directMapped) {
    for (let mfn = gpfn; mfn < gpfn + pages; mfn++) if (!domain.owned.has(mfn)) return false;
    return addPages(s, domain, gpfn, gpfn, pages);
  }
  const mfn = lacksNode(call, nodeFlags(asked.address_bits)) ? undefined : newExtent({ ...asked, call, domain });
  if (mfn === undefined) return false;
  domain.unaddressed += pages;
  if (translated) return addPages(s, domain, gpfn, mfn, pages) || !release.noticesUnmapped;
  return writeEntry(call, listOf(call, asked), i, mfn);
}
