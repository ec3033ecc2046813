import type { Arch } from '../abi/arch.ts';
import type { JudgedOp, Profile } from '../abi/ops.ts';
import { judgedOp } from '../abi/ops.ts';
import { type ByteRange, type GuestMemory, unknownMemory } from '../guest/memory.ts';

/**
 * What was observed of the p2m: guest frame to machine frame, `null` for a hole. A frame that is
 * absent was not observed.
 */
export type P2m = ReadonlyMap<bigint, bigint | null>;

/** What holds for a whole trace unless a record or a flag says otherwise. */
export interface Setting {
  readonly arch: Arch;
  readonly profile: Profile;
  /** Did the capture or a flag say the profile? */
  readonly profileSaid?: boolean;
  /** `physical`: gfn = address >> 12. */
  readonly space: 'virtual' | 'physical';
  /** False for an x86 PV guest, whose input lists hold machine frames. */
  readonly translated: boolean;
  /** `undefined` where it is not known. */
  readonly privileged: boolean | undefined;
  /** True when nothing happened before the first record. */
  readonly fromStart: boolean;
}

/** What was seen of a domain that a call has no business with. */
export interface OtherDomain {
  readonly domid: number;
  /** Ranges of its memory that changed during the call. */
  readonly changes: readonly ByteRange[];
  readonly p2mBefore: P2m;
  readonly p2mAfter: P2m;
}

/**
 * One memory_op as somebody saw it: a capture or a live run. Every part but `cmd` may be missing;
 * what is missing is `undefined` and makes answers unknown, never right.
 */
export interface ObservedCall extends Setting {
  readonly cmd: number;
  /** Where it is not known which op was called: those that it may be, `cmd`'s among them. */
  readonly mayBe?: readonly JudgedOp[];
  /** True where nothing tells whose op 26 or 27 this is. */
  readonly profileUnsure?: boolean;
  /** The record's own number, if it has one. */
  readonly seq: number | undefined;
  /** The calling domain. */
  readonly domid: number | undefined;
  /** Address of the argument struct. */
  readonly arg: bigint | undefined;
  /** The struct's bytes where they were captured without an address (a raw buffer). */
  readonly argument: Uint8Array | undefined;
  /** The signed return value. */
  readonly rc: number | undefined;
  readonly before: GuestMemory;
  readonly after: GuestMemory;
  /**
   * Every range of guest memory that changed, where all of it was watched (a live run). Otherwise
   * the two memories are compared.
   */
  readonly changes: readonly ByteRange[] | undefined;
  /** Known not to be guest memory. */
  readonly unmapped: readonly ByteRange[];
  readonly p2mBefore: P2m;
  readonly p2mAfter: P2m;
  /** Pages owned by the domain that the struct names; the p2m is that domain's too. */
  readonly pagesBefore: number | undefined;
  readonly pagesAfter: number | undefined;
  /** Domains other than the caller and the one named in the struct, where they were watched. */
  readonly others: readonly OtherDomain[] | undefined;
  /** The numbers of all domains there are, where that is known (a live run). */
  readonly domids?: readonly number[];
}

const nothing: P2m = new Map();

export const defaultSetting: Setting = {
  arch: 'arm64',
  profile: 'dma-buf',
  space: 'virtual',
  translated: true,
  privileged: undefined,
  fromStart: false,
};

/** A call of which only `cmd` and what `parts` says is known. */
export function observedCall(cmd: number, parts: Partial<ObservedCall> = {}): ObservedCall {
  return {
    ...defaultSetting,
    cmd,
    seq: undefined,
    domid: undefined,
    arg: undefined,
    argument: undefined,
    rc: undefined,
    before: unknownMemory,
    after: unknownMemory,
    changes: undefined,
    unmapped: [],
    p2mBefore: nothing,
    p2mAfter: nothing,
    pagesBefore: undefined,
    pagesAfter: undefined,
    others: undefined,
    ...parts,
  };
}

/** The op of a call, if it is one that xenmem judges. */
export function opOf(call: ObservedCall): JudgedOp | undefined {
  return judgedOp(call.cmd, call.profile);
}
