import { judgedOp } from '../../src/abi/ops.ts';
import { unknown, violated } from '../../src/rules/answer.ts';
import type { Judgement } from '../../src/rules/judge.ts';
import { type CallEnd, judgePair, pairRequirement } from '../../src/rules/works.ts';
import { type Event, observe, SetupError } from '../observe/observe.ts';
import type { Hello, Implementation } from '../protocol/implementation.ts';
import { CrashError, type Play, playHere } from '../protocol/play.ts';
import { type Player, UndrivenError } from '../protocol/player.ts';
import type { CallStep, Scenario } from '../scenario/scenario.ts';
import { type Caller, type Deviation, type Oracle, Prediction } from '../twin/prediction.ts';
import { type Given, ScenarioJudge } from './judge.ts';
import type { StartedFrom } from './result.ts';

/** One call of a scenario with what the rules said of it. */
export interface JudgedCall {
  readonly step: number;
  readonly event: Event & { readonly kind: 'call' };
  readonly judgement: Judgement;
}

/** A step that the model would have ended otherwise. */
export interface Dispute {
  readonly step: number;
  readonly message: string;
}

/** What is played and asked of an implementation that has a second oracle of its own. */
export interface Course {
  /** The scenario that a list of numbers stands for; where numbers are missing they are zero. */
  draw(numbers: readonly number[]): Scenario;
  oracle(scenario: Scenario): Oracle;
  /** Ops that are played beside the declared ones, and that only the oracle has a say in. */
  readonly unjudged: Hello['commands'];
  /** What it is that is played. */
  readonly packages: readonly StartedFrom[];
  /** Requirements that its guest cannot show, and why. */
  readonly excused: { readonly [requirement: string]: string };
}

/** What a scenario showed, in order; it grows while the scenario is played. */
export interface Checked {
  /** Every answer of every rule. */
  readonly given: Given[];
  readonly calls: JudgedCall[];
  readonly events: Event[];
  /** What the model would not have done, where the scenario was predicted. */
  readonly disputes: Dispute[];
  /** The steps that the model could have ended in the same way. */
  readonly agreed: Set<number>;
  /** Known deviations that the second oracle saw. */
  readonly deviations: Deviation[];
  /** Set where the implementation broke, and the scenario ended there. */
  crash?: CrashError;
}

export function nothingSeen(): Checked {
  return { given: [], calls: [], events: [], disputes: [], agreed: new Set(), deviations: [] };
}

/**
 * Plays a scenario, its pair of runs included, and judges all of it. What is seen is added to
 * `seen` at once. `predicted`: is it also held against what the model would do, or by the second oracle of a
 * course? Of the model itself that says nothing.
 */
export function* check(
  scenario: Scenario,
  hello: Hello,
  seen: Checked = nothingSeen(),
  predicted: boolean | Course = false,
): Play<Checked> {
  const judge = new ScenarioJudge(scenario, hello);
  const course = typeof predicted === 'object' ? predicted : undefined;
  const prediction = course ? course.oracle(scenario) : predicted ? new Prediction(scenario, hello) : undefined;
  const outcomes: (CallEnd | undefined)[] = [];
  const commands = { ...hello.commands, ...course?.unjudged };
  yield* observe(scenario, { ...hello, commands }, (event) => {
    seen.events.push(event);
    const taken = isJudged(event, hello) ? judge.take(event) : { given: [] };
    const said = prediction?.take(event, taken.judgement && callerIn(taken.judgement));
    const deviations = said && said.agrees !== false ? (said.readings ?? []) : [];
    seen.given.push(...taken.given.map((given) => asRead(given, deviations)));
    seen.deviations.push(...deviations);
    if (said?.agrees === true) seen.agreed.add(event.step);
    if (said?.agrees === false) seen.disputes.push({ step: event.step, message: said.message });
    if (event.kind === 'call' && taken.judgement) {
      seen.calls.push({ step: event.step, event, judgement: taken.judgement });
      outcomes[event.step] = { rc: event.call.rc, N: taken.judgement.facts.N };
    }
  });
  const skipped = seen.events.some((event) => event.kind === 'skipped');
  const first = scenario.pair && !skipped ? outcomes[scenario.pair.step] : undefined;
  const ends = first && (yield* pairEnds(scenario, hello));
  if (first && ends) seen.given.push(...givenByPair(scenario, first, ends));
  return seen;
}

/** What a known deviation breaks is told as that reading, and not as a violation. */
function asRead(given: Given, deviations: readonly Deviation[]): Given {
  const reading = given.answer.answer === 'violated' ? deviations.find(({ breaks }) => breaks?.includes(given.id)) : undefined;
  return reading ? { ...given, answer: unknown(reading.reading) } : given;
}

/** Does the implementation declare the op of a call? Another one is played for the oracle alone. */
function isJudged(event: Event, { commands }: Hello): boolean {
  const op = event.kind === 'call' ? judgedOp(event.call.cmd, 'dma-buf') : undefined;
  return op === undefined || commands[op] !== undefined;
}

function callerIn({ callerErred, findings }: Judgement): Caller {
  return { erred: callerErred, isTidy: !findings.some((f) => f.blame === 'caller') };
}

/** The same in this process. */
export function checkHere(scenario: Scenario, implementation: Implementation, predicted = false): Checked {
  const seen = nothingSeen();
  try {
    return playHere(check(scenario, implementation.hello, seen, predicted), implementation);
  } catch (error) {
    return broken(scenario, seen, error);
  }
}

/** Plays a scenario to its end, or to where it broke the implementation. */
export async function played(player: Player, scenario: Scenario, course?: Course): Promise<Checked> {
  const seen = nothingSeen();
  try {
    return await player.play(check(scenario, player.hello, seen, course ?? player.predicted));
  } catch (error) {
    if (error instanceof UndrivenError) throw error;
    return broken(scenario, seen, error);
  }
}

/**
 * A crash is an answer too: `survives` is violated, and what was seen before it stands. Any other
 * error is thrown on.
 */
function broken(scenario: Scenario, seen: Checked, error: unknown): Checked {
  if (error instanceof SetupError || error instanceof InternalError) throw error;
  if (!(error instanceof CrashError)) throw new InternalError(error);
  const step = Math.min(seen.events.length, scenario.steps.length - 1);
  seen.given.push({ step, id: 'survives', answer: violated(`the implementation broke ${error.message}`) });
  seen.crash = error;
  return seen;
}

/** A bug of the suite's own, told apart from a crash of what it tests. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * How the two further runs of a scenario's pair end: its call once more as it is, and once with
 * other `address_bits`.
 */
export function* pairEnds({ world, steps, pair }: Scenario, hello: Hello): Play<readonly [CallEnd, CallEnd] | undefined> {
  const call = pair && (steps[pair.step] as CallStep);
  const [given, ...rest] = call?.reservations ?? [];
  if (!pair || !call || !given || given.address_bits === pair.addressBits) return undefined;
  const before = steps.slice(0, pair.step);
  const varied: CallStep = { ...call, reservations: [{ ...given, address_bits: pair.addressBits }, ...rest] };
  const ends: CallEnd[] = [];
  for (const last of [call, varied]) {
    const scenario = { world, steps: [...before, last] };
    const judge = new ScenarioJudge(scenario, hello);
    let end: CallEnd | undefined;
    let skipped = false;
    yield* observe(scenario, hello, (event) => {
      const { judgement } = judge.take(event);
      skipped ||= event.kind === 'skipped';
      if (event.kind === 'call' && event.step === pair.step && judgement) end = { rc: event.call.rc, N: judgement.facts.N };
    });
    // A step that one run has and the other has not leaves another world behind.
    if (!end || skipped) return undefined;
    ends.push(end);
  }
  return ends as [CallEnd, CallEnd];
}

/** What the three runs of a scenario's pair show together. */
export function givenByPair({ steps, pair }: Scenario, first: CallEnd, [again, varied]: readonly [CallEnd, CallEnd]): Given[] {
  const op = pair && judgedOp((steps[pair.step] as CallStep).cmd, 'dma-buf');
  const id = op && pairRequirement(op);
  return pair && id !== undefined ? [{ step: pair.step, id, answer: judgePair(first, again, varied) }] : [];
}
