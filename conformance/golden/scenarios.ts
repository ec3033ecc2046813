import { type Hello, levelOf } from '../protocol/implementation.ts';
import { type Scenario, scenarioIn } from '../scenario/scenario.ts';
import { canonicalJson } from './case.ts';
import { casesIn, type StoredCase } from './folder.ts';

/**
 * The scenarios of a folder of cases, each once, in the order of their files: what `conform
 * --fixtures` plays.
 */
export function goldenScenarios(folder: string): Scenario[] {
  return scenariosOf(casesIn(folder));
}

/** The same of cases. */
export function scenariosOf(cases: readonly StoredCase[]): Scenario[] {
  const found = new Map<string, Scenario>();
  for (const { golden } of cases) {
    const scenario = golden.case === 'call' ? scenarioIn(golden.scenario) : undefined;
    if (scenario && golden.case === 'call') found.set(canonicalJson(golden.scenario), scenario);
  }
  return [...found.values()];
}

/**
 * Those that an implementation can be asked for: of its architectures, with as many guests and
 * pages as it has room for.
 */
export function playable(scenarios: readonly Scenario[], hello: Hello): Scenario[] {
  const { ram_pages = Number.POSITIVE_INFINITY, domains = Number.POSITIVE_INFINITY, max_gfn } = hello.limits;
  return scenarios.filter(({ world, steps }) => {
    const fits = world.domains.every(({ ram, holes }) => {
      const pages = ram.reduce((sum, run) => sum + run.pages, 0);
      return (
        pages <= ram_pages && [...ram, ...holes].every(({ gfn, pages: n }) => max_gfn === undefined || gfn + BigInt(n) - 1n <= max_gfn)
      );
    });
    const seen = levelOf(hello) === 2 || !steps.every((step) => step.do === 'churn');
    return fits && seen && hello.arch.includes(world.arch) && world.domains.length <= domains;
  });
}
