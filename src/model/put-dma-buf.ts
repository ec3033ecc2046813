import { errno } from '../abi/constants.ts';
import type { XenMemoryReservation } from '../abi/values.ts';
import {
  type Call,
  domainNamed,
  isMisaligned,
  isReadable,
  isRefusedHandle,
  listOf,
  preemptedAfter,
  readEntries,
  readStruct,
  refusedDomain,
} from './call.ts';
import type { Domain } from './state.ts';

const { EFAULT, EINVAL, EPERM } = errno;

/**
 * XENMEM_put_dma_buf: "unpins a set of pages, previously pinned by XENMEM_get_dma_buf. After this
 * call the p2m mapping of the pages can be transparently changed by the hypervisor, as usual. The
 * pages are still accessible from the guest." Returns 0 or a negative errno, never a count. All
 * pages or none: one that is not pinned, or is named twice, refuses the put. Nothing is written
 * back, so a preempted call goes on at the `start_extent` that Xen keeps in `cmd`.
 */
export function putDmaBuf(call: Call): number {
  const step = preemptedAfter(call);
  for (let start = 0; ; start += step) {
    const asked = readStruct(call, 'xen_put_dma_buf')?.in;
    if (!asked) return -EFAULT; // bad-address-fails
    const refused = refusal(call, asked);
    if (refused !== 0) return -refused;

    const isAllOrNothing = call.freedoms['put-partly-pinned'] === 'all-or-nothing';
    const left = Math.max(0, Number(asked.nr_extents) - start);
    const bases = readEntries(call, listOf(call, asked), start, isAllOrNothing ? left : Math.min(step, left));
    if (!bases) return -EFAULT; // bad-address-fails
    const { pins } = domainNamed(call, asked.domid) as Domain;
    const { extents, refused: isPartly } = pinnedIn(call, asked, bases);
    if (isPartly && isAllOrNothing) return -EINVAL; // put-not-pinned
    // Only the pins go: mapping, content and ownership stay (put-keeps-pages)
    for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);
    if (isPartly) return -EINVAL; // put-partly-pinned
    if (step >= left) return 0;
  }
}

/** The first guard that fails, as an errno, or 0. Nothing has happened yet. */
function refusal(call: Call, asked: XenMemoryReservation): number {
  const { caller, freedoms } = call;
  const { max_order, max_order_unprivileged, max_extents } = freedoms['more-limits'];
  const { extent_order, nr_extents, domid } = asked;
  const list = listOf(call, asked);
  if (extent_order > max_order) return EINVAL; // bounded-work
  if (nr_extents > max_extents) return EINVAL; // bounded-work
  if (isRefusedHandle(call, asked)) return EFAULT; // caller-handle-high-zero
  if (list.wraps) return EFAULT; // bad-address-fails
  if (extent_order > max_order_unprivileged && !caller.privileged) return EPERM; // bounded-work
  const foreign = refusedDomain(call, domainNamed(call, domid), domid);
  if (foreign !== 0) return foreign; // get-refuses-foreign-domid, caller-self-only
  return freedoms['bad-list'] === 'up-front' && !isReadable(call, list) ? EFAULT : 0; // bad-address-fails
}

/**
 * The pages to be unpinned, extent by extent, and whether the list goes on with one that cannot be.
 */
interface Pinned {
  readonly extents: readonly (readonly number[])[];
  readonly refused: boolean;
}

/**
 * The pages that extents name, extent by extent, up to the first that is not pinned, or is named
 * twice.
 */
function pinnedIn(call: Call, { domid, extent_order }: XenMemoryReservation, bases: readonly number[]): Pinned {
  const { pins } = domainNamed(call, domid) as Domain;
  const { freedoms } = call;
  const size = 2 ** extent_order;
  const named = new Set<number>();
  const extents: number[][] = [];
  for (const base of bases) {
    const pages: number[] = [];
    extents.push(pages);
    if (isMisaligned(call, [base], size)) return { extents, refused: true };
    for (let gfn = base; gfn < base + size; gfn++) {
      if (pins.has(gfn) && !named.has(gfn)) {
        pages.push(gfn);
        named.add(gfn);
      } else if (freedoms['put-not-pinned'] === 'refused') {
        return { extents, refused: true }; // put-partly-pinned
      }
    }
  }
  return { extents, refused: false };
}
