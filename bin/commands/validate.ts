import { statSync } from 'node:fs';
import type { Argv } from 'yargs';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, betterFit, opName, opNumber } from '../../src/abi/ops.ts';
import type { Finding, Judgement } from '../../src/rules/judge.ts';
import { recordJudge } from '../../src/rules/record-judge.ts';
import { toldOf } from '../../src/rules/shown.ts';
import { addToDigest, newDigest } from '../../src/text/digest.ts';
import { digestJson, digestText } from '../../src/text/digest-text.ts';
import { plain } from '../../src/text/style.ts';
import { addTold, newTally, tallyJson, tallyText } from '../../src/text/tally.ts';
import type { BufferItem } from '../../src/trace/buffers.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import type { StructsItem } from '../../src/trace/items.ts';
import { arrayJudge, StructArray } from '../array.ts';
import { inThreads, type ThreadWork } from '../array-threads.ts';
import { callLines, linesLike } from '../call-lines.ts';
import { itemsOf, structIn } from '../captured.ts';
import { exit, UsageError } from '../exit.ts';
import { bytes, eachInput, explainFailure, fills, type Input, inputName, line, note, outcome, styleFor } from '../io.ts';
import { Likes } from '../likes.ts';
import { memoryCalls, memoryStructOf } from '../memory-structs.ts';
import { captureOptions, fails, gateOptions, memoryStructAsked, structOptions, wholeNumber } from '../options.ts';
import { type PartialOptions, runPartial } from '../partial.ts';
import { inBytes, type Progress, progress } from '../progress.ts';

const mostJobs = 256;

interface Options extends PartialOptions {
  readonly partial?: boolean;
  readonly json?: boolean;
  readonly timeline?: 'html';
  readonly jobs: string;
}

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files; - for stdin', defaultDescription: '-' });
  return gateOptions(captureOptions(structOptions(described)))
    .option('verbose', { alias: 'v', type: 'boolean', describe: 'show notes too' })
    .option('quiet', { alias: 'q', type: 'boolean', describe: 'show only calls with something wrong, and the summary' })
    .option('summary', { type: 'boolean', describe: 'the trace as a story instead of its calls' })
    .option('timeline', { choices: ['html'], describe: 'pages, pins and orders over time, as one page', requiresArg: true })
    .option('jobs', { type: 'string', default: '1', describe: 'threads for a file that is an array of structs', requiresArg: true })
    .option('json', { type: 'boolean', describe: 'one JSON object per call, then a summary' })
    .option('partial', { type: 'boolean', describe: 'judge a piece of the input; xenmem merge makes pieces one' })
    .option('piece', { type: 'string', describe: 'with --partial: the piece of a file, as 3/8', requiresArg: true })
    .option('at', { type: 'string', describe: 'with --partial: the byte at which the piece on stdin begins', requiresArg: true })
    .example('bpftrace … | $0 validate -', 'judge calls as they are made')
    .example('$0 validate --struct put_dma_buf a.bin', 'a raw array of structs, one call each');
}

export async function run(given: Options): Promise<Iterable<number>> {
  if (given.partial) return runPartial(given);
  if (given.timeline !== undefined && given.json) throw new UsageError('--timeline html is a page: leave --json out');
  const options = given.timeline === undefined ? given : { ...given, summary: true };
  const page = given.timeline === undefined ? undefined : (await import('../../conformance/report/html/timeline.ts')).timelinePage;
  const other = (['piece', 'at'] as const).find((name) => options[name] !== undefined);
  if (other) throw new UsageError(`--${other} needs --partial`);
  const style = styleFor();
  const jobs = wholeNumber('--jobs', options.jobs, mostJobs, 1);
  const tally = newTally();
  const several = (options.input?.length ?? 0) > 1;
  const digest = options.summary ? newDigest() : undefined;
  const summary = (): string[] => {
    if (page && digest) return [page(digest, { sources: (options.input ?? ['-']).map(inputName), verdict: tallyText(tally) }).trimEnd()];
    if (options.json) return [...(digest ? [JSON.stringify(digestJson(digest))] : []), JSON.stringify(tallyJson(tally))];
    return [...(digest ? digestText(digest, style) : []), '', ...tallyText(tally, style)];
  };
  outcome.lastWords = summary;
  const shown = memoryStructAsked(options);
  const { unreadable } = await eachInput(options.input, async (input) => {
    const bar = barFor(input, options);
    const judge = recordJudge();
    const lines = callLines(options, several ? input.name : undefined, style);
    const { linesOf, isOwn } = lines;
    const named = (place: string): string => (several ? `${input.name} ${place}` : place);
    const likes = new Likes(judge, {
      tally,
      digest,
      seen: ({ findings }) => isFailing(findings),
      linesLike: (judgement) => linesLike(lines, judgement, fitNotes),
      named,
    });
    const isFailing = (findings: readonly Finding[]): void => {
      if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    };
    const show = async (call: ObservedCall, place: string, notes: readonly string[]): Promise<void> => {
      likes.count();
      let judgement: Judgement | undefined;
      try {
        judgement = judge.judge(call);
      } catch (error) {
        // Told for this call; the rest of the trace is judged
        tally.calls++;
        tally.failed++;
        outcome.codes.add(explainFailure(error, `${input.name}: ${place}: `));
        return;
      }
      const told = toldOf(call, judgement);
      addTold(tally, told);
      if (digest) addToDigest(digest, call, judgement, named(place));
      isFailing(told.findings);
      for (const text of linesOf(told, place, notes)) await line(text);
    };
    const buffer = async (item: BufferItem): Promise<void> => {
      const other = shown ?? memoryStructOf(item, options);
      if (other) {
        if (layoutOf(other, options.arch ?? 'arm64').size !== item.bytes.length) outcome.codes.add(exit.unreadable);
        return show(memoryCalls(other, options)(item.bytes), `@${item.offset}`, []);
      }
      const found = structIn(item, options, input.name);
      for (const text of found.notes) note(`note: ${input.name}: ${text}`);
      if (item.bytes.length < found.layout.size) outcome.codes.add(exit.unreadable);
      await show(found.call, `@${item.offset}`, options.json ? found.notes : []);
    };
    const array = arrayJudge(options, input.name);
    let structs: StructArray | undefined;
    const arrayOf = ({ bulk, layout, notes }: NonNullable<typeof array>): StructArray => {
      for (const text of notes) note(`note: ${input.name}: ${text}`);
      return new StructArray(bulk, layout, {
        tally,
        digest,
        write: bytes,
        seen: ({ findings }) => isFailing(findings),
        linesOf: (told, place) => linesOf(told, place, options.json ? notes : []),
        isOwn,
        rest: buffer,
      });
    };
    /** Structs of packets, by the name that the packets say. */
    const rows = new Map<string, StructArray | undefined>();
    const row = async ({ bytes: all, size, offset, struct }: StructsItem): Promise<void> => {
      const key = struct ?? '';
      if (!rows.has(key)) {
        const own = arrayJudge(options, input.name, struct);
        rows.set(key, own?.layout.size === size ? arrayOf(own) : undefined);
      }
      const known = rows.get(key);
      if (known) return known.row(all, offset);
      for (let at = 0; at < all.length; at += size) {
        const named = struct !== undefined && { struct };
        await buffer({ kind: 'buffer', bytes: all.subarray(at, at + size), offset: offset + at, whole: true, ...named });
      }
    };
    const divided = (path: string, name: string): Promise<number> => {
      const work: ThreadWork = { options, name, path, several, isColoured: style !== plain };
      return inThreads(path, array?.layout.size ?? 1, jobs, work, {
        tally,
        digest,
        failing: () => outcome.codes.add(exit.failed),
        step: bar.step,
      });
    };
    outcome.lastWords = () => {
      for (const one of [structs, ...rows.values()]) one?.flush();
      likes.count();
      return summary();
    };
    if (several && !options.json && !digest) await line(`${tally.calls > 0 ? '\n' : ''}${style.bold(input.name)}`);
    const chunks = counted(input.chunks, bar);
    let isCovered = false;
    for await (const item of itemsOf({ ...input, chunks }, options, { blocks: true, plain: likes.take })) {
      if (item.kind === 'format') isCovered = item.covers !== '';
      if (item.kind === 'unreadable') {
        tally.unreadable++;
        judge.missed();
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        await buffer(item);
      } else if (item.kind === 'block' && array) {
        structs ??= arrayOf(array);
        if (input.path === undefined || isCovered) {
          await structs.take(item.bytes);
          continue;
        }
        // The file is read anew: into the block itself, or by threads
        const from = jobs > 1 ? await divided(input.path, input.name) : 0;
        structs.skip(from);
        let done = from;
        for (const length of fills(input.path, structs.block, from)) {
          await structs.judge(length);
          done += length;
          bar.step(done);
        }
        break;
      } else if (item.kind === 'structs') {
        await row(item);
      } else if (item.kind === 'taken') {
        const told = likes.told();
        if (told !== '') await bytes(told);
      } else if (item.kind === 'call') {
        await show(item.call, `#${item.call.seq ?? item.line}`, [...(item.notes ?? []), ...fitNotes(item.call)]);
      }
    }
    for (const one of [structs, ...rows.values()]) await one?.end();
    likes.count();
    bar.end();
  });
  outcome.lastWords = undefined;
  // Where nothing could be read, it has been said why.
  const anything = tally.calls + tally.unreadable > 0;
  tally.unreadable += unreadable;
  if (anything || options.json || unreadable === 0) for (const text of summary()) await line(text);
  if (!tally.evaluated) outcome.codes.add(exit.inconclusive);
  return outcome.codes;
}

/** Progress through an input; none where its bar would stand between the lines of the output. */
function barFor({ path }: Input, { summary }: Options): Progress {
  if (process.stdout.isTTY && process.stderr.isTTY && !summary) return { step: () => {}, end: () => {} };
  return progress(inBytes, path === undefined ? undefined : statSync(path).size);
}

async function* counted(chunks: AsyncIterable<Uint8Array>, { step }: Progress): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of chunks) {
    done += chunk.length;
    step(done);
    yield chunk;
  }
}

/** What a captured piece at the argument's address says about the profile by its length. */
function fitNotes(call: ObservedCall): string[] {
  if (call.profileUnsure) {
    const nr = opNumber(call.cmd);
    return [
      `op ${nr} is ${opName(nr, 'upstream')} (--profile upstream) or ${opName(nr, 'dma-buf')} (--profile dma-buf): the capture does not tell`,
    ];
  }
  const op = opOf(call);
  if (op === undefined || call.arg === undefined) return [];
  const { size } = layoutOf(argumentOf[op], call.arch);
  const piece = call.before.known({ address: call.arg, length: BigInt(size) })[0];
  if (piece?.address !== call.arg) return [];
  const better = betterFit(call.cmd, call.profile, call.arch, piece.bytes.length);
  return better ? [`${piece.bytes.length} bytes at arg fit profile ${better.profile} (${better.op}) better than ${op}`] : [];
}
