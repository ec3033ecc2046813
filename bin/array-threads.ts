import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../src/text/digest.ts';
import { addStructsOf } from '../src/text/digest.ts';
import { addTally, type Tally } from '../src/text/tally.ts';
import type { Telling } from './call-lines.ts';
import { bytes } from './io.ts';
import type { CaptureOptions, GateOptions } from './options.ts';

/** What a thread is told. */
export interface ThreadWork {
  readonly options: CaptureOptions & GateOptions & Telling;
  readonly name: string;
  readonly path: string;
  readonly several: boolean;
  readonly isColoured: boolean;
}

/** A part of a file, in bytes from its start. */
export interface Piece {
  readonly from: number;
  readonly to: number;
}

/** What a part came to. */
export interface Done {
  readonly text: string;
  readonly tally: Tally;
  readonly digest: Digest | undefined;
  /** Is there a finding that makes the command fail? */
  readonly failing: boolean;
}

/** Bytes of a part, in whole structs: enough to be worth sending, and few enough for its text. */
const pieceBytes = 1 << 22;

/**
 * Judges the whole structs of a file in threads and writes what is said of them in order. Returns
 * where the rest begins, which is too short for a struct.
 */
export async function inThreads(
  path: string,
  size: number,
  threads: number,
  workerData: ThreadWork,
  into: Pick<Done, 'tally' | 'digest'> & { readonly failing: () => void; readonly step: (bytes: number) => void },
): Promise<number> {
  const each = Math.floor(pieceBytes / size) * size;
  const end = Math.floor(statSync(path).size / size) * size;
  const pieces = Array.from({ length: Math.ceil(end / each) }, (_, i): Piece => ({ from: i * each, to: Math.min(end, (i + 1) * each) }));
  const results: Promise<Done>[] = [];
  const take: ((done: Done) => void)[] = [];
  for (let i = 0; i < pieces.length; i++) results.push(new Promise((resolve) => (take[i] = resolve)));
  const workers = Array.from(
    { length: Math.min(threads, pieces.length) },
    () => new Worker(new URL('array-thread.js', import.meta.url), { workerData }),
  );
  let [next, written] = [0, 0];
  // Threads that are too far ahead of what was written
  const idle: (() => void)[] = [];
  const failed = new Promise<never>((_, reject) => {
    for (const worker of workers) {
      let own = -1;
      const give = (): void => {
        if (next >= written + 2 * workers.length) {
          idle.push(give);
          return;
        }
        own = next++;
        if (own < pieces.length) worker.postMessage(pieces[own]);
      };
      worker.on('message', (done: Done) => {
        take[own]?.(done);
        give();
      });
      worker.on('error', reject);
      give();
    }
  });
  try {
    for (const result of results) {
      const done = await Promise.race([result, failed]);
      if (done.text !== '') await bytes(done.text);
      addTally(into.tally, done.tally);
      if (into.digest && done.digest) addStructsOf(into.digest, done.digest);
      if (done.failing) into.failing();
      written++;
      into.step(written * each);
      idle.shift()?.();
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return end;
}
