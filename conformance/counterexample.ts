import { SetupError } from './observe/observe.ts';
import type { CrashError } from './protocol/play.ts';
import { type Player, UndrivenError } from './protocol/player.ts';
import { scenarioFrom } from './scenario/generate.ts';
import { type Drawn as Made, shrunk } from './scenario/numbers.ts';
import { type Scenario, sizeOf, toJson, tokenOf } from './scenario/scenario.ts';
import { needed, simplest } from './scenario/simpler.ts';
import { type Checked, type Course, InternalError, nothingSeen, played } from './verdict/check.ts';
import { disputeOf } from './verdict/dispute.ts';
import type { Counterexample, Incident } from './verdict/result.ts';
import { storyOf } from './verdict/story.ts';

/**
 * Most times a scenario is played again to make it smaller: one that is judged, one that is
 * disputed, one that breaks the implementation, one that hangs it.
 */
const shrinkBudget = { judged: 400, disputed: 60, broken: 20, hung: 3 } as const;
/** How often a scenario is tried that need not show something each time it is played. */
const mostTries = 5;

/** A scenario of the run. */
export interface RunScenario {
  readonly index: number;
  readonly scenario: Scenario;
  /** What it was made from, and smaller ones can be; absent where it was given as it is. */
  readonly made?: Made;
  /** It is none of those that were drawn, but one of them in another world. */
  readonly isExtra?: true;
}

/** A scenario that broke a requirement, as it was first seen. */
export interface FirstSeen {
  readonly drawn: RunScenario;
  readonly message: string;
  readonly crash: CrashError | undefined;
}

/** Scenarios that broke one requirement, in the order of the run. */
export type SeenTimes = readonly [FirstSeen, ...FirstSeen[]];

/** What a run knows of whether its implementation can still be started. */
export interface Lost {
  readonly isLost: boolean;
  /** It cannot be started any more: nothing else can be played. */
  lose(error: UndrivenError, drawn: RunScenario): void;
}

/**
 * Plays scenarios of a run again, for the smallest that still shows what one has shown: a broken
 * requirement, or a dispute of the oracles.
 */
export class Counterexamples {
  readonly #player: Player;
  readonly #lost: Lost;
  readonly #course: Course | undefined;
  /** What scenarios broke that were played on the way to smaller ones, by token: requirements, and where. */
  readonly #broken = new Map<string, ReadonlyMap<string, number>>();

  constructor(player: Player, lost: Lost, course?: Course) {
    this.#player = player;
    this.#lost = lost;
    this.#course = course;
  }

  /**
   * What shows that a requirement is broken: one that does so again wherever there is one, else the
   * first, as flaky.
   */
  async of(id: string, [first, ...others]: SeenTimes): Promise<Counterexample> {
    const shown = await this.#smallest(id, first);
    if (!shown.flaky) return shown;
    for (const other of others) {
      const again = await this.#smallest(id, other);
      if (!again.flaky) return again;
    }
    return shown;
  }

  /** What the oracles disagree about, by a scenario that is as small as it goes. */
  async ofDispute(drawn: RunScenario, first: Incident, stopped: () => boolean): Promise<Pick<Incident, 'message' | 'replay'>> {
    let crashed = false;
    const messages = new Map<string, string>();
    const scenario = await this.#least(drawn, shrinkBudget.disputed, async (smaller) => {
      if (crashed || stopped()) return undefined;
      const checked = await this.#playedAgain(smaller, drawn);
      crashed = checked?.crash !== undefined;
      const dispute = checked && disputeOf(checked);
      if (!dispute || dispute.requirement !== first.requirement) return undefined;
      messages.set(tokenOf(smaller), dispute.message);
      return smaller.steps.length - 1;
    });
    return { message: messages.get(tokenOf(scenario)) ?? first.message, replay: tokenOf(trim(scenario)) };
  }

  /**
   * The scenario of the smallest list of numbers that still breaks the requirement; deterministic,
   * and bounded in what it plays. One that was given is small already.
   */
  async #smallest(id: string, { drawn, message, crash }: FirstSeen): Promise<Counterexample> {
    const { index } = drawn;
    const budget = crash ? (crash.hung ? shrinkBudget.hung : shrinkBudget.broken) : shrinkBudget.judged;
    const show = async (scenario: Scenario): Promise<{ checked: Checked; given: Checked['given'][number] | undefined } | undefined> => {
      // What breaks an implementation is to be looked at alone, without what earlier scenarios left
      // behind.
      if (crash && !this.#lost.isLost) await this.#player.renew();
      const checked = await this.#playedAgain(scenario, drawn);
      return checked && { checked, given: checked.given.find((g) => g.id === id && g.answer.answer === 'violated') };
    };
    // One scenario often breaks several requirements, and the way to a smaller one begins alike.
    const stepOf = async (scenario: Scenario): Promise<number | undefined> => {
      if (crash) return (await show(scenario))?.given?.step;
      const token = tokenOf(scenario);
      if (!this.#broken.has(token)) this.#broken.set(token, brokenIn(await this.#playedAgain(scenario, drawn)));
      return this.#broken.get(token)?.get(id);
    };
    const small = await this.#least(drawn, budget, stepOf);
    const least = await simplest(
      small,
      drawn.made || drawn.isExtra ? budget / 2 : 0,
      async (scenario) => (await stepOf(scenario)) !== undefined,
    );
    let scenario = trim(least);
    let seen = await show(scenario);
    // It need not show each time it is played: as it was drawn, it may.
    for (let tries = 0; !seen?.given && tries < mostTries && !this.#lost.isLost; tries++) {
      scenario = trim(tries % 2 === 0 ? drawn.scenario : least);
      seen = await show(scenario);
    }
    const given = seen?.given;
    const first = given?.step ?? scenario.steps.length - 1;
    // What a later step names is watched from the beginning on, so without it less may be seen
    const cut = upTo(scenario, first);
    let shown = given && (await show(cut))?.given ? cut : scenario;
    // One that was given is told as it was given.
    const isGiven = !drawn.made && !drawn.isExtra;
    const few = given && !crash && !isGiven ? await needed(shown, async (one) => (await show(one))?.given !== undefined) : undefined;
    if (few && few.scenario !== shown) {
      shown = few.scenario;
      seen = (await show(shown)) ?? seen;
    }
    const last = seen?.given ?? given;
    const evidence = (seen?.checked.crash ?? crash)?.evidence;
    const isAlone = crash !== undefined || (given !== undefined && (await this.#showsAlone(async () => (await show(shown))?.given)));
    const how = given ? 'not when it is played alone' : 'not each time it is played';
    const violation = last?.answer.answer === 'violated' ? (last.answer.violations[0]?.message ?? '') : message;
    return {
      replay: tokenOf(shown),
      ...namedBy(this.#player),
      scenario: toJson(shown),
      step: last?.step ?? first,
      message: given && isAlone ? violation : `${violation} (${how})`,
      found: index,
      ...(few?.tight && isAlone && { tight: true }),
      // A broken implementation that cannot be started again cannot show anything again.
      ...(!isAlone && !this.#lost.isLost && { flaky: true }),
      story: storyOf(shown, seen?.checked ?? nothingSeen()),
      ...(evidence?.length && { evidence }),
    };
  }

  /**
   * Does it show in an implementation that was just started, as whoever plays the token has it?
   * What was played before may have left something behind. A machine that boots for minutes is not
   * started again for it.
   */
  async #showsAlone(shows: () => Promise<unknown>): Promise<boolean> {
    if (this.#course) return true;
    await this.#player.renew();
    for (let tries = 0; tries < mostTries && !this.#lost.isLost; tries++) if ((await shows()) !== undefined) return true;
    return false;
  }

  /** The scenario once more, if it can be played. */
  async #playedAgain(scenario: Scenario, drawn: RunScenario): Promise<Checked | undefined> {
    if (this.#lost.isLost) return undefined;
    try {
      return await played(this.#player, scenario, this.#course);
    } catch (error) {
      // What was seen when it was first played stands, whatever happens now.
      if (error instanceof UndrivenError) this.#lost.lose(error, drawn);
      else if (!(error instanceof SetupError || error instanceof InternalError)) throw error;
      return undefined;
    }
  }

  /**
   * The smallest scenario that still shows it, as far as so many plays go. `shows`: the step of a
   * scenario that does, if one does.
   */
  async #least(
    { scenario, made }: RunScenario,
    budget: number,
    shows: (scenario: Scenario) => Promise<number | undefined>,
  ): Promise<Scenario> {
    if (!made) return scenario;
    const { hello } = this.#player;
    const course = this.#course;
    const scenarioOf = (list: readonly number[]): Scenario => (course ? course.draw(list) : scenarioFrom(list, made.arch, hello));
    const size = async (list: readonly number[]): Promise<number | undefined> => {
      const smaller = scenarioOf(list);
      const step = await shows(smaller);
      return step === undefined ? undefined : sizeOf(upTo(smaller, step));
    };
    return scenarioOf(await shrunk(made.numbers, budget, size));
  }
}

/** How the implementation is named by who plays a scenario again. */
export function namedBy({ iut, reference, live }: Player): Pick<Player, 'iut' | 'reference' | 'live'> {
  return { ...(iut !== undefined && { iut }), ...(reference && { reference }), ...(live && { live }) };
}

/** Each requirement that was broken, with the step that first did. */
function brokenIn(checked: Checked | undefined): ReadonlyMap<string, number> {
  const steps = new Map<string, number>();
  for (const { id, step, answer } of checked?.given ?? []) if (answer.answer === 'violated' && !steps.has(id)) steps.set(id, step);
  return steps;
}

/** Without the steps behind one, unless a second run of it needs them. */
function upTo(scenario: Scenario, step: number): Scenario {
  return scenario.pair ? trim(scenario) : { ...scenario, steps: scenario.steps.slice(0, step + 1) };
}

function trim(scenario: Scenario): Scenario {
  return scenario.pair && scenario.pair.step + 1 < scenario.steps.length
    ? { ...scenario, steps: scenario.steps.slice(0, scenario.pair.step + 1) }
    : scenario;
}
