import { scenarioText } from '../conformance/report/scenario-text.ts';
import { type Scenario, scenarioOf } from '../conformance/scenario/scenario.ts';
import type { Checked } from '../conformance/verdict/check.ts';
import { disputeOf } from '../conformance/verdict/dispute.ts';
import { printable } from '../src/text/style.ts';
import { exit, UsageError } from './exit.ts';
import { line, note, outcome, styleFor } from './io.ts';

/** The scenario in the token that `--replay` was given. */
export function replayOf(token: string): Scenario {
  try {
    return scenarioOf(token);
  } catch (error) {
    throw new UsageError(`--replay: ${(error as Error).message}`);
  }
}

/** Tells a scenario that was played again. `isModel`: it was the model itself that was judged. */
export async function tellReplay(
  scenario: Scenario,
  checked: Checked,
  { json = false, isModel = false }: { readonly json?: boolean | undefined; readonly isModel?: boolean },
): Promise<Iterable<number>> {
  const violated = checked.given.filter(({ answer }) => answer.answer === 'violated');
  const dispute = disputeOf(checked);
  if (json) {
    await line(JSON.stringify({ violated: violated.map(({ id, step, answer }) => ({ id, step, answer })), ...(dispute && { dispute }) }));
  } else for (const text of scenarioText(scenario, checked, styleFor())) await line(text);
  // Where it is the model that was judged, a violation means that the two oracles disagree.
  if (violated.length > 0) outcome.codes.add(isModel ? exit.internal : exit.failed);
  if (dispute) {
    note(`the two oracles disagree: ${dispute.message}`);
    outcome.codes.add(exit.internal);
  }
  if (checked.given.length === 0) outcome.codes.add(exit.inconclusive);
  for (const text of checked.crash?.evidence ?? []) note(printable(text));
  return outcome.codes;
}
