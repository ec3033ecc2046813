import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measure, summary } from './strength.ts';

// Run from the top of the repository: `node dist/conformance/mutants/measure.js [--write]`.

const strength = measure(1, 600, (name) => process.stderr.write(`${name}\n`));
const { killed, total, medianScenarios, inFour, killedAt } = summary(strength);

for (const { name, levels, counterexample } of strength.mutants) {
  const at = ([2, 1, 0] as const).map((level) => `${levels[level]?.scenarios ?? '-'}`.padStart(5)).join('');
  console.log(`${at} ${`${counterexample ?? '-'}`.padStart(3)}  ${name}`);
}
console.log(`killed ${killed} of ${total}; at level 1 ${killedAt[1]}, at level 0 ${killedAt[0]}`);
console.log(`median ${medianScenarios} scenarios; ${(100 * inFour).toFixed(0)} % shown by four calls, moves and failures or fewer`);
if (process.argv.includes('--write')) {
  const lines = strength.mutants.map((mutant) => `    ${JSON.stringify(mutant)}`).join(',\n');
  const json = `{\n  "seed": ${strength.seed},\n  "budget": ${strength.budget},\n  "mutants": [\n${lines}\n  ]\n}\n`;
  writeFileSync(join('conformance', 'mutants', 'strength.json'), json);
}
