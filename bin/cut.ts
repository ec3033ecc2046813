import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { longestLine, newline } from '../src/trace/lines.ts';
import { writeRecord } from '../src/trace/write.ts';
import { UnreadableError, UsageError } from './exit.ts';
import { type Input, reason } from './io.ts';
import { wholeNumber } from './options.ts';

/** Which piece of an input: the K-th of N of a file, or one that begins at a byte. */
export interface PieceOptions {
  readonly piece?: string;
  readonly at?: string;
}

/** Bytes of an input from `from` on, and up to `to` where that is known. */
export interface Cut {
  readonly from: number;
  readonly to: number | undefined;
  readonly whole: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Is there a line before the first one of the piece: the header of the whole? */
  readonly isHeaded: boolean;
}

const mostPieces = 1_000_000;

/** Where the piece lies that the options name, and its bytes with the header of the whole. */
export function cutOf({ name, path, chunks }: Input, { piece, at }: PieceOptions, structSize: number | undefined): Cut {
  if (piece !== undefined && at !== undefined)
    throw new UsageError('--piece says where a piece of a file is, --at where that on stdin begins: give one');
  const from = at === undefined ? 0 : wholeNumber('--at', at, Number.MAX_SAFE_INTEGER);
  if (piece === undefined) return { from, to: undefined, whole: undefined, chunks, isHeaded: false };
  if (path === undefined) throw new UsageError(`--piece needs a file; of ${name} say where it begins with --at`);
  const [k, n] = pieceOf(piece);
  const whole = statSync(path).size;
  const file = opened(path, name);
  try {
    const boundary = (i: number): number => {
      const near = Math.floor((whole / n) * i);
      if (i === 0 || i === n) return i === 0 ? 0 : whole;
      return structSize === undefined ? lineFrom(file, near, whole) : near - (near % structSize);
    };
    const [start, end] = [boundary(k - 1), boundary(k)];
    const header = structSize === undefined ? headerOfTrace(file, name) : '';
    const own = k === 1 ? '' : header;
    return { from: start, to: end, whole, chunks: pieceChunks(path, own, start, end), isHeaded: own !== '' };
  } finally {
    closeSync(file);
  }
}

function opened(path: string, name: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new UnreadableError(`${name}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

/** `K/N` as numbers. */
function pieceOf(text: string): [number, number] {
  const [, k = '', n = ''] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (n === '') throw new UsageError(`--piece ${text}: is not K/N, as 3/8`);
  const pieces = wholeNumber('--piece: N', n, mostPieces, 1);
  return [wholeNumber('--piece: K', k, pieces, 1), pieces];
}

/** Where the first line at or behind a byte begins. */
function lineFrom(file: number, near: number, size: number): number {
  const buffer = Buffer.alloc(1 << 16);
  for (let at = Math.max(0, near - 1); at < size; ) {
    const read = readSync(file, buffer, 0, buffer.length, at);
    const found = buffer.subarray(0, read).indexOf(newline);
    if (found >= 0) return at + found + 1;
    if (read === 0) break;
    at += read;
  }
  return size;
}

/** What the first record of a trace says of all, as a header line; empty where it says nothing. */
function headerOfTrace(file: number, name: string): string {
  const head = Buffer.alloc(2 * longestLine);
  const read = readSync(file, head, 0, head.length, 0);
  const first = head
    .toString('utf8', 0, read)
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .find((text) => text.trim() !== '' && !text.trimStart().startsWith('#'));
  let record: unknown;
  try {
    record = JSON.parse(first ?? '');
  } catch {
    record = undefined;
  }
  if (typeof record !== 'object' || record === null || !(Object.hasOwn(record, 'xenmem') || Object.hasOwn(record, 'cmd')))
    throw new UnreadableError(`${name}: only a trace with a record a line, and an array of structs (--struct), can be judged in pieces`);
  if (!Object.hasOwn(record, 'xenmem')) return '';
  return writeRecord(Object.fromEntries(Object.entries(record).filter(([key]) => key !== 'cmd')));
}

/** A header, and then a part of a file. */
async function* pieceChunks(path: string, header: string, from: number, to: number): AsyncGenerator<Uint8Array> {
  if (header !== '') yield Buffer.from(header);
  if (to > from) yield* createReadStream(path, { start: from, end: to - 1 });
}
