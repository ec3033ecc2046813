import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { judge } from '../../../src/rules/judge.ts';
import type { ObservedCall } from '../../../src/trace/call.ts';
import { readTrace } from '../../../src/trace/read.ts';
import { bulkFigures } from './bulk-cases.ts';
import { decodeCases, encodeCases } from './codec-cases.ts';
import { growthFigures } from './growth.ts';
import { measure, median, type Timed, table } from './measure.ts';
import { pipeFigures } from './pipe-cases.ts';
import { suiteCases, suiteFigures } from './suite-cases.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const capture = `${root}fixtures/captures/xen-4.17-x86_64-pv-dom0.ndjson`;

/** Starting the command against starting node alone, pair by pair. */
function coldStart(rounds: number): string {
  const time = (args: readonly string[]): number => {
    const start = process.hrtime.bigint();
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
    if (status !== 0 && status !== 1) throw new Error(`${args.join(' ')} exited with ${status}`);
    return Number(process.hrtime.bigint() - start) / 1e6;
  };
  const commands: [string, string[]][] = [
    ['node -e 0', ['-e', '0']],
    [
      'xenmem decode (one struct)',
      [`${root}dist/bin/xenmem.js`, 'decode', '--struct', 'get_dma_buf', `${root}fixtures/structs/get-dma-buf.hex`],
    ],
    ['xenmem validate (61 calls)', [`${root}dist/bin/xenmem.js`, 'validate', capture]],
  ];
  for (const [, args] of commands) time(args);
  const samples = commands.map(() => [] as number[]);
  for (let i = 0; i < rounds; i++) for (const [j, [, args]] of commands.entries()) samples[j]?.push(time(args));
  const bare = samples[0] as number[];
  const rows = commands.map(([name], i) => {
    const own = samples[i] as number[];
    const ratio = median(own.map((ms, round) => ms / (bare[round] as number)));
    return `  ${name.padEnd(44)} ${median(own).toFixed(0).padStart(9)}  ${ratio.toFixed(2).padStart(7)}`;
  });
  return ['cold start  (median ms, ratio to the first row, paired)', ...rows, ''].join('\n');
}

/** Reading and judging the calls of a real capture, over and over. */
async function judging(): Promise<Timed[]> {
  const calls: ObservedCall[] = [];
  for await (const item of readTrace(createReadStream(capture))) if (item.kind === 'call') calls.push(item.call);
  const run = (): void => {
    for (let i = 0; i < 20; i++) for (const call of calls) judge(call);
  };
  return [{ name: 'judge a captured call by every rule', each: 20 * calls.length, run }];
}

const isQuick = process.argv.includes('--quick');
const many = (rounds: number): number => (isQuick ? Math.ceil(rounds / 4) : rounds);

process.stdout.write(table('decode xen_get_dma_buf', 'ns per struct', measure(decodeCases(), many(40))));
process.stdout.write(table('encode xen_get_dma_buf', 'ns per struct', measure(encodeCases(), many(40))));
process.stdout.write(table('rules', 'ns per call', measure(await judging(), many(20))));
process.stdout.write(bulkFigures(root, isQuick));
if (!isQuick) process.stdout.write(growthFigures(root));
process.stdout.write(table('the suite in process', 'ns per judged call', measure(suiteCases(), many(8))));
if (!isQuick) process.stdout.write(await pipeFigures(root));
process.stdout.write(coldStart(many(15)));
if (!isQuick) process.stdout.write(await suiteFigures());
