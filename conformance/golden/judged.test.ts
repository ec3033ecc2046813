import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { scenarioIn } from '../scenario.ts';
import { referenceHello } from './calls.ts';
import type { CallCase } from './case.ts';
import { judgeRun, judgeTrace } from './observed.ts';

// What the golden cases hold was seen once, of the model and of faulty hypervisors: here the rules alone judge it, and no model is asked.

const folder = fileURLToPath(new URL('../../fixtures/golden/calls', import.meta.url));

it.each(readdirSync(folder).sort())('the golden cases of %s are judged as they say', (requirement) => {
  for (const file of readdirSync(join(folder, requirement))) {
    const golden = JSON.parse(readFileSync(join(folder, requirement, file), 'utf8')) as CallCase;
    const scenario = scenarioIn(golden.scenario);
    const live = scenario ? judgeRun(scenario, referenceHello, golden) : golden.judged;
    expect([file, live, judgeTrace(golden)]).toEqual([file, golden.judged, golden.trace_judged]);
  }
});
