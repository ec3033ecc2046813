import { closeSync, createReadStream, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { coloured, plain, printable, type Style } from '../src/text/style.ts';
import { exit, UnreadableError, UsageError, worst } from './exit.ts';

/**
 * What is known of the outcome so far: the command may end at any time, by an interrupt or a reader
 * that goes away (`| head`).
 */
export const outcome: {
  readonly codes: Set<number>;
  /** What an interrupted command still has to say. */
  lastWords: (() => readonly string[]) | undefined;
  /** Set by a command that can end early by itself; a second interrupt does not wait for it. */
  stop: (() => void) | undefined;
} = { codes: new Set(), lastWords: undefined, stop: undefined };

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(worst(outcome.codes));
  note(`stdout: ${reason(error)}`);
  process.exit(worst([...outcome.codes, exit.usage]));
});

/** Writes a line of data, waiting where the reader is slow. */
export async function line(text: string): Promise<void> {
  await bytes(`${text}\n`);
}

/** Writes data as it is. */
export async function bytes(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
}

/** Longest message, in characters: what it quotes may be a megabyte. */
const longestNote = 600;

/** Says something to the person, not to the pipe. */
export function note(text: string): void {
  const shown = printable(text.length > longestNote ? `${text.slice(0, longestNote)}…` : text);
  let rest = Buffer.from(`xenmem: ${shown}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(2, rest));
    } catch (error) {
      // Nobody reads stderr: the exit code still tells.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

/**
 * Two signals within this time, in milliseconds, are one: npx, make and timeout pass on what the
 * terminal has sent already.
 */
const sameInterrupt = 500;
let interrupted = Number.NEGATIVE_INFINITY;

/** Ends the command as Ctrl-C does, with what it found so far. */
export function interrupt(): void {
  const now = performance.now();
  if (now - interrupted < sameInterrupt) return;
  interrupted = now;
  if (outcome.stop) {
    outcome.stop();
    outcome.stop = undefined;
    outcome.codes.add(exit.interrupted);
    return;
  }
  for (const text of outcome.lastWords?.() ?? []) process.stdout.write(`${text}\n`);
  note('interrupted');
  process.exit(exit.interrupted);
}

/** Colours for stdout: only on a terminal, by NO_COLOR and FORCE_COLOR. */
export function styleFor(): Style {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  // Where both are set, Node itself says that FORCE_COLOR wins.
  if (FORCE_COLOR) return FORCE_COLOR === '0' || FORCE_COLOR === 'false' ? plain : coloured;
  return process.stdout.isTTY && TERM !== 'dumb' && !NO_COLOR ? coloured : plain;
}

/** An input by name, as it comes; `-` is stdin. */
export interface Input {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Its path, where it is a regular file and can be read anew from its start. */
  readonly path?: string;
}

/**
 * Does something with each input that was named, or with stdin where none was. One that cannot be
 * read, or not to its end, is said so and counted; the others still have their turn.
 */
export async function eachInput(names: readonly string[] = [], visit: (input: Input) => Promise<void>): Promise<{ unreadable: number }> {
  const wanted = names.length > 0 ? names : ['-'];
  if (wanted.filter((name) => name === '-').length > 1) throw new UsageError('stdin (-) can be read only once');
  if (wanted.includes('-') && process.stdin.isTTY) {
    throw new UsageError(`${names.length > 0 ? 'stdin is a terminal' : 'no input'}: name a file, or pipe one in`);
  }
  let unreadable = 0;
  for (const name of wanted) {
    try {
      await visit(inputAt(name));
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      note(error.message);
      outcome.codes.add(exit.unreadable);
      unreadable++;
    }
  }
  return { unreadable };
}

/** What an input is called in what is printed. */
export function inputName(name: string): string {
  return name === '-' ? 'stdin' : name === '' ? '""' : printable(name);
}

/** The input at a path, `-` being stdin; throws `UnreadableError` where there is none. */
export function inputAt(name: string): Input {
  const shown = inputName(name);
  let isFile = false;
  try {
    const stat = name === '-' ? fstatSync(0) : statSync(name);
    if (stat.isDirectory()) throw new UnreadableError(`${shown}: is a directory`);
    isFile = name !== '-' && stat.isFile();
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    throw new UnreadableError(`${shown}: ${reason(error as NodeJS.ErrnoException)}`);
  }
  const chunks = guarded(shown, () => (name === '-' ? process.stdin : createReadStream(name, { highWaterMark: 1 << 18 })));
  return { name: shown, chunks, ...(isFile && { path: name }) };
}

/**
 * Fills a buffer from a file, or a part of it, again and again; gives the bytes each time, as many
 * as there is room for but for the last.
 */
export function* fills(path: string, into: Uint8Array, from = 0, to = Number.POSITIVE_INFINITY): Generator<number> {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    for (let [at, held] = [from, 0]; ; ) {
      const read = readSync(file, into, held, Math.min(into.length - held, to - at), at);
      held += read;
      at += read;
      if (read > 0 && held < into.length) continue;
      if (held > 0) yield held;
      if (read === 0) return;
      held = 0;
    }
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException;
    throw syscall === undefined ? error : new UnreadableError(`${printable(path)}: ${reason(error as NodeJS.ErrnoException)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** A stream that is opened when it is first read: a command may read the file otherwise. */
async function* guarded(name: string, open: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* open();
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
    EBADF: 'is closed',
  };
  return known[error.code ?? ''] ?? printable(error.message);
}

/**
 * Prints why a command could not go on, or could not with what is at `place`, and says which exit
 * code that is.
 */
export function explainFailure(error: unknown, place = ''): number {
  if (error instanceof UsageError) {
    note(error.message);
    return exit.usage;
  }
  if (error instanceof UnreadableError) {
    note(error.message);
    return exit.unreadable;
  }
  const detail = error instanceof Error ? (process.env['XENMEM_DEBUG'] ? (error.stack ?? error.message) : error.message) : String(error);
  note(`${place}this is a bug of xenmem's own: ${detail}`);
  return exit.internal;
}
