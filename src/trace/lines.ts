import { roomFor } from './room-for.ts';

/**
 * One line without its line end. `bytes` is `undefined` for a line beyond the limit, which is
 * dropped as it comes.
 */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly bytes: Uint8Array | undefined;
}

/**
 * Is shown a line before any other does: its bytes, from and up to where, and its number. Where it
 * says `true` it has taken the line, and nobody else sees it.
 */
export type LineTaker = (bytes: Uint8Array, from: number, to: number, line: number) => boolean;

/** Longest line of any text input, in bytes. */
export const longestLine: number = 1 << 20;

/** The byte that ends a line. */
export const newline = 0x0a;
const nothing = new Uint8Array(0);

/**
 * The lines of a stream of bytes, each as soon as it is complete (a line that is too long as soon
 * as that is known). `\n` and `\r\n` end a line; the last may lack either. A byte order mark before
 * a line is dropped. Memory is bounded by the limit. Where lines of a chunk were taken by `take`, an
 * empty line follows, so that who waits for lines can go on with what it took.
 */
export async function* linesOf(source: AsyncIterable<Uint8Array>, take: LineTaker = () => false): AsyncGenerator<Line> {
  let held = new Uint8Array(1024);
  let length = 0;
  let number = 1;
  let tooLong = false;
  let begun = false;
  for await (const chunk of source) {
    let hasTaken = false;
    for (let from = 0; from < chunk.length; ) {
      const found = chunk.indexOf(newline, from);
      const to = found < 0 ? chunk.length : found;
      begun = true;
      if (!tooLong && length + to - from > longestLine) {
        tooLong = true;
        yield { number, bytes: undefined };
      }
      if (tooLong) {
        length = 0;
      } else if (found >= 0 && length === 0) {
        if (take(chunk, from, to, number)) hasTaken = true;
        else yield { number, bytes: bare(chunk.subarray(from, to)) };
      } else {
        held = roomFor(held, length, to - from);
        held.set(chunk.subarray(from, to), length);
        length += to - from;
        if (found >= 0 && take(held, 0, length, number)) hasTaken = true;
        else if (found >= 0) yield { number, bytes: bare(held.slice(0, length)) };
      }
      if (found >= 0) {
        number++;
        length = 0;
        tooLong = false;
        begun = false;
      }
      from = to + 1;
    }
    if (hasTaken) yield { number, bytes: nothing };
  }
  if (begun && !tooLong) yield { number, bytes: take(held, 0, length, number) ? nothing : bare(held.slice(0, length)) };
}

function bare(bytes: Uint8Array): Uint8Array {
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const end = bytes.length > start && bytes[bytes.length - 1] === 0x0d ? bytes.length - 1 : bytes.length;
  return bytes.subarray(start, end);
}
