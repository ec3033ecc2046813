import { errno } from '../../abi/constants.ts';
import type { Call } from '../call.ts';
import type { Exchange } from '../exchange.ts';
import type { MemoryOpOf } from '../memory-op.ts';
import { isSameSize } from './exchange.ts';
import { xen } from './memory-op.ts';
import { type Guests, hasNode, NOTHING_LEFT, type Release } from './release.ts';

const { EFAULT, EINVAL, EPERM, ESRCH, EOPNOTSUPP } = errno;

const release: Release = {
  unknownOp: EINVAL, // 26 and 27 are other calls, which refuse nearly every argument of the patch so
  maxOrder,
  maxDecreaseOrder: maxOrder,
  tellsTranslated: false,
  noticesUnmapped: true,
  refusal,
  // Since XSA-217 (2017), of every guest that is translated: what `paging_mode_external` says.
  cannotSteal: ({ translated }) => (translated ? EOPNOTSUPP : 0),
  lateFault: 'D1',
  foreign: (start) => start,
};

/**
 * memory_op of Xen 4.17, with its departures D1, D3 and D5 (docs/xen-versions.md). `mappable`: the
 * gfns that the p2m has room for on a machine with fewer than its architecture has.
 */
export function xen417(guests: Guests = 'translated', mappable?: number): MemoryOpOf {
  return xen(release, guests, mappable);
}

function maxOrder(privileged: boolean): number {
  return privileged ? 18 : 9;
}

function refusal(call: Call, x: Exchange): number {
  const { caller } = call;
  const { in: given, out: wanted, nr_exchanged: done, ins, outs, named } = x;
  if (Math.max(given.extent_order, wanted.extent_order) > maxOrder(caller.privileged)) return EPERM;
  if (done > given.nr_extents || given.domid !== wanted.domid || !isSameSize(call, x)) return EINVAL;
  if (done === given.nr_extents) return NOTHING_LEFT; // D5: before the domain is looked at
  if (ins.wraps || outs.wraps) return EFAULT;
  if (!hasNode(call, wanted.address_bits)) return EINVAL;
  if (!named) return ESRCH;
  return named === caller || caller.privileged ? 0 : EPERM;
}
