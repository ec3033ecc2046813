import type { Argv } from 'yargs';
import { type Layout, layoutOf, type MemoryLayout, type StructLayout } from '../../src/abi/layout.ts';
import { argumentOf, opNumber, startExtent, XENMEM } from '../../src/abi/ops.ts';
import type { StructName } from '../../src/abi/structs.ts';
import { codecFor } from '../../src/codec/codec.ts';
import { type Finding, judge } from '../../src/rules/judge.ts';
import { findingsIn } from '../../src/rules/shown.ts';
import { structJson } from '../../src/text/call-json.ts';
import { structText } from '../../src/text/struct-text.ts';
import { count, type Style } from '../../src/text/style.ts';
import { wrapped } from '../../src/text/wrap.ts';
import { type ObservedCall, opOf } from '../../src/trace/call.ts';
import { cText, xxdText } from '../../src/trace/dump-text.ts';
import { pcapngHead, pcapngPacket } from '../../src/trace/pcap.ts';
import { argumentBytes, itemsOf, structIn } from '../captured.ts';
import type { CoreList } from '../core.ts';
import { listsJson, listText } from '../core-lists.ts';
import { exit, UnreadableError, UsageError } from '../exit.ts';
import { eachInput, line, note, outcome, bytes as put, styleFor } from '../io.ts';
import { memoryStructJson, memoryStructLines, memoryStructOf } from '../memory-structs.ts';
import {
  type CaptureOptions,
  captureOptions,
  fails,
  type GateOptions,
  gateOptions,
  memoryStructAsked,
  opFor,
  structOptions,
} from '../options.ts';

interface Options extends CaptureOptions, GateOptions {
  readonly input?: readonly string[];
  readonly json?: boolean;
  readonly to?: Target;
  readonly elf?: string;
  readonly at?: string;
}

/** What `--to` may name. */
const targets = ['json', 'xxd', 'c', 'pcapng'] as const;
type Target = (typeof targets)[number];

export function options(args: Argv): Argv {
  const described = args.positional('input', { type: 'string', array: true, describe: 'files; - for stdin', defaultDescription: '-' });
  return gateOptions(captureOptions(structOptions(described)))
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .option('to', { choices: targets, describe: 'print the bytes in another form instead; pcapng is for Wireshark', requiresArg: true })
    .option('elf', { type: 'string', describe: 'a core that holds the struct, at the address that --at says', requiresArg: true })
    .option('at', { type: 'string', describe: 'with --elf: the address of the struct', requiresArg: true })
    .example('$0 decode --elf core --at 0x7ffd1234a000 --cmd 11', 'a struct in a core, and its lists')
    .example('$0 decode --cmd 26 req.bin', 'the struct that op 26 takes')
    .example('xxd req.bin | $0 decode -', 'a dump, as any tool prints it');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const style = styleFor();
  const to = options.to ?? (options.json ? 'json' : undefined);
  if (to !== 'json' && options.json) throw new UsageError(`--json goes without --to ${to}`);
  if (to === 'pcapng' && process.stdout.isTTY) throw new UsageError('packets do not belong on a terminal: use > FILE or a pipe');
  if ((options.elf === undefined) !== (options.at === undefined)) throw new UsageError('--elf FILE and --at ADDRESS go together');
  if (options.elf !== undefined && (options.input ?? []).length > 0) throw new UsageError('--elf goes without other inputs');
  const other = memoryStructAsked(options);
  let shown = 0;
  /** Shows one struct in the form that was asked for. */
  const tell = async (
    layout: Layout,
    data: Uint8Array,
    findings: readonly Finding[],
    json: () => string,
    text: () => readonly string[],
  ): Promise<void> => {
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    if (to === 'json') await line(json());
    else if (to) await put(printed(to, layout, data, shown));
    else for (const one of [...(shown > 0 ? [''] : []), ...text()]) await line(one);
    shown++;
  };
  const show = (
    layout: StructLayout,
    data: Uint8Array,
    call: ObservedCall,
    place: string,
    structs: readonly StructName[] = [],
    lists?: readonly CoreList[],
  ): Promise<void> => {
    const findings = judge(call)?.findings.filter((f) => f.blame === 'caller') ?? [];
    return tell(
      layout,
      data,
      findings,
      () => asJson(layout, data, findings, structs, lists),
      () => asText(layout, data, call, findings, place, structs, style, lists),
    );
  };
  const showOther = (layout: MemoryLayout, data: Uint8Array, name: string, lists: readonly CoreList[] = []): Promise<void> => {
    if (data.length < layout.size) {
      note(`note: ${name}: ${layout.struct} is cut: ${data.length} of ${layout.size} bytes`);
      outcome.codes.add(exit.unreadable);
    }
    const told = { layout, bytes: data, findings: findingsIn({ layout, bytes: data }), lists };
    return tell(
      layout,
      data,
      told.findings,
      () => memoryStructJson(told),
      () => memoryStructLines(told, style),
    );
  };
  if (options.elf !== undefined && options.at !== undefined) {
    try {
      const { memoryInCore, structInCore } = await import('../core.ts');
      if (other) {
        const { layout, bytes, lists } = memoryInCore(options.elf, options.at, options, other);
        await showOther(layout, bytes, options.elf, lists);
        return outcome.codes;
      }
      const { layout, bytes, call, lists, notes } = structInCore(options.elf, options.at, options);
      for (const text of notes) note(`note: ${options.elf}: ${text}`);
      if (bytes.length < layout.size) outcome.codes.add(exit.unreadable);
      await show(layout, bytes, call, `at ${options.at}`, [], lists);
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      note(error.message);
      outcome.codes.add(exit.unreadable);
    }
    return outcome.codes;
  }
  await eachInput(options.input, async (input) => {
    for await (const item of itemsOf(input, options)) {
      if (item.kind === 'unreadable') {
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        const struct = other ?? memoryStructOf(item, options);
        if (struct) {
          await showOther(layoutOf(struct, options.arch ?? 'arm64'), item.bytes, input.name);
          continue;
        }
        const found = structIn(item, options, input.name);
        for (const text of found.notes) note(`note: ${input.name}: ${text}`);
        if (item.bytes.length < found.layout.size) outcome.codes.add(exit.unreadable);
        await show(found.layout, found.bytes, found.call, item.offset > 0 ? `at byte ${item.offset}` : '', found.structs);
      } else if (item.kind === 'call') {
        if (other) throw new UnreadableError(`${input.name}: is a trace: validate shows the calls that are not judged`);
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

/** The bytes of the struct with this number, as programs take them. */
function printed(to: Exclude<Target, 'json'>, { struct, size }: Layout, bytes: Uint8Array, number: number): string | Uint8Array {
  switch (to) {
    case 'xxd':
      return xxdText(bytes);
    case 'c':
      return cText(number === 0 ? struct : `${struct}_${number}`, bytes);
    case 'pcapng':
      return number === 0 ? Buffer.concat([pcapngHead(), pcapngPacket(struct, bytes, size)]) : pcapngPacket(struct, bytes, size);
  }
}

function asJson(
  layout: StructLayout,
  bytes: Uint8Array,
  findings: readonly Finding[],
  structs: readonly StructName[],
  lists: readonly CoreList[] = [],
): string {
  const codec = codecFor(layout.arch)[layout.struct];
  const { struct, ...shown } = structJson(layout, bytes.length, codec.decodeCut(bytes) as object, codec.padding(bytes), findings);
  return JSON.stringify({ struct, ...(structs.length > 1 && { structs }), ...shown, ...listsJson(lists) });
}

function asText(
  layout: StructLayout,
  bytes: Uint8Array,
  call: ObservedCall,
  findings: readonly Finding[],
  place: string,
  structs: readonly StructName[],
  style: Style,
  lists: readonly CoreList[] = [],
): string[] {
  const size = bytes.length < layout.size ? `${bytes.length} of ${layout.size} bytes` : `${layout.size} bytes`;
  const start = startExtent(call.cmd) > 0 ? ` from ${startExtent(call.cmd)}` : '';
  // A reservation alone does not tell which of three ops it was for.
  const op = structs.length > 1 || (call.argument && layout.struct === 'xen_memory_reservation') ? '' : `op ${opNumber(call.cmd)}${start}`;
  const head =
    structs.length > 1 ? structs.map((struct) => `${struct} (op ${XENMEM['dma-buf'][opFor(struct)]})`).join(', and ') : layout.struct;
  const lines = [[style.bold(head), size, layout.arch, op, place].filter((part) => part !== '').join('  ')];
  lines.push(...structText(layout, bytes, findings, style));
  for (const list of lists) lines.push(...wrapped(`  ${list.path}: `, listText(list), 4));
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
