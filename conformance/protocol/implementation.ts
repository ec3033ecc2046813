import type { Arch } from '../../src/abi/arch.ts';
import { MAX_ORDER } from '../../src/abi/constants.ts';
import type { JudgedOp } from '../../src/abi/ops.ts';
import type { ChangedRange, Inject, World } from '../../src/guest/world.ts';

export type { ChangedRange, DomainPlan, Inject, PageRun, World } from '../../src/guest/world.ts';

// The implementation protocol, in process: the same requests and answers as over a pipe, with
// numbers and bytes as they are.

export type Request =
  | ({ readonly op: 'reset' } & World)
  | { readonly op: 'write'; readonly domid: number; readonly addr: bigint; readonly bytes: Uint8Array }
  | { readonly op: 'read'; readonly domid: number; readonly addr: bigint; readonly length: number }
  | { readonly op: 'call'; readonly domid: number; readonly cmd: number; readonly arg: bigint; readonly inject?: Inject }
  | { readonly op: 'translate' | 'churn'; readonly domid: number; readonly gfn: bigint; readonly pages: number }
  | { readonly op: 'pages' | 'changes'; readonly domid: number };

/**
 * One answer; which keys it has depends on the request. `error` is not a refusal by the hypervisor.
 */
export interface Reply {
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
  answer(requests: readonly Request[]): Reply[];
}

/**
 * The level of what can be seen of an implementation: 0 memory and return codes, 1 also the p2m, 2
 * also pages that move.
 */
export function levelOf({ capabilities }: Hello): 0 | 1 | 2 {
  if (!capabilities.has('translate')) return 0;
  return capabilities.has('churn') ? 2 : 1;
}

/**
 * The highest order that an implementation which declares none is taken to have: one above it has
 * to be refused.
 */
export const presumedMaxOrder: number = MAX_ORDER + 2;
