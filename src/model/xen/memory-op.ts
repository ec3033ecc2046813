import { errno } from '../../abi/constants.ts';
import { judgedOp, startExtent } from '../../abi/ops.ts';
import type { Call } from '../call.ts';
import { strict } from '../freedoms.ts';
import type { MemoryOpOf } from '../memory-op.ts';
import { domainOf } from '../state.ts';
import { memoryExchange } from './exchange.ts';
import type { Guests, Release } from './release.ts';
import { reservation } from './reservation.ts';

/**
 * memory_op of a Xen that was released, as its xen/common/memory.c does it: ops 0, 1, 6 and 11.
 * Frames that are given back are cleared here, which Xen leaves until they are needed.
 */
export function xen(release: Release, guests: Guests, mappable?: number): MemoryOpOf {
  const [translated, directMapped] = [guests !== 'pv', guests === 'direct-mapped'];
  return (state, { domid, cmd, arg, inject = {} }) => {
    const call: Call = { state, caller: domainOf(state, domid), arg, inject, freedoms: strict, allocations: 0 };
    const op = judgedOp(cmd, 'dma-buf');
    switch (op) {
      case 'increase_reservation':
      case 'decrease_reservation':
      case 'populate_physmap':
        return reservation({ call, release, translated, directMapped, mappable }, op, startExtent(cmd));
      case 'exchange':
        return startExtent(cmd) === 0 ? memoryExchange({ call, release, translated, directMapped, mappable }) : -errno.EINVAL;
      case 'get_dma_buf':
      case 'put_dma_buf':
        return -release.unknownOp;
      default:
        return -errno.ENOSYS;
    }
  };
}
