import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { scenarioFrom } from '../scenario/generate.ts';
import { check } from '../verdict/check.ts';
import { Child } from './child.ts';
import { commandOf, playerFor } from './command.ts';
import { CrashError, type Play } from './play.ts';
import { UndrivenError } from './player.ts';

// Real processes, most of them bad ones. A tenth of the patience is enough for them.

const patience = 0.1;
const misbehaving = (vice: string): string[] => [process.execPath, 'conformance/protocol/misbehaving.mjs', vice];

/** Asks for a call again and again, until something happens. */
function* insisting(): Play<void> {
  yield [
    {
      op: 'reset',
      arch: 'arm64',
      domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 16 }], holes: [] }],
      free: { low: 8, high: 8 },
    },
  ];
  for (let i = 0; i < 20; i++)
    yield [
      { op: 'pages', domid: 1 },
      { op: 'call', domid: 1, cmd: 26, arg: 0x4000_0000n },
    ];
}

/**
 * Processes that this test has started, whatever they became, and that are still there a moment
 * later.
 */
async function leftBehind(): Promise<string[]> {
  for (let patience = 20; patience > 0 && running().length > 0; patience--) await new Promise((resolve) => setTimeout(resolve, 50));
  return running();
}

function running(): string[] {
  const isOurs = (pid: string): boolean => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`XENMEM_IUT=${process.pid}-`);
    } catch {
      return false;
    }
  };
  // One that was just killed is there until it is waited for, but has no memory and so no
  // environment any more.
  return readdirSync('/proc').filter(isOurs);
}

describe('a process that', () => {
  it('does everything right is driven to the end, and ends at bye', async () => {
    const player = await playerFor(misbehaving('none'), 'arm64', 1);
    const checked = await player.play(check(scenarioFrom([], 'arm64', player.hello), player.hello));
    expect(checked.calls.length).toBeGreaterThan(0);
    expect(checked.given.filter((g) => g.answer.answer === 'violated')).toEqual([]);
    await player.end();
    expect(await leftBehind()).toEqual([]);
  });

  it.each<[string, RegExp, RegExp | undefined]>([
    ['exits', /^during call: exited with code 3$/, /^stderr: assertion failed: page->count$/],
    ['exits well', /^during call: exited with code 0$/, undefined],
    ['dies', /^during call: was ended by SIGSEGV$/, undefined],
    ['hangs', /^during call: no answer within 0\.502 s$/, /^the process was still running, and was killed$/],
    ['ignores SIGTERM', /^during call: no answer within 0\.502 s$/, /^the process was still running, and was killed$/],
    ['closes stdin', /^during call: closed its stdin$/, undefined],
    ['closes stdout', /^during call: closed its stdout$/, undefined],
    ['forks', /^during call: exited with code 1$/, undefined],
    ['floods stdout', /answer\.id: 1 answers request \d+$/, undefined],
    ['floods stderr', /^during call: no answer within 0\.502 s$/, /^stderr: x{1000}$/],
    ['prints 100 MB in one line', /^during call: wrote a line of more than 1048576 bytes$/, undefined],
    ['answers twice', /answer\.id: 1 answers request 2$/, undefined],
    ['answers out of order', /answer\.id: 0 answers request 1$/, undefined],
    ['is not JSON', /^during reset: not an answer of the protocol: answer: "ok /, undefined],
    ['loses results', /answer\.results: 1 of them, for 2 steps$/, undefined],
    ['answers null', /answer: null is not an object$/, undefined],
    ['answers with text', /answer\.results\[1\]\.rc: "many" is neither a 0x-hex nor a decimal number$/, undefined],
    ['has a fraction', /answer\.results\[1\]\.rc: 0\.5 is not a whole number$/, undefined],
  ])('%s has broken, is ended with all it started, and can be started again', async (vice, message, evidence) => {
    const player = await playerFor(misbehaving(vice), 'arm64', patience);
    const thrown = await player.play(insisting()).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(CrashError);
    const crash = thrown as CrashError;
    expect(crash.message).toMatch(message);
    if (evidence) expect(crash.evidence.some((text) => evidence.test(text))).toBe(true);
    expect(await leftBehind()).toEqual([]);
    await expect(player.play(insisting())).rejects.toBeInstanceOf(CrashError);
    expect(await leftBehind()).toEqual([]);
  });

  it.each<[string, RegExp]>([
    ['fails to start', /failed 3 starts; the last one during hello: exited with code 1$/],
    ['says hello badly', /failed 3 starts; .*hello\.protocol: 2 is not 1$/],
    ['prints a banner', /failed 3 starts; .*"Xen 4\.17 toy hypervisor" is not JSON$/],
  ])('%s cannot be driven', async (vice, message) => {
    const thrown = await playerFor(misbehaving(vice), 'arm64', patience).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(UndrivenError);
    expect((thrown as Error).message).toMatch(message);
    expect(await leftBehind()).toEqual([]);
  });

  it('never says hello cannot be driven either', async () => {
    await expect(playerFor(misbehaving('never starts'), 'arm64', 0.01)).rejects.toThrow(/no answer within 0\.3 s$/);
    expect(await leftBehind()).toEqual([]);
  });

  it('is not there is said once', async () => {
    await expect(playerFor(['/nowhere/iut'], 'arm64', 1)).rejects.toEqual(new UndrivenError('/nowhere/iut: no such command'));
    await expect(playerFor(['/etc/passwd'], 'arm64', 1)).rejects.toEqual(new UndrivenError('/etc/passwd: not a program that may be run'));
  });

  it('gets its words as they are, without a shell', async () => {
    const child = await Child.start([...commandOf('printf "%s\\n" "$HOME; exit"', '')]);
    expect(await child.receive(5000)).toBe('$HOME; exit');
    expect((await child.close(2000)).how).toBe('exited with code 0');
  });
});
