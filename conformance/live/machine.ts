import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, ftruncateSync, mkdtempSync, openSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CrashError } from '../protocol/play.ts';
import { UndrivenError } from '../protocol/player.ts';
import { StartError } from '../protocol/transport.ts';
import { type Ask, lines, Mailbox, SilenceError, type Told } from './mailbox.ts';
import { type Files, memory as memoryBytes, memoryOptions, type Setup } from './setups.ts';

/** Milliseconds that things may take. */
export interface Patience {
  /** Until the guest serves its mailbox. */
  readonly boot: number;
  /** One round of things to do. */
  readonly answer: number;
}

export const usualPatience: Patience = { boot: 30_000, answer: 20_000 };

/** Milliseconds that a machine has to end when it is told to. */
const endTime = 3000;
/** Bytes of the console that are kept, and lines of it that are told. */
const kept = { bytes: 1 << 16, lines: 12 } as const;

/**
 * Started in between: it has the kernel end QEMU when this process ends in whatever way, and starts
 * it only if that has not happened already.
 */
const leash = ['setpriv', '--pdeathsig', 'TERM', 'sh', '-c', 'test "$PPID" = "$0" && exec "$@"'] as const;

/** A machine with a hypervisor and a guest that serves its mailbox. */
export class Machine {
  readonly mailbox: Mailbox;
  readonly #console: Console;
  readonly #file: number;
  readonly #patience: Patience;

  private constructor(mailbox: Mailbox, console: Console, file: number, patience: Patience) {
    this.mailbox = mailbox;
    this.#console = console;
    this.#file = file;
    this.#patience = patience;
  }

  /**
   * Starts one. Rejects with a `CrashError` where it does not come up, with a `StartError` where
   * there is nothing to start.
   */
  static async start(setup: Setup, files: Files, patience: Patience): Promise<Machine> {
    const file = memoryFile(memoryBytes);
    let console: Console | undefined;
    try {
      console = await Console.open(setup, files, file);
      await console.until(lines.ready, patience.boot);
      const mailbox = Mailbox.find(file, memoryBytes);
      if (!mailbox) throw new CrashError('during start: the guest says that it is ready, and its mailbox is nowhere', console.told());
      return new Machine(mailbox, console, file, patience);
    } catch (error) {
      await console?.end();
      closeSync(file);
      throw error;
    }
  }

  /** Has the guest do things. Rejects with a `CrashError`, and the machine has ended then. */
  async ask(asks: readonly Ask[]): Promise<Told[]> {
    try {
      return await this.mailbox.ask(asks, this.#patience.answer, () => this.#console.check());
    } catch (error) {
      await this.end();
      const what = asks.some((ask) => ask.what === 'call') ? 'call' : (asks[0]?.what ?? '');
      if (!(error instanceof SilenceError)) throw error;
      throw new CrashError(`during ${what}: ${error.message}`, { hung: true, ...this.#console.told() });
    }
  }

  /** Ends it. */
  async end(): Promise<void> {
    if (await this.#console.end()) closeSync(this.#file);
  }
}

/** Memory as a file that nobody else can open, and that is gone when it is closed. */
function memoryFile(bytes: number): number {
  const shm = '/dev/shm';
  const folder = existsSync(shm) ? shm : tmpdir();
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes) {
    const MiB = (n: number): number => Math.floor(n / (1 << 20));
    throw new UndrivenError(`${folder}: ${MiB(bavail * bsize)} MiB are free, and the machine needs ${MiB(bytes)}`);
  }
  const own = mkdtempSync(join(folder, 'xenmem-'));
  try {
    const file = openSync(join(own, 'ram'), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    ftruncateSync(file, bytes);
    return file;
  } finally {
    rmSync(own, { recursive: true });
  }
}

/** QEMU, and what is printed on the serial line. */
class Console {
  readonly #process: ChildProcess;
  #text = '';
  #how: string | undefined;
  #ended = false;
  #wake: () => void = () => {};

  private constructor(child: ChildProcess) {
    this.#process = child;
    for (const pipe of [child.stdout, child.stderr]) {
      pipe?.setEncoding('latin1');
      pipe?.on('error', () => {});
      pipe?.on('data', (text: string) => {
        this.#text = (this.#text + text).slice(-kept.bytes);
        this.#wake();
      });
    }
    child.on('error', (error) => {
      this.#how ??= error.message;
    });
    child.on('exit', (code, signal) => {
      const full = signal === 'SIGBUS' ? ': no space left for its memory' : '';
      this.#how ??= signal === null ? `QEMU ended with exit code ${code}` : `QEMU was ended by ${signal}${full}`;
      this.#wake();
    });
  }

  static async open(setup: Setup, files: Files, memory: number): Promise<Console> {
    const args = [
      ...setup.machine(files),
      ...memoryOptions('memory-backend-file,mem-path=/proc/self/fd/3,share=on'),
      ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot', '-nic', 'none', '-nodefaults'],
    ];
    const [program, ...words] = [...leash, String(process.pid), setup.qemu, ...args];
    const child = spawn(program as string, words, { stdio: ['ignore', 'pipe', 'pipe', memory] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error: NodeJS.ErrnoException) => reject(new StartError(`${program}: ${error.message}`)));
    });
    return new Console(child);
  }

  /** Waits for a line. Rejects with a `CrashError` where it does not come. */
  async until(line: string, milliseconds: number): Promise<void> {
    const deadline = performance.now() + milliseconds;
    while (!this.#text.includes(line)) {
      this.check('start');
      const left = deadline - performance.now();
      if (left <= 0) throw new CrashError(`during start: no guest within ${milliseconds / 1000} s`, { hung: true, ...this.told() });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 1000));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Throws a `CrashError` if QEMU has ended, or the guest says that it cannot go on. */
  check(during = 'call'): void {
    const how = this.#how ?? (this.#text.includes(lines.broken) ? 'the guest met a fault of its own' : undefined);
    if (how !== undefined) throw new CrashError(`during ${during}: ${how}`, this.told());
  }

  /** The last that was printed. */
  told(): { readonly evidence: readonly string[] } {
    const all = this.#text.split(/\r*\n/).filter((line) => line.trim() !== '');
    return { evidence: all.slice(-kept.lines).map((line) => `console: ${line}`) };
  }

  /** Ends QEMU as it wants to be ended; false if that was done before. */
  async end(): Promise<boolean> {
    if (this.#ended) return false;
    this.#ended = true;
    const deadline = performance.now() + endTime;
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (this.#how === undefined) this.#process.kill(signal);
      while (this.#how === undefined && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const pipe of [this.#process.stdout, this.#process.stderr]) pipe?.destroy();
    return true;
  }
}
