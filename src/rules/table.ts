import type { JudgedOp } from '../abi/ops.ts';
import { callerRules } from './caller.ts';
import { getRules } from './get.ts';
import { putRules } from './put.ts';
import { reservationRules } from './reservation.ts';
import { isRequirement, type Rule, saying } from './rule.ts';
import { safetyRules } from './safety.ts';

/**
 * Every rule, requirements on the hypervisor first, duties of the caller last, in the order of
 * SPEC.
 */
export const rules: readonly Rule[] = [...getRules, ...putRules, ...safetyRules, ...reservationRules, ...callerRules];

const byId = new Map(rules.map((rule) => [rule.id, rule]));
if (byId.size !== rules.length) throw new TypeError('two rules have one id');

/** The rule with an id. */
export function ruleOf(id: string): Rule | undefined {
  return byId.get(id);
}

/** What the rule with an id stands on, in words; nothing where there is no such rule. */
export function sayingOf(id: string): string {
  const rule = byId.get(id);
  return rule ? saying(rule) : '';
}

const perOp = new Map<JudgedOp, { requirements: readonly Rule[]; duties: readonly Rule[] }>();

/**
 * The rules that speak of an op: requirements on the hypervisor, and the rest, which are duties of
 * the caller and notes.
 */
export function rulesFor(op: JudgedOp): { readonly requirements: readonly Rule[]; readonly duties: readonly Rule[] } {
  let found = perOp.get(op);
  if (!found) {
    const own = rules.filter((rule) => rule.ops.includes(op));
    found = { requirements: own.filter(isRequirement), duties: own.filter((r) => !isRequirement(r)) };
    perOp.set(op, found);
  }
  return found;
}
