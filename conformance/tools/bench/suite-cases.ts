import fc from 'fast-check';
import { faults } from '../../faults/faults.ts';
import { type Create, load } from '../../faults/load.ts';
import { brokenBy, seenAt } from '../../faults/play.ts';
import { observe } from '../../observe/observe.ts';
import type { Implementation, Request } from '../../protocol/implementation.ts';
import { playHere } from '../../protocol/play.ts';
import { referenceImplementation } from '../../protocol/reference.ts';
import { scenarioFrom } from '../../scenario/generate.ts';
import { wholeNumbers } from '../../scenario/numbers.ts';
import { exhaust } from '../../search/exhaust.ts';
import { checkHere } from '../../verdict/check.ts';
import type { Timed } from './measure.ts';

const scenarios = 400;

/**
 * A judged call in process: the model alone, with what the harness asks around it, and with every
 * rule. Units are judged calls.
 */
export function suiteCases(): Timed[] {
  const model = referenceImplementation();
  const lists = fc.sample(wholeNumbers, { seed: 1, numRuns: scenarios });
  const made = lists.map((list, i) => scenarioFrom(list, i % 2 === 0 ? 'arm64' : 'arm32', model.hello));
  const requests = made.map((scenario) =>
    recorded(model, (on) =>
      playHere(
        observe(scenario, on.hello, () => {}),
        on,
      ),
    ),
  );
  const calls = made.reduce((sum, scenario) => sum + checkHere(scenario, model).calls.length, 0);
  return [
    { name: 'answer the requests alone', each: calls, run: () => requests.forEach((list) => void model.answer(list)) },
    {
      name: 'play, observe',
      each: calls,
      run: () =>
        made.forEach(
          (s) =>
            void playHere(
              observe(s, model.hello, () => {}),
              model,
            ),
        ),
    },
    { name: 'play, observe, judge by every rule', each: calls, run: () => made.forEach((s) => void checkHere(s, model)) },
    {
      name: 'the same, scenarios made on the way',
      each: calls,
      run: () => lists.forEach((list, i) => void checkHere(scenarioFrom(list, i % 2 === 0 ? 'arm64' : 'arm32', model.hello), model)),
    },
  ];
}

/**
 * The exhaustive search of the small scope, and how long it takes to kill every faulty hypervisor,
 * in plain words.
 */
export async function suiteFigures(): Promise<string> {
  const seconds = (run: () => void): number => {
    const start = process.hrtime.bigint();
    run();
    return Number(process.hrtime.bigint() - start) / 1e9;
  };
  let searched = '';
  const search = seconds(() => {
    const { states, transitions } = exhaust('small');
    searched = `${states} states, ${transitions} transitions`;
  });
  const start = process.hrtime.bigint();
  const creates = await load(faults);
  const loading = Number(process.hrtime.bigint() - start) / 1e9;
  let found = 0;
  const finding = seconds(() => {
    for (const { name } of faults) {
      const { first } = brokenBy(seenAt(creates.get(name) as Create), { seed: 1, scenarios: 600, until: (broken) => broken.size > 0 });
      if (first !== undefined) found++;
    }
  });
  return [
    `exhaustive search, small scope: ${searched} in ${search.toFixed(1)} s`,
    `${faults.length} faulty hypervisors: loaded in ${loading.toFixed(1)} s, ${found} found in ${finding.toFixed(1)} s`,
    '',
  ].join('\n');
}

/** The requests that playing something sends. */
function recorded(model: Implementation, play: (on: Implementation) => void): Request[] {
  const sent: Request[] = [];
  play({
    hello: model.hello,
    answer(requests) {
      sent.push(...requests);
      return model.answer(requests);
    },
  });
  return sent;
}
