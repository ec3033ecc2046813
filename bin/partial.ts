import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import type { Finding } from '../src/rules/judge.ts';
import { PieceJudge } from '../src/rules/piece.ts';
import { type TraceJudge, traceJudge } from '../src/rules/trace.ts';
import { partialJson } from '../src/text/partial.ts';
import { addJudgement, newTally } from '../src/text/tally.ts';
import type { ObservedCall } from '../src/trace/call.ts';
import { writeRecord } from '../src/trace/write.ts';
import { arrayJudge, StructArray } from './array.ts';
import { itemsOf, structIn } from './captured.ts';
import { exit, UnreadableError, UsageError } from './exit.ts';
import { explainFailure, fills, type Input, inputAt, line, note, outcome, reason } from './io.ts';
import { type CaptureOptions, fails, type GateOptions, wholeNumber } from './options.ts';

/** The options of a piece. */
export interface PartialOptions extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly piece?: string;
  readonly at?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly summary?: boolean;
}

/** Bytes of an input from `from` on, and up to `to` where that is known. */
interface Cut {
  readonly from: number;
  readonly to: number | undefined;
  readonly whole: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Lines of the chunks before the first one of the piece. */
  readonly linesBefore: number;
}

const mostPieces = 1_000_000;
/** Longest line of a trace, in bytes. */
const longestLine = 1 << 20;
const newline = 0x0a;

/**
 * Judges one piece of an input as far as the piece alone tells, and writes what it came to as
 * `xenmem/partial@1`.
 */
export async function runPartial(options: PartialOptions): Promise<Iterable<number>> {
  const other = (['summary', 'quiet', 'verbose'] as const).find((name) => options[name]);
  if (other) throw new UsageError(`--${other} cannot be had of a piece`);
  const names = options.input?.length ? options.input : ['-'];
  if (names.length > 1) throw new UsageError('--partial judges a piece of one input: name one');
  const input = inputAt(names[0] as string);
  const array = arrayJudge(options, input.name);
  const isArray = array !== undefined;
  const cut = cutOf(input, options, array?.layout.size);
  const tally = newTally();
  const isFailing = (findings: readonly Finding[]): void => {
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
  };
  /** Counts a call, unless it stays open. */
  const judgeOne = (judge: Pick<TraceJudge | PieceJudge, 'judge'>, call: ObservedCall, place: string): void => {
    try {
      const judgement = judge.judge(call);
      if (judgement === 'open') return;
      addJudgement(tally, judgement);
      isFailing(judgement?.findings ?? []);
    } catch (error) {
      tally.calls++;
      tally.failed++;
      outcome.codes.add(explainFailure(error, `${input.name}: ${place}: `));
    }
  };
  const piece = new PieceJudge();
  let fromStart: boolean | undefined;
  let end = cut.from;
  if (isArray) {
    const { bulk, layout } = array;
    const structs = new StructArray(bulk, layout, {
      tally,
      digest: undefined,
      write: async () => {},
      seen: ({ findings }) => isFailing(findings),
      linesOf: () => [],
      isOwn: () => false,
      rest: async (item) => {
        outcome.codes.add(exit.unreadable);
        judgeOne(traceJudge(), structIn(item, options, input.name).call, `@${item.offset}`);
      },
    });
    if (input.path !== undefined) {
      for (const length of fills(input.path, structs.block, cut.from, cut.to)) {
        end += length;
        await structs.judge(length);
      }
    } else {
      for await (const chunk of cut.chunks) {
        end += chunk.length;
        await structs.take(chunk);
      }
    }
    await structs.end();
  } else if (cut.to === undefined || cut.to > cut.from) {
    const taken = { bytes: 0, firstLine: undefined as number | undefined };
    let repeated = 0;
    const chunks = counted(cut.chunks, taken);
    for await (const item of itemsOf({ name: input.name, chunks }, { ...options, inputFormat: 'ndjson' }, { headers: true })) {
      const place = 'line' in item ? `${input.name}:${item.line - cut.linesBefore}` : input.name;
      if (item.kind === 'header' || (item.kind === 'call' && Object.hasOwn(item.record, 'xenmem'))) {
        const isOwn = item.line === 1 && (cut.from === 0 || item.kind === 'header');
        if (!isOwn) throw new UnreadableError(`${place}: a header within the trace: cut it before each header, and judge each part whole`);
        if (cut.from > 0 && cut.to === undefined) repeated = taken.firstLine ?? taken.bytes;
      }
      if (item.kind === 'unreadable') {
        tally.unreadable++;
        piece.missed();
        note(`${place}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'call') {
        fromStart ??= item.call.fromStart && tally.unreadable === 0;
        judgeOne(piece, item.call, place);
      }
    }
    // A header that is given to each piece is no part of those behind the first.
    end = cut.to ?? cut.from + taken.bytes - repeated;
  }
  const partial = { from: cut.from, to: end, whole: cut.whole, fromStart, tally, steps: piece.steps };
  await line(JSON.stringify(partialJson(partial)));
  return outcome.codes;
}

/** The bytes as they come, counted, and so is their first line. */
async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  taken: { bytes: number; firstLine: number | undefined },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    const at = taken.firstLine === undefined ? chunk.indexOf(newline) : -1;
    if (at >= 0) taken.firstLine = taken.bytes + at + 1;
    taken.bytes += chunk.length;
    yield chunk;
  }
}

/** Where the piece lies that the options name, and its bytes with the header of the whole. */
function cutOf({ name, path, chunks }: Input, { piece, at }: PartialOptions, structSize: number | undefined): Cut {
  if (piece !== undefined && at !== undefined)
    throw new UsageError('--piece says where a piece of a file is, --at where that on stdin begins: give one');
  const from = at === undefined ? 0 : wholeNumber('--at', at, Number.MAX_SAFE_INTEGER);
  if (piece === undefined) return { from, to: undefined, whole: undefined, chunks, linesBefore: 0 };
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
    return { from: start, to: end, whole, chunks: pieceChunks(path, own, start, end), linesBefore: own === '' ? 0 : 1 };
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
