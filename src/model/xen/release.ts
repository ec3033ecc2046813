import type { Arch } from '../../abi/arch.ts';
import { XENMEMF } from '../../abi/constants.ts';
import type { XenMemoryReservation } from '../../abi/values.ts';
import { type Call, listOf, readEntries } from '../call.ts';
import type { Exchange } from '../exchange.ts';
import { mapPage, mappableGfns } from '../p2m.ts';
import type { Domain } from '../state.ts';

// What the releases of Xen have in common and where they differ; xen/common/memory.c is what they
// are told after.

/** Nothing is left to be exchanged: 0 at once, and nothing is written. */
export const NOTHING_LEFT = -1;

/** In what the releases of Xen differ, of what is told here. */
export interface Release {
  /** What ops 26 and 27 are answered with: no release has the calls of the patch. */
  readonly unknownOp: number;
  /** The highest order that a caller may use, by whether it is privileged. */
  readonly maxOrder: (privileged: boolean, arch: Arch) => number;
  /** The highest order that decrease_reservation looks at, by the same. */
  readonly maxDecreaseOrder: (privileged: boolean, arch: Arch) => number;
  /** Does increase_reservation write its list for a guest too whose p2m Xen keeps? */
  readonly tellsTranslated: boolean;
  /**
   * Is it noticed that guest_physmap_add_page failed? Where it is not, populate_physmap counts the
   * extent all the same.
   */
  readonly noticesUnmapped: boolean;
  /**
   * The checks of memory_exchange before its loop, in its order: an errno, 0, or `NOTHING_LEFT`.
   */
  readonly refusal: (call: Call, x: Exchange) => number;
  /**
   * The errno of `steal_page` where it takes no page away, so that no exchange works: on Arm it is
   * a stub. 0 where it does.
   */
  readonly cannotSteal: (s: ReleaseCall) => number;
  /**
   * D1: a fault after the commit ends the call, its chunk uncounted. D2: it goes on to the end,
   * with rc -EFAULT.
   */
  readonly lateFault: 'D1' | 'D2';
  /**
   * Ops 0, 1, 6 on another's pages: the extent to start from, as for any early failure, or an errno
   * all the same.
   */
  readonly foreign: (start: number) => number;
}

/** A call on its way through a release. */
export interface ReleaseCall {
  readonly call: Call;
  readonly release: Release;
  /**
   * Does Xen keep the p2m of the guest? One that it does not (x86 PV) works with machine frames.
   */
  readonly translated: boolean;
  /**
   * Does the memory of the guest lie where it would without a hypervisor, gfn = mfn, and stay its
   * own when it is given back?
   */
  readonly directMapped: boolean;
  /** The gfns that the p2m has room for; absent: as many as the architecture has. */
  readonly mappable: number | undefined;
}

/**
 * The guests of a machine. `translated`: Xen keeps their p2m. `direct-mapped`: so it does, and gfn
 * = mfn, as for the first domain on Arm. `pv`: a guest works with machine frames and keeps its own
 * p2m, as x86 PV does.
 */
export type Guests = 'translated' | 'direct-mapped' | 'pv';

/** Nodes that a Xen can tell apart (MAX_NUMNODES). These machines have the first one only. */
function mostNodes(arch: Arch): number {
  return arch === 'x86_64' || arch === 'x86_32' ? 64 : 1;
}

/**
 * "propagate_node": can there be such a node? Hints of an unprivileged domain are passed over,
 * demands refused.
 */
export function hasNode({ caller: { privileged }, state }: Call, flags: number): boolean {
  const node = XENMEMF.node(flags);
  if (node === undefined) return true;
  return privileged ? node < mostNodes(state.arch) : (flags & XENMEMF.exact_node_request) === 0;
}

/** Is memory of another node than the first demanded? There is none, and so no memory at all. */
export function lacksNode({ caller }: Call, flags: number): boolean {
  return caller.privileged && (flags & XENMEMF.exact_node_request) !== 0 && (XENMEMF.node(flags) ?? 0) > 0;
}

/**
 * The flags of ops 0, 1 and 6 without a node of the guest's own numbering, which only they know of:
 * op 11 takes it for one of the machine.
 */
export function nodeFlags(flags: number): number {
  return (flags & XENMEMF.vnode) === 0 ? flags : 0;
}

/** The entry of a list: a 32-bit Xen seems to drop its upper half. */
export function entry(call: Call, asked: XenMemoryReservation, index: number): number | undefined {
  const [frame] = readEntries(call, listOf(call, asked), index, 1) ?? [];
  return call.state.arch === 'arm32' && frame !== undefined ? frame % 2 ** 32 : frame;
}

/**
 * guest_physmap_add_page: leads gfns to frames that the domain owns and none led to; false where
 * the p2m has no room for them.
 */
export function addPages({ call: { state }, mappable }: ReleaseCall, domain: Domain, gpfn: number, mfn: number, pages: number): boolean {
  if (gpfn + pages > (mappable ?? mappableGfns(state.arch))) return false;
  for (let page = 0; page < pages; page++) {
    if (domain.p2m.get(gpfn + page) === mfn + page) continue;
    if (!domain.p2m.has(gpfn + page)) domain.unaddressed--; // else the page that was there is what no gfn leads to any more
    mapPage(domain, gpfn + page, mfn + page);
  }
  return true;
}

export function isArm({ state }: Call): boolean {
  return state.arch === 'arm32' || state.arch === 'arm64';
}
