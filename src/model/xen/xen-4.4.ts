import type { Arch } from '../../abi/arch.ts';
import { errno } from '../../abi/constants.ts';
import type { Call } from '../call.ts';
import type { Exchange } from '../exchange.ts';
import type { MemoryOpOf } from '../memory-op.ts';
import { isSameSize } from './exchange.ts';
import { xen } from './memory-op.ts';
import { type Guests, isArm, type Release } from './release.ts';

const { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } = errno;

const release: Release = {
  unknownOp: ENOSYS,
  maxOrder: (privileged, arch) => (privileged ? highest(arch) : 9),
  maxDecreaseOrder: (_, arch) => highest(arch), // whoever calls: later releases ask what he may have
  tellsTranslated: true,
  noticesUnmapped: false,
  refusal,
  cannotSteal: ({ call }) => (isArm(call) ? EINVAL : 0),
  lateFault: 'D2',
  foreign: () => -EPERM, // later releases answer with the extent to start from
};

/**
 * memory_op of Xen 4.4, of the patch's own time, with its departures D2, D3 and D4
 * (docs/xen-versions.md). Its first domain on Arm, which is direct-mapped, is not told here:
 * decrease passes its pages over, populate looks at the first of an extent only.
 */
export function xen44(guests: Exclude<Guests, 'direct-mapped'> = 'translated'): MemoryOpOf {
  return xen(release, guests);
}

/** MAX_ORDER */
function highest(arch: Arch): number {
  return arch === 'arm32' || arch === 'arm64' ? 20 : 18;
}

function refusal(call: Call, x: Exchange): number {
  const { caller, state } = call;
  const { in: given, out: wanted, nr_exchanged: done, ins, outs, named } = x;
  const order = Math.max(given.extent_order, wanted.extent_order);
  if (done > given.nr_extents || given.domid !== wanted.domid || order > highest(state.arch) || !isSameSize(call, x)) return EINVAL;
  if (ins.wraps || outs.wraps) return EFAULT;
  if (order > release.maxOrder(caller.privileged, state.arch)) return EPERM;
  if (!named) return ESRCH;
  return named === caller || caller.privileged ? 0 : EPERM;
}
