import { PAGE_SHIFT } from '../../src/abi/constants.ts';
import { hex64 } from '../../src/codec/hex.ts';
import { isRequirement } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import type { Implementation } from '../protocol/implementation.ts';
import { type Scenario, toJson } from '../scenario/scenario.ts';
import { type Checked, checkHere } from '../verdict/check.ts';
import { type Allowed, type AllowedEffect, allowedOf, workOf } from './allowed.ts';
import type { CallCase, Origin, Role } from './case.ts';
import { edgeNames, edgesOf } from './edges.ts';
import { headerFor, judgedSteps, judgeRun, judgeTrace, observedOf, pairOutcomes } from './observed.ts';

/** What a case is made from. */
export interface Given {
  readonly role: Role;
  readonly requirement: string;
  readonly scenario: Scenario;
  readonly origin: Origin;
}

/** Always the whole set: the case says which of them bind in each step. */
const always: readonly string[] = rules.filter((rule) => isRequirement(rule) && rule.always).map((rule) => rule.id);

/**
 * Plays a scenario and writes down what was seen; `undefined` where a step could not be played or
 * the implementation broke.
 */
export function callCase(
  { role, requirement, scenario, origin }: Given,
  implementation: Implementation,
): Omit<CallCase, 'kills'> | undefined {
  const checked = checkHere(scenario, implementation);
  const observed = observedOf(scenario, checked);
  if (!observed || checked.crash) return undefined;
  const pair = pairOutcomes(scenario, implementation);
  const seen = { header: headerFor(scenario), observed, ...(pair && { pair }) };
  const judged = judgedSteps(checked.given);
  if (JSON.stringify(judgeRun(scenario, implementation.hello, seen)) !== JSON.stringify(judged)) {
    throw new Error(`a case of ${requirement} is judged otherwise once it is written down`);
  }
  const { max_order = 0, max_extents = 0n } = implementation.hello.limits;
  const edges = new Set(checked.calls.flatMap(edgesOf));
  return {
    case: 'call',
    role,
    requirement,
    arch: scenario.world.arch,
    requirements: [...new Set(judged.flatMap(({ holds, violated }) => [...holds, ...violated]))].sort(),
    edges: edgeNames.filter((name) => edges.has(name)),
    scenario: toJson(scenario),
    assumes: { level: 2, max_order, max_extents: hex64(max_extents) },
    ...seen,
    judged,
    trace_judged: judgeTrace(seen),
    ...(role !== 'negative' && expectations(scenario, checked)),
    origin,
  };
}

/** What may come of each step, and which bytes nobody may compare. */
export function expectations(scenario: Scenario, { calls, given }: Checked): Required<Pick<CallCase, 'work' | 'allowed' | 'dont_care'>> {
  const work: (AllowedEffect | null)[] = [];
  const allowed: (readonly Allowed[])[] = [];
  const dontCare: { step: number; address: string; bytes: string; why: string }[] = [];
  for (const [step, { do: what }] of scenario.steps.entries()) {
    const call = calls.find((c) => c.step === step);
    if (what !== 'call' || !call) {
      work.push(null);
      allowed.push([]);
      continue;
    }
    const holds = given.filter((g) => g.step === step && g.answer.answer === 'holds').map((g) => g.id);
    const { facts } = call.judgement;
    const own = workOf(call.judgement);
    work.push(own ?? null);
    allowed.push(
      allowedOf(
        call.judgement,
        own,
        [...new Set(holds)].sort(),
        always.filter((id) => holds.includes(id)),
      ),
    );
    if (facts.exchanges && facts.out.list && facts.K !== undefined && facts.K > 0n) {
      const { range, stride } = facts.out.list;
      const bytes = hex64(facts.K * BigInt(stride));
      dontCare.push({
        step,
        address: hex64(range.address),
        bytes,
        why: 'frame numbers: `work` says what they have in common with the p2m',
      });
      for (const { base, pages } of facts.extents(facts.out).filter((e) => e.index < (facts.K as bigint))) {
        const place = { address: hex64(base << BigInt(PAGE_SHIFT)), bytes: hex64(pages << BigInt(PAGE_SHIFT)) };
        dontCare.push({ step, ...place, why: 'new pages: their content is not specified' });
      }
    }
  }
  return { work, allowed, dont_care: dontCare };
}
