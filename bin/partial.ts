import { isMemoryStruct } from '../src/abi/memory-h.ts';
import type { Finding, Judgement } from '../src/rules/judge.ts';
import { PieceJudge } from '../src/rules/piece.ts';
import { toldOf } from '../src/rules/shown.ts';
import { traceJudge } from '../src/rules/trace.ts';
import { type Partial, partialJson } from '../src/text/partial.ts';
import { addTold, newTally } from '../src/text/tally.ts';
import type { ObservedCall } from '../src/trace/call.ts';
import { newline } from '../src/trace/lines.ts';
import { arrayJudge, StructArray } from './array.ts';
import { itemsOf, structIn } from './captured.ts';
import { type Cut, cutOf, type PieceOptions } from './cut.ts';
import { exit, UnreadableError, UsageError } from './exit.ts';
import { explainFailure, fills, type Input, inputAt, line, note, outcome } from './io.ts';
import { memoryCalls } from './memory-structs.ts';
import { type CaptureOptions, fails, type GateOptions } from './options.ts';

/** The options of a piece. */
export interface PartialOptions extends CaptureOptions, GateOptions, PieceOptions {
  readonly input?: readonly string[];
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly summary?: boolean;
}

/** What was learnt of a piece, beside what its options and its place say. */
type Learnt = Pick<Partial, 'to' | 'fromStart' | 'steps'>;

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
  const cut = cutOf(input, options, array?.layout.size);
  const tally = newTally();
  const counting: Counting = {
    tally,
    seen(findings) {
      if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    },
    count(judge, place, call) {
      try {
        const judgement = judge();
        if (judgement === 'open') return;
        const told = toldOf(call, judgement);
        addTold(tally, told);
        counting.seen(told.findings);
      } catch (error) {
        tally.calls++;
        tally.failed++;
        outcome.codes.add(explainFailure(error, `${input.name}: ${place}: `));
      }
    },
  };
  const learnt = array ? await judgeArray(array, cut, input, options, counting) : await judgeTrace(cut, input, options, counting);
  await line(JSON.stringify(partialJson({ from: cut.from, whole: cut.whole, tally, ...learnt })));
  return outcome.codes;
}

/** Where what was judged is counted. */
interface Counting extends Pick<Partial, 'tally'> {
  seen(findings: readonly Finding[]): void;
  /** Counts a call, unless it stays open. */
  count(judge: () => Judgement | undefined | 'open', place: string, call: ObservedCall): void;
}

/** Structs in raw bytes; what else the input may be cannot be cut. */
async function judgeArray(
  { bulk, layout }: NonNullable<ReturnType<typeof arrayJudge>>,
  { from, to, chunks }: Cut,
  input: Input,
  options: PartialOptions,
  { tally, seen, count }: Counting,
): Promise<Learnt> {
  const structs = new StructArray(bulk, layout, {
    tally,
    digest: undefined,
    write: async () => {},
    seen: ({ findings }) => seen(findings),
    linesOf: () => [],
    isOwn: () => false,
    rest: async (item) => {
      outcome.codes.add(exit.unreadable);
      const { struct } = layout;
      const call = isMemoryStruct(struct) ? memoryCalls(struct, options)(item.bytes) : structIn(item, options, input.name).call;
      count(() => traceJudge().judge(call), `@${item.offset}`, call);
    },
  });
  let end = from;
  for await (const item of itemsOf({ ...input, chunks: input.path === undefined ? chunks : input.chunks }, options, { blocks: true })) {
    if (item.kind === 'format' && (item.format !== 'raw' || item.covers !== ''))
      throw new UnreadableError(
        `${input.name}: read as ${item.name}, which cannot be judged in pieces (--input-format raw if it is an array)`,
      );
    if (item.kind !== 'block') continue;
    if (input.path === undefined) {
      end += item.bytes.length;
      await structs.take(item.bytes);
      continue;
    }
    // The file is read anew, into the block itself
    for (const length of fills(input.path, structs.block, from, to)) {
      end += length;
      await structs.judge(length);
    }
    break;
  }
  await structs.end();
  return { to: end, fromStart: undefined, steps: [] };
}

/** Records, a line each. */
async function judgeTrace(cut: Cut, input: Input, options: PartialOptions, { tally, count }: Counting): Promise<Learnt> {
  const piece = new PieceJudge();
  if (cut.to === cut.from) return { to: cut.to, fromStart: undefined, steps: [] };
  const taken = { bytes: 0, firstLine: undefined as number | undefined };
  let [repeated, isFirst] = [0, true];
  let fromStart: boolean | undefined;
  const source = { name: input.name, chunks: counted(cut.chunks, taken) };
  for await (const item of itemsOf(source, { ...options, inputFormat: 'ndjson' }, { headers: true })) {
    if (item.kind !== 'header' && item.kind !== 'call' && item.kind !== 'unreadable') continue;
    const place = `${input.name}:${item.line - (cut.isHeaded ? 1 : 0)}`;
    const isHeader = item.kind === 'header' || (item.kind === 'call' && Object.hasOwn(item.record, 'xenmem'));
    // Of a piece behind the first the only header is the one that was put before it.
    const isOwn = isFirst && (cut.from === 0 || (item.kind === 'header' && (cut.isHeaded || cut.to === undefined)));
    isFirst = false;
    if (isHeader && !isOwn)
      throw new UnreadableError(`${place}: a header within the trace: cut it before each header, and judge each part whole`);
    if (isHeader && cut.from > 0 && cut.to === undefined) repeated = taken.firstLine ?? taken.bytes;
    if (item.kind === 'unreadable') {
      tally.unreadable++;
      piece.missed();
      note(`${place}: ${item.message}`);
      outcome.codes.add(exit.unreadable);
    } else if (item.kind === 'call') {
      fromStart ??= item.call.fromStart && tally.unreadable === 0;
      count(() => piece.judge(item.call), place, item.call);
    }
  }
  return { to: cut.to ?? cut.from + taken.bytes - repeated, fromStart, steps: piece.steps };
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
