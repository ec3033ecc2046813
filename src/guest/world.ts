import type { Arch } from '../abi/arch.ts';

/** A run of guest pages. */
export interface PageRun {
  readonly gfn: bigint;
  readonly pages: number;
}

/** A guest to build. */
export interface DomainPlan {
  readonly domid: number;
  readonly privileged: boolean;
  /** Zeroed RAM. */
  readonly ram: readonly PageRun[];
  /** Unmapped gfns that calls may populate. */
  readonly holes: readonly PageRun[];
}

/** What a `reset` of the implementation protocol builds: forget everything, then this. */
export interface World {
  readonly arch: Arch;
  readonly domains: readonly DomainPlan[];
  /** Frames left to allocate below and above 4 GiB. */
  readonly free: { readonly low: number; readonly high: number };
}

/** Faults that a test asks for in one call. */
export interface Inject {
  /**
   * The output extent with this index, counted from 0 over all continuations of the call, finds no
   * memory.
   */
  readonly fail_alloc?: number;
  /**
   * The call is preempted and continued after each so many input extents, for get rounded up to a
   * chunk.
   */
  readonly preempt?: number;
}

/** A range of guest-physical addresses that may have changed, `length` in bytes. */
export interface ChangedRange {
  readonly address: bigint;
  readonly length: number;
}
