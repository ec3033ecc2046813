import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { type MoreOp, moreOps } from '../../conformance/live/draw.ts';
import { type Live, openLive } from '../../conformance/live/live.ts';
import { Recording } from '../../conformance/live/recording.ts';
import { type SetupName, setups } from '../../conformance/live/setups.ts';
import { SetupError } from '../../conformance/observe/observe.ts';
import { UndrivenError } from '../../conformance/protocol/player.ts';
import { played, runSuite } from '../../conformance/run.ts';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { count } from '../../src/text/style.ts';
import { type Delivery, delivery, deliveryOptions, writable } from '../deliver.ts';
import { exit, UsageError } from '../exit.ts';
import { note, outcome } from '../io.ts';
import { scaleNamed, wholeNumber } from '../options.ts';
import { each, progress } from '../progress.ts';
import { replayOf, tellReplay } from '../replay.ts';

interface Options extends Delivery {
  readonly arch: Arch;
  readonly guest: 'dom0' | 'domu';
  readonly record?: string;
  readonly xen?: string;
  readonly has?: readonly MoreOp[];
  readonly seed: string;
  readonly runs: string;
  readonly replay?: string;
  readonly 'timeout-scale': string;
}

const liveArches = archNames.filter((arch) => Object.hasOwn(setups, arch));

/** Scenarios of a run where none is asked for: more than 50,000 calls. */
const defaultRuns = 12_000;
const most = { seed: 0x7fff_ffff, runs: 10_000_000 } as const;

export function options(args: Argv): Argv {
  const own = args
    .option('arch', { choices: liveArches, demandOption: true, describe: 'which machine', requiresArg: true })
    .option('guest', {
      choices: ['dom0', 'domu'],
      default: 'dom0',
      describe: 'who calls; domu: a domain beside no other, on arm64',
      requiresArg: true,
    })
    .option('record', { type: 'string', describe: 'write what is played to a file, as a trace', requiresArg: true })
    .option('xen', { type: 'string', describe: 'a hypervisor that you built, instead of the one from Debian', requiresArg: true })
    .option('has', {
      choices: moreOps,
      array: true,
      describe: 'with --xen and --guest domu: an op that it has for such a guest, and the one from Debian has not',
      nargs: 1,
    })
    .option('seed', { type: 'string', default: '1', describe: 'the same seed gives the same calls', requiresArg: true })
    .option('runs', { type: 'string', default: String(defaultRuns), describe: 'scenarios to play', requiresArg: true })
    .option('replay', { type: 'string', describe: 'play the one scenario in a token, and tell it step by step', requiresArg: true })
    .option('timeout-scale', { type: 'string', default: '1', describe: 'so many times as patient', requiresArg: true });
  return deliveryOptions(own);
}

export async function run(options: Options): Promise<Iterable<number>> {
  const seed = wholeNumber('--seed', options.seed, most.seed);
  const runs = wholeNumber('--runs', options.runs, most.runs, 1);
  const scale = scaleNamed(options['timeout-scale']);
  const { xen, replay, record } = options;
  const setup = setupFor(options);
  const more = moreOf(options);
  const scenario = replay === undefined ? undefined : replayOf(replay);
  const deliver = delivery(options);
  if (record !== undefined) writable('--record', record);
  const sources = fileURLToPath(new URL('../../conformance/live/guest', import.meta.url));
  let live: Live | undefined;
  const bar = progress(each('scenarios'), runs, 1000);
  let stopped = false;
  outcome.stop = () => {
    stopped = true;
  };
  try {
    live = await openLive({ setup, sources, scale, say: note, more, ...(xen !== undefined && { xen }) });
    const { player } = live;
    const recording = record === undefined ? undefined : new Recording(record, live);
    const course = recording?.course ?? live.course;
    if (scenario) return await tellReplay(scenario, await played(player, scenario, course), options);
    const result = await runSuite({ player, arch: player.hello.arch, seed, runs, course, onProgress: bar.step, stopped: () => stopped });
    bar.end();
    if (recording) note(`${count(recording.end(), 'call')} in ${record}`);
    await deliver(result);
  } catch (error) {
    bar.end();
    if (!(error instanceof UndrivenError || error instanceof SetupError)) throw error;
    note(error.message);
    if (error instanceof UndrivenError) for (const text of error.evidence) note(text);
    outcome.codes.add(exit.undriven);
  } finally {
    outcome.stop = undefined;
    await live?.player.end();
  }
  return outcome.codes;
}

/**
 * What a hypervisor is said to have; a first domain on Arm is mapped one to one, and gains nothing.
 */
function moreOf({ has = [], xen, guest }: Options): readonly MoreOp[] {
  if (has.length > 0 && (xen === undefined || guest !== 'domu')) throw new UsageError('--has goes with --xen FILE and --guest domu');
  if (has.includes('get_dma_buf') && !has.includes('put_dma_buf'))
    throw new UsageError('--has get_dma_buf goes with --has put_dma_buf: the next scenario begins with nothing pinned');
  return [...new Set(has)];
}

/** The set-up that the options name. */
function setupFor({ arch, guest }: Options): SetupName {
  const name = guest === 'dom0' ? arch : `${arch}-${guest}`;
  if (Object.hasOwn(setups, name)) return name as SetupName;
  throw new UsageError(`--guest ${guest}: there is none on ${arch}`);
}
