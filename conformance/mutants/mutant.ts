import type { Decisions } from '../../src/model/decisions.ts';
import type { Hello } from '../implementation.ts';

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

/** A hypervisor with one mistake: the model with one decision taken wrongly, now and then over a legal variant of it. */
export interface Mutant {
  readonly name: string;
  readonly family: Family;
  /** The requirements that it breaks, all of them: each shows in an ordinary run. */
  readonly breaks: readonly string[];
  /** What may follow from that in a longer run: a later call finds a world that should not be. Nothing else ever shows. */
  readonly also: readonly string[];
  readonly patch: Partial<Decisions>;
}

/** A hypervisor that is unusual and right. */
export interface Variant {
  readonly name: string;
  /** What of the specification's section 6 allows it. */
  readonly freedom: string;
  readonly patch: Partial<Decisions>;
  /** What it says of itself, where that is not what the reference model says. */
  readonly hello?: Partial<Hello>;
}

/** A faulty hypervisor as one line of a table. */
export type MutantLine = readonly [name: string, breaks: readonly string[], patch: Partial<Decisions>, also?: readonly string[]];

/** The faulty hypervisors of one family. */
export function family(family: Family, lines: readonly MutantLine[]): readonly Mutant[] {
  return lines.map(([name, breaks, patch, also = []]) => ({ name, family, breaks, also, patch }));
}
