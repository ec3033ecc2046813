import type { Argv } from 'yargs';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, betterFit } from '../../src/abi/ops.ts';
import { callJson } from '../../src/report/call-json.ts';
import { callText } from '../../src/report/call-text.ts';
import { addJudgement, newTally, tallyJson, tallyText } from '../../src/report/tally.ts';
import { judge } from '../../src/rules/judge.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import { type CaptureOptions, itemsOf, structIn } from '../captured.ts';
import { exit } from '../exit.ts';
import { inputs, line, note, outcome, styleFor } from '../io.ts';
import { fails, formatOptions, type GateOptions, gateOptions, structOptions } from '../options.ts';

interface Options extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files, - or nothing for stdin' });
  return gateOptions(formatOptions(structOptions(described)))
    .option('space', { choices: ['virtual', 'physical'], describe: 'what addresses are; physical: gfn = address >> 12' })
    .option('privileged', { type: 'boolean', describe: 'the caller is privileged' })
    .option('verbose', { alias: 'v', type: 'boolean', describe: 'show notes too' })
    .option('quiet', { alias: 'q', type: 'boolean', describe: 'show only calls with something wrong, and the summary' })
    .option('json', { type: 'boolean', describe: 'one JSON object per call, then a summary' })
    .example('bpftrace … | $0 validate -', 'judge calls as they are made');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const style = styleFor();
  const tally = newTally();
  const named = await inputs(options.input ?? []);
  const show = async (call: ObservedCall, place: string, notes: readonly string[]): Promise<void> => {
    const judgement = judge(call);
    addJudgement(tally, judgement);
    const findings = judgement?.findings ?? [];
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    if (options.json) return line(JSON.stringify(callJson(call, judgement, notes)));
    if (options.quiet && !findings.some((f) => f.severity !== 'note')) return;
    for (const text of callText(call, judgement, place, (f) => options.verbose || f.severity !== 'note', style)) await line(text);
    for (const text of notes) await line(`       note: ${text}`);
  };
  for (const input of named) {
    for await (const item of itemsOf(input, options)) {
      if (item.kind === 'unreadable') {
        tally.unreadable++;
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        const found = structIn(item.bytes, options, input.name);
        if (item.bytes.length !== found.layout.size) outcome.codes.add(exit.unreadable);
        await show(found.call, `@${item.offset}`, found.notes);
      } else if (item.kind === 'call') {
        await show(item.call, `#${item.call.seq ?? item.line}`, fitNotes(item.call));
      }
    }
  }
  for (const text of options.json ? [JSON.stringify(tallyJson(tally))] : ['', ...tallyText(tally, style)]) await line(text);
  if (!tally.evaluated) outcome.codes.add(exit.inconclusive);
  return outcome.codes;
}

/** What a captured piece at the argument's address says about the profile by its length. */
function fitNotes(call: ObservedCall): string[] {
  const op = opOf(call);
  if (op === undefined || call.arg === undefined) return [];
  const { size } = layoutOf(argumentOf[op], call.arch);
  const piece = call.before.known({ address: call.arg, length: BigInt(size) })[0];
  if (piece?.address !== call.arg) return [];
  const better = betterFit(call.cmd, call.profile, call.arch, piece.bytes.length);
  return better ? [`${piece.bytes.length} bytes at arg fit profile ${better.profile} (${better.op}) better than ${op}`] : [];
}
