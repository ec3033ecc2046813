import type { Arch } from '../src/abi/arch.ts';
import type { JudgedOp } from '../src/abi/ops.ts';

// The implementation protocol, in process: the same requests and answers as over a pipe, with numbers and bytes as they are.

export interface PageRun {
  readonly gfn: bigint;
  readonly pages: number;
}

/** A guest to build: zeroed RAM, and unmapped gfns that calls may populate. */
export interface DomainPlan {
  readonly domid: number;
  readonly privileged: boolean;
  readonly ram: readonly PageRun[];
  readonly holes: readonly PageRun[];
}

/** What `reset` builds: forget everything, then this. */
export interface World {
  readonly arch: Arch;
  readonly domains: readonly DomainPlan[];
  /** Frames left to allocate below and above 4 GiB. */
  readonly free: { readonly low: number; readonly high: number };
}

/** Faults on demand: output extent `fail_alloc` finds no memory; preempted and continued after each `preempt` input extents. */
export interface Inject {
  readonly fail_alloc?: number;
  readonly preempt?: number;
}

export type Request =
  | ({ readonly op: 'reset' } & World)
  | { readonly op: 'write'; readonly domid: number; readonly addr: bigint; readonly bytes: Uint8Array }
  | { readonly op: 'read'; readonly domid: number; readonly addr: bigint; readonly length: number }
  | { readonly op: 'call'; readonly domid: number; readonly cmd: number; readonly arg: bigint; readonly inject?: Inject }
  | { readonly op: 'translate' | 'churn'; readonly domid: number; readonly gfn: bigint; readonly pages: number }
  | { readonly op: 'pages' | 'changes'; readonly domid: number };

/** A range that may have changed. `length` in bytes. */
export interface ChangedRange {
  readonly address: bigint;
  readonly length: number;
}

/** One answer; which keys it has depends on the request. `error` is not a refusal by the hypervisor. */
export interface Answer {
  readonly fault?: boolean;
  readonly bytes?: Uint8Array;
  readonly rc?: number;
  readonly mfns?: readonly (bigint | null)[];
  readonly pages?: number;
  readonly ranges?: readonly ChangedRange[];
  readonly error?: { readonly kind: 'unsupported' | 'setup'; readonly message: string };
}

export const capabilities = ['translate', 'churn', 'pages', 'changes', 'batch', 'free', 'fail-alloc', 'preempt'] as const;
export type Capability = (typeof capabilities)[number];

/** Capabilities that no level needs. */
export const extras: readonly Capability[] = capabilities.filter((c) => c !== 'translate' && c !== 'churn');

/** How an implementation introduces itself. */
export interface Hello {
  readonly name: string;
  readonly version: string;
  readonly arch: readonly Arch[];
  /** What is implemented and under which op numbers; only these are tested. */
  readonly commands: { readonly [op in JudgedOp]?: number };
  readonly capabilities: ReadonlySet<Capability>;
  readonly limits: {
    readonly ram_pages?: number;
    readonly domains?: number;
    readonly max_order?: number;
    readonly max_extents?: bigint;
    readonly max_gfn?: bigint;
  };
  readonly translated: boolean;
}

/** An implementation in this process: answers at once. It may throw, which is a crash. */
export interface Implementation {
  readonly hello: Hello;
  answer(requests: readonly Request[]): Answer[];
}

/** The level of what can be seen of an implementation: 0 memory and return codes, 1 also the p2m, 2 also pages that move. */
export function levelOf({ capabilities }: Hello): 0 | 1 | 2 {
  if (!capabilities.has('translate')) return 0;
  return capabilities.has('churn') ? 2 : 1;
}
