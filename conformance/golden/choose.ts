import type { Arch } from '../../src/abi/arch.ts';
import type { DomainPlan, Implementation } from '../protocol/implementation.ts';
import { brief, scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import { type Scenario, type Step, toJson } from '../scenario/scenario.ts';
import { type Checked, checkHere } from '../verdict/check.ts';
import type { Given } from '../verdict/judge.ts';
import { canonicalJson } from './case.ts';
import { type EdgeName, edgeNames, edgesOf } from './edges.ts';

const smallestRam = 16;

/** A scenario of the run, and what the model made of it. */
export interface PlayedScenario {
  readonly index: number;
  readonly arch: Arch;
  readonly scenario: Scenario;
  readonly checked: Checked;
}

/** A place in the run that shows a requirement kept. */
export interface Candidate {
  readonly drawn: PlayedScenario;
  readonly step: number;
  /** What kind of call it is: candidates that differ here show different things. */
  readonly kind: string;
  readonly edges: readonly EdgeName[];
}

/** Plays the first scenarios of a run. */
export function draw(seed: number, scenarios: number, implementation: Implementation): PlayedScenario[] {
  return samples(seed, scenarios, false).map(({ numbers, arch }, index) => {
    const scenario = scenarioFrom(brief(numbers), arch, implementation.hello);
    return { index, arch, scenario, checked: checkHere(scenario, implementation) };
  });
}

/**
 * Where each requirement is first seen to hold in each scenario, those after the fewest steps
 * first.
 */
export function candidatesIn(drawn: readonly PlayedScenario[]): Map<string, Candidate[]> {
  const found = new Map<string, Candidate[]>();
  for (const one of drawn) {
    const seen = new Set<string>();
    for (const { id, step, answer } of one.checked.given) {
      // Of the edges only those of the step that shows it count, so later steps of the same
      // scenario are looked at too.
      const key = `${id} ${step}`;
      if (answer.answer !== 'holds' || seen.has(key)) continue;
      seen.add(key);
      found.set(id, [...(found.get(id) ?? []), { drawn: one, step, ...describe(one, step) }]);
    }
  }
  for (const list of found.values()) list.sort((a, b) => a.step - b.step || a.drawn.index - b.drawn.index);
  return found;
}

/** A move of pages shows what the last call before it did. */
function describe({ arch, checked, scenario }: PlayedScenario, step: number): Pick<Candidate, 'kind' | 'edges'> {
  const call = checked.calls.findLast((c) => c.step <= step);
  if (!call) return { kind: arch, edges: [] };
  const { facts, op } = call.judgement;
  const [oi, oo] = facts.reservations.map((r) => r.extent_order ?? 0);
  const kind = [
    arch,
    op,
    Math.sign((oo ?? 0) - (oi ?? 0)),
    Math.sign(facts.call.rc ?? 0),
    (facts.in.nr_extents ?? 0n) > 1n,
    call.event.inject?.fail_alloc !== undefined,
    scenario.world.domains.length,
  ].join(' ');
  return { kind, edges: edgesOf(call) };
}

/** Candidates that differ in kind, the architectures by turns; then any others. */
export function diverse(candidates: readonly Candidate[]): Candidate[] {
  const kinds = new Set<string>();
  const [fresh, rest]: [Candidate[], Candidate[]] = [[], []];
  for (const candidate of candidates) {
    (kinds.has(candidate.kind) ? rest : fresh).push(candidate);
    kinds.add(candidate.kind);
  }
  const first = fresh[0]?.drawn.arch;
  const [own, other] = [fresh.filter((c) => c.drawn.arch === first), fresh.filter((c) => c.drawn.arch !== first)];
  return [...own.flatMap((c, i) => [c, ...other.slice(i, i + 1)]), ...other.slice(own.length), ...rest];
}

/** Candidates at an edge, the rarest edge first. */
export function atEdges(candidates: readonly Candidate[]): Candidate[] {
  const rank = ({ edges }: Candidate): number => edgeNames.findIndex((name) => edges.includes(name));
  return candidates
    .filter(({ edges }) => edges.length > 0)
    .sort((a, b) => rank(a) - rank(b) || a.step - b.step || a.drawn.index - b.drawn.index);
}

/** A scenario up to a step. */
export function upTo({ world, steps, pair }: Scenario, step: number): Scenario {
  return { world, steps: steps.slice(0, step + 1), ...(pair && pair.step <= step && { pair }) };
}

/**
 * The smallest scenario of which `shows` still says yes: without the second run, without steps
 * before the last, without a failure asked for, with clean padding, with one guest, with little
 * memory.
 */
export function shrink(scenario: Scenario, shows: (smaller: Scenario) => boolean): Scenario {
  let least = scenario;
  const accepts = (smaller: Scenario): void => {
    if (canonicalJson(toJson(smaller)) !== canonicalJson(toJson(least)) && shows(smaller)) least = smaller;
  };
  accepts({ world: least.world, steps: least.steps });
  for (let i = least.steps.length - 2; i >= 0; i--) {
    const { pair } = least;
    const moved = pair && { step: pair.step > i ? pair.step - 1 : pair.step, addressBits: pair.addressBits };
    accepts({ world: least.world, steps: least.steps.toSpliced(i, 1), ...(moved && { pair: moved }) });
  }
  for (const [i, step] of least.steps.entries()) {
    if (step.do !== 'call') continue;
    const { inject, ...plain } = step;
    if (inject) accepts(withStep(least, i, plain));
    accepts(withStep(least, i, { ...(least.steps[i] as typeof step), padding: 0 }));
  }
  accepts(withDomains(least, (domains) => domains.slice(0, 1)));
  // The smallest world that an implementation has to have room for.
  accepts(withDomains(least, (domains) => domains.map((d) => ({ ...d, ram: d.ram.map(({ gfn }) => ({ gfn, pages: smallestRam })) }))));
  accepts(withDomains(least, (domains) => domains.map((d) => ({ ...d, holes: [] }))));
  return least;
}

function withDomains(scenario: Scenario, change: (domains: readonly DomainPlan[]) => readonly DomainPlan[]): Scenario {
  return { ...scenario, world: { ...scenario.world, domains: change(scenario.world.domains) } };
}

function withStep(scenario: Scenario, i: number, step: Step): Scenario {
  return { ...scenario, steps: scenario.steps.with(i, step) };
}

/** What is violated at each step, by id. */
export function violatedAt(given: readonly Given[], step: number): string[] {
  const found = given.filter((g) => g.step === step && g.answer.answer === 'violated').map((g) => g.id);
  return [...new Set(found)].sort();
}

/** Does a requirement hold at that step, and is nothing violated? */
export function holdsAt({ given, crash }: Checked, id: string, step: number): boolean {
  return !crash && given.some((g) => g.id === id && g.step === step && g.answer.answer === 'holds');
}
