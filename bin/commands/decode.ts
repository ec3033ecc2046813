import type { Argv } from 'yargs';
import type { StructLayout } from '../../src/abi/layout.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, opNumber, startExtent } from '../../src/abi/ops.ts';
import { codecFor } from '../../src/codec/codec.ts';
import { structJson } from '../../src/report/call-json.ts';
import { structText } from '../../src/report/struct-text.ts';
import { count, type Style } from '../../src/report/style.ts';
import { type Finding, judge } from '../../src/rules/judge.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import { argumentBytes, type CaptureOptions, itemsOf, structIn } from '../captured.ts';
import { exit } from '../exit.ts';
import { inputs, line, note, outcome, styleFor } from '../io.ts';
import { fails, formatOptions, type GateOptions, gateOptions, structOptions } from '../options.ts';

interface Options extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly json?: boolean;
}

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files, - or nothing for stdin' });
  return gateOptions(formatOptions(structOptions(described)))
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .example('$0 decode --cmd 26 req.bin', 'the struct that op 26 takes')
    .example('dmesg | xxd | $0 decode -', 'whatever was pasted: formats are found out');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const style = styleFor();
  let shown = 0;
  const show = async (layout: StructLayout, bytes: Uint8Array, call: ObservedCall): Promise<void> => {
    const findings = judge(call)?.findings.filter((f) => f.blame === 'caller') ?? [];
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    const lines = options.json ? [asJson(layout, bytes, findings)] : asText(layout, bytes, call, findings, style, shown > 0);
    for (const text of lines) await line(text);
    shown++;
  };
  for (const input of await inputs(options.input ?? [])) {
    for await (const item of itemsOf(input, options)) {
      if (item.kind === 'unreadable') {
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        const found = structIn(item.bytes, options, input.name);
        for (const text of found.notes) note(`note: ${input.name}: ${text}`);
        if (item.bytes.length < found.layout.size) outcome.codes.add(exit.unreadable);
        if (item.bytes.length > found.layout.size) {
          note(`${input.name}: ${item.bytes.length - found.layout.size} bytes follow the ${found.layout.size} of ${found.layout.struct}`);
          outcome.codes.add(exit.unreadable);
        }
        await show(found.layout, item.bytes.subarray(0, found.layout.size), found.call);
      } else if (item.kind === 'call') {
        const op = opOf(item.call);
        if (op === undefined) continue;
        const layout = layoutOf(argumentOf[op], item.call.arch);
        await show(layout, argumentBytes(item.call, layout), item.call);
      }
    }
  }
  if (shown === 0) outcome.codes.add(exit.inconclusive);
  return outcome.codes;
}

function asJson(layout: StructLayout, bytes: Uint8Array, findings: readonly Finding[]): string {
  const codec = codecFor(layout.arch)[layout.struct];
  return JSON.stringify(structJson(layout, bytes.length, codec.decodeCut(bytes) as object, codec.padding(bytes), findings));
}

function asText(
  layout: StructLayout,
  bytes: Uint8Array,
  call: ObservedCall,
  findings: readonly Finding[],
  style: Style,
  again: boolean,
): string[] {
  const size = bytes.length < layout.size ? `${bytes.length} of ${layout.size} bytes` : `${layout.size} bytes`;
  const start = startExtent(call.cmd) > 0 ? `, continued at ${startExtent(call.cmd)}` : '';
  const seq = call.seq === undefined ? '' : `  seq ${call.seq}`;
  const op = call.argument && layout.struct === 'xen_memory_reservation' ? '' : `  op ${opNumber(call.cmd)}${start}`;
  const lines = [...(again ? [''] : []), `${style.bold(layout.struct)}  ${size}  ${layout.arch}${op}${seq}`];
  lines.push(...structText(layout, bytes, findings, style));
  for (const finding of findings.filter((f) => f.severity !== 'note')) lines.push(`  ${finding.id}: ${finding.message}`);
  const totals = (['error', 'warning', 'note'] as const)
    .map((severity) => [findings.filter((f) => f.severity === severity).length, severity] as const)
    .filter(([n]) => n > 0)
    .map(([n, severity]) => count(n, severity));
  const first = findings[0];
  if (first) lines.push(`${style.bad('✗')} ${totals.join(', ')}   (xenmem explain ${first.id})`);
  return lines;
}
