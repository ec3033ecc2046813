import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { command, has, root, scratch } from '../../bin/shell.ts';
import { XENMEM } from '../../src/abi/ops.ts';
import { commandOf, playerFor } from '../protocol/command.ts';
import { type CallStep, type Scenario, type Step, tokenOf } from '../scenario/scenario.ts';
import { played } from '../verdict/check.ts';

const ops = XENMEM['dma-buf'];
const here = join(root, 'conformance/examples');
const host = join(root, 'dist/bin/host.js');
const built = join(root, 'dist/conformance/examples/typescript/iut.js');

/** The faults that every example can be given, and the requirement each must be found to break. */
const faults = [
  ['count-short', 'get-complete-count'],
  ['mfns-not-returned', 'get-mfns-returned'],
  ['not-contiguous', 'get-contiguous'],
  ['above-limit', 'get-address-limit'],
  ['inputs-kept', 'get-inputs-released'],
  ['no-pin', 'get-pinned'],
  ['put-keeps-pin', 'put-unpins'],
  ['always-einval', 'get-works'],
  ['crash-on-order', 'survives'],
] as const;

const examples = [
  { name: 'C', source: 'c/iut.c', iut: join(scratch, 'iut'), missing: has('gcc') ? undefined : 'there is no gcc' },
  {
    name: 'Python',
    source: 'python/iut.py',
    iut: `python3 ${join(here, 'python/iut.py')}`,
    missing: has('python3') ? undefined : 'there is no python3',
  },
  {
    name: 'TypeScript',
    source: 'typescript/iut.ts',
    iut: `module:${built}`,
    missing: existsSync(built) ? undefined : 'tsconfig.build.json leaves it out of dist',
  },
];

/** Random runs find every fault too, but not each of them in a second. */
const scenario = lifeOfABuffer();

beforeAll(() => {
  if (!has('gcc')) return;
  const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror'];
  execFileSync('gcc', [...flags, '-o', join(scratch, 'iut'), join(here, 'c/iut.c')], { stdio: 'pipe' });
});

describe.each(examples)('the example in $name', ({ iut, missing, source }) => {
  const why = missing === undefined ? '' : ` (skipped: ${missing})`;

  it.skipIf(missing)(`is never blamed, at level 2${why}`, async () => {
    const { stdout, stderr } = await conform(['--iut', iut, '--runs', '50', '--seed', '3', '--json']);
    const { level, verdict, runs, requirements } = JSON.parse(stdout);
    const violated = requirements.filter((r: { verdict: string }) => r.verdict === 'violated');
    expect({ level, verdict, runs, violated }, stderr).toEqual({ level: 2, verdict: 'inconclusive', runs: 50, violated: [] });
  });

  it.skipIf(missing)(`breaks nothing in the life of a buffer${why}`, async () => {
    expect(await brokenBy(iut)).toEqual(new Set());
  });

  it.skipIf(missing).each(faults)(`with the fault %s breaks %s${why}`, async (fault, id) => {
    expect(await brokenBy(iut, fault)).toContain(id);
  });

  it.skipIf(missing)(`with a fault is told as one by the command${why}`, async () => {
    const { code, stdout } = await conform(['--iut', iut, '--replay', tokenOf(scenario), '--json'], { FAULT: 'count-short' });
    expect(JSON.parse(stdout).violated).toContainEqual(expect.objectContaining({ id: 'get-complete-count', step: 0 }));
    expect(code).toBe(1);
  });

  it('has its faults in a table, and so has the README', () => {
    for (const file of [source, 'README.md']) {
      const text = readFileSync(join(here, file), 'utf8');
      for (const [fault, id] of faults) expect(text, file).toMatch(new RegExp(`${fault}\\b.*\\b${id}\\b`));
    }
  });
});

it.skipIf(!has('python3'))('the probes find nothing to fix in the Python example', async () => {
  const { code, stdout } = await conform(['--iut', examples[1]!.iut, '--check']);
  expect(stdout).toContain('nothing to fix');
  expect(code).toBe(0);
});

/** What an example with a fault breaks in the scenario, seen without the command line: starting that takes longest. */
async function brokenBy(iut: string, fault = ''): Promise<Set<string>> {
  const player = await playerFor(['env', `FAULT=${fault}`, ...commandOf(iut, host)], scenario.world.arch, 4);
  const { given } = await played(player, scenario);
  await player.end();
  return new Set(given.filter(({ answer }) => answer.answer === 'violated').map(({ id }) => id));
}

function conform(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH, HOME } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, [command, 'conform', ...args], { cwd: scratch, env: { PATH, HOME, ...env } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/** Two pages become one extent of two, below 4 GiB; it stays where it is, is put, and moves again. At last an order beyond all. */
function lifeOfABuffer(): Scenario {
  const gfn = 0x40000n;
  const at = (page: bigint): bigint => (gfn + page) << 12n;
  const reservation = (start: bigint, nr: bigint, order: number, bits = 0) => ({
    extent_start: start,
    nr_extents: nr,
    extent_order: order,
    address_bits: bits,
    domid: 0x7ff0,
  });
  const call = (cmd: number, reservations: CallStep['reservations'], lists: CallStep['lists']): Step => ({
    do: 'call',
    domid: 1,
    cmd,
    arg: at(0n),
    reservations,
    nrExchanged: 0n,
    padding: 0,
    lists,
  });
  const churn: Step = { do: 'churn', domid: 1, gfn, pages: 32 };
  const [inputs, output] = [[gfn + 5n, gfn + 7n], [gfn + 16n]];
  const domain = { domid: 1, privileged: false, ram: [{ gfn, pages: 16 }], holes: [{ gfn: gfn + 16n, pages: 16 }] };
  // Another page, pinned where most pages lie and move: there it must move once it was put.
  const single = call(ops.get_dma_buf, [reservation(at(1n), 1n, 0), reservation(at(2n), 1n, 0)], [[gfn + 10n], [gfn + 24n]]);
  return {
    world: { arch: 'arm64', domains: [domain], free: { low: 64, high: 64 } },
    steps: [
      call(ops.get_dma_buf, [reservation(at(1n), 2n, 0), reservation(at(2n), 1n, 1, 32)], [inputs, output]),
      churn,
      single,
      call(ops.put_dma_buf, [reservation(at(3n), 1n, 1)], [output]),
      call(ops.put_dma_buf, [reservation(at(3n), 1n, 0)], [[gfn + 24n]]),
      ...[churn, churn, churn, churn],
      call(ops.get_dma_buf, [reservation(at(1n), 1n, 64), reservation(at(2n), 1n, 64)], [[gfn + 8n], [gfn + 9n]]),
    ],
  };
}
