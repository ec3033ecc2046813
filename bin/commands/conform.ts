import { readFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import { checkHere, playHere } from '../../conformance/check.ts';
import { exhaust, exhaustiveText, type ScopeName } from '../../conformance/exhaustive.ts';
import type { Strength as Measured } from '../../conformance/mutants/strength.ts';
import { referenceImplementation } from '../../conformance/reference.ts';
import { runSuite } from '../../conformance/run.ts';
import { type Scenario, scenarioOf } from '../../conformance/scenario.ts';
import { scenarioText } from '../../conformance/scenario-text.ts';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { conformanceJson, conformanceText } from '../../src/report/conformance.ts';
import type { ConformanceResult, Strength } from '../../src/report/result.ts';
import { exit, UsageError } from '../exit.ts';
import { line, note, outcome, styleFor } from '../io.ts';
import { progress } from '../progress.ts';

interface Options {
  readonly arch: Arch | 'all';
  readonly seed?: string;
  readonly runs?: string;
  readonly level?: number;
  readonly replay?: string;
  readonly exhaustive?: boolean;
  readonly scope: ScopeName;
  readonly json?: boolean;
}

/** Scenarios of a run where none is asked for: every requirement and every cell gets well above its floor. */
const defaultRuns = 5000;

export function options(args: Argv): Argv {
  return args
    .option('arch', {
      choices: ['all', ...archNames.filter((a) => a.startsWith('arm'))],
      default: 'all',
      describe: 'whose layout',
      requiresArg: true,
    })
    .option('seed', { type: 'string', describe: 'the same seed gives the same run (default 1)', requiresArg: true })
    .option('runs', { type: 'string', describe: `scenarios to play (default ${defaultRuns})`, requiresArg: true })
    .option('level', { choices: [0, 1, 2], type: 'number', describe: 'exit 4 unless this much can be seen', requiresArg: true })
    .option('replay', { type: 'string', describe: 'play the one scenario in a token, and tell it step by step', requiresArg: true })
    .option('exhaustive', { type: 'boolean', describe: "search a small scope of the model's states completely" })
    .option('scope', { choices: ['small', 'slice', 'large'], default: 'small', describe: 'how large, for --exhaustive', requiresArg: true })
    .option('json', { type: 'boolean', describe: 'the result as one JSON object' });
}

export async function run(options: Options): Promise<Iterable<number>> {
  if (options.replay !== undefined) return replay(options.replay, options.json ?? false);
  if (options.exhaustive) return searchAll(options);
  const implementation = referenceImplementation();
  const seed = whole('--seed', options.seed ?? '1', 0x7fff_ffff);
  const runs = whole('--runs', options.runs ?? String(defaultRuns), 10_000_000);
  const bar = progress('scenarios', runs);
  let result: ConformanceResult | undefined;
  let stopped = false;
  outcome.stop = () => {
    stopped = true;
  };
  try {
    result = await runSuite({
      hello: implementation.hello,
      play: (play) => playHere(play, implementation),
      arch: options.arch === 'all' ? ['arm64', 'arm32'] : [options.arch],
      seed,
      runs,
      strength: strengthAt,
      ...(options.level !== undefined && { level: options.level }),
      onProgress: bar.step,
      stopped: () => stopped,
    });
  } finally {
    bar.end();
    outcome.stop = undefined;
  }
  const lines = options.json ? [JSON.stringify(conformanceJson(result))] : conformanceText(result, styleFor());
  for (const text of lines) await line(text);
  if (result.verdict === 'nonconformant') {
    // Here the implementation is the model itself, so its two oracles disagree: that is a bug of ours.
    note('the reference model breaks a rule: the two oracles disagree');
    outcome.codes.add(exit.internal);
  }
  if (result.verdict === 'inconclusive') outcome.codes.add(exit.inconclusive);
  return outcome.codes;
}

/** What was measured when the suite was built: measuring takes minutes. */
function strengthAt(level: 0 | 1 | 2): Strength {
  const file = new URL('../../conformance/mutants/strength.json', import.meta.url);
  const { seed, budget, mutants } = JSON.parse(readFileSync(file, 'utf8')) as Measured;
  const names = (found: boolean): string[] => mutants.filter((m) => (m.levels[level] !== null) === found).map((m) => m.name);
  return { mutants: mutants.length, budget, seed, killed: names(true), survivors: names(false) };
}

async function replay(token: string, json: boolean): Promise<Iterable<number>> {
  let scenario: Scenario;
  try {
    scenario = scenarioOf(token);
  } catch (error) {
    throw new UsageError(`--replay: ${(error as Error).message}`);
  }
  const checked = checkHere(scenario, referenceImplementation());
  const violated = checked.given.filter(({ answer }) => answer.answer === 'violated');
  if (json) await line(JSON.stringify({ violated: violated.map(({ id, step, answer }) => ({ id, step, answer })) }));
  else for (const text of scenarioText(scenario, checked, styleFor())) await line(text);
  // It is the model that was judged: a violation means that the two oracles disagree.
  if (violated.length > 0) outcome.codes.add(exit.internal);
  if (checked.given.length === 0) outcome.codes.add(exit.inconclusive);
  return outcome.codes;
}

async function searchAll({ scope, json }: Options): Promise<Iterable<number>> {
  const found = exhaust(scope);
  if (json) await line(JSON.stringify(found));
  else for (const text of exhaustiveText(found)) await line(text);
  if (found.disagreements.length > 0) {
    note('the two oracles disagree');
    outcome.codes.add(exit.internal);
  }
  return outcome.codes;
}

function whole(option: string, text: string, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new UsageError(`${option} ${JSON.stringify(text)}: expected a whole number, 0..${most}`);
  return value;
}
