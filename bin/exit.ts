/** What the exit codes mean, the same for every command. */
export const exit = {
  ok: 0,
  /** A requirement violated, a finding at or above --fail-on, a drifted fixture or expectation. */
  failed: 1,
  usage: 2,
  /** Input unreadable in whole or in part. */
  unreadable: 3,
  /** Nothing was evaluated, or a demanded level or floor was not reached. */
  inconclusive: 4,
  /** The implementation under test could not be driven. */
  undriven: 5,
  /** A bug of ours. */
  internal: 70,
  interrupted: 130,
} as const;

const precedence = [exit.interrupted, exit.internal, exit.usage, exit.undriven, exit.failed, exit.unreadable, exit.inconclusive];

/** Where several codes apply, the one that counts: 130, 70, 2, 5, 1, 3, 4, else 0. */
export function worst(codes: Iterable<number>): number {
  const all = new Set(codes);
  return precedence.find((code) => all.has(code)) ?? exit.ok;
}

/** Wrong words on the command line: one line on stderr, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Input that cannot be read: one line on stderr, exit 3. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}
