import { judgedOp } from '../src/abi/ops.ts';
import type { Judgement } from '../src/rules/judge.ts';
import { violated } from '../src/rules/rule.ts';
import { judgePair, type Outcome } from '../src/rules/works.ts';
import type { Answer, Hello, Implementation, Request } from './implementation.ts';
import { type Given, ScenarioJudge } from './judge.ts';
import { type Event, observe, type Play, SetupError } from './observe.ts';
import type { CallStep, Scenario } from './scenario.ts';

/** One call of a scenario with what the rules said of it. */
export interface JudgedCall {
  readonly step: number;
  readonly event: Event & { readonly kind: 'call' };
  readonly judgement: Judgement;
}

/** What a scenario showed. */
export interface Checked {
  /** Every answer of every rule, in order. */
  readonly given: readonly Given[];
  readonly calls: readonly JudgedCall[];
  readonly events: readonly Event[];
}

/** Anything that is yielded requests and takes their answers, played on an implementation in this process. */
export function playHere<T>(play: Play<T>, implementation: Implementation): T {
  let turn = play.next();
  while (!turn.done) turn = play.next(implementation.answer(turn.value));
  return turn.value;
}

/** Plays a scenario, its pair of runs included, and judges all of it. */
export function* check(scenario: Scenario, hello: Hello): Play<Checked> {
  const given: Given[] = [];
  const calls: JudgedCall[] = [];
  const events: Event[] = [];
  const judge = new ScenarioJudge(scenario, hello);
  const outcomes: (Outcome | undefined)[] = [];
  yield* observe(scenario, hello, (event) => {
    events.push(event);
    const taken = judge.take(event);
    given.push(...taken.given);
    if (event.kind === 'call' && taken.judgement) {
      calls.push({ step: event.step, event, judgement: taken.judgement });
      outcomes[event.step] = { rc: event.call.rc, N: taken.judgement.facts.N };
    }
  });
  const first = scenario.pair && outcomes[scenario.pair.step];
  if (scenario.pair && first) given.push(...(yield* pair(scenario, scenario.pair, first, hello)));
  return { given, calls, events };
}

/** The same in this process. A crash is an answer too: `survives` is violated. */
export function checkHere(scenario: Scenario, implementation: Implementation): Checked {
  try {
    return playHere(check(scenario, implementation.hello), implementation);
  } catch (error) {
    if (error instanceof SetupError || error instanceof InternalError) throw error;
    if (!(error instanceof CrashError)) throw new InternalError(error);
    const answer = violated(`the implementation crashed: ${error.message}`);
    return { given: [{ step: scenario.steps.length - 1, id: 'survives', answer }], calls: [], events: [] };
  }
}

/** A bug of the suite's own, told apart from a crash of what it tests. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** The implementation under test crashed, or broke off. */
export class CrashError extends Error {
  override readonly name = 'CrashError';
}

/** An implementation whose throwing is a crash of its own. */
export function crashing(implementation: Implementation): Implementation {
  return {
    hello: implementation.hello,
    answer(requests: readonly Request[]): Answer[] {
      try {
        return implementation.answer(requests);
      } catch (error) {
        throw new CrashError(error instanceof Error ? error.message : String(error));
      }
    },
  };
}

/** The call of the pair once more as it is, and once with other `address_bits` in its first reservation. */
function* pair(scenario: Scenario, { step, addressBits }: NonNullable<Scenario['pair']>, first: Outcome, hello: Hello): Play<Given[]> {
  const call = scenario.steps[step] as CallStep;
  const [given, ...rest] = call.reservations;
  const op = judgedOp(call.cmd, 'dma-buf');
  if (!given || given.address_bits === addressBits || (op !== 'get_dma_buf' && op !== 'exchange' && op !== 'put_dma_buf')) return [];
  const before = scenario.steps.slice(0, step);
  const varied: CallStep = { ...call, reservations: [{ ...given, address_bits: addressBits }, ...rest] };
  const outcomes: Outcome[] = [];
  for (const last of [call, varied]) {
    const judge = new ScenarioJudge(scenario, hello);
    let outcome: Outcome | undefined;
    yield* observe({ world: scenario.world, steps: [...before, last] }, hello, (event) => {
      const { judgement } = judge.take(event);
      if (event.kind === 'call' && event.step === step && judgement) outcome = { rc: event.call.rc, N: judgement.facts.N };
    });
    if (!outcome) return [];
    outcomes.push(outcome);
  }
  const [again, other] = outcomes as [Outcome, Outcome];
  const id = op === 'put_dma_buf' ? 'put-ignores-address-bits' : 'get-ignores-in-address-bits';
  return [{ step, id, answer: judgePair(first, again, other) }];
}
