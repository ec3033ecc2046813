import { referenceImplementation } from '../protocol/reference.ts';
import { scenarioOf } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import { requirementIds } from '../verdict/summary.ts';
import { callCase } from './calls.ts';
import { type CallCase, pathOf } from './case.ts';
import { casesIn, companionsIn, manifestIn, writeFolder } from './folder.ts';
import { filesOf, killedIn } from './manifest.ts';

/** A scenario that makes no case: nothing in it is judged, or it cannot be played to its end. */
export class PromoteError extends Error {
  override readonly name = 'PromoteError';
}

/** The two oracles disagree on a scenario: it cannot say what is right. */
export class DisagreementError extends Error {
  override readonly name = 'DisagreementError';
}

/**
 * Makes a case of the scenario in a replay token and puts it into a folder of cases. It is a case
 * of the requirement that is named, or of the one with the fewest cases among those judged at its
 * last step. Answers the file; `SyntaxError` for a bad token.
 */
export function promote(token: string, folder: string, requirement?: string): string {
  const scenario = scenarioOf(token);
  const { given } = checkHere(scenario, referenceImplementation());
  const broken = given.find((g) => g.answer.answer === 'violated');
  if (broken) throw new DisagreementError(`the model breaks ${broken.id} at step ${broken.step}: the two oracles disagree`);
  const last = scenario.steps.length - 1;
  const judged = new Set(given.flatMap((g) => (g.step === last && g.answer.answer === 'holds' ? [g.id] : [])));
  if (requirement !== undefined && !judged.has(requirement)) {
    throw new PromoteError(`the last step does not show ${requirement}; it shows ${[...judged].join(', ') || 'nothing'}`);
  }
  const old = casesIn(folder).map(({ golden }) => golden);
  const casesOf = (id: string): number => old.filter((golden) => golden.case === 'call' && golden.requirement === id).length;
  const [rarest] = requirementIds.filter((id) => judged.has(id)).sort((a, b) => casesOf(a) - casesOf(b));
  const shown = requirement ?? rarest;
  const origin = { kind: 'promoted', from: 'replay token' } as const;
  const golden: CallCase | undefined =
    shown === undefined ? undefined : callCase({ role: 'positive', requirement: shown, scenario, origin }, referenceImplementation());
  if (!golden) throw new PromoteError('nothing is judged at its last step, or a step of it cannot be played');
  const file = pathOf(golden);
  if (old.some((other) => pathOf(other) === file)) throw new PromoteError(`it is a case already: ${file}`);
  const { mutants, only } = manifestIn(folder);
  const faulty = [...killedIn(old.filter((other) => other.case === 'call')), ...mutants.needs_random_suite];
  writeFolder(folder, filesOf([...old, golden], companionsIn(folder), faulty, only));
  return file;
}
