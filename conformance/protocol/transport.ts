/** How the other side ended, as far as it is known, and the last it said on stderr. */
export interface Ending {
  readonly how: string;
  readonly stderr: readonly string[];
}

/** A two-way road for lines, one question at a time. */
export interface Transport {
  /** Sends a line, its line end included. What cannot be sent shows in `receive`. */
  send(line: string): void;
  /** The next line without its end; a `TransportError` where none comes. */
  receive(milliseconds: number): Promise<string>;
  /** Ends the other side, whatever it does, and tells how it ended. Never fails. */
  close(graceMilliseconds: number): Promise<Ending>;
}

/** Why no line came. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly kind: 'silence' | 'gone' | 'too long';

  constructor(kind: 'silence' | 'gone' | 'too long', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The command could not be started at all. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
