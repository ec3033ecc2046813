import type { AmbiguityId } from '../../src/rules/ambiguities.ts';
import type { Hello } from '../protocol/implementation.ts';

/** What kind of mistake a faulty hypervisor makes. */
export type Family =
  | 'progress accounting'
  | 'list handling'
  | 'pinning'
  | 'allocation'
  | 'validation'
  | 'memory access'
  | 'ABI'
  | 'isolation'
  | 'convention and neighbours';

/**
 * A change to a source file of the model: `find` occurs exactly once there, and `put` takes its
 * place.
 */
export type Edit = readonly [file: string, find: string, put: string];

/** The model with other lines in it. */
export interface Edited {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** A hypervisor with one mistake. */
export interface Fault extends Edited {
  readonly family: Family;
  /** The requirements that it breaks, all of them: each shows in an ordinary run. */
  readonly breaks: readonly string[];
  /**
   * Further requirements that a longer run may report, because later calls start from a corrupted
   * state. The run never reports any others.
   */
  readonly also: readonly string[];
}

/** A hypervisor that is unusual and right: it is never to be blamed. */
export interface Legal extends Edited {
  /**
   * The open point that it takes another reading of (docs/ambiguities.md), or in words what else
   * allows it.
   */
  readonly freedom: AmbiguityId | `no open point: ${string}`;
  /** What it says of itself, where that is not what the reference model says. */
  readonly hello?: Partial<Hello>;
}

/** A faulty hypervisor as one line of a table. */
export type FaultLine = readonly [name: string, breaks: readonly string[], edits: readonly Edit[], also?: readonly string[]];

/** The faulty hypervisors of one family. */
export function family(family: Family, lines: readonly FaultLine[]): readonly Fault[] {
  return lines.map(([name, breaks, edits, also = []]) => ({ name, family, breaks, also, edits }));
}
