import { errno } from '../abi/constants.ts';
import { opNumber, startExtent } from '../abi/ops.ts';
import { type Decisions, OP } from './decisions.ts';
import { getDmaBuf } from './get-dma-buf.ts';
import { putDmaBuf } from './put-dma-buf.ts';
import type { Call, Inject } from './request.ts';
import { reservationOp } from './reservation-ops.ts';
import { domainOf, type State } from './state.ts';
import { strict } from './strict.ts';

/** One HYPERVISOR_memory_op: who calls, and what is in the registers. */
export interface MemoryOp {
  readonly domid: number;
  readonly cmd: number;
  /** Address of the argument struct. */
  readonly arg: bigint;
  readonly inject?: Inject | undefined;
}

const noFaults: Inject = {};

/**
 * The hypercall's door: carries the op in `cmd` out on `state` and returns the signed register value. Whatever the bytes in
 * guest memory are, it returns; what it refuses is a negative errno (a short count for ops 0, 1 and 6).
 */
export function memoryOp(state: State, { domid, cmd, arg, inject = noFaults }: MemoryOp, d: Decisions = strict): number {
  const caller = domainOf(state, domid);
  const op = opNumber(cmd);
  const refused = d.refuses(op);
  if (refused !== 0) return d.answer(0 - refused, op);
  const lost = d.keepsPins(op) ? undefined : [...caller.pins];
  const rc = dispatch({ state, caller, arg, d, inject, op, fresh: true, allocations: 0, reached: 0 }, cmd);
  for (const gfn of lost ?? []) caller.pins.delete(gfn);
  return d.answer(rc, op);
}

function dispatch(call: Call, cmd: number): number {
  switch (call.op) {
    case OP.increase:
    case OP.decrease:
    case OP.populate:
      return reservationOp(call, cmd);
    case OP.exchange:
    case OP.get:
      return startExtent(cmd) === 0 || call.d.strayStart === 0 ? getDmaBuf(call) : 0 - call.d.strayStart;
    case OP.put:
      return startExtent(cmd) === 0 || call.d.strayStart === 0 ? putDmaBuf(call) : 0 - call.d.strayStart;
    default:
      return -errno.ENOSYS;
  }
}
