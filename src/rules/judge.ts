import type { JudgedOp } from '../abi/ops.ts';
import { unknownMemory } from '../guest/memory.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { type Answer, type Severity, unknown, type Violation } from './answer.ts';
import { Facts } from './facts.ts';
import type { Blame, Rule } from './rule.ts';
import { ruleOf, rulesFor } from './table.ts';

/** Something wrong with a call: which rule, who is to blame, how bad, and where. */
export interface Finding extends Violation {
  readonly id: string;
  readonly blame: Blame;
  readonly severity: Severity;
}

/** What the rules say of one call. */
export interface Judgement {
  readonly op: JudgedOp;
  readonly facts: Facts;
  /** Caller findings first, then violated requirements, each in the table's order. */
  readonly findings: readonly Finding[];
  /** The answer to every requirement that speaks of this op, by id. */
  readonly requirements: ReadonlyMap<string, Answer>;
  /** Did the caller break a duty of severity error? */
  readonly callerErred: boolean;
  /** Could any duty of the caller be judged? */
  readonly dutiesJudged: boolean;
}

/**
 * Judges the calls of a trace in order: by what each shows, and by what those before it have shown.
 */
export interface TraceJudge {
  /**
   * What the rules say of the next call; `undefined` if xenmem does not judge its op. If a rule
   * fails, which is a bug of ours, its error is thrown, and what the call did is not known: the
   * next one can be judged.
   */
  judge(call: ObservedCall): Judgement | undefined;
  /** A record was there and could not be read: what it did is not known. */
  missed(): void;
}

const suspended: Answer = unknown("suspended by the caller's error");
const notOfOneCall: Answer = unknown('one call cannot show it');

/**
 * Judges one call by every rule that speaks of its op; `undefined` if xenmem does not judge that
 * op. `known` are findings on the caller that need more than this call to be seen, such as a put of
 * pages that were never pinned.
 */
export function judge(call: ObservedCall, known: readonly Finding[] = []): Judgement | undefined {
  const op = opOf(call);
  if (op === undefined) return undefined;
  const facts = new Facts(call, op);
  const { requirements, duties } = rulesFor(op);
  const findings: Finding[] = [...known];
  let callerErred = known.some((f) => f.severity === 'error');
  let dutiesJudged = false;
  // That a number in cmd is in range is no look at the call.
  const isSeen = call.rc !== undefined || call.argument !== undefined || call.before !== unknownMemory || call.after !== unknownMemory;
  const others = (call.mayBe ?? []).filter((one) => one !== op).map((one) => new Facts(call, one));
  for (const rule of duties) {
    const answer = rule.check?.(facts);
    if (answer?.answer === 'violated') {
      const found = answer.violations.filter((v) => others.every((other) => isSaidOf(other, rule, v)));
      findings.push(...found.map((v) => findingOf(rule, v)));
      callerErred ||= rule.severity === 'error' && found.length > 0;
    }
    dutiesJudged ||= answer !== undefined && answer.answer !== 'unknown';
  }
  const answers = new Map<string, Answer>();
  for (const rule of requirements) {
    const answer = rule.check === undefined ? notOfOneCall : callerErred && !rule.always ? suspended : rule.check(facts);
    answers.set(rule.id, answer);
    if (answer.answer === 'violated') findings.push(...answer.violations.map((v) => findingOf(rule, v)));
  }
  return { op, facts, findings, requirements: answers, callerErred, dutiesJudged: dutiesJudged && (isSeen || findings.length > 0) };
}

/**
 * The judgement of a call that is known to be judged like another one: only the values in its
 * findings are its own.
 */
export function judgeLike(judged: Judgement, call: ObservedCall): Judgement {
  const { op } = judged;
  const facts = new Facts(call, op);
  const ids = new Set(judged.findings.map(({ id }) => id));
  const { duties, requirements } = rulesFor(op);
  const answers = new Map(judged.requirements);
  const findings: Finding[] = [];
  for (const rule of [...duties, ...requirements]) {
    const answer = ids.has(rule.id) ? rule.check?.(facts) : undefined;
    if (answer?.answer !== 'violated') continue;
    findings.push(...answer.violations.map((one) => findingOf(rule, one)));
    if (answers.has(rule.id)) answers.set(rule.id, answer);
  }
  return { ...judged, facts, findings, requirements: answers };
}

/** Is a duty broken in this way too if the call was of another op? */
function isSaidOf(facts: Facts, rule: Rule, { message, where }: Violation): boolean {
  const answer = rule.ops.includes(facts.op) ? rule.check?.(facts) : undefined;
  return answer?.answer === 'violated' && answer.violations.some((v) => v.message === message && v.where === where);
}

/** A violation of a rule as a finding. */
export function findingOf(rule: Rule, violation: Violation): Finding {
  return { id: rule.id, blame: rule.blame, severity: rule.severity, ...violation };
}

/**
 * Answers that came from more than one call, by id: they take the place of the `unknown` that one
 * call gives.
 */
export type WiderAnswers = ReadonlyMap<string, Answer>;

/** A judgement with the answers of wider scope put in. */
export function withWider(judgement: Judgement, wider: WiderAnswers): Judgement {
  if (wider.size === 0) return judgement;
  const requirements = new Map(judgement.requirements);
  const findings = [...judgement.findings];
  for (const [id, answer] of wider) {
    const rule = ruleOf(id);
    if (!rule) throw new TypeError(`no rule ${id}`);
    requirements.set(id, answer);
    if (answer.answer === 'violated') findings.push(...answer.violations.map((v) => findingOf(rule, v)));
  }
  return { ...judgement, requirements, findings };
}
