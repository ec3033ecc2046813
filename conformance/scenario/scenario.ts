import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type Arch, isArch } from '../../src/abi/arch.ts';
import { DOMID } from '../../src/abi/constants.ts';
import { isExchangeOp, judgedOp } from '../../src/abi/ops.ts';
import type { XenMemoryReservation } from '../../src/abi/values.ts';
import type { Inject, World } from '../protocol/implementation.ts';

/** One hypercall, as data: what lies in guest memory, and the registers. */
export interface CallStep {
  readonly do: 'call';
  readonly domid: number;
  /** With the patch's op numbers; an implementation's own are put in when it is sent. */
  readonly cmd: number;
  readonly arg: bigint;
  /** The struct's reservations in memory order: one, or in and out. */
  readonly reservations: readonly XenMemoryReservation[];
  /** `nr_exchanged` on entry, where the struct has it. */
  readonly nrExchanged: bigint;
  /** Every padding byte. */
  readonly padding: number;
  /**
   * What the lists hold; `undefined` leaves memory as it is, which is how a list that get has
   * overwritten is used again.
   */
  readonly lists: readonly (readonly bigint[] | undefined)[];
  readonly inject?: Inject;
}

/** Sharing, paging or migration of a run of guest pages. */
export interface ChurnStep {
  readonly do: 'churn';
  readonly domid: number;
  readonly gfn: bigint;
  readonly pages: number;
}

export type Step = CallStep | ChurnStep;

/** A world and what happens in it. */
export interface Scenario {
  readonly world: World;
  readonly steps: readonly Step[];
  /**
   * Run it twice as it is and once with the first reservation of step `step` asking for other
   * `address_bits`.
   */
  readonly pair?: { readonly step: number; readonly addressBits: number };
}

/** No world has room for an extent of a higher order. */
export const mostOrder = 12;

/** The frames of extents; of an order that no world has room for, only the first of each. */
export function framesOf(bases: readonly bigint[], order: number): bigint[] {
  if (order > mostOrder) return [...bases];
  const frames: bigint[] = [];
  for (const base of bases) for (let j = 0n; j < 1n << BigInt(order); j++) frames.push(base + j);
  return frames;
}

/** Steps that a scenario has at most. */
export const mostSteps = 256;

const version = 'x1';

/**
 * A scenario as one word that can be pasted into a shell. It stands for the scenario itself, not
 * for a seed.
 */
export function tokenOf(scenario: Scenario): string {
  return `${version}.${deflateRawSync(JSON.stringify(toJson(scenario)), { level: 9 }).toString('base64url')}`;
}

/** The scenario in a token; a `SyntaxError` saying what is wrong with it otherwise. */
export function scenarioOf(token: string): Scenario {
  const [tag, body, ...rest] = token.trim().split('.');
  if (tag !== version || body === undefined || rest.length > 0) throw new SyntaxError(`a replay token looks like ${version}.…`);
  let json: unknown;
  try {
    json = JSON.parse(inflateRawSync(Buffer.from(body, 'base64url'), { maxOutputLength: 1 << 22 }).toString('utf8'));
  } catch {
    throw new SyntaxError('the replay token is damaged');
  }
  let scenario: Scenario | undefined;
  try {
    scenario = scenarioIn(json);
  } catch {
    throw new SyntaxError('the replay token is damaged'); // nested too deep
  }
  if (!scenario) throw new SyntaxError('the replay token holds no scenario');
  return scenario;
}

/** The scenario that `toJson` wrote, `undefined` if it is none. */
export function scenarioIn(json: unknown): Scenario | undefined {
  const scenario = fromJson(json);
  return isScenario(scenario) ? scenario : undefined;
}

/** A scenario with every 64-bit number as a `"0x…"` string. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (Array.isArray(value)) return value.map((entry) => (entry === undefined ? null : toJson(entry)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toJson(entry)]));
}

function fromJson(value: unknown): unknown {
  if (typeof value === 'string' && /^0x[0-9a-f]{1,16}$/.test(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map((entry) => (entry === null ? undefined : fromJson(entry)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fromJson(entry)]));
}

/** Checks a foreign scenario by its shape: whatever passes can be run. */
function isScenario(value: unknown): value is Scenario {
  const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
  const isCount = (v: unknown, most: number): boolean => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= most;
  const isRun = (v: unknown): boolean => isObject(v) && typeof v['gfn'] === 'bigint' && isCount(v['pages'], 4096);
  const isDomain = (v: unknown): boolean =>
    isObject(v) &&
    isCount(v['domid'], DOMID.FIRST_RESERVED - 1) &&
    typeof v['privileged'] === 'boolean' &&
    [v['ram'], v['holes']].every((runs) => Array.isArray(runs) && runs.length <= 16 && runs.every(isRun));
  const isReservation = (v: unknown): boolean =>
    isObject(v) &&
    typeof v['extent_start'] === 'bigint' &&
    typeof v['nr_extents'] === 'bigint' &&
    isCount(v['extent_order'], 0xffff_ffff) &&
    isCount(v['address_bits'], 0xffff_ffff) &&
    isCount(v['domid'], 0xffff);
  const isList = (v: unknown): boolean =>
    v === undefined || (Array.isArray(v) && v.length <= 4096 && v.every((e) => typeof e === 'bigint'));
  const isStep = (v: unknown): boolean => {
    if (!isObject(v) || !isCount(v['domid'], 0xffff)) return false;
    if (v['do'] === 'churn') return typeof v['gfn'] === 'bigint' && isCount(v['pages'], 4096);
    return (
      v['do'] === 'call' &&
      isCount(v['cmd'], 0xffff_ffff) &&
      typeof v['arg'] === 'bigint' &&
      typeof v['nrExchanged'] === 'bigint' &&
      isCount(v['padding'], 255) &&
      Array.isArray(v['reservations']) &&
      v['reservations'].length === (isExchangeOp(judgedOp(v['cmd'] as number, 'dma-buf')) ? 2 : 1) &&
      (v['inject'] === undefined || (isObject(v['inject']) && Object.values(v['inject']).every((n) => isCount(n, 0xffff_ffff)))) &&
      v['reservations'].every(isReservation) &&
      Array.isArray(v['lists']) &&
      v['lists'].length <= 2 &&
      v['lists'].every(isList)
    );
  };
  if (!isObject(value) || !isObject(value['world']) || !Array.isArray(value['steps'])) return false;
  const { arch, domains, free } = value['world'];
  const { pair } = value;
  return (
    typeof arch === 'string' &&
    isArch(arch) &&
    (arch as Arch) !== 'x86_32' &&
    Array.isArray(domains) &&
    domains.length <= 4 &&
    domains.every(isDomain) &&
    isObject(free) &&
    isCount(free['low'], 0x40000) &&
    isCount(free['high'], 0x400000) &&
    value['steps'].length <= mostSteps &&
    value['steps'].every(isStep) &&
    (pair === undefined ||
      (isObject(pair) &&
        isCount(pair['addressBits'], 0xffff_ffff) &&
        isObject(value['steps'][pair['step'] as number]) &&
        value['steps'][pair['step'] as number].do === 'call'))
  );
}

/** What it takes to show something: calls, moves of pages, and failures asked for. */
export function sizeOf({ steps }: Pick<Scenario, 'steps'>): number {
  return steps.reduce((size, step) => size + (step.do === 'call' && step.inject ? 2 : 1), 0);
}
