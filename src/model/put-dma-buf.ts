import { errno } from '../abi/constants.ts';
import { codecFor } from '../codec/codec.ts';
import { take } from './allocator.ts';
import { readEntry } from './lists.ts';
import { movePage, readBytes, releaseFrame, storeBytes, unmapPage } from './p2m.ts';
import { type Call, type Request, refusalOf, requestOf, structAt } from './request.ts';
import type { Domain } from './state.ts';

/** Pins taken away, entry after entry of the list. */
interface Unpinned {
  /** What stands against an entry, 0 if nothing does. */
  errno: number;
  /** The gfn each entry named. */
  readonly bases: number[];
  /** Every page that was pinned and is not any more. */
  readonly pages: number[];
  /** How many of those the entries up to and with each one account for. */
  readonly marks: number[];
}

/**
 * XENMEM_put_dma_buf: "unpins a set of pages, previously pinned by XENMEM_get_dma_buf … The pages are still accessible from
 * the guest." Returns 0 or a negative errno, never a count. All pages or none: a page that is not pinned refuses the put.
 * After a preemption the struct is read afresh, with `start_extent` as the cursor.
 */
export function putDmaBuf(call: Call): number {
  const { state, caller, d } = call;
  const interval = d.preemptsAfter(call.inject.preempt);
  const step = interval === undefined || !(interval > 0) ? Number.POSITIVE_INFINITY : Math.ceil(interval);
  for (let start = 0; ; ) {
    // Guards: nothing has happened yet
    const codec = codecFor(d.structArch(state.arch)).xen_put_dma_buf;
    const where = structAt(call, codec.size);
    const bytes = where && readBytes(state, caller, where, codec.size);
    if (!where || !bytes) return 0 - d.structUnreadable; // bad-address-fails
    const request = requestOf(call, d.reservationSeen(codec.decode(bytes).in, call.op));
    if (d.structRewritten) {
      const changed = bytes.slice();
      d.structRewritten(changed);
      storeBytes(state, caller, where, changed);
    }
    const refused = refusalOf(call, request);
    if (refused !== 0) return 0 - refused;
    const domain = request.named ?? caller;
    const unpinned = unpin(call, request, domain, start);
    if (unpinned.errno !== 0) {
      if (d.putAllOrNothing) pinAgain(domain, unpinned, 0);
      return 0 - unpinned.errno;
    }

    // Effects: the pins are gone, as far as this pass goes; mapping, content and ownership stay (put-keeps-pages)
    const extents = Number(request.in.nr_extents);
    const end = Math.min(start + step, extents);
    pinAgain(domain, unpinned, end - start);
    for (const base of unpinned.bases.slice(0, end - start)) settle(call, domain, base, 2 ** request.in.extent_order);
    if (end >= extents) return 0;
    if (!d.keepsPins('preemption')) domain.pins.clear();
    start = Math.max(end, d.resumesAt(end, call.op));
  }
}

/** Takes the pins of all listed pages away, up to the first that has none; one listed twice has none the second time. */
function unpin(call: Call, { in: input, inList }: Request, domain: Domain, start: number): Unpinned {
  const { state, caller, d } = call;
  const unpinned: Unpinned = { errno: 0, bases: [], pages: [], marks: [] };
  const pages = 2 ** input.extent_order;
  for (let i = start; i < input.nr_extents; i++) {
    const entry = readEntry(state, caller, inList, i, d);
    if (entry === undefined) return { ...unpinned, errno: errno.EFAULT };
    const base = d.putTarget(entry, () => gfnOfFrame(domain, entry));
    if (d.misaligned !== 0 && base % pages !== 0) unpinned.errno = d.misaligned;
    for (let page = base; page < base + pages && unpinned.errno === 0; page++) {
      if (domain.pins.delete(page)) unpinned.pages.push(page);
      else unpinned.errno = unpinned.pages.includes(page) ? d.putTwice : d.putUnpinned;
      if (!domain.p2m.has(page)) break; // bounded-work: where a put of anything is welcome, no page follows the end of RAM
    }
    if (unpinned.errno !== 0) return unpinned;
    unpinned.bases.push(base);
    unpinned.marks.push(unpinned.pages.length);
  }
  return unpinned;
}

/** Pins what the entries from this one on had lost. */
function pinAgain(domain: Domain, { pages, marks }: Unpinned, entry: number): void {
  for (let i = entry === 0 ? 0 : (marks[entry - 1] ?? pages.length); i < pages.length; i++) domain.pins.add(pages[i] as number);
}

/** What decisions add to an extent that was put: in the strict reading nothing. */
function settle(call: Call, domain: Domain, base: number, pages: number): void {
  const { state, d } = call;
  const [from, to] = d.putReach(pages);
  for (let j = from; j < to; j++) domain.pins.delete(base + j);
  for (let j = 0; j < pages; j++) {
    if ((j < from || j >= to) && domain.p2m.has(base + j)) domain.pins.add(base + j);
  }
  for (let j = 0; j < pages && d.putEffect !== 'nothing'; j++) {
    const frame = domain.p2m.get(base + j);
    if (frame === undefined) return;
    switch (d.putEffect) {
      case 'unmaps':
        unmapPage(domain, base + j);
        domain.unaddressed++;
        break;
      case 'frees':
        unmapPage(domain, base + j);
        domain.owned.delete(frame);
        releaseFrame(state, frame, d);
        break;
      case 'moves': {
        const other = take(state.free, 0, Number.POSITIVE_INFINITY, d.prefers);
        if (other !== undefined) movePage(state, domain, base + j, frame, other, d);
        break;
      }
      case 'clears':
        state.content.delete(frame);
        domain.changed.pages.add(base + j);
    }
  }
}

function gfnOfFrame(domain: Domain, frame: number): number | undefined {
  for (const [gfn, mfn] of domain.p2m) if (mfn === frame) return gfn;
  return undefined;
}
