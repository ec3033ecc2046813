import { ruleOf } from '../../src/rules/table.ts';
import type { Checked } from './check.ts';
import type { Given } from './judge.ts';

/**
 * What the two oracles disagree about: a requirement is said to be violated, and the model would
 * have done just the same; or the model would not have done that, and no requirement is violated.
 * After a violation it is no wonder that the model would not have.
 */
export function disputeOf({ given, calls, agreed, disputes, crash }: Checked): { message: string; requirement?: string } | undefined {
  const violated = given.filter((g) => g.answer.answer === 'violated');
  // On an op that a rule does not speak of, a wider view has given the answer.
  const isOfCall = ({ id, step }: Given): boolean => {
    const [rule, judged] = [ruleOf(id), calls.find((call) => call.step === step)];
    return rule?.scope === 'call' && (!judged || rule.ops.includes(judged.judgement.op));
  };
  const undue = violated.find((one) => agreed.has(one.step) && isOfCall(one));
  if (undue) return { requirement: undue.id, message: `${undue.id} is said to be violated, and the model would have done the same` };
  const [first] = violated.length > 0 || crash ? [] : disputes;
  return first && { message: `step ${first.step}: ${first.message}, and no requirement is violated` };
}
