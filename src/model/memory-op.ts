import { errno } from '../abi/constants.ts';
import { judgedOp, startExtent } from '../abi/ops.ts';
import type { Inject } from '../guest/world.ts';
import type { Call } from './call.ts';
import { type Freedoms, strict } from './freedoms.ts';
import { getDmaBuf } from './get-dma-buf.ts';
import { churn } from './p2m.ts';
import { putDmaBuf } from './put-dma-buf.ts';
import { reservationOp } from './reservation-ops.ts';
import { domainOf, type State } from './state.ts';

/** One HYPERVISOR_memory_op: who calls, and what is in the registers. */
export interface MemoryOp {
  readonly domid: number;
  readonly cmd: number;
  /** Address of the argument struct. */
  readonly arg: bigint;
  readonly inject?: Inject | undefined;
}

/** How a hypervisor answers memory_op: what it does to the state, and the signed register value. */
export type MemoryOpOf = (state: State, op: MemoryOp) => number;

/** The model with these readings of open points, and the strict ones of all others. */
export function modelWith(freedoms: Partial<Freedoms>): MemoryOpOf {
  const all = { ...strict, ...freedoms };
  return (state, op) => memoryOp(state, op, all);
}

/**
 * The hypercall's door: carries the op in `cmd` out on `state` and returns the signed register
 * value. Whatever the bytes in guest memory are, it returns; what it refuses is a negative errno (a
 * short count for ops 0, 1 and 6).
 */
export function memoryOp(state: State, { domid, cmd, arg, inject = {} }: MemoryOp, freedoms: Freedoms = strict): number {
  if (freedoms['spontaneous-move'] === 'in-calls') {
    for (const domain of state.domains.values()) churn(state, domain, 0, Number.MAX_SAFE_INTEGER); // spontaneous-move
  }
  const call: Call = { state, caller: domainOf(state, domid), arg, inject, freedoms, allocations: 0 };
  const op = judgedOp(cmd, 'dma-buf');
  switch (op) {
    case 'increase_reservation':
    case 'decrease_reservation':
    case 'populate_physmap':
      return reservationOp(call, op, cmd);
    case 'exchange':
      return strayStart(call, cmd) || getDmaBuf(call, false);
    case 'get_dma_buf':
      return strayStart(call, cmd) || getDmaBuf(call, true);
    case 'put_dma_buf':
      return strayStart(call, cmd) || putDmaBuf(call);
    default:
      return -errno.ENOSYS;
  }
}

/**
 * A fresh call of these ops has no start_extent: what it is answered with, 0 if it is let through.
 */
function strayStart({ freedoms }: Call, cmd: number): number {
  if (startExtent(cmd) === 0 || freedoms['start-extent-bits'] === 'ignored') return 0;
  return freedoms['start-extent-bits'] === 'unimplemented' ? -errno.ENOSYS : -errno.EINVAL;
}
