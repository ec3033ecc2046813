import { hex64 } from '../../src/codec/hex.ts';
import { traceJudge } from '../../src/rules/trace.ts';
import type { CallEnd } from '../../src/rules/works.ts';
import { defaultSetting, type ObservedCall, type P2m, type Setting } from '../../src/trace/call.ts';
import { readRecord, type TraceRecord } from '../../src/trace/record.ts';
import { headerOf, recordOf } from '../../src/trace/write.ts';
import type { InUse } from '../observe/in-use.ts';
import type { Event } from '../observe/observe.ts';
import type { Hello, Implementation } from '../protocol/implementation.ts';
import { isIn } from '../protocol/page-runs.ts';
import { playHere } from '../protocol/play.ts';
import { type Scenario, scenarioIn, toJson } from '../scenario/scenario.ts';
import { type Checked, givenByPair, pairEnds } from '../verdict/check.ts';
import { type Given, ScenarioJudge } from '../verdict/judge.ts';
import type { CallCase, Frames, FramesInUse, JudgedStep, ObservedStep, Ranges } from './case.ts';

/** How one run of a pair ended. */
export type PairOutcome = NonNullable<CallCase['pair']>[number];

/** The header of a scenario's records. */
export function headerFor({ world }: Scenario): TraceRecord {
  return headerOf({ ...defaultSetting, arch: world.arch, space: 'physical', privileged: world.domains[0]?.privileged, fromStart: true });
}

/** What was seen of a scenario, as data; `undefined` if a step could not be played. */
export function observedOf(scenario: Scenario, { events }: Checked): ObservedStep[] | undefined {
  const { setting } = readRecord(headerFor(scenario), defaultSetting);
  const steps: ObservedStep[] = [];
  for (const event of events) {
    if (event.kind === 'skipped') return undefined;
    steps.push(event.kind === 'churn' ? churnOf(event) : callOf(event, setting));
  }
  return steps.length === scenario.steps.length ? steps : undefined;
}

function churnOf({ domid, before, after, lost, kept, inUse }: Event & { kind: 'churn' }): ObservedStep {
  const p2m = { p2m_before: framesOf(before), p2m_after: framesOf(after) };
  return { do: 'churn', domid, ...p2m, lost: lost.map(hex64), kept: kept.map(hex64), ...inUseOf(inUse) };
}

function inUseOf(inUse: InUse | undefined): { in_use?: FramesInUse } {
  return inUse ? { in_use: [inUse.low, inUse.high, inUse.unmapped] } : {};
}

function inUseIn(frames: FramesInUse | undefined): InUse | undefined {
  return frames && { low: frames[0], high: frames[1], unmapped: frames[2] };
}

function callOf({ call, inject, inUse }: Event & { kind: 'call' }, setting: Setting): ObservedStep {
  const { changes, others } = call;
  return {
    do: 'call',
    record: recordOf(call, setting),
    ...(inject && { inject }),
    ...(changes && { changed: rangesOf(changes) }),
    ...(others && {
      others: others.map((o) => {
        return { domid: o.domid, changed: rangesOf(o.changes), p2m_before: framesOf(o.p2mBefore), p2m_after: framesOf(o.p2mAfter) };
      }),
    }),
    ...inUseOf(inUse),
  };
}

/**
 * The calls and moves of a case as they were seen, read back from the data. Throws where the data
 * is none.
 */
export function eventsOf(golden: Pick<CallCase, 'header' | 'observed' | 'scenario'>): (Event & { kind: 'call' | 'churn' })[] {
  const { header, observed } = golden;
  const domains = scenarioIn(golden.scenario)?.world.domains;
  const runs = domains?.flatMap(({ ram, holes }) => [...ram, ...holes]);
  const isPlanned = (page: bigint): boolean => !runs || isIn(runs, page);
  const { setting } = readRecord(header, defaultSetting);
  return observed.map((seen, step) => {
    if (seen.do === 'churn') {
      const [lost, kept] = [seen.lost.map(BigInt), seen.kept.map(BigInt)];
      const inUse = inUseIn(seen.in_use);
      return { kind: 'churn', step, domid: seen.domid, before: p2mOf(seen.p2m_before), after: p2mOf(seen.p2m_after), lost, kept, inUse };
    }
    const { call } = readRecord(seen.record, setting);
    if (!call) throw new SyntaxError(`step ${step} is no call`);
    const others = seen.others?.map((o) => {
      return { domid: o.domid, changes: rangesIn(o.changed), p2mBefore: p2mOf(o.p2m_before), p2mAfter: p2mOf(o.p2m_after) };
    });
    const domids = domains?.map(({ domid }) => domid);
    const whole: ObservedCall = { ...call, changes: seen.changed && rangesIn(seen.changed), others, ...(domids && { domids }) };
    return {
      kind: 'call',
      step,
      call: whole,
      inject: seen.inject,
      wasMapped: (gfn) => (isPlanned(gfn) ? isFrame(whole.p2mBefore.get(gfn)) : undefined),
      inUse: inUseIn(seen.in_use),
    };
  });
}

/**
 * What the rules say of what was seen, as of a live run of that scenario on such an implementation.
 */
export function judgeRun(
  scenario: Scenario,
  hello: Hello,
  golden: Pick<CallCase, 'header' | 'observed' | 'pair' | 'scenario'>,
): JudgedStep[] {
  const judge = new ScenarioJudge(scenario, hello);
  const given: Given[] = [];
  const outcomes = new Map<number, CallEnd>();
  for (const event of eventsOf({ ...golden, scenario: toJson(scenario) })) {
    const taken = judge.take(event);
    given.push(...taken.given);
    if (event.kind === 'call' && taken.judgement) outcomes.set(event.step, { rc: event.call.rc, N: taken.judgement.facts.N });
  }
  const [again, varied] = golden.pair ?? [];
  const first = scenario.pair && outcomes.get(scenario.pair.step);
  if (first && again && varied) given.push(...givenByPair(scenario, first, [outcomeIn(again), outcomeIn(varied)]));
  return judgedSteps(given);
}

/**
 * What the rules say of the records alone, in order, as `xenmem validate` does. Moves of pages are
 * not in a trace.
 */
export function judgeTrace({ header, observed }: Pick<CallCase, 'header' | 'observed'>): JudgedStep[] {
  const judge = traceJudge();
  const { setting } = readRecord(header, defaultSetting);
  const given: Given[] = [];
  for (const [step, seen] of observed.entries()) {
    const call = seen.do === 'call' ? readRecord(seen.record, setting).call : undefined;
    for (const [id, answer] of (call && judge.judge(call))?.requirements ?? []) given.push({ step, id, answer });
  }
  return judgedSteps(given);
}

/** Answers by step, those that are unknown left out. */
export function judgedSteps(given: readonly Given[]): JudgedStep[] {
  const steps = new Map<number, { holds: Set<string>; violated: Set<string> }>();
  for (const { step, id, answer } of given) {
    if (answer.answer === 'unknown') continue;
    const at = steps.get(step) ?? { holds: new Set(), violated: new Set() };
    at[answer.answer].add(id);
    steps.set(step, at);
  }
  return [...steps]
    .sort(([a], [b]) => a - b)
    .map(([step, at]) => ({ step, holds: [...at.holds].sort(), violated: [...at.violated].sort() }));
}

/**
 * How the two further runs of a scenario's pair end on an implementation; `undefined` where it has
 * none.
 */
export function pairOutcomes(scenario: Scenario, implementation: Implementation): PairOutcome[] | undefined {
  const ends = playHere(pairEnds(scenario, implementation.hello), implementation);
  return ends?.map(({ rc, N }) => ({ rc: rc as number, nr_exchanged: N === undefined ? null : hex64(N) }));
}

function outcomeIn({ rc, nr_exchanged }: PairOutcome): CallEnd {
  return { rc, N: nr_exchanged === null ? undefined : BigInt(nr_exchanged) };
}

function isFrame(frame: bigint | null | undefined): boolean | undefined {
  return frame === undefined ? undefined : frame !== null;
}

function framesOf(p2m: P2m): Frames {
  return [...p2m].map(([gfn, mfn]) => [hex64(gfn), mfn === null ? null : hex64(mfn)]);
}

function p2mOf(frames: Frames): P2m {
  return new Map(frames.map(([gfn, mfn]) => [BigInt(gfn), mfn === null ? null : BigInt(mfn)]));
}

function rangesOf(ranges: readonly { readonly address: bigint; readonly length: bigint }[]): Ranges {
  return ranges.map(({ address, length }) => [hex64(address), hex64(length)]);
}

function rangesIn(ranges: Ranges): { address: bigint; length: bigint }[] {
  return ranges.map(([address, length]) => ({ address: BigInt(address), length: BigInt(length) }));
}
