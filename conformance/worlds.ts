import { SetupError } from './observe/observe.ts';
import type { Hello } from './protocol/implementation.ts';
import type { Player } from './protocol/player.ts';
import { Choices } from './scenario/choices.ts';
import { mostNumbers } from './scenario/numbers.ts';
import { type Aspect, aspects, type Chosen, choose, otherWorld } from './scenario/other-world.ts';
import { type Scenario, tokenOf } from './scenario/scenario.ts';
import { simplest } from './scenario/simpler.ts';
import { type Difference, differenceOf, type PlayedIn } from './verdict/alike.ts';
import { type Checked, played } from './verdict/check.ts';
import { canUndo, leftUndone, type Undone, undone } from './verdict/undone.ts';

// Two oracles that need neither rules nor a model: what must not matter does not, and what is
// undone is as if it had not been.

/** Plays a scenario; `undefined` where that cannot be. */
export type PlayAgain = (scenario: Scenario) => Promise<Checked | undefined>;

/** Two scenarios that should end alike, and where they do not. */
export interface Unlike {
  readonly message: string;
  readonly scenario: Scenario;
  /** The token of the other one. */
  readonly other: string;
  /** What alone differs or, where it takes more than one thing, that it does; or `undoing`. */
  readonly about: Aspect | 'all of these' | 'undoing';
}

/** One scenario in so many is played in another world too, and one is undone. */
const each = { world: 41, undone: 83 } as const;
/** Times that a difference must show again, since an implementation may throw dice. */
const timesAgain = 2;
/** Most times that scenarios are played for a smaller one. */
const mostTries = 40;

/** Differences after which nothing more is compared: more would say the same. */
const mostUnlike = 4;

/** A scenario of a run, and what it was made from. */
interface Drawn {
  readonly index: number;
  readonly scenario: Scenario;
  readonly made?: { readonly numbers: readonly number[] };
}

/** What was played elsewhere too is judged like any other scenario. */
type Take = (scenario: Scenario, checked: Checked) => Promise<void>;

/** Plays some scenarios of a run in other worlds as well. */
export class OtherWorlds {
  readonly #player: Player;
  #found = 0;

  constructor(player: Player) {
    this.#player = player;
  }

  /** What a scenario is unlike, if it is its turn and it is. `take` has all that is played for it. */
  async unlike({ index, scenario, made }: Drawn, checked: Checked, take: Take): Promise<Unlike | undefined> {
    const turn = turnOf(index);
    if (turn === undefined || this.#found >= mostUnlike || checked.crash || !made) return undefined;
    const play = silently((one) => played(this.#player, one));
    const first: PlayAgain = async (one) => {
      const seen = await play(one);
      if (seen) await take(one, seen);
      return seen?.crash ? undefined : seen;
    };
    const { hello } = this.#player;
    const given = { scenario, checked, numbers: made.numbers };
    const found = await (turn === 'world' ? inOtherWorld(given, hello, play, first) : inUndone(given, hello, play, first));
    if (found) this.#found++;
    return found;
  }
}

/** Is this scenario of the run played in another world, is it undone, or neither? */
function turnOf(index: number): 'world' | 'undone' | undefined {
  if (index % each.world === each.world - 1) return 'world';
  return index % each.undone === each.undone - 1 ? 'undone' : undefined;
}

/**
 * Plays a scenario of a run in another world, which is chosen by numbers. `first` plays what is
 * played once, `play` what makes sure and smaller.
 */
export async function inOtherWorld(
  { scenario, checked, numbers }: { scenario: Scenario; checked: Checked; numbers: readonly number[] },
  hello: Hello,
  play: PlayAgain,
  first = play,
): Promise<Unlike | undefined> {
  const alone = withoutPair(scenario);
  const chosen = choose(new Choices(numbers.slice(...chosenBy)));
  const all = await unlike(alone, chosen, aspects, hello, first, checked);
  if (!all || !(await isSure(() => unlike(alone, chosen, aspects, hello, play)))) return undefined;
  for (const aspect of aspects) {
    const shows = async (smaller: Scenario): Promise<Found | undefined> => unlike(smaller, chosen, [aspect], hello, play);
    const seen = await shows(alone);
    if (!seen) continue;
    const upTo = { world: alone.world, steps: alone.steps.slice(0, seen.step + 1) };
    const start = (await shows(upTo)) ? upTo : alone;
    const least = await simplest(start, mostTries, async (smaller) => (await shows(smaller)) !== undefined);
    const { step, op, did, other } = (await shows(least)) ?? seen;
    const message = `step ${step}: ${op} ${did[0]}, and it ${did[1]} where ${told[aspect]}`;
    return { about: aspect, message, scenario: least, other: tokenOf(other) };
  }
  const { step, op, did, other, differs } = all;
  const message = `step ${step}: ${op} ${did[0]}, and it ${did[1]} in a world with other ${differs.join(', other ')}`;
  return { about: 'all of these', message, scenario: alone, other: tokenOf(other) };
}

const told: { readonly [aspect in Aspect]: string } = {
  padding: 'the padding alone is another',
  domids: 'the domains alone have other numbers',
  frames: 'memory alone lies elsewhere',
  'unrelated pages': 'the domains alone own a few more pages, which no call names',
  'order of independent calls': 'two calls alone that have nothing to do with each other come in the other order',
};

/** Which of a scenario's numbers choose the other world: such as hardly any scenario comes to. */
const chosenBy = [mostNumbers - 12, mostNumbers - 2] as const;

interface Found extends Difference {
  readonly other: Scenario;
  readonly differs: readonly Aspect[];
}

async function unlike(
  scenario: Scenario,
  chosen: Chosen,
  wanted: readonly Aspect[],
  hello: Hello,
  play: PlayAgain,
  checked?: Checked,
): Promise<Found | undefined> {
  const world = otherWorld(scenario, chosen, hello, wanted);
  const other = world && (await playedIn(world.scenario, play));
  const one = other && (checked ? { world: scenario.world, checked } : await playedIn(scenario, play));
  const found = one && differenceOf([one, other], world, hello);
  return found && { ...found, other: world.scenario, differs: world.differs };
}

/** Undoes all that a scenario of a run did, and asks whether the world is as rich as it was. */
export async function inUndone(
  { scenario, checked }: { scenario: Scenario; checked: Checked },
  hello: Hello,
  play: PlayAgain,
  first = play,
): Promise<Unlike | undefined> {
  const shows = async (smaller: Scenario, seen?: Checked, again = play): Promise<(Difference & Undone) | undefined> => {
    const history = seen ?? (await again(smaller));
    const made = history && undone(smaller, history, hello);
    const fresh = made && (await playedIn(made.fresh, again));
    if (!fresh || !canUndo(fresh.checked)) return undefined;
    const after = await playedIn(made.after, again);
    const short = after && leftUndone(made, after.checked, hello);
    if (!after || short === 'unknown') return undefined;
    const there = { stepOf: (step: number) => step + made.asked, gfnOf: (gfn: bigint) => gfn };
    const found = differenceOf([fresh, after], there, hello);
    const all = short ?? (found && { ...found, step: found.step + made.asked });
    return all && { ...all, ...made };
  };
  const alone = withoutPair(scenario);
  const found = await shows(alone, checked, first);
  if (!found || !(await isSure(() => shows(alone)))) return undefined;
  const least = await simplest(alone, mostTries, async (smaller) => (await shows(smaller)) !== undefined);
  const { step, op, did, asked, after, fresh } = (await shows(least)) ?? found;
  const when = step < asked ? 'to undo what was done' : 'with all undone that was done';
  const message = `step ${step}: ${when}, ${op} ${did[1]}, and in a world as new it ${did[0]}`;
  return { about: 'undoing', message, scenario: after, other: tokenOf(fresh) };
}

async function playedIn(scenario: Scenario, play: PlayAgain): Promise<PlayedIn | undefined> {
  const checked = await play(scenario);
  return checked && { world: scenario.world, checked };
}

async function isSure(shows: () => Promise<unknown>): Promise<boolean> {
  for (let times = 0; times < timesAgain; times++) if ((await shows()) === undefined) return false;
  return true;
}

function withoutPair({ world, steps }: Scenario): Scenario {
  return { world, steps };
}

/** A world that is not to be had says nothing of another one. */
export function silently(play: (scenario: Scenario) => Promise<Checked>): PlayAgain {
  return async (scenario) => {
    try {
      return await play(scenario);
    } catch (error) {
      if (error instanceof SetupError) return undefined;
      throw error;
    }
  };
}
