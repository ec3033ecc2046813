import { XENMEMF } from '../abi/constants.ts';
import { startExtent } from '../abi/ops.ts';
import type { XenMemoryReservation } from '../abi/values.ts';
import { codecFor } from '../codec/codec.ts';
import { take } from './allocator.ts';
import { OP } from './decisions.ts';
import { type List, listBehind, readEntry, writeEntry } from './lists.ts';
import { mapPage, mappableGfns, readBytes, releaseFrame, storeBytes, unmapPage } from './p2m.ts';
import { type Call, namedDomain, structAt } from './request.ts';
import type { Domain } from './state.ts';

/**
 * XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap, as real Xen answers a translated guest:
 * never a negative number. The result counts the extents done from 0, so any early failure returns `start_extent`; a
 * short count says nothing about the cause, and no list is written.
 */
export function reservationOp(call: Call, cmd: number): number {
  const { state, caller, op, d } = call;
  const start = d.reservationStart(startExtent(cmd));
  const codec = codecFor(d.structArch(state.arch)).xen_memory_reservation;
  const where = structAt(call, codec.size);
  const bytes = where && readBytes(state, caller, where, codec.size);
  if (!where || !bytes) return d.reservationCount(start, start, op);
  const asked = d.reservationSeen(codec.decode(bytes), op);
  if (d.structRewritten) {
    const changed = bytes.slice();
    d.structRewritten(changed);
    storeBytes(state, caller, where, changed);
  }
  const domain = namedDomain(state, caller, asked.domid);
  const nr = asked.nr_extents > d.maxExtents ? 0 : Number(asked.nr_extents);
  if (nr <= start || !domain || !isWelcome(call, asked, domain)) return d.reservationCount(start, nr, op);

  const list = listBehind(asked.extent_start, d.structArch(state.arch), d);
  const limit = d.limitFrame(XENMEMF.address_bits(asked.address_bits), asked.extent_order);
  let done = start;
  while (done < nr && oneExtent(call, domain, asked, list, done, limit)) done++;
  return d.reservationCount(done, nr, op);
}

/** What real Xen looks at before the first extent. */
function isWelcome({ state, caller, op, d }: Call, asked: XenMemoryReservation, domain: Domain): boolean {
  const bits = XENMEMF.address_bits(asked.address_bits);
  if (asked.extent_order > d.maxOrder(state.arch) || asked.extent_order > d.callerMaxOrder(caller.privileged, state.arch)) return false;
  if (domain !== caller && !caller.privileged && d.foreignDomain !== 0) return false;
  if (bits !== 0 && bits <= 12) return false;
  return op !== OP.populate || domain !== caller || (asked.address_bits & XENMEMF.populate_on_demand) === 0;
}

function oneExtent(call: Call, domain: Domain, asked: XenMemoryReservation, list: List, i: number, limit: number): boolean {
  const { state, caller, op, d } = call;
  const pages = 2 ** asked.extent_order;
  if (op === OP.increase) {
    const frame = newExtent(call, domain, asked.extent_order, limit);
    if (frame === undefined) return false;
    domain.unaddressed += pages;
    return handOver(call, list, i, frame);
  }
  const gfn = readEntry(state, caller, list, i, d);
  if (gfn === undefined || (d.misaligned !== 0 && gfn % pages !== 0)) return false;
  return op === OP.decrease ? decrease(call, domain, gfn, pages, list, i) : populate(call, domain, asked, gfn, limit, list, i);
}

function decrease(call: Call, domain: Domain, gfn: number, pages: number, list: List, i: number): boolean {
  const { state, d } = call;
  const first = domain.p2m.get(gfn);
  const removable = (page: number): boolean => domain.p2m.has(page) && !(domain.pins.has(page) && d.pinRefuses('decrease') !== 0);
  if (d.decreasesWhole) for (let page = gfn; page < gfn + pages; page++) if (!removable(page)) return false;
  for (let page = gfn; page < gfn + pages; page++) {
    if (!removable(page)) return false;
    const frame = domain.p2m.get(page) as number;
    unmapPage(domain, page);
    domain.owned.delete(frame);
    releaseFrame(state, frame, d);
  }
  return handOver(call, list, i, first ?? 0);
}

/** Gives a hole memory. A page that is there already is left as it is, pinned or not. */
function populate(call: Call, domain: Domain, asked: XenMemoryReservation, gfn: number, limit: number, list: List, i: number): boolean {
  const { state, d } = call;
  const pages = 2 ** asked.extent_order;
  if (!(gfn + pages <= mappableGfns(state.arch))) {
    const lost = d.outputBeyond === 0 ? newExtent(call, domain, asked.extent_order, limit) : undefined;
    if (lost !== undefined) domain.unaddressed += pages;
    return false;
  }
  for (let page = gfn; page < gfn + pages; page++) {
    if (domain.p2m.has(page) && (d.outputPopulated !== 0 || (domain.pins.has(page) && d.pinRefuses('populate') !== 0))) return false;
  }
  const frame = newExtent(call, domain, asked.extent_order, limit);
  if (frame === undefined) return false;
  for (let j = 0; j < pages; j++) {
    if (domain.p2m.has(gfn + j)) domain.unaddressed++;
    mapPage(domain, gfn + j, frame + j);
  }
  return handOver(call, list, i, frame);
}

/** Memory within the domain's allowance; it is the domain's from here on. */
function newExtent(call: Call, domain: Domain, order: number, limit: number): number | undefined {
  const pages = 2 ** order;
  if (domain.dying || domain.owned.size + pages > domain.allowance) return undefined;
  if (call.allocations++ === call.inject.fail_alloc) return undefined;
  const frame = take(call.state.free, order, limit, call.d.prefers);
  if (frame !== undefined) for (let j = 0; j < pages; j++) domain.owned.add(frame + j);
  return frame;
}

/** Real Xen tells only guests that are not translated which frames they got. */
function handOver({ state, caller, op, d }: Call, list: List, i: number, frame: number): boolean {
  const slot = d.reservationSlot(i, op);
  if (slot >= 0) writeEntry(state, caller, list, slot, frame, d);
  return true;
}
