import { type Capability, capabilities, extras, type Implementation } from '../protocol/implementation.ts';
import { implementationOf } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { type Drawn, samples, shrunk } from '../scenario/numbers.ts';
import { type Scenario, sizeOf } from '../scenario/scenario.ts';
import { simplest } from '../scenario/simpler.ts';
import { type Checked, checkHere } from '../verdict/check.ts';
import type { Create } from './load.ts';

/** How a faulty hypervisor was found out. */
export interface Detection {
  /** Index of the first scenario that showed a violation; `undefined` if none did. */
  readonly first: number | undefined;
  /** Every requirement seen broken, by the index of the scenario that showed it first. */
  readonly broken: ReadonlyMap<string, number>;
}

/** A run on a faulty hypervisor. */
export interface Budget {
  readonly seed: number;
  readonly scenarios: number;
  /** Ends the run early; by default it goes through the whole budget. */
  readonly until?: (broken: ReadonlyMap<string, number>) => boolean;
}

/**
 * An edited model, seen at a level: 2 is everything, 1 without moving pages, 0 also without a look
 * at the p2m. `bare`: with no capability beyond those that make the level.
 */
export function seenAt(create: Create, level: 0 | 1 | 2 = 2, bare = false): Implementation {
  const beyond: readonly Capability[] = level === 2 ? [] : level === 1 ? ['churn'] : ['churn', 'translate'];
  const hidden = bare ? [...beyond, ...extras] : beyond;
  return implementationOf(create(), { capabilities: new Set(capabilities.filter((c) => !hidden.includes(c))) });
}

/** Plays the scenarios of a run and notes which requirements they show broken. */
export function brokenBy(implementation: Implementation, { seed, scenarios, until = () => false }: Budget): Detection {
  const broken = new Map<string, number>();
  let first: number | undefined;
  for (const [index, drawn] of samples(seed, scenarios, false).entries()) {
    for (const id of violatedIn(checkHere(scenarioOf(drawn, implementation), implementation))) {
      first ??= index;
      if (!broken.has(id)) broken.set(id, index);
    }
    if (until(broken)) break;
  }
  return { first, broken };
}

/** The requirements that were seen violated. */
export function violatedIn({ given }: Checked): Set<string> {
  return new Set(given.filter((g) => g.answer.answer === 'violated').map((g) => g.id));
}

/**
 * The smallest scenario found that still shows a violation, up to there; `undefined` if these
 * numbers show none.
 */
export async function smallest({ numbers, arch }: Drawn, implementation: Implementation): Promise<Scenario | undefined> {
  const shown = (list: readonly number[]): Scenario | undefined => {
    const scenario = scenarioOf({ numbers: list, arch }, implementation);
    return upToViolation(scenario, checkHere(scenario, implementation));
  };
  if (!shown(numbers)) return undefined;
  const few = shown(
    await shrunk(numbers, mostTries, (list) => {
      const scenario = shown(list);
      return scenario && sizeOf(scenario);
    }),
  );
  return few && simplest(few, mostTries, async (simpler) => upToViolation(simpler, checkHere(simpler, implementation)) !== undefined);
}

const mostTries = 250;

function scenarioOf({ numbers, arch }: Drawn, { hello }: Implementation): Scenario {
  return scenarioFrom(numbers, arch, hello);
}

/** Without the steps after the first violation, and without a second run that it does not need. */
function upToViolation({ world, steps, pair }: Scenario, { given }: Checked): Scenario | undefined {
  const first = given.find((g) => g.answer.answer === 'violated');
  if (!first) return undefined;
  return { world, steps: steps.slice(0, first.step + 1), ...(first.id.includes('ignores') && pair && { pair }) };
}
