import { join } from 'node:path';
import type { Fault } from '../faults/fault.ts';
import { faults } from '../faults/faults.ts';
import { type Create, load } from '../faults/load.ts';
import { seenAt, violatedIn } from '../faults/play.ts';
import type { Implementation } from '../protocol/implementation.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { brief, scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import { type Scenario, scenarioIn, toJson } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import { requirementIds } from '../verdict/summary.ts';
import { callCase, type Given } from './calls.ts';
import { cannot, least } from './cannot.ts';
import { captureCases } from './captures.ts';
import { type CallCase, canonicalJson, type GoldenCase, idOf, type Role } from './case.ts';
import { atEdges, type Candidate, candidatesIn, diverse, draw, holdsAt, shrink, upTo, violatedAt } from './choose.ts';
import { type Filter, matches, run } from './filter.ts';
import { structCases } from './structs.ts';

// Part of the ids of cases, so it stays what it was when the file lay there.
const generator = 'conformance/generate.ts';
/** Faulty hypervisors that are looked at for the negative cases of one requirement. */
const mostMutants = 8;

/** The folder of the package that the sources of cases lie in: `layout` and `captures`. */
export interface Sources {
  readonly fixtures: string;
  /** Cases that were promoted and are kept. */
  readonly promoted: readonly CallCase[];
  readonly onProgress?: (done: string) => void;
}

/** The names of all that are played. */
export const faultNames: readonly string[] = faults.map(({ name }) => name);

/** The faulty hypervisors, each made anew for every play. */
class Known {
  readonly #creates: ReadonlyMap<string, Create>;
  readonly #kills = new Map<string, readonly string[]>();

  constructor(creates: ReadonlyMap<string, Create>) {
    this.#creates = creates;
  }

  of({ name }: Fault): Implementation {
    return seenAt(this.#creates.get(name) as Create);
  }

  /** The names of those that a scenario finds out. */
  killedBy(scenario: Scenario): readonly string[] {
    const key = canonicalJson(toJson(scenario));
    const killed =
      this.#kills.get(key) ?? faults.filter((fault) => violatedIn(checkHere(scenario, this.of(fault))).size > 0).map((f) => f.name);
    this.#kills.set(key, killed);
    return killed;
  }
}

/**
 * Makes the cases anew. The same sources give the same cases, on every machine. `NoCloneError`
 * where there are no faults to load.
 */
export async function generateCases({ fixtures, promoted, onProgress = () => {} }: Sources, filter: Filter = {}): Promise<GoldenCase[]> {
  const known = new Known(await load(faults));
  const structs = filter.requirement === undefined ? structCases(join(fixtures, 'layout')) : [];
  const again = promoted.map(promotedAgain);
  const calls = filter.struct === undefined ? generateCalls(fixtures, again, filter, onProgress, known) : [];
  const made = [...structs, ...calls].filter((golden) => filter.requirement !== undefined || matches(golden, filter));
  return distinct([...made, ...again]);
}

function generateCalls(
  fixtures: string,
  promoted: readonly CallCase[],
  filter: Filter,
  onProgress: (done: string) => void,
  known: Known,
): CallCase[] {
  const wanted = requirementIds.filter((id) => filter.requirement === undefined || filter.requirement === id);
  onProgress('drawing scenarios');
  const candidates = candidatesIn(draw(run.seed, run.scenarios, referenceImplementation()));
  const cases: CallCase[] = [];
  for (const id of wanted) {
    onProgress(id);
    const own = candidates.get(id) ?? [];
    cases.push(...kept(id, 'boundary', atEdges(own), known), ...kept(id, 'positive', diverse(own), known), ...negatives(id, known));
  }
  cases.push(...captureCases(join(fixtures, 'captures')).filter(({ requirement }) => wanted.includes(requirement)));
  if (filter.requirement === undefined) cases.push(...forTheRest([...cases, ...promoted], onProgress, known));
  return cases;
}

/** So many cases of a requirement that holds in the model, of the first candidates that differ. */
function kept(requirement: string, role: Role, candidates: readonly Candidate[], known: Known): CallCase[] {
  const model = referenceImplementation();
  const found: CallCase[] = [];
  const seen = new Set<string>();
  for (const { drawn, step, edges } of candidates) {
    if (found.length === least[role]) break;
    const whole = upTo(drawn.scenario, step);
    const shows = (scenario: Scenario): boolean => {
      const checked = checkHere(scenario, model);
      if (!holdsAt(checked, requirement, scenario.steps.length - 1)) return false;
      // At an edge it must stay there.
      if (role !== 'boundary') return true;
      const again = candidatesIn([{ ...drawn, scenario, checked }]).get(requirement);
      return again?.some((c) => c.step === scenario.steps.length - 1 && c.edges.includes(edges[0] as never)) === true;
    };
    if (!shows(whole)) continue;
    const scenario = shrink(whole, shows);
    const text = canonicalJson(toJson({ ...scenario, world: scenario.world.arch }));
    if (seen.has(text)) continue;
    seen.add(text);
    const origin = { kind: 'generated', generator, seed: run.seed, index: drawn.index, shrunk: true } as const;
    const golden = finished({ role, requirement, scenario, origin }, known);
    if (golden) found.push(golden);
  }
  return found;
}

/**
 * Cases that break a requirement, and as little else as can be found: of different faulty
 * hypervisors if there are so many.
 */
function negatives(requirement: string, known: Known): CallCase[] {
  if (cannot[requirement]?.negative !== undefined) return [];
  const breaking = faults.filter((fault) => fault.breaks.includes(requirement));
  const order = breaking.sort((a, b) => a.breaks.length - b.breaks.length).slice(0, mostMutants);
  const found: { golden: CallCase; also: number }[] = [];
  for (const fault of order) {
    if (found.filter(({ also }) => also === 0).length === least.negative) break;
    const golden = negative(requirement, fault, known, run.perMutant);
    if (golden) found.push({ golden, also: brokenIn(golden).length - 1 });
  }
  // Where too few hypervisors break it, more scenarios of those that do.
  for (let before = -1; before < found.length && found.length < least.negative; ) {
    before = found.length;
    for (const fault of order) {
      const others = found.map((f) => f.golden);
      const golden = found.length < least.negative ? negative(requirement, fault, known, run.untilKilled, others) : undefined;
      if (golden) found.push({ golden, also: brokenIn(golden).length - 1 });
    }
  }
  return found
    .sort((a, b) => a.also - b.also)
    .slice(0, least.negative)
    .map((f) => f.golden);
}

/** What a negative case shows broken, at its last step. */
function brokenIn({ judged, observed }: Pick<CallCase, 'judged' | 'observed'>): readonly string[] {
  return judged.find(({ step }) => step === observed.length - 1)?.violated ?? [];
}

function negative(requirement: string, fault: Fault, known: Known, scenarios: number, but: readonly CallCase[] = []): CallCase | undefined {
  const hypervisor = known.of(fault);
  let best: { scenario: Scenario; index: number; broken: readonly string[] } | undefined;
  for (const [index, { numbers, arch }] of samples(run.seed, scenarios, false).entries()) {
    if (but.some(({ origin }) => origin.kind === 'shrunk counterexample' && origin.index === index && origin.mutant === fault.name))
      continue;
    const scenario = scenarioFrom(brief(numbers), arch, hypervisor.hello);
    const { given } = checkHere(scenario, hypervisor);
    const first = given.find((g) => g.id === requirement && g.answer.answer === 'violated');
    // What comes after a first violation is told of a world that should not be.
    if (!first || given.some((g) => g.step < first.step && g.answer.answer === 'violated')) continue;
    const broken = violatedAt(given, first.step);
    if (!best || broken.length < best.broken.length) best = { scenario: upTo(scenario, first.step), index, broken };
    if (best.broken.length === 1) break;
  }
  if (!best) return undefined;
  const { index } = best;
  let { broken } = best;
  const scenario = shrink(best.scenario, (smaller) => {
    const { given } = checkHere(smaller, hypervisor);
    const now = violatedAt(given, smaller.steps.length - 1);
    const earlier = given.some((g) => g.step < smaller.steps.length - 1 && g.answer.answer === 'violated');
    if (earlier || !now.includes(requirement) || now.length > broken.length) return false;
    broken = now;
    return true;
  });
  const origin = { kind: 'shrunk counterexample', mutant: fault.name, generator, seed: run.seed, index } as const;
  return finished({ role: 'negative', requirement, scenario, origin }, known, hypervisor);
}

/**
 * A case with the faulty hypervisors that it finds out. Two plays of a scenario must show the same,
 * so the model is made anew.
 */
function finished(given: Given, known: Known, implementation = referenceImplementation()): CallCase | undefined {
  const golden = callCase(given, implementation);
  if (!golden) return undefined;
  const { origin, ...rest } = golden;
  return { ...rest, kills: known.killedBy(given.scenario), origin };
}

/**
 * A promoted case does not say what it finds out: promoting needs no faulty hypervisor, and its
 * name is made of what it says.
 */
function promotedAgain({ requirement, scenario, origin }: CallCase): CallCase {
  const again = scenarioIn(scenario);
  const golden = again && callCase({ role: 'positive', requirement, scenario: again, origin }, referenceImplementation());
  if (!golden) throw new Error(`a promoted case of ${requirement} cannot be played any more`);
  return golden;
}

/** A counterexample of each faulty hypervisor that no case so far finds out, if the run has one. */
function forTheRest(cases: readonly CallCase[], onProgress: (done: string) => void, known: Known): CallCase[] {
  const killed = new Set(cases.flatMap(({ kills = [] }) => kills));
  const found: CallCase[] = [];
  for (const fault of faults) {
    if (killed.has(fault.name)) continue;
    onProgress(fault.name);
    const golden = counterexample(fault, known);
    if (!golden) continue;
    found.push(golden);
    for (const name of golden.kills ?? []) killed.add(name);
  }
  return found;
}

function counterexample(fault: Fault, known: Known): CallCase | undefined {
  const hypervisor = known.of(fault);
  for (const [index, { numbers, arch }] of samples(run.seed, run.untilKilled, false).entries()) {
    const scenario = scenarioFrom(brief(numbers), arch, hypervisor.hello);
    const first = checkHere(scenario, hypervisor).given.find((g) => g.answer.answer === 'violated');
    if (!first) continue;
    const shows = (smaller: Scenario): boolean => {
      const { given } = checkHere(smaller, hypervisor);
      return (
        given.find((g) => g.answer.answer === 'violated')?.step === smaller.steps.length - 1 &&
        violatedAt(given, smaller.steps.length - 1).includes(first.id)
      );
    };
    const whole = upTo(scenario, first.step);
    const origin = { kind: 'shrunk counterexample', mutant: fault.name, generator, seed: run.seed, index } as const;
    const small = shows(whole) ? shrink(whole, shows) : whole;
    return finished({ role: 'negative', requirement: first.id, scenario: small, origin }, known, hypervisor);
  }
  return undefined;
}

function distinct(cases: readonly GoldenCase[]): GoldenCase[] {
  const ids = new Set<string>();
  return cases.filter((golden) => {
    const id = idOf(golden);
    const fresh = !ids.has(id);
    ids.add(id);
    return fresh;
  });
}
