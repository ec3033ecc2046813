import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { referenceImplementation } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { wholeNumbers } from '../scenario/numbers.ts';
import { tokenOf } from '../scenario/scenario.ts';
import { exhaust, exhaustiveText } from '../search/exhaust.ts';
import { checkHere } from '../verdict/check.ts';

// Do the rules and the model agree? On a million random calls by default, and on the whole small
// scope. Takes minutes.

/** Judged calls in all, unless the command says otherwise. */
const defaultCalls = 1_000_000;
/** Scenarios between two looks at how far we are. */
const batch = 500;

interface Share {
  readonly seed: number;
  readonly calls: number;
}

/**
 * Plays random scenarios on the model until so many calls are judged; answers how many, and the
 * first disagreement.
 */
function agreeOn({ seed, calls }: Share): { calls: number; scenarios: number; disagreement?: string } {
  const model = referenceImplementation();
  let [judged, scenarios] = [0, 0];
  for (let round = 0; judged < calls; round++) {
    for (const numbers of fc.sample(wholeNumbers, { seed: seed * 1_000_003 + round, numRuns: batch })) {
      const scenario = scenarioFrom(numbers, scenarios % 2 === 0 ? 'arm64' : 'arm32', model.hello);
      const checked = checkHere(scenario, model);
      const broken = checked.given.find((g) => g.answer.answer === 'violated');
      judged += checked.calls.length;
      scenarios++;
      if (broken) return { calls: judged, scenarios, disagreement: `${broken.id}: ${tokenOf(scenario)}` };
    }
  }
  return { calls: judged, scenarios };
}

/** Two processes, one a core, each with seeds of its own. */
async function inParallel(calls: number): Promise<ReturnType<typeof agreeOn>[]> {
  const self = fileURLToPath(import.meta.url);
  const shares: Share[] = [1, 2].map((seed) => ({ seed, calls: Math.ceil(calls / 2) }));
  return Promise.all(
    shares.map(
      (share) =>
        new Promise<ReturnType<typeof agreeOn>>((resolve, reject) => {
          const child = fork(self, ['share'], { stdio: 'inherit' });
          child.once('message', (result) => resolve(result as ReturnType<typeof agreeOn>));
          child.once('error', reject);
          child.once('exit', (code) => (code === 0 ? undefined : reject(new Error(`a share ended with ${code}`))));
          child.send(share);
        }),
    ),
  );
}

if (process.argv[2] === 'share') {
  process.once('message', (share) => {
    process.send?.(agreeOn(share as Share), () => process.exit(0));
  });
} else {
  const calls = Number(process.argv[2] ?? defaultCalls);
  if (!(calls > 0)) throw new RangeError('how many calls? a number above 0');
  const results = await inParallel(calls);
  const judged = results.reduce((sum, r) => sum + r.calls, 0);
  const disagreements = results.flatMap((r) => r.disagreement ?? []);
  process.stdout.write(`${judged} random calls judged in ${results.reduce((sum, r) => sum + r.scenarios, 0)} scenarios\n`);
  const scope = exhaust('small');
  for (const line of exhaustiveText(scope)) process.stdout.write(`${line}\n`);
  for (const line of disagreements) process.stdout.write(`DISAGREE ${line}\n`);
  const agreed = disagreements.length === 0 && scope.disagreements.length === 0;
  process.stdout.write(agreed ? 'rules and model agree\n' : 'rules and model DISAGREE\n');
  process.exitCode = agreed ? 0 : 70;
}
