/** The smallest scenario found that breaks a requirement. */
export interface Counterexample {
  /** A token that plays it again: `xenmem conform --replay TOKEN`. */
  readonly replay: string;
  /** The scenario as JSON, 64-bit numbers as strings. */
  readonly scenario: unknown;
  /** The step that broke it, from 0. */
  readonly step: number;
  readonly message: string;
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
}

/** Who was tested, as it introduced itself. */
export interface ImplementationInfo {
  readonly name: string;
  readonly version: string;
  readonly arch: readonly string[];
  readonly commands: { readonly [op: string]: number };
  readonly capabilities: readonly string[];
  readonly limits: { readonly [limit: string]: number | string };
}

/** What the suite catches at the level of this run, measured when it was built and not again. */
export interface Strength {
  /** Faulty hypervisors in all. */
  readonly mutants: number;
  /** Scenarios that each was given at most. */
  readonly budget: number;
  readonly seed: number;
  /** Those found out, by name. */
  readonly killed: readonly string[];
  readonly survivors: readonly string[];
}

/** One run of the suite: what every report is made from. It holds no time, so the same seed gives the same bytes. */
export interface ConformanceResult {
  readonly verdict: 'conformant' | 'nonconformant' | 'inconclusive';
  readonly level: 0 | 1 | 2;
  readonly implementation: ImplementationInfo;
  readonly seed: number;
  readonly arch: readonly string[];
  readonly runs: number;
  readonly calls: number;
  /** Was it interrupted? */
  readonly partial: boolean;
  readonly requirements: readonly RequirementResult[];
  /** Required cells of the coverage table that stayed below their floor. */
  readonly missedCells: readonly { readonly cell: string; readonly count: number; readonly floor: number }[];
  /** For each point the texts leave open: the readings seen, and how often. */
  readonly readings: { readonly [id: string]: { readonly [reading: string]: number } };
  /** Why the verdict is not `conformant`, in plain words. */
  readonly reasons: readonly string[];
  readonly strength?: Strength;
}
