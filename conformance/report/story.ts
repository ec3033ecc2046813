import { errnoName, PAGE_SHIFT } from '../../src/abi/constants.ts';
import type { StructLayout } from '../../src/abi/layout.ts';
import { opName, opNumber, startExtent } from '../../src/abi/ops.ts';
import { fromHex, hex64 } from '../../src/codec/hex.ts';
import { listBehind, readEntry } from '../../src/guest/handle.ts';
import type { GuestMemory } from '../../src/guest/memory.ts';
import type { Facts, Reservation } from '../../src/rules/facts.ts';
import { type Finding, judge } from '../../src/rules/judge.ts';
import { defaultSetting, type ObservedCall } from '../../src/trace/call.ts';
import { RecordError } from '../../src/trace/fields.ts';
import { readRecord } from '../../src/trace/record.ts';
import type { Broken, MemoryChange, P2mEntry, StoryStep } from '../verdict/result.ts';

/** One guest frame before and after a step: `null` is a hole, `undefined` was not seen. */
export interface FrameMove {
  readonly gfn: bigint;
  readonly before: bigint | null | undefined;
  readonly after: bigint | null | undefined;
}

/**
 * Eight bytes of guest memory of which a step changed some; a byte that was not seen is
 * `undefined`.
 */
export interface MemoryRow {
  readonly address: bigint;
  readonly before: readonly (number | undefined)[];
  readonly after: readonly (number | undefined)[];
  readonly changed: readonly boolean[];
  /** What lies there. */
  readonly label: string;
}

/** The entries of a list, as far as they are shown. */
export interface ListView {
  readonly path: string;
  readonly address: bigint;
  readonly count: bigint;
  readonly entries: readonly { readonly before: bigint | undefined; readonly after: bigint | undefined }[];
}

/** A call of a story, read from its record. */
export interface CallScene {
  readonly kind: 'call';
  readonly op: string;
  readonly domid: number | undefined;
  readonly rc: string;
  /** Where its argument lies. */
  readonly arg?: bigint;
  readonly refused: boolean;
  /** What was made to go wrong on purpose. */
  readonly inject: readonly string[];
  readonly arch: string;
  /** The argument, where xenmem knows the op. */
  readonly argument?: {
    readonly layout: StructLayout;
    readonly address: bigint | undefined;
    readonly before: Uint8Array;
    readonly after: Uint8Array;
    readonly findings: readonly Finding[];
  };
  readonly lists: readonly ListView[];
  readonly memory: readonly MemoryRow[];
  /** Rows of changed memory that are not in `memory`. */
  readonly moreMemory: number;
  readonly frames: readonly FrameMove[];
  readonly broken: readonly Broken[];
}

/** A step of a story as it is shown. */
export type Scene =
  | CallScene
  | {
      readonly kind: 'churn';
      readonly domid: number;
      readonly frames: readonly FrameMove[];
      readonly lost: readonly string[];
      readonly broken: readonly Broken[];
    }
  | { readonly kind: 'nothing'; readonly why: string; readonly broken: readonly Broken[] };

/** What a scenario starts from. */
export interface WorldView {
  readonly arch: string;
  readonly free: { readonly low: number; readonly high: number } | undefined;
  readonly domains: readonly { readonly domid: number; readonly privileged: boolean; readonly ram: string; readonly holes: string }[];
}

const most = { entries: 16, rows: 48, past: 8 } as const;
const rowBytes = 8n;

/** Reads one step; a record that cannot be read becomes a step that says so. */
export function sceneOf(step: StoryStep): Scene {
  const { broken } = step;
  if (step.do === 'nothing') return { kind: 'nothing', why: step.why, broken };
  if (step.do === 'churn') {
    const frames = framesOf(frameMap(step.p2m_before), frameMap(step.p2m_after));
    return { kind: 'churn', domid: step.domid, frames, lost: step.lost, broken };
  }
  try {
    const { call } = readRecord(step.record, defaultSetting);
    if (call) return callScene(call, step);
    return { kind: 'nothing', why: 'the record holds no call', broken };
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return { kind: 'nothing', why: `the record cannot be read: ${error.message}`, broken };
  }
}

/** What a scenario starts from, as far as its JSON says. */
export function worldOf(scenario: unknown): WorldView | undefined {
  const world = at(scenario, 'world');
  const domains = at(world, 'domains');
  if (!Array.isArray(domains)) return undefined;
  const free = at(world, 'free');
  const [low, high] = [at(free, 'low'), at(free, 'high')];
  return {
    arch: textOf(at(world, 'arch')),
    free: typeof low === 'number' && typeof high === 'number' ? { low, high } : undefined,
    domains: domains.map((domain: unknown) => ({
      domid: numberOf(at(domain, 'domid')),
      privileged: at(domain, 'privileged') === true,
      ram: runsOf(at(domain, 'ram')),
      holes: runsOf(at(domain, 'holes')),
    })),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '?';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}

/** Frames whose mapping a step changed. */
export function changedFrames(frames: readonly FrameMove[]): readonly FrameMove[] {
  return frames.filter(({ before, after }) => before !== after && before !== undefined && after !== undefined);
}

/**
 * What earlier steps are seen to have done with the frames that the message of a broken rule names:
 * a line each, so that one need not look for the call that took or gave it.
 */
export function pastOf(scenes: readonly Scene[], index: number): string[] {
  const scene = scenes[index];
  const named = new Set((scene?.broken ?? []).flatMap(({ message }) => framesIn(message)));
  const lines: string[] = [];
  for (const frame of named) {
    const past: string[] = [];
    for (const [step, earlier] of scenes.slice(0, index + 1).entries()) {
      if (earlier.kind === 'nothing') continue;
      for (const { gfn, before, after } of changedFrames(earlier.frames)) {
        if (before === frame) past.push(`step ${step} took it from guest frame ${hex64(gfn)}`);
        if (after === frame) past.push(`step ${step} put it behind guest frame ${hex64(gfn)}`);
      }
    }
    const still = scene && scene.kind !== 'nothing' ? scene.frames.find((f) => f.before === frame && f.after === frame) : undefined;
    if (still) past.push(`no step took it from guest frame ${hex64(still.gfn)}, where it still is`);
    if (past.length > 0) lines.push(`frame ${hex64(frame)}: ${past.slice(0, most.past).join('; ')}${past.length > most.past ? '; …' : ''}`);
  }
  return lines;
}

/** The frames and guest frames that a message speaks of. */
export function framesIn(message: string): bigint[] {
  return (message.slice(0, 1000).match(/\b0x[0-9a-f]{1,16}\b/g) ?? []).map(BigInt);
}

/** A frame as it is named: a hole is `none`. */
export function frameName(frame: bigint | null | undefined): string {
  return frame === null ? 'none' : frame === undefined ? '?' : hex64(frame);
}

function callScene(call: ObservedCall, { inject, changed, broken }: StoryStep & { do: 'call' }): CallScene {
  const judgement = judge(call);
  const facts = judgement?.facts;
  const start = startExtent(call.cmd);
  const name = opName(opNumber(call.cmd), call.profile) ?? `op ${opNumber(call.cmd)}`;
  const errno = call.rc === undefined ? undefined : errnoName(call.rc);
  const rows = memoryRows(changed, call, facts);
  const ids = new Set(broken.map(({ id }) => id));
  return {
    kind: 'call',
    op: start > 0 ? `${name} from ${start}` : name,
    domid: call.domid,
    rc: call.rc === undefined ? 'rc ?' : `rc ${call.rc}${call.rc !== 0 && errno ? ` (${errno})` : ''}`,
    ...(call.arg !== undefined && { arg: call.arg }),
    refused: (call.rc ?? 0) < 0,
    inject: [
      ...(inject?.fail_alloc === undefined ? [] : [`output extent ${inject.fail_alloc} finds no memory`]),
      ...(inject?.preempt === undefined ? [] : [`preempted after each ${inject.preempt} input extents`]),
    ],
    arch: call.arch,
    ...(facts &&
      judgement && {
        argument: {
          layout: facts.layout,
          address: call.arg,
          before: facts.argument,
          after: facts.argumentAfter,
          findings: judgement.findings.filter((f) => f.blame === 'caller' || ids.has(f.id)),
        },
      }),
    lists: facts ? facts.reservations.flatMap((r) => listView(r, call)) : [],
    memory: rows.slice(0, most.rows),
    moreMemory: Math.max(0, rows.length - most.rows),
    frames: framesOf(call.p2mBefore, call.p2mAfter),
    broken,
  };
}

function listView({ path, list }: Reservation, { before, after }: ObservedCall): ListView[] {
  if (!list) return [];
  const shown = Number(list.count < most.entries ? list.count : BigInt(most.entries));
  const entries = Array.from({ length: shown }, (_, i) => ({
    before: readEntry(before, list, BigInt(i)),
    after: readEntry(after, list, BigInt(i)),
  }));
  return entries.some((e) => e.before !== undefined) ? [{ path, address: list.range.address, count: list.count, entries }] : [];
}

function memoryRows(changed: readonly MemoryChange[], call: ObservedCall, facts: Facts | undefined): MemoryRow[] {
  const seen = new Map<bigint, { before?: number | undefined; after?: number | undefined }>();
  const starts = new Set<bigint>();
  for (const [where, before, after] of changed) {
    const address = number(where);
    const [old, now] = [fromHex(before), fromHex(after)];
    if (address === undefined || !old || !now) continue;
    for (let i = 0; i < Math.max(old.length, now.length, 1); i++) {
      const byte = address + BigInt(i);
      seen.set(byte, { before: old[i], after: now[i] });
      starts.add(byte - (byte % rowBytes));
    }
  }
  const byteOf = (memory: GuestMemory, address: bigint): number | undefined => memory.read(address, 1)?.[0];
  return [...starts]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((address) => {
      const places = Array.from({ length: Number(rowBytes) }, (_, i) => address + BigInt(i));
      const bytes = (side: 'before' | 'after'): (number | undefined)[] =>
        places.map((place) => seen.get(place)?.[side] ?? byteOf(call[side], place));
      const [before, after] = [bytes('before'), bytes('after')];
      const differs = places.map((place, i) => seen.has(place) && before[i] !== after[i]);
      // What did not change need not have been read twice.
      const whole = after.map((byte, i) => byte ?? (seen.has(places[i] as bigint) ? undefined : before[i]));
      return { address, before, after: whole, changed: differs, label: labelOf(address, call, facts) };
    });
}

function labelOf(address: bigint, call: ObservedCall, facts: Facts | undefined): string {
  const end = address + rowBytes;
  if (facts && call.arg !== undefined) {
    const { arg } = call;
    const field = facts.layout.fields.find((f) => arg + BigInt(f.offset) < end && arg + BigInt(f.offset + f.size) > address);
    if (field && address >= arg) return field.path;
    if (address < arg + BigInt(facts.layout.size) && end > arg) return 'the struct';
    for (const { path, extent_start, nr_extents } of facts.reservations) {
      if (extent_start === undefined || nr_extents === undefined) continue;
      const { range, stride } = listBehind(extent_start, nr_extents, call.arch);
      if (address < range.address + range.length && end > range.address) {
        const at = address < range.address ? 0n : (address - range.address) / BigInt(stride);
        return `${path || 'the'} list, entry ${at}`;
      }
    }
  }
  return call.space === 'physical' ? `in the page ${hex64(address >> BigInt(PAGE_SHIFT))}` : 'elsewhere';
}

function framesOf(before: ReadonlyMap<bigint, bigint | null>, after: ReadonlyMap<bigint, bigint | null>): FrameMove[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((gfn) => ({ gfn, before: before.get(gfn), after: after.get(gfn) }));
}

function frameMap(entries: readonly P2mEntry[]): Map<bigint, bigint | null> {
  const map = new Map<bigint, bigint | null>();
  for (const [gfn, mfn] of entries) {
    const [from, to] = [number(gfn), mfn === null ? null : number(mfn)];
    if (from !== undefined && to !== undefined) map.set(from, to);
  }
  return map;
}

function number(text: unknown): bigint | undefined {
  return typeof text === 'string' && /^(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? BigInt(text) : undefined;
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown })[key] : undefined;
}

function runsOf(runs: unknown): string {
  if (!Array.isArray(runs)) return '';
  return runs.map((run: unknown) => `${numberOf(at(run, 'pages'))} pages at ${textOf(at(run, 'gfn'))}`).join(', ');
}
