import type { Argv } from 'yargs';
import type { StructLayout } from '../../src/abi/layout.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { argumentOf, opNumber, startExtent, XENMEM } from '../../src/abi/ops.ts';
import type { StructName } from '../../src/abi/structs.ts';
import { codecFor } from '../../src/codec/codec.ts';
import { structJson } from '../../src/report/call-json.ts';
import { structText } from '../../src/report/struct-text.ts';
import { count, type Style } from '../../src/report/style.ts';
import { wrapped } from '../../src/report/wrap.ts';
import { type Finding, judge } from '../../src/rules/judge.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import { argumentBytes, itemsOf, structIn } from '../captured.ts';
import { exit } from '../exit.ts';
import { eachInput, line, note, outcome, styleFor } from '../io.ts';
import { type CaptureOptions, captureOptions, fails, type GateOptions, gateOptions, opFor, structOptions } from '../options.ts';

interface Options extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly json?: boolean;
}

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files; - for stdin', defaultDescription: '-' });
  return gateOptions(captureOptions(structOptions(described)))
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .example('$0 decode --cmd 26 req.bin', 'the struct that op 26 takes')
    .example('xxd req.bin | $0 decode -', 'a dump, as any tool prints it');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const style = styleFor();
  let shown = 0;
  const show = async (
    layout: StructLayout,
    bytes: Uint8Array,
    call: ObservedCall,
    place: string,
    structs: readonly StructName[] = [],
  ): Promise<void> => {
    const findings = judge(call)?.findings.filter((f) => f.blame === 'caller') ?? [];
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    if (options.json) await line(asJson(layout, bytes, findings, structs));
    else for (const text of [...(shown > 0 ? [''] : []), ...asText(layout, bytes, call, findings, place, structs, style)]) await line(text);
    shown++;
  };
  await eachInput(options.input, async (input) => {
    for await (const item of itemsOf(input, options)) {
      if (item.kind === 'unreadable') {
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        const found = structIn(item, options, input.name);
        for (const text of found.notes) note(`note: ${input.name}: ${text}`);
        if (item.bytes.length < found.layout.size) outcome.codes.add(exit.unreadable);
        await show(found.layout, found.bytes, found.call, item.offset > 0 ? `at byte ${item.offset}` : '', found.structs);
      } else if (item.kind === 'call') {
        const op = opOf(item.call);
        if (op === undefined) continue;
        const layout = layoutOf(argumentOf[op], item.call.arch);
        await show(layout, argumentBytes(item.call, layout), item.call, `#${item.call.seq ?? item.line}`);
      }
    }
  });
  if (shown === 0) {
    if (outcome.codes.size === 0) note('no struct that xenmem knows');
    outcome.codes.add(exit.inconclusive);
  }
  return outcome.codes;
}

function asJson(layout: StructLayout, bytes: Uint8Array, findings: readonly Finding[], structs: readonly StructName[]): string {
  const codec = codecFor(layout.arch)[layout.struct];
  const { struct, ...shown } = structJson(layout, bytes.length, codec.decodeCut(bytes) as object, codec.padding(bytes), findings);
  return JSON.stringify({ struct, ...(structs.length > 1 && { structs }), ...shown });
}

function asText(
  layout: StructLayout,
  bytes: Uint8Array,
  call: ObservedCall,
  findings: readonly Finding[],
  place: string,
  structs: readonly StructName[],
  style: Style,
): string[] {
  const size = bytes.length < layout.size ? `${bytes.length} of ${layout.size} bytes` : `${layout.size} bytes`;
  const start = startExtent(call.cmd) > 0 ? ` from ${startExtent(call.cmd)}` : '';
  // A reservation alone does not tell which of three ops it was for.
  const op = structs.length > 1 || (call.argument && layout.struct === 'xen_memory_reservation') ? '' : `op ${opNumber(call.cmd)}${start}`;
  const head =
    structs.length > 1 ? structs.map((struct) => `${struct} (op ${XENMEM['dma-buf'][opFor(struct)]})`).join(', and ') : layout.struct;
  const lines = [[style.bold(head), size, layout.arch, op, place].filter((part) => part !== '').join('  ')];
  lines.push(...structText(layout, bytes, findings, style));
  for (const { id, severity, where, message } of findings) {
    if (severity !== 'note') lines.push(...wrapped(`  ${id}: `, where && !message.startsWith(where) ? `${where}: ${message}` : message, 4));
  }
  const totals = (['error', 'warning', 'note'] as const)
    .map((severity) => [findings.filter((f) => f.severity === severity).length, severity] as const)
    .filter(([n]) => n > 0)
    .map(([n, severity]) => count(n, severity));
  const worst = findings.find((f) => f.severity === 'error') ?? findings.find((f) => f.severity === 'warning') ?? findings[0];
  if (worst) lines.push(`${worst.severity === 'error' ? style.bad('✗') : '·'} ${totals.join(', ')}   (xenmem explain ${worst.id})`);
  return lines;
}
