import { createReadStream, fstatSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { coloured, plain, printable, type Style } from '../src/report/style.ts';
import { exit, UnreadableError, UsageError, worst } from './exit.ts';

/** What the exit code would be if the command ended now; a reader that goes away (`| head`) ends it there. */
export const outcome: { codes: Set<number> } = { codes: new Set() };

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(worst(outcome.codes));
  throw error;
});

/** Writes a line of data, waiting where the reader is slow. */
export async function line(text: string): Promise<void> {
  await bytes(`${text}\n`);
}

/** Writes data as it is. */
export async function bytes(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
}

/** Says something to the person, not to the pipe. */
export function note(text: string): void {
  try {
    writeSync(2, `xenmem: ${printable(text)}\n`);
  } catch {
    // Nobody reads stderr: the exit code still tells.
  }
}

/** Colours for stdout: only on a terminal, by NO_COLOR and FORCE_COLOR. */
export function styleFor(): Style {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return plain;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return coloured;
  return process.stdout.isTTY && TERM !== 'dumb' ? coloured : plain;
}

/** An input by name, as it comes; `-` is stdin. */
export interface Input {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The inputs that were named, or stdin where none was and something is piped in. */
export async function inputs(names: readonly string[]): Promise<Input[]> {
  if (names.length === 0 && process.stdin.isTTY) throw new UsageError('no input: name a file, or pipe one in');
  const wanted = names.length > 0 ? names : ['-'];
  if (wanted.filter((name) => name === '-').length > 1) throw new UsageError('stdin (-) can be read only once');
  return Promise.all(wanted.map(open));
}

async function open(name: string): Promise<Input> {
  if (name === '-') {
    if (process.stdin.isTTY) throw new UsageError('stdin is a terminal: name a file, or pipe one in');
    if (isDirectory()) throw new UnreadableError('stdin: is a directory');
    return { name: 'stdin', chunks: guarded('stdin', process.stdin) };
  }
  const shown = printable(name);
  const found = await stat(name).catch((error: NodeJS.ErrnoException) => {
    throw new UnreadableError(`${shown}: ${reason(error)}`);
  });
  if (found.isDirectory()) throw new UnreadableError(`${shown}: is a directory`);
  return { name: shown, chunks: guarded(shown, createReadStream(name)) };
}

function isDirectory(): boolean {
  try {
    return fstatSync(0).isDirectory();
  } catch {
    throw new UnreadableError('stdin: is closed');
  }
}

async function* guarded(name: string, stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw new UnreadableError(`${name}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

/** Why the operating system refused, in plain words. */
export function reason(error: NodeJS.ErrnoException): string {
  const known: Record<string, string> = {
    ENOENT: 'no such file',
    ENOTDIR: 'no such file',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'is a directory',
    ENAMETOOLONG: 'the name is too long',
    EEXIST: 'exists already',
    ENOSPC: 'no space left',
  };
  return known[error.code ?? ''] ?? printable(error.message);
}

/** Prints why a command could not go on, and says which exit code that is. */
export function explainFailure(error: unknown): number {
  if (error instanceof UsageError) {
    note(error.message);
    return exit.usage;
  }
  if (error instanceof UnreadableError) {
    note(error.message);
    return exit.unreadable;
  }
  const detail = error instanceof Error ? (process.env['XENMEM_DEBUG'] ? (error.stack ?? error.message) : error.message) : String(error);
  note(`this is a bug of xenmem's own: ${detail}`);
  return exit.internal;
}
