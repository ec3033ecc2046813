import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { type Live, openLive } from '../../conformance/live/live.ts';
import { type SetupName, setups } from '../../conformance/live/setups.ts';
import { SetupError } from '../../conformance/observe/observe.ts';
import { UndrivenError } from '../../conformance/protocol/player.ts';
import { played, runSuite } from '../../conformance/run.ts';
import { type Delivery, delivery, deliveryOptions } from '../deliver.ts';
import { exit } from '../exit.ts';
import { note, outcome } from '../io.ts';
import { scaleNamed, wholeNumber } from '../options.ts';
import { each, progress } from '../progress.ts';
import { replayOf, tellReplay } from '../replay.ts';

interface Options extends Delivery {
  readonly arch: SetupName;
  readonly xen?: string;
  readonly seed: string;
  readonly runs: string;
  readonly replay?: string;
  readonly 'timeout-scale': string;
}

/** Scenarios of a run where none is asked for: more than 50,000 calls. */
const defaultRuns = 12_000;
const most = { seed: 0x7fff_ffff, runs: 10_000_000 } as const;

export function options(args: Argv): Argv {
  const own = args
    .option('arch', { choices: Object.keys(setups), demandOption: true, describe: 'which machine, and which guest', requiresArg: true })
    .option('xen', { type: 'string', describe: 'a hypervisor that you built, instead of the one from Debian', requiresArg: true })
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
  const { arch: setup, xen, replay } = options;
  const scenario = replay === undefined ? undefined : replayOf(replay);
  const deliver = delivery(options);
  const sources = fileURLToPath(new URL('../../conformance/live/guest', import.meta.url));
  let live: Live | undefined;
  const bar = progress(each('scenarios'), runs, 1000);
  let stopped = false;
  outcome.stop = () => {
    stopped = true;
  };
  try {
    live = await openLive({ setup, sources, scale, say: note, ...(xen !== undefined && { xen }) });
    const { player, course } = live;
    if (scenario) return await tellReplay(scenario, await played(player, scenario, course), options);
    const result = await runSuite({ player, arch: player.hello.arch, seed, runs, course, onProgress: bar.step, stopped: () => stopped });
    bar.end();
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
