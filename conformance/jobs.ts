import { type ChildProcess, fork } from 'node:child_process';
import { RecordError } from '../src/trace/fields.ts';
import { mergeResults } from './verdict/merge.ts';
import { readResult } from './verdict/read-result.ts';
import type { ConformanceResult, Shard } from './verdict/result.ts';

/** Most of what a job may say on stdout, in bytes. */
const mostOutput = 1 << 28;

export interface Jobs {
  /** The command line program, and its words but for the shard. */
  readonly program: string;
  readonly args: readonly string[];
  readonly jobs: number;
  /** The part of the run that is to be divided. */
  readonly shard?: Shard;
  readonly onProgress: (done: number) => void;
  /** Is given a function that ends all jobs early, each with what it has. */
  readonly onStart: (stop: () => void) => void;
}

/** A job that ended without a result: its exit code, and what it said of it. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code: number;
  readonly evidence: readonly string[];

  constructor(code: number, message: string, evidence: readonly string[] = []) {
    super(message);
    this.code = code;
    this.evidence = evidence;
  }
}

/** What a job and the process that started it say to each other. */
type JobMessage = 'stop' | { readonly done: number };
const jobMark = 'XENMEM_JOB';

/**
 * In a process that is such a job: ends it when it is told to, or when nobody is left to tell;
 * answers what reports its progress.
 */
export function asJob(stop: () => void): ((done: number) => void) | undefined {
  if (process.env[jobMark] === undefined || !process.send) return undefined;
  process.on('message', (message: JobMessage) => {
    if (message === 'stop') stop();
  });
  process.once('disconnect', () => process.exit(1));
  // Waiting for messages must not keep it alive.
  process.channel?.unref();
  return (done) => process.send?.({ done } satisfies JobMessage);
}

/** One run divided among processes, each with an implementation of its own. */
export async function inJobs({ program, args, jobs, shard, onProgress, onStart }: Jobs): Promise<ConformanceResult> {
  const { index, of } = shard ?? { index: 1, of: 1 };
  const children = Array.from({ length: jobs }, (_, job) => {
    const part = `${index + of * job}/${of * jobs}`;
    return fork(program, [...args, '--shard', part, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, [jobMark]: '1' },
    });
  });
  const done = children.map(() => 0);
  for (const [job, child] of children.entries()) {
    child.on('message', (message: JobMessage) => {
      if (message === 'stop') return;
      done[job] = message.done;
      onProgress(Math.round(done.reduce((sum, n) => sum + n, 0) / jobs));
    });
  }
  onStart(() => {
    for (const child of children) if (child.connected) child.send('stop' satisfies JobMessage);
  });
  try {
    return mergeResults(await Promise.all(children.map(resultOf)), shard);
  } finally {
    for (const child of children) if (child.connected) child.disconnect();
  }
}

async function resultOf(child: ChildProcess): Promise<ReturnType<typeof readResult>> {
  const [out, said, code] = await Promise.all([
    collected(child.stdout, mostOutput),
    collected(child.stderr, 1 << 16),
    new Promise<number>((resolve) => child.once('close', (exit) => resolve(exit ?? 70))),
  ]);
  const notes = said.split('\n').filter((line) => line.startsWith('xenmem: '));
  try {
    return readResult(JSON.parse(out));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RecordError)) throw error;
    const [message = `a job ended with code ${code} and no result`, ...evidence] = notes.map((note) => note.slice('xenmem: '.length));
    throw new JobError(code, message, evidence);
  }
}

async function collected(stream: NodeJS.ReadableStream | null, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += (chunk as Buffer).length;
    if (size <= most) chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
