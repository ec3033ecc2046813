import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isRequirement } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import type { CallCase } from '../golden/case.ts';
import { storedFiles } from '../golden/folder.ts';
import { observedOf, pairOutcomes } from '../golden/observed.ts';
import type { Implementation } from '../protocol/implementation.ts';
import { implementationOf } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import { rareFor } from '../scenario/rare.ts';
import { type Scenario, scenarioIn } from '../scenario/scenario.ts';
import { type Checked, checkHere } from '../verdict/check.ts';
import { disputeOf } from '../verdict/dispute.ts';
import type { Family, Fault } from './fault.ts';
import { faults, legal } from './faults.ts';
import { notAlone, onlyKillers } from './indispensable.ts';
import { type Create, load } from './load.ts';
import { seenAt, violatedIn } from './play.ts';
import { type MeasuredStrength, summary } from './strength.ts';

// Every edited model is played once here, and all that is asked of it is asked of what was seen
// then.

/**
 * Shows each all that it breaks (npm run test:long), or is it enough that it is caught, and under a
 * right id?
 */
const long = process.env['XENMEM_LONG'] !== undefined;
const most = { scenarios: long ? 1500 : 600, predicted: long ? 100 : 6, least: long ? 100 : 6, legal: long ? 400 : 25 };

const strength = JSON.parse(readFileSync(new URL('strength.json', import.meta.url), 'utf8')) as MeasuredStrength;
const creates = await load([...faults, ...legal]);
const golden = storedFiles(fileURLToPath(new URL('../../fixtures/golden', import.meta.url))).flatMap(({ file, text }) => {
  if (!file.startsWith('calls/')) return [];
  const one = JSON.parse(text) as CallCase;
  const scenario = scenarioIn(one.scenario);
  return scenario ? [{ file, one, scenario }] : [];
});

/** What playing a faulty hypervisor once has shown. */
interface Seen {
  /** The scenario that first showed each requirement broken. */
  readonly broken: ReadonlyMap<string, number>;
  /** Did the model, asked what it would have done, find it out? */
  readonly disputed: boolean;
  /** What the rules blame although the model would have done the same. */
  readonly undue: readonly string[];
  /** Calls that both oracles blame. */
  readonly both: number;
  /** Does the first golden case that is said to find it out do so? */
  readonly golden: boolean;
  /** Golden cases that show it, and that it ends otherwise than they say. */
  readonly drifted: readonly string[];
}

const table = new Map<string, Seen>();

function seen(fault: Fault): Seen {
  const known = table.get(fault.name) ?? play(fault, seenAt(creates.get(fault.name) as Create));
  table.set(fault.name, known);
  return known;
}

function play({ name, breaks }: Fault, implementation: Implementation): Seen {
  const broken = new Map<string, number>();
  const undue: string[] = [];
  let disputed = false;
  let both = 0;
  const first = strength.mutants.find((one) => one.name === name)?.levels[2] ?? most.scenarios;
  for (const [i, { numbers, arch }] of samples(1, most.scenarios, false).entries()) {
    // Where it shows first was measured; whether nothing did before is for the long form to see.
    if (!long && i >= most.least && i < first - 1) continue;
    const isDone = long ? breaks.every((id) => broken.has(id)) : breaks.some((id) => broken.has(id));
    if (isDone && i >= most.least) break;
    const checked = checkHere(scenarioFrom(numbers, arch, implementation.hello), implementation, i < most.predicted);
    for (const id of violatedIn(checked)) if (!broken.has(id)) broken.set(id, i);
    disputed ||= checked.disputes.length > 0;
    both += isBlamedByBoth(checked) ? 1 : 0;
    const dispute = disputeOf(checked);
    if (dispute?.requirement !== undefined) undue.push(dispute.message);
  }
  const case_ = golden.find(({ one }) => one.kills?.includes(name));
  const own = golden.filter(({ one: { origin } }) => origin.kind === 'shrunk counterexample' && origin.mutant === name);
  return {
    broken,
    disputed,
    undue,
    both,
    golden: case_ !== undefined && violatedIn(checkHere(case_.scenario, implementation)).size > 0,
    drifted: own.filter(({ one, scenario }) => !endsAs(one, scenario, implementation)).map(({ file }) => file),
  };
}

function isBlamedByBoth({ disputes, given }: Checked): boolean {
  return disputes[0] !== undefined && given.some((g) => g.answer.answer === 'violated' && g.step === disputes[0]?.step);
}

/** Is what was written down what the hypervisor shows today? */
function endsAs({ observed, pair }: CallCase, scenario: Scenario, implementation: Implementation): boolean {
  const now = { observed: observedOf(scenario, checkHere(scenario, implementation)), pair: pairOutcomes(scenario, implementation) };
  return JSON.stringify(now) === JSON.stringify({ observed, pair });
}

const families = [...new Set(faults.map(({ family }) => family))];

describe.each(families)('%s', (family: Family) => {
  it.each(faults.filter((fault) => fault.family === family).map((fault) => [fault.name, fault] as const))('%s', (_, fault) => {
    const { broken, golden: found, drifted } = seen(fault);
    const shown = [...broken.keys()].filter((id) => !fault.also.includes(id)).sort();
    if (long) expect(shown).toEqual([...fault.breaks].sort());
    expect(shown.filter((id) => !fault.breaks.includes(id))).toEqual([]);
    expect(shown.length).toBeGreaterThan(0);
    expect(found).toBe(true);
    expect(drifted).toEqual([]);
  });
});

describe('the faulty hypervisors', () => {
  const required = rules.filter(isRequirement).map((rule) => rule.id);

  it('are many, each with a name of its own, and break nothing but requirements', () => {
    expect(faults.length).toBeGreaterThanOrEqual(153);
    expect(new Set([...faults, ...legal].map(({ name }) => name)).size).toBe(faults.length + legal.length);
    for (const { breaks, also } of faults) {
      expect(breaks.length).toBeGreaterThan(0);
      expect([...breaks, ...also].filter((id) => !required.includes(id))).toEqual([]);
      expect(also.filter((id) => breaks.includes(id))).toEqual([]);
    }
  });

  it('show of each requirement that without it one would not be found, or why that cannot be', () => {
    const alone = onlyKillers();
    expect(required.filter((id) => !alone.has(id)).sort()).toEqual(Object.keys(notAlone).sort());
  });

  it('break each requirement at least once', () => {
    const broken = new Set(faults.flatMap((fault) => fault.breaks));
    expect(required.filter((id) => !broken.has(id))).toEqual([]);
  });

  it('are blamed for nothing in one call that the model would have done as well', () => {
    expect(faults.flatMap((fault) => seen(fault).undue.map((message) => `${fault.name}: ${message}`))).toEqual([]);
    expect(faults.reduce((sum, fault) => sum + seen(fault).both, 0)).toBeGreaterThan(long ? 2000 : 100);
  });

  it('are mostly found out by the model alone, as long as the callers keep their duties', () => {
    expect(faults.filter((fault) => seen(fault).disputed).length).toBeGreaterThanOrEqual(long ? 110 : 60);
  });
});

describe('a legal hypervisor is never blamed, by the rules or by the model: one that', () => {
  it.each(legal.map((one) => [one.name, one] as const))('%s', (name, { hello }) => {
    const implementation = implementationOf((creates.get(name) as Create)(), hello);
    const scenarios = samples(6, most.legal).map(({ numbers, arch }) => scenarioFrom(numbers, arch, implementation.hello));
    // Those that chance would not make, too.
    for (const arch of ['arm32', 'arm64'] as const) {
      for (const number of [31, 63, 95]) scenarios.push(...[rareFor(number, arch, implementation.hello) ?? []].flat());
    }
    for (const scenario of scenarios) {
      const checked = checkHere(scenario, implementation, true);
      expect([scenario, [...violatedIn(checked)], disputeOf(checked)]).toEqual([scenario, [], undefined]);
    }
  });
});

describe('the measured strength', () => {
  it('is that of these faulty hypervisors', () => {
    expect(strength.mutants.map(({ name, family }) => `${family}: ${name}`)).toEqual(
      faults.map(({ name, family }) => `${family}: ${name}`),
    );
  });

  it('is what it should be, and what was seen here', () => {
    const { killed, total, medianScenarios, inFour } = summary(strength);
    expect(killed).toBe(total);
    expect(medianScenarios).toBeLessThan(50);
    expect(inFour).toBeGreaterThanOrEqual(0.95);
    for (const [i, fault] of faults.entries()) {
      const first = Math.min(...seen(fault).broken.values());
      expect([fault.name, strength.mutants[i]?.levels[2]]).toEqual([fault.name, first + 1]);
    }
  });
});
