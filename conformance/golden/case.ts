import { createHash } from 'node:crypto';
import type { Arch } from '../../src/abi/arch.ts';
import type { StructName } from '../../src/abi/structs.ts';
import type { AbiErrorKind } from '../../src/codec/errors.ts';
import type { TraceRecord } from '../../src/trace/record.ts';
import type { Allowed, AllowedEffect } from './allowed.ts';

/** Where a case comes from: what made its expected values, and how to make it again. */
export type Origin =
  | { readonly kind: 'compiler'; readonly file: string; readonly sha256: string; readonly compiler: string; readonly headers: string }
  | { readonly kind: 'generated'; readonly generator: string; readonly seed: number; readonly index: number; readonly shrunk: boolean }
  | {
      readonly kind: 'shrunk counterexample';
      readonly mutant: string;
      readonly generator: string;
      readonly seed: number;
      readonly index: number;
    }
  | { readonly kind: 'promoted'; readonly from: 'replay token' }
  | { readonly kind: 'capture'; readonly file: string; readonly sha256: string; readonly line: number };

/** A value and its bytes, as a C compiler laid them out. */
export interface EncodedRow {
  readonly value: object;
  readonly bytes: string;
  /** What the padding holds, by the path of its struct, where it is not zero. */
  readonly padding?: { readonly [owner: string]: string };
}

/** A refusal: of a value by the encoder, or of bytes by the decoder. */
export interface ErrorRow {
  readonly do: 'encode' | 'decode';
  readonly value?: unknown;
  readonly bytes?: string;
  readonly error: { readonly kind: AbiErrorKind; readonly path: string; readonly offset: number };
  readonly why: string;
}

/** What one struct looks like on one architecture, or what of it must be refused. */
export interface StructCase {
  readonly case: 'struct';
  readonly shows: 'encoded' | 'errors';
  readonly struct: StructName;
  readonly arch: Arch;
  readonly size: number;
  readonly rows: readonly (EncodedRow | ErrorRow)[];
  readonly origin: Origin;
}

/** Guest frames with the frames behind them, `null` for a hole. */
export type Frames = readonly (readonly [gfn: string, mfn: string | null])[];
/** Ranges of guest memory. */
export type Ranges = readonly (readonly [address: string, length: string])[];

/**
 * Frames behind guest frames before a step, below and above 4 GiB, and owned ones that no guest
 * frame leads to.
 */
export type FramesInUse = readonly [low: number, high: number, unmapped: number];

/**
 * One step as it was seen: a call as a record of a trace, with what a trace has no place for beside
 * it.
 */
export type ObservedStep =
  | {
      readonly do: 'call';
      readonly record: TraceRecord;
      readonly inject?: { readonly fail_alloc?: number; readonly preempt?: number };
      /**
       * Every range of the caller's memory that changed; absent where not all of it was watched.
       */
      readonly changed?: Ranges;
      /** Domains that the call has no business with, where they were watched. */
      readonly others?: readonly {
        readonly domid: number;
        readonly changed: Ranges;
        readonly p2m_before: Frames;
        readonly p2m_after: Frames;
      }[];
      readonly in_use?: FramesInUse;
    }
  | {
      readonly do: 'churn';
      readonly domid: number;
      readonly p2m_before: Frames;
      readonly p2m_after: Frames;
      /** Marked pages whose content did not survive, and those whose content did. */
      readonly lost: readonly string[];
      readonly kept: readonly string[];
      readonly in_use?: FramesInUse;
    };

/** What the rules say of one step: of a live run, or of the records as a trace. */
export interface JudgedStep {
  readonly step: number;
  readonly holds: readonly string[];
  readonly violated: readonly string[];
}

export const roles = ['positive', 'negative', 'boundary'] as const;
export type Role = (typeof roles)[number];

/** Calls, and what must or may come of them. */
export interface CallCase {
  readonly case: 'call';
  readonly role: Role;
  /** What the case was chosen for; it is judged at the last step. */
  readonly requirement: string;
  readonly arch: Arch;
  /** Every requirement that is judged in it. */
  readonly requirements: readonly string[];
  /** Edges that its calls touch. */
  readonly edges: readonly string[];
  /** What can be played, as in a replay token; absent for a capture. */
  readonly scenario?: unknown;
  /** What the implementation is taken to declare of itself. */
  readonly assumes?: { readonly level: 0 | 1 | 2; readonly max_order: number; readonly max_extents: string };
  readonly header: TraceRecord;
  /**
   * What was seen, step by step: of the reference model, of a faulty hypervisor (negative), or of a
   * real one (capture).
   */
  readonly observed: readonly ObservedStep[];
  /** How the two further runs of a pair ended: the same again, and with other `address_bits`. */
  readonly pair?: readonly { readonly rc: number; readonly nr_exchanged: string | null }[];
  readonly judged: readonly JudgedStep[];
  /** The same from the records alone, as a trace: what `xenmem validate` must say. */
  readonly trace_judged: readonly JudgedStep[];
  /**
   * Per step what each chunk of the call does, where it does any; frames by name, since the
   * allocator is free.
   */
  readonly work?: readonly (AllowedEffect | null)[];
  /** Per step every outcome that is right, if the steps before it ended as observed. */
  readonly allowed?: readonly (readonly Allowed[])[];
  /** Bytes after a step that may be anything. */
  readonly dont_care?: readonly { readonly step: number; readonly address: string; readonly bytes: string; readonly why: string }[];
  /** Faulty hypervisors that playing the scenario finds out, by name. */
  readonly kills?: readonly string[];
  readonly origin: Origin;
}

export type GoldenCase = StructCase | CallCase;

/**
 * JSON without white space, keys sorted: the same text for the same content. Numbers must be whole.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((entry) => canonicalJson(entry ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
}

/** SHA-256 as hex, of text in UTF-8 or of bytes. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The content address of a case: the first 8 hex digits of the SHA-256 of its canonical JSON. */
export function idOf(golden: unknown): string {
  return sha256(canonicalJson(golden)).slice(0, 8);
}

/** Where a case lies under the folder of all of them: a readable name, and its content address. */
export function pathOf(golden: GoldenCase): string {
  const id = idOf(golden);
  if (golden.case === 'struct') {
    return `structs/${golden.arch}/${golden.struct.replace(/^xen_/, '').replaceAll('_', '-')}-${golden.shows}.${id}.json`;
  }
  const ops = golden.observed.map((step) => (step.do === 'call' ? opWord(step.record) : step.do)).slice(-4);
  return `calls/${golden.requirement}/${golden.role}-${golden.arch}-${ops.join('-')}.${id}.json`;
}

const words: { readonly [op: number]: string } = { 26: 'get', 27: 'put', 11: 'exchange', 0: 'increase', 1: 'decrease', 6: 'populate' };

function opWord({ cmd }: TraceRecord): string {
  return words[Number(cmd) & 63] ?? 'call';
}

const widest = 140;

/** The text of a file: what fits in a line is on one line, so that a difference shows as a line. */
export function fileText(value: unknown): string {
  return `${pretty(value, '')}\n`;
}

function pretty(value: unknown, indent: string): string {
  const short = JSON.stringify(value);
  if (typeof value !== 'object' || value === null || indent.length + short.length <= widest) return short;
  const inner = `${indent} `;
  if (Array.isArray(value)) return `[\n${value.map((entry) => `${inner}${pretty(entry, inner)}`).join(',\n')}\n${indent}]`;
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return `{\n${entries.map(([key, entry]) => `${inner}${JSON.stringify(key)}: ${pretty(entry, inner)}`).join(',\n')}\n${indent}}`;
}
