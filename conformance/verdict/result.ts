import type { TraceRecord } from '../../src/trace/record.ts';

/** The version of that JSON. */
export const schema = 'xenmem/conformance@1';

/**
 * A piece of memory that a step changed: address, bytes before, bytes after, as a trace writes
 * them.
 */
export type MemoryChange = readonly [address: string, before: string, after: string];

/** A frame of the p2m, `null` for a hole. */
export type P2mEntry = readonly [gfn: string, mfn: string | null];

/** A rule that a step broke. */
export interface Broken {
  readonly id: string;
  readonly message: string;
}

/**
 * One step of a counterexample as it was seen, so that it can be told without the implementation at
 * hand.
 */
export type StoryStep =
  | {
      readonly do: 'call';
      /** The call as a record of a trace: `xenmem validate` reads it. */
      readonly record: TraceRecord;
      readonly inject?: { readonly fail_alloc?: number; readonly preempt?: number };
      readonly changed: readonly MemoryChange[];
      readonly broken: readonly Broken[];
    }
  | {
      readonly do: 'churn';
      readonly domid: number;
      readonly p2m_before: readonly P2mEntry[];
      readonly p2m_after: readonly P2mEntry[];
      /** Marked pages whose content did not survive the move. */
      readonly lost: readonly string[];
      readonly broken: readonly Broken[];
    }
  /** The step could not be played, or was not reached. */
  | { readonly do: 'nothing'; readonly why: string; readonly broken: readonly Broken[] };

/** The smallest scenario found that breaks a requirement. */
export interface Counterexample {
  /** A token that plays it again: `xenmem conform --replay TOKEN`. */
  readonly replay: string;
  /** The implementation that showed it, as `--iut` names it; absent for the built-in model. */
  readonly iut?: string;
  /** The reference that showed it, as `--reference` names it; absent for the strict one. */
  readonly reference?: readonly string[];
  /** The words behind `xenmem live` that start it, if it is a real hypervisor. */
  readonly live?: readonly string[];
  /** The scenario as JSON, 64-bit numbers as strings. */
  readonly scenario: unknown;
  /** The step that broke it, from 0. */
  readonly step: number;
  readonly message: string;
  /** Which scenario of the run it was made from, from 0: the first that broke the requirement. */
  readonly found: number;
  readonly story: readonly StoryStep[];
  /** No step can be left out: without any one of them it does not show. */
  readonly tight?: true;
  /**
   * It was seen once, and not again however often its scenario was played: no ground for a verdict.
   */
  readonly flaky?: true;
  /** How the implementation ended, and the last lines of its stderr. */
  readonly evidence?: readonly string[];
}

/** What a run says of one requirement. */
export interface RequirementResult {
  readonly id: string;
  readonly verdict: 'holds' | 'violated' | 'unknown';
  /** Calls, pairs and churns on which it was judged, and on which it could not be. */
  readonly exercised: number;
  readonly unknown: number;
  readonly violated: number;
  /** Why it need not be exercised for the verdict to stand; absent where it must. */
  readonly excused?: string;
  readonly counterexample?: Counterexample;
  /** An entry of the file of expected failures that this violation matches. */
  readonly expected?: Expectation;
}

/** A violation that is known and accepted for a while. */
export interface Expectation {
  readonly requirement: string;
  /** The message of the counterexample, its numbers replaced by `#`. */
  readonly fingerprint: string;
  readonly reason: string;
  readonly link?: string;
  /** The last day on which it is accepted, `2027-03-31`. */
  readonly until?: string;
}

/** Who was tested, as it introduced itself. */
export interface ImplementationInfo {
  readonly name: string;
  readonly version: string;
  readonly arch: readonly string[];
  readonly commands: { readonly [op: string]: number };
  readonly capabilities: readonly string[];
  readonly limits: { readonly [limit: string]: number | string };
  /** What it was started from, where that was fetched or named: a real hypervisor. */
  readonly packages?: readonly StartedFrom[];
}

/** A package of a distribution, or a file without a version. */
export interface StartedFrom {
  readonly name: string;
  readonly version?: string;
  readonly sha256: string;
}

/** What the suite catches at the level of this run, measured when it was built and not again. */
export interface Strength {
  /** Faulty hypervisors in all. */
  readonly mutants: number;
  /** Scenarios that each was given at most. */
  readonly budget: number;
  readonly seed: number;
  /**
   * Was it measured with every extra capability? If not, with none: an implementation that has some
   * is tested at least so well.
   */
  readonly extras: boolean;
  /** Those found out, by name. */
  readonly killed: readonly string[];
  readonly survivors: readonly string[];
}

/** A scenario that says nothing for or against the implementation. */
export interface Incident {
  /**
   * `flaky`: it broke, or broke a requirement, once, and not when the scenario was played again
   * alone. `setup`: it reports a fault of its surroundings. `undriven`: it does not start any more.
   * `disputed`: the rules and the model disagree about what it did. `unlike`: it ended otherwise in
   * a world that differs only in what must not matter, or all was undone and the world is not as
   * rich as it was. `internal`: judging it failed, which is a bug of xenmem's.
   */
  readonly kind: 'flaky' | 'setup' | 'undriven' | 'disputed' | 'unlike' | 'internal';
  /** Of a dispute: what the rules say is violated, although the model would have done the same. */
  readonly requirement?: string;
  readonly found: number;
  readonly replay: string;
  /** The token of the scenario that should have ended like it, where it is `unlike` another. */
  readonly other?: string;
  readonly iut?: string;
  readonly reference?: readonly string[];
  /** The words behind `xenmem live` that start it, if it is a real hypervisor. */
  readonly live?: readonly string[];
  readonly message: string;
  readonly evidence?: readonly string[];
}

/** Part `index` of `of`, from 1. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/**
 * One run of the suite: what every report is made from. It holds no time, so the same seed gives
 * the same bytes.
 */
export interface ConformanceResult {
  readonly verdict: 'conformant' | 'nonconformant' | 'inconclusive';
  readonly level: 0 | 1 | 2;
  /** The level that was demanded, if one was. */
  readonly demanded?: number;
  readonly implementation: ImplementationInfo;
  readonly seed: number;
  readonly arch: readonly string[];
  /** Scenarios asked for, and those played. */
  readonly runs: number;
  readonly played: number;
  readonly calls: number;
  /**
   * Calls that ended as the reference model could have ended them; absent where the model itself
   * was tested.
   */
  readonly predicted?: number;
  /** Was it ended before its time, and why? */
  readonly partial: boolean;
  readonly ended?: string;
  /** Which part of the run this is, from 1; absent for the whole. */
  readonly shard?: Shard;
  /**
   * The golden scenarios were played instead of drawn ones: the seed says nothing, and there is no
   * coverage table.
   */
  readonly fixtures?: boolean;
  readonly requirements: readonly RequirementResult[];
  /** How often each required cell of the coverage table was reached, and its floor. */
  readonly cells: { readonly [cell: string]: { readonly count: number; readonly floor: number } };
  /**
   * Pairs of values that can meet in a call (docs/evidence.md), and which were played: a bit for
   * each, in hex.
   */
  readonly pairs?: { readonly of: number; readonly reached: string };
  /** The same of triples of values of a chosen few dimensions. */
  readonly triples?: { readonly of: number; readonly reached: string };
  /** For each point the texts leave open: the readings seen, and how often. */
  readonly readings: { readonly [id: string]: { readonly [reading: string]: number } };
  readonly incidents: readonly Incident[];
  /** Why the verdict is not `conformant`, in plain words. */
  readonly reasons: readonly string[];
  /** Against a file of expected failures: what of it does not match this run, in plain words. */
  readonly drift?: readonly string[];
  readonly strength?: Strength;
}
