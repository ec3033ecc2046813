import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { observe } from '../../observe/observe.ts';
import { Child } from '../../protocol/child.ts';
import type { Request } from '../../protocol/implementation.ts';
import type { Play } from '../../protocol/play.ts';
import { playerOver } from '../../protocol/player.ts';
import { Session } from '../../protocol/session.ts';
import { scenarioFrom } from '../../scenario/generate.ts';
import { wholeNumbers } from '../../scenario/numbers.ts';
import { check, nothingSeen } from '../../verdict/check.ts';
import { median } from './measure.ts';

const scenarios = 400;
const rounds = 5;
/** As many as one line of the protocol takes. */
const perBatch = 400;

/**
 * Calls per second over a pipe to the C example: the client alone, the harness, and all rules. In
 * plain words where there is no gcc.
 */
export async function pipeFigures(root: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'xenmem-bench-'));
  const program = join(folder, 'iut');
  try {
    const built = spawnSync('gcc', ['-O2', '-o', program, join(root, 'conformance/examples/c/iut.c')], { stdio: 'ignore' });
    if (built.status !== 0) return 'over a pipe: not measured, because gcc did not build the C example\n';
    return await figures(program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function figures(program: string): Promise<string> {
  const player = await playerOver(() => Child.start([program]), 'arm64');
  const session = await Session.open(await Child.start([program]), 'arm64');
  const made = fc
    .sample(wholeNumbers, { seed: 1, numRuns: scenarios })
    .map((numbers, i) => scenarioFrom(numbers, i % 2 === 0 ? 'arm64' : 'arm32', player.hello));
  const sent: (readonly Request[])[] = [];
  for (const scenario of made)
    await player.play(
      listening(
        observe(scenario, player.hello, () => {}),
        sent,
      ),
    );
  const flat = sent.flat();
  const whole = Array.from({ length: Math.ceil(flat.length / perBatch) }, (_, i) => flat.slice(i * perBatch, (i + 1) * perBatch));
  const calls = flat.filter((request) => request.op === 'call').length;
  let judged = 0;
  const cases: readonly (readonly [name: string, run: () => Promise<unknown>])[] = [
    [`batches of ${perBatch} steps, their answers read and checked`, () => all(whole, (requests) => session.ask(requests))],
    ['the batches of the harness, read and checked', () => all(sent, (requests) => session.ask(requests))],
    ['play, observe', () => all(made, (scenario) => player.play(observe(scenario, player.hello, () => {})))],
    ['play, observe, judge by every rule', () => judgeAll(false)],
    ['the same, predicted by the model too', () => judgeAll(true)],
  ];
  async function judgeAll(predicted: boolean): Promise<void> {
    judged = 0;
    for (const scenario of made) judged += (await player.play(check(scenario, player.hello, nothingSeen(), predicted))).calls.length;
  }
  const samples = cases.map(() => [] as number[]);
  for (let round = -1; round < rounds; round++) {
    for (const [i, [, run]] of cases.entries()) {
      const start = process.hrtime.bigint();
      await run();
      if (round >= 0) samples[i]?.push(Number(process.hrtime.bigint() - start) / 1e9);
    }
  }
  await Promise.all([player.end(), session.end()]);
  const rows = cases.map(([name], i) => {
    const seconds = median(samples[i] as number[]);
    const ratio = median((samples[i] as number[]).map((s, round) => s / (samples[0]?.[round] as number)));
    const units = i >= cases.length - 2 ? judged : calls;
    return `  ${name.padEnd(50)} ${(units / seconds).toFixed(0).padStart(6)}  ${ratio.toFixed(2).padStart(6)}`;
  });
  return ['over a pipe to the C example  (median calls per second, time as a ratio to the first row)', ...rows, ''].join('\n');
}

async function all<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  for (const item of items) await run(item);
}

/** The same play, with what it asks kept. */
function* listening<T>(play: Play<T>, sent: (readonly Request[])[]): Play<T> {
  let turn = play.next();
  while (!turn.done) {
    sent.push(turn.value);
    turn = play.next(yield turn.value);
  }
  return turn.value;
}
