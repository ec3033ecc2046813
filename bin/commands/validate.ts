import type { Argv } from 'yargs';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, betterFit, opName, opNumber } from '../../src/abi/ops.ts';
import type { Finding, Judgement } from '../../src/rules/judge.ts';
import { traceJudge } from '../../src/rules/trace.ts';
import { callJson } from '../../src/text/call-json.ts';
import { callText } from '../../src/text/call-text.ts';
import { addToDigest, newDigest } from '../../src/text/digest.ts';
import { digestJson, digestText } from '../../src/text/digest-text.ts';
import { addJudgement, newTally, tallyJson, tallyText } from '../../src/text/tally.ts';
import type { BufferItem } from '../../src/trace/buffers.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import { arrayJudge, StructArray } from '../array.ts';
import { itemsOf, structIn } from '../captured.ts';
import { exit } from '../exit.ts';
import { eachInput, explainFailure, fills, line, note, outcome, styleFor } from '../io.ts';
import { type CaptureOptions, captureOptions, fails, type GateOptions, gateOptions, structOptions } from '../options.ts';

interface Options extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly summary?: boolean;
}

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files; - for stdin', defaultDescription: '-' });
  return gateOptions(captureOptions(structOptions(described)))
    .option('verbose', { alias: 'v', type: 'boolean', describe: 'show notes too' })
    .option('quiet', { alias: 'q', type: 'boolean', describe: 'show only calls with something wrong, and the summary' })
    .option('summary', { type: 'boolean', describe: 'the trace as a story instead of its calls' })
    .option('json', { type: 'boolean', describe: 'one JSON object per call, then a summary' })
    .example('bpftrace … | $0 validate -', 'judge calls as they are made')
    .example('$0 validate --struct put_dma_buf a.bin', 'a raw array of structs, one call each');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const style = styleFor();
  const tally = newTally();
  const several = (options.input?.length ?? 0) > 1;
  const digest = options.summary ? newDigest() : undefined;
  const summary = (): string[] => {
    if (options.json) return [...(digest ? [JSON.stringify(digestJson(digest))] : []), JSON.stringify(tallyJson(tally))];
    return [...(digest ? digestText(digest, style) : []), '', ...tallyText(tally, style)];
  };
  outcome.lastWords = summary;
  const { unreadable } = await eachInput(options.input, async (input) => {
    const judge = traceJudge();
    const isShown = (finding: Finding): boolean => options.verbose === true || finding.severity !== 'note';
    const isFailing = (findings: readonly Finding[]): void => {
      if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    };
    const linesOf = (call: ObservedCall, judgement: Judgement | undefined, place: string, notes: readonly string[]): string[] => {
      if (digest) return [];
      if (options.json) return [JSON.stringify({ ...callJson(call, judgement, notes), ...(several && { input: input.name }) })];
      if (options.quiet && !judgement?.findings.some((f) => f.severity !== 'note')) return [];
      return [...callText(call, judgement, place, isShown, style), ...notes.map((text) => `       note ${text}`)];
    };
    const show = async (call: ObservedCall, place: string, notes: readonly string[]): Promise<void> => {
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
      addJudgement(tally, judgement);
      if (digest) addToDigest(digest, call, judgement, several ? `${input.name} ${place}` : place);
      isFailing(judgement?.findings ?? []);
      for (const text of linesOf(call, judgement, place, notes)) await line(text);
    };
    const buffer = async (item: BufferItem): Promise<void> => {
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
        seen: ({ findings }) => isFailing(findings),
        linesOf: (judgement, place) => linesOf(judgement.facts.call, judgement, place, options.json ? notes : []),
        isOwn: ({ findings }) => findings.some((f) => options.json || isShown(f)),
        rest: buffer,
      });
    };
    outcome.lastWords = () => {
      structs?.flush();
      return summary();
    };
    if (several && !options.json && !digest) await line(`${tally.calls > 0 ? '\n' : ''}${style.bold(input.name)}`);
    for await (const item of itemsOf(input, options, array !== undefined)) {
      if (item.kind === 'unreadable') {
        tally.unreadable++;
        judge.missed();
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        await buffer(item);
      } else if (item.kind === 'block' && array) {
        structs ??= arrayOf(array);
        if (input.path === undefined) {
          await structs.take(item.bytes);
          continue;
        }
        // The file is read into the block itself, from its start
        for (const length of fills(input.path, structs.block)) await structs.judge(length);
        break;
      } else if (item.kind === 'call') {
        await show(item.call, `#${item.call.seq ?? item.line}`, [...(item.notes ?? []), ...fitNotes(item.call)]);
      }
    }
    await structs?.end();
  });
  outcome.lastWords = undefined;
  // Where nothing could be read, it has been said why.
  const anything = tally.calls + tally.unreadable > 0;
  tally.unreadable += unreadable;
  if (anything || options.json || unreadable === 0) for (const text of summary()) await line(text);
  if (!tally.evaluated) outcome.codes.add(exit.inconclusive);
  return outcome.codes;
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
