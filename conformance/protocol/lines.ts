import { longestLine } from './wire.ts';

const newline = 0x0a;

/** Puts chunks of bytes together to lines, and holds no more of them than one line may be long. */
export class Lines {
  readonly #whole: Buffer[] = [];
  #rest: Buffer[] = [];
  #held = 0;
  /** A line went beyond the longest; nothing after it is kept. */
  overflowed = false;

  get waiting(): number {
    return this.#whole.length;
  }

  /** Takes in a chunk, which it may keep a part of. */
  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0 && !this.overflowed; end = chunk.indexOf(newline, from)) {
      this.#hold(chunk.subarray(from, end));
      from = end + 1;
      if (this.overflowed) return;
      this.#whole.push(this.#rest.length === 1 ? (this.#rest[0] as Buffer) : Buffer.concat(this.#rest));
      this.#rest = [];
      this.#held = 0;
    }
    if (!this.overflowed) this.#hold(chunk.subarray(from));
  }

  /** The next whole line, as text. */
  next(): string | undefined {
    return this.#whole.shift()?.toString('utf8');
  }

  #hold(part: Buffer): void {
    this.#held += part.length;
    if (this.#held > longestLine) {
      this.overflowed = true;
      this.#rest = [];
      return;
    }
    this.#rest.push(part);
  }
}
