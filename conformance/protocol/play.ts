import type { Implementation, Reply, Request } from './implementation.ts';

/** Yields requests, takes their answers. */
export type Play<T> = Generator<readonly Request[], T, readonly Reply[]>;

/**
 * Anything that is yielded requests and takes their answers, played on an implementation in this
 * process.
 */
export function playHere<T>(play: Play<T>, implementation: Implementation): T {
  let turn = play.next();
  while (!turn.done) turn = play.next(implementation.answer(turn.value));
  return turn.value;
}

/** The implementation under test crashed, hung, or gave no answer of the protocol. */
export class CrashError extends Error {
  override readonly name = 'CrashError';
  /** Did it stay silent until its time was up? Playing that again is slow. */
  readonly hung: boolean;
  /** How it ended, and its last words. */
  readonly evidence: readonly string[];

  constructor(message: string, { hung = false, evidence = [] }: { hung?: boolean; evidence?: readonly string[] } = {}) {
    super(message);
    this.hung = hung;
    this.evidence = evidence;
  }
}

/** An implementation whose throwing is a crash of its own. */
export function crashing(implementation: Implementation): Implementation {
  return {
    hello: implementation.hello,
    answer(requests: readonly Request[]): Reply[] {
      try {
        return implementation.answer(requests);
      } catch (error) {
        throw new CrashError(`by throwing: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}
