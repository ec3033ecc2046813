import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { implementationOf } from '../protocol/reference.ts';
import type { Edited, Fault } from './fault.ts';
import { faults, legal } from './faults.ts';
import { firstContact } from './first-contact/first-contact.ts';
import { type Create, EditError, editedFiles, load, NoCloneError, pristine, sources } from './load.ts';
import { brokenBy } from './play.ts';
import { type MeasuredStrength, measure, summary } from './strength.ts';

// npm run faults -- list | show NAME | types | legal | measure [--write]: for developers, in a
// clone.

const [word = 'list', ...rest] = process.argv.slice(2);
const all: readonly Edited[] = [...faults, ...legal, ...firstContact];
const tasks: { readonly [word: string]: () => void | Promise<void> } = { list, show, types, legal: playLegal, measure: measureAll };
const task = Object.hasOwn(tasks, word) ? tasks[word] : undefined;
try {
  if (task) await task();
  else fail(`unknown word ${JSON.stringify(word)} (known: ${Object.keys(tasks).join(', ')})`);
} catch (error) {
  if (!(error instanceof EditError || error instanceof NoCloneError)) throw error;
  fail(error.message);
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 2;
}

function list(): void {
  for (const { name, family, breaks } of faults) console.log(`${family}: ${name}  (${breaks.join(', ')})`);
  for (const { name, freedom } of legal) console.log(`legal: ${name}  (${freedom})`);
}

/** The edits of one as a unified diff. */
function show(): void {
  const name = rest.join(' ');
  const one = all.find((edited) => edited.name === name);
  if (!one) {
    const near = all.filter((edited) => name !== '' && edited.name.includes(name)).map((edited) => `\n  ${edited.name}`);
    fail(`no faulty hypervisor "${name}" (npm run faults -- list)${near.length > 0 ? `; perhaps:${near.join('')}` : ''}`);
    return;
  }
  for (const [file, text] of editedFiles(one)) {
    process.stdout.write(createTwoFilesPatch(`a/src/model/${file}`, `b/src/model/${file}`, pristine(file), text, '', ''));
  }
}

/**
 * Type-checks every edited file in one run: what an edit breaks in it, and what a change of the
 * model breaks in an edit.
 */
function types(): void {
  const root = sources();
  const cache = join(root, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'xenmem-faults-'));
  try {
    for (const [i, one] of all.entries()) {
      for (const [file, text] of editedFiles(one)) {
        const at = join(folder, String(i), file);
        mkdirSync(dirname(at), { recursive: true });
        // What it imports is the pristine file, unless that is edited too.
        const own = editedFiles(one);
        const imported = text.replace(/from '(\.[^']+)'/g, (whole, path: string) => {
          const target = join(root, 'src/model', path);
          return own.has(relative(join(root, 'src/model'), target)) ? whole : `from '${relative(dirname(at), target)}'`;
        });
        writeFileSync(at, `// ${one.name}\n${imported}`);
      }
    }
    const config = {
      extends: relative(folder, join(root, 'tsconfig.json')),
      compilerOptions: { rootDir: root },
      include: ['.', relative(folder, join(root, 'src/codec/restructure.d.ts'))],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status } = spawnSync(process.execPath, [tsc, '-p', folder], { stdio: 'inherit' });
    console.log(`${all.length} edited models: types ${status === 0 ? 'agree' : 'do not agree'}`);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Plays three long runs on every legal hypervisor: none is to be blamed. */
async function playLegal(): Promise<void> {
  const creates = await load(legal);
  let blamed = 0;
  for (const { name, hello } of legal) {
    for (const seed of [1, 2, 3]) {
      const { broken } = brokenBy(implementationOf((creates.get(name) as Create)(), hello), { seed, scenarios: 2000 });
      if (broken.size === 0) continue;
      blamed++;
      console.log(`"${name}", seed ${seed}: ${[...broken].map(([id, index]) => `${id} in scenario ${index}`).join(', ')}`);
    }
  }
  console.log(`${legal.length} legal hypervisors, 3 seeds of 2000 scenarios each: ${blamed === 0 ? 'none' : blamed} blamed`);
  process.exitCode = blamed === 0 ? 0 : 1;
}

/** Measures the suite's strength anew, with what it finds of every faulty hypervisor. */
async function measureAll(): Promise<void> {
  const [seed, budget] = [1, 600];
  const creates = await load(faults);
  const measured: MeasuredStrength['mutants'][number][] = [];
  for (const fault of faults) {
    const one = await measure(fault, creates.get(fault.name) as Create, seed, budget);
    measured.push(one);
    const at = ([2, 1, 0] as const).map((level) => `${one.levels[level] ?? '-'}`.padStart(5)).join('');
    console.log(`${at} ${`${one.counterexample ?? '-'}`.padStart(3)}  ${(fault as Fault).name}`);
  }
  const { killed, total, medianScenarios, inFour, killedAt } = summary({ seed, budget, mutants: measured });
  console.log(`found ${killed} of ${total}; at level 1 ${killedAt[1]}, at level 0 ${killedAt[0]}`);
  console.log(`median ${medianScenarios} scenarios; ${(100 * inFour).toFixed(0)} % shown by four calls, moves and failures or fewer`);
  if (!rest.includes('--write')) return;
  const lines = measured.map((one) => `    ${JSON.stringify(one)}`).join(',\n');
  const json = `{\n  "seed": ${seed},\n  "budget": ${budget},\n  "mutants": [\n${lines}\n  ]\n}\n`;
  writeFileSync(join(sources(), 'conformance', 'faults', 'strength.json'), json);
}
