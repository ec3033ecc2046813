import type { Arch } from '../../src/abi/arch.ts';
import type { StructName } from '../../src/abi/structs.ts';
import type { GoldenCase } from './case.ts';

/** Which cases are wanted; all of them where nothing is said. */
export interface Filter {
  readonly struct?: StructName;
  readonly arch?: Arch;
  readonly requirement?: string;
}

/** Does a case match a filter? */
export function matches(golden: GoldenCase, { struct, arch, requirement }: Filter): boolean {
  if (arch !== undefined && golden.arch !== arch) return false;
  if (golden.case === 'struct') return requirement === undefined && (struct === undefined || golden.struct === struct);
  return (
    struct === undefined && (requirement === undefined || golden.requirement === requirement || golden.requirements.includes(requirement))
  );
}

/** The run that cases are chosen from, and how far a faulty hypervisor is followed into it. */
export const run = { seed: 1, scenarios: 800, perMutant: 250, untilKilled: 1500 } as const;
