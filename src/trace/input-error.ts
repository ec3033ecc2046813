/**
 * An input that cannot be read at all, or not any further. `message` is one line and names no file;
 * `line` counts from 1.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}
