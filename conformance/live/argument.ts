import type { Arch } from '../../src/abi/arch.ts';
import { argumentOf, type JudgedOp } from '../../src/abi/ops.ts';
import type { XenGetDmaBuf, XenMemoryReservation, XenPutDmaBuf } from '../../src/abi/values.ts';
import { codecFor } from '../../src/codec/codec.ts';

/** Entries of a list of a call that are looked at, or written down, at most. */
export const mostLooked = 4096;

/** What the struct of a call asks for. */
export interface Argument {
  readonly reservations: readonly XenMemoryReservation[];
  /** `nr_exchanged`, 0 where there is none. */
  readonly N: bigint;
}

/** The struct of a call, read from its bytes. */
export function argumentIn(op: JudgedOp, arch: Arch, bytes: Uint8Array): Argument {
  return partsOf(codecFor(arch)[argumentOf[op]].decode(bytes));
}

function partsOf(value: XenMemoryReservation | XenGetDmaBuf | XenPutDmaBuf): Argument {
  if (!('in' in value)) return { reservations: [value], N: 0n };
  return 'out' in value ? { reservations: [value.in, value.out], N: value.nr_exchanged } : { reservations: [value.in], N: 0n };
}
