import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Lines } from './lines.ts';
import { type Ending, StartError, type Transport, TransportError } from './transport.ts';
import { longestLine } from './wire.ts';

/** What is kept of stderr, in bytes, from its end, and how much of that is shown. */
const keptStderr = 16_384;
const shownLines = 20;
/** How long the reason of an end may take to come after the end itself, in milliseconds. */
const settleTime = 250;
/** An environment variable by which a process that left its group is still known. */
const mark = 'XENMEM_IUT';

/** Everything that is running now: none of it may outlive this process. */
const running = new Set<Child>();
process.on('exit', () => {
  for (const child of running) child.kill();
});

/**
 * An implementation under test in a process of its own, and in a group of its own with all it
 * starts.
 */
export class Child implements Transport {
  readonly #process: ChildProcess;
  readonly #tag = `${process.pid}-${randomBytes(8).toString('hex')}`;
  readonly #lines = new Lines();
  #stderr = Buffer.alloc(0);
  /** How it ended, once it did. */
  #how: string | undefined;
  /** Why no more lines will come, once that is so. */
  #over: TransportError | undefined;
  #wake: () => void = () => {};

  private constructor([file, ...args]: readonly string[]) {
    this.#process = spawn(file as string, args, {
      // A group of its own, so that one signal reaches its children too, and the terminal's Ctrl-C
      // does not.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, [mark]: this.#tag },
    });
    const { stdin, stdout, stderr } = this.#process;
    this.#process.once('exit', (code, signal) => {
      this.#how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
      this.#wake();
      // What it wrote before it ended may still be in the pipe.
      if (stdout?.closed) this.#end('');
      else setTimeout(() => this.#end(''), settleTime);
    });
    stdin?.on('error', () => setTimeout(() => this.#end('closed its stdin'), settleTime));
    stdout?.once('close', () => setTimeout(() => this.#end('closed its stdout'), this.#how === undefined ? settleTime : 0));
    stdout?.on('data', (chunk: Buffer) => {
      this.#lines.push(chunk);
      // Answers that nobody asked for stay where they are: in its own pipe.
      if (this.#lines.waiting > 0 || this.#lines.overflowed) stdout.pause();
      this.#wake();
    });
    stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk]).subarray(-keptStderr);
    });
    for (const pipe of [stdout, stderr]) pipe?.on('error', () => {});
  }

  /**
   * Starts a command, its words as they are, without a shell. Rejects with a `StartError` where
   * there is nothing to start.
   */
  static async start(command: readonly string[]): Promise<Child> {
    const name = command[0] ?? '';
    let child: Child;
    try {
      child = new Child(command);
    } catch (error) {
      throw new StartError(`${name}: ${(error as Error).message}`);
    }
    await new Promise<void>((resolve, reject) => {
      child.#process.once('spawn', resolve);
      child.#process.once('error', (error: NodeJS.ErrnoException) => {
        const known: { readonly [code: string]: string } = { ENOENT: 'no such command', EACCES: 'not a program that may be run' };
        reject(new StartError(`${name}: ${known[error.code ?? ''] ?? error.message}`));
      });
    });
    running.add(child);
    return child;
  }

  send(line: string): void {
    if (this.#process.stdin?.writable) this.#process.stdin.write(line, 'latin1');
  }

  async receive(milliseconds: number): Promise<string> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const line = this.#lines.next();
      if (line !== undefined) return line;
      if (this.#lines.overflowed) throw new TransportError('too long', `wrote a line of more than ${longestLine} bytes`);
      if (this.#over) throw this.#over;
      const left = deadline - performance.now();
      if (left <= 0) throw new TransportError('silence', `no answer within ${milliseconds / 1000} s`);
      this.#process.stdout?.resume();
      await this.#event(left);
    }
  }

  async close(graceMilliseconds: number): Promise<Ending> {
    this.#process.stdin?.end();
    this.#process.stdout?.resume();
    const deadline = performance.now() + graceMilliseconds;
    while (this.#how === undefined && performance.now() < deadline) await this.#event(deadline - performance.now());
    const how = this.#how ?? 'was still running, and was killed';
    this.kill();
    const patience = performance.now() + settleTime * 4;
    while (this.#how === undefined && performance.now() < patience) await this.#event(patience - performance.now());
    running.delete(this);
    for (const pipe of [this.#process.stdin, this.#process.stdout, this.#process.stderr]) pipe?.destroy();
    return { how, stderr: this.#lastWords() };
  }

  /** Kills it and all it started, at once. */
  kill(): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    for (const one of [-pid, ...strays(`${mark}=${this.#tag}`)]) {
      try {
        process.kill(one, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    }
  }

  /** No more lines: for this reason, unless it has ended altogether, which explains more. */
  #end(reason: string): void {
    this.#over ??= new TransportError('gone', this.#how ?? reason);
    this.#wake();
  }

  #event(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #lastWords(): string[] {
    const lines = this.#stderr.toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-shownLines);
  }
}

/**
 * Processes that carry a mark in their environment: those that left the group they were started in.
 * Only Linux tells.
 */
function strays(marked: string): number[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names.filter(isNumber).flatMap((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marked) ? [Number(pid)] : [];
    } catch {
      return []; // it has ended, or is somebody else's
    }
  });
}

function isNumber(name: string): boolean {
  return /^[0-9]+$/.test(name);
}
