import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import type { MeasuredStrength as Measured } from '../../conformance/faults/strength.ts';
import { FolderError } from '../../conformance/golden/folder.ts';
import { goldenScenarios, playable } from '../../conformance/golden/scenarios.ts';
import { asJob, inJobs, JobError } from '../../conformance/jobs.ts';
import { SetupError } from '../../conformance/observe/observe.ts';
import { commandOf, playerFor } from '../../conformance/protocol/command.ts';
import { extras, type Hello, levelOf } from '../../conformance/protocol/implementation.ts';
import { type Player, playerHere, UndrivenError } from '../../conformance/protocol/player.ts';
import { probe, probeText } from '../../conformance/protocol/probes.ts';
import { referenceHello } from '../../conformance/protocol/reference.ts';
import { played, runSuite } from '../../conformance/run.ts';
import type { Scenario } from '../../conformance/scenario/scenario.ts';
import { exhaust, exhaustiveText, type ScopeName } from '../../conformance/search/exhaust.ts';
import type { Checked } from '../../conformance/verdict/check.ts';
import type { ConformanceResult, Shard, Strength } from '../../conformance/verdict/result.ts';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { type Delivery, delivery, deliveryOptions } from '../deliver.ts';
import { exit, UnreadableError, UsageError } from '../exit.ts';
import { line, note, outcome, styleFor } from '../io.ts';
import { referenceNamed, scaleNamed, wholeNumber } from '../options.ts';
import { each, progress } from '../progress.ts';
import { replayOf, tellReplay } from '../replay.ts';

interface Options extends Delivery {
  readonly iut?: string;
  readonly reference?: readonly string[];
  readonly check?: boolean;
  readonly jobs: string;
  readonly shard?: string;
  readonly 'timeout-scale': string;
  readonly arch: Arch | 'all';
  readonly seed: string;
  readonly runs: string;
  readonly level?: number;
  readonly replay?: string;
  readonly fixtures?: boolean;
  readonly exhaustive?: boolean;
  readonly scope: ScopeName;
}

/**
 * Scenarios of a run where none is asked for: every requirement and every cell gets well above its
 * floor.
 */
const defaultRuns = 5000;
const most = { seed: 0x7fff_ffff, runs: 10_000_000, jobs: 256, shards: 10_000 } as const;

export function options(args: Argv): Argv {
  const own = args
    .option('iut', { type: 'string', describe: 'the implementation under test: a command, or module:FILE', requiresArg: true })
    .option('reference', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'what to play instead of --iut: strict, xen-4.17, xen-4.4, or FREEDOM=READING (any number of them)',
    })
    .option('check', { type: 'boolean', describe: 'probe the implementation, and say what to fix first' })
    .option('arch', {
      choices: ['all', ...archNames.filter((a) => a.startsWith('arm'))],
      default: 'all',
      describe: 'whose layout',
      requiresArg: true,
    })
    .option('seed', { type: 'string', default: '1', describe: 'the same seed gives the same run', requiresArg: true })
    .option('runs', { type: 'string', default: String(defaultRuns), describe: 'scenarios to play', requiresArg: true })
    .option('level', { choices: [0, 1, 2], type: 'number', describe: 'exit 4 unless this much can be seen', requiresArg: true })
    .option('jobs', { type: 'string', default: '1', describe: 'processes, each with an implementation of its own', requiresArg: true })
    .option('shard', { type: 'string', describe: 'play part I of N, 2/4; xenmem merge joins them', requiresArg: true })
    .option('timeout-scale', { type: 'string', default: '1', describe: 'so many times as patient', requiresArg: true })
    .option('fixtures', { type: 'boolean', describe: 'play exactly the golden scenarios: the same gate on every machine' })
    .option('replay', { type: 'string', describe: 'play the one scenario in a token, and tell it step by step', requiresArg: true })
    .option('exhaustive', { type: 'boolean', describe: "search a small scope of the model's states completely" })
    .option('scope', {
      choices: ['small', 'slice', 'large'],
      default: 'small',
      describe: 'how large, for --exhaustive',
      requiresArg: true,
    });
  return deliveryOptions(own);
}

export async function run(options: Options): Promise<Iterable<number>> {
  alone(options);
  if (options.exhaustive) return searchAll(options);
  const arch: readonly Arch[] = options.arch === 'all' ? ['arm64', 'arm32'] : [options.arch];
  const scale = scaleNamed(options['timeout-scale']);
  if (options.check) return checkImplementation(options, arch[0] as Arch, scale);
  if (options.replay !== undefined) return replay(options, options.replay, scale);
  const seed = wholeNumber('--seed', options.seed, most.seed);
  const runs = wholeNumber('--runs', options.runs, most.runs);
  const jobs = wholeNumber('--jobs', options.jobs, most.jobs, 1);
  const shard = options.shard === undefined ? undefined : shardOf(options.shard);
  if (options.fixtures && (jobs > 1 || shard)) throw new UsageError('--fixtures is played in one go: no --jobs, no --shard');
  const deliver = delivery(options);
  const bar = progress(each('scenarios'), runs);
  const run = { seed, runs, onProgress: bar.step, ...(shard && { shard }) };
  let result: ConformanceResult;
  try {
    result = await (jobs > 1 ? divided(options, jobs, run) : inOne(options, arch, scale, run));
  } catch (error) {
    bar.end();
    return failed(error);
  }
  bar.end();
  await deliver(result);
  const isUnlike = result.incidents.some(({ kind }) => kind === 'unlike');
  if (isModel(options) && (result.verdict === 'nonconformant' || isUnlike)) {
    // Here the implementation is the model itself, so its oracles disagree: that is a bug of ours.
    note(`the reference model ${isUnlike ? 'is unlike itself' : 'breaks a rule'}: two oracles disagree`);
    outcome.codes.add(exit.internal);
  }
  return outcome.codes;
}

/**
 * What does something else than a run takes nothing that only a run has: it would be passed over in
 * silence.
 */
function alone(options: Options): void {
  const given = (name: keyof Options): boolean => options[name] !== undefined && options[name] !== false;
  const others = ['exhaustive', 'check', 'replay', 'fixtures'] as const;
  if (given('iut') && given('reference')) throw new UsageError('--iut and --reference do not go together: one of them is played');
  const [mode, second] = others.filter(given);
  if (mode === undefined) return;
  const meaningless = {
    exhaustive: ['iut', 'reference', 'level', 'shard', 'expect', 'update-expect', 'report'],
    check: ['reference', 'level', 'shard', 'expect', 'update-expect', 'report', 'json'],
    replay: ['level', 'shard', 'expect', 'update-expect', 'report'],
    fixtures: ['shard'],
  } as const;
  const wrong = second ?? meaningless[mode].find(given);
  if (wrong !== undefined) throw new UsageError(`--${mode} and --${wrong} do not go together`);
}

type Run = Pick<Parameters<typeof runSuite>[0], 'seed' | 'runs' | 'shard' | 'onProgress'>;

async function inOne(options: Options, wanted: readonly Arch[], scale: number, run: Run): Promise<ConformanceResult> {
  const { level, fixtures } = options;
  const player = await playerOf(options, wanted[0] as Arch, scale);
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  outcome.stop = stop;
  const onProgress = asJob(stop);
  const scenarios = fixtures ? goldenFor(player.hello, wanted) : undefined;
  try {
    return await runSuite({
      ...run,
      ...(onProgress && { onProgress }),
      player,
      arch: wanted.filter((arch) => player.hello.arch.includes(arch)),
      ...(scenarios ? { scenarios } : { strength: strengthFor }),
      ...(level !== undefined && { level }),
      stopped: () => stopped,
    });
  } finally {
    outcome.stop = undefined;
    await player.end();
  }
}

/** The golden scenarios that this implementation has room for, of these architectures. */
function goldenFor(hello: Hello, arch: readonly Arch[]): Scenario[] {
  const folder = fileURLToPath(new URL('../../fixtures/golden', import.meta.url));
  try {
    const all = goldenScenarios(folder).filter(({ world }) => arch.includes(world.arch));
    const fitting = playable(all, hello);
    if (fitting.length < all.length)
      note(`${all.length - fitting.length} of ${all.length} scenarios are not for what the implementation declares`);
    return fitting;
  } catch (error) {
    if (error instanceof FolderError) throw new UnreadableError(error.message);
    throw error;
  }
}

/** The same in several processes: this command once more, for a shard each. */
async function divided(options: Options, jobs: number, { shard, onProgress = () => {} }: Run): Promise<ConformanceResult> {
  const passed = ['iut', 'arch', 'seed', 'runs', 'level', 'timeout-scale'] as const;
  const words = (options.reference ?? []).map((word) => `--reference=${word}`);
  const args = [...passed.flatMap((name) => (options[name] === undefined ? [] : [`--${name}=${options[name]}`])), ...words];
  const onStart = (stop: () => void): void => {
    outcome.stop = stop;
  };
  try {
    const program = process.argv[1] as string;
    return await inJobs({ program, args: ['conform', ...args], jobs, ...(shard && { shard }), onProgress, onStart });
  } finally {
    outcome.stop = undefined;
  }
}

async function playerOf(options: Options, arch: Arch, scale: number): Promise<Player> {
  const { iut } = options;
  if (iut !== undefined) return { ...(await playerFor(commandWords(iut), arch, scale)), iut };
  const { reference = [] } = options;
  return { ...playerHere(referenceNamed(reference)), ...(reference.some((word) => word !== 'strict') && { reference }) };
}

/**
 * Is it the model itself that is played, in some reading? A rule that it breaks is a bug of ours:
 * the two oracles disagree.
 */
function isModel(options: Options): boolean {
  return options.iut === undefined && (options.reference ?? []).every((word) => word === 'strict' || word.includes('='));
}

function commandWords(iut: string): readonly string[] {
  try {
    return commandOf(iut, fileURLToPath(new URL('host.js', import.meta.url)));
  } catch (error) {
    throw new UsageError(`--iut ${JSON.stringify(iut)}: ${(error as Error).message}`);
  }
}

/** An implementation that cannot be driven is said so once, with the last it said. */
function failed(error: unknown): Iterable<number> {
  if (!(error instanceof JobError || error instanceof UndrivenError || error instanceof SetupError)) throw error;
  note(error.message);
  if (!(error instanceof SetupError)) for (const text of error.evidence) note(text);
  outcome.codes.add(error instanceof JobError ? error.code : exit.undriven);
  return outcome.codes;
}

/**
 * What was measured when the suite was built: measuring takes minutes. It says nothing of an
 * implementation with fewer ops.
 */
function strengthFor(hello: Hello): Strength | undefined {
  const isMeasured = Object.keys(referenceHello.commands).every((op) => Object.hasOwn(hello.commands, op));
  if (!isMeasured) return undefined;
  const level = levelOf(hello);
  const all = extras.every((capability) => hello.capabilities.has(capability));
  const file = new URL('../../conformance/faults/strength.json', import.meta.url);
  const { seed, budget, mutants } = JSON.parse(readFileSync(file, 'utf8')) as Measured;
  const names = (found: boolean): string[] =>
    mutants.filter((m) => ((all ? m.levels : m.bare)[level] !== null) === found).map((m) => m.name);
  return { mutants: mutants.length, budget, seed, extras: all, killed: names(true), survivors: names(false) };
}

async function checkImplementation({ iut }: Options, arch: Arch, scale: number): Promise<Iterable<number>> {
  if (iut === undefined) throw new UsageError('--check needs --iut: which implementation?');
  const probes = await probe(commandWords(iut), arch, scale);
  for (const text of probeText(probes, styleFor())) await line(text);
  if (probes.some((p) => p.ended === 'undriven')) outcome.codes.add(exit.undriven);
  else if (probes.some((p) => p.ended === 'wrong')) outcome.codes.add(exit.failed);
  return outcome.codes;
}

async function replay(options: Options, token: string, scale: number): Promise<Iterable<number>> {
  const scenario = replayOf(token);
  let checked: Checked;
  try {
    const player = await playerOf(options, scenario.world.arch, scale);
    try {
      checked = await played(player, scenario);
    } finally {
      await player.end();
    }
  } catch (error) {
    return failed(error);
  }
  return tellReplay(scenario, checked, { json: options.json, isModel: isModel(options) });
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

function shardOf(text: string): Shard {
  const [, index = '', of = ''] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), of: Number(of) };
  if (index !== '' && shard.index >= 1 && shard.index <= shard.of && shard.of <= most.shards) return shard;
  throw new UsageError(`--shard ${JSON.stringify(text)}: expected I/N, part I of N, as 2/4`);
}
