import { layoutOf, type MemoryLayout } from '../src/abi/layout.ts';
import { type MemoryStructName, memoryArguments } from '../src/abi/memory-h.ts';
import { memoryJson } from '../src/codec/memory-json.ts';
import type { Finding } from '../src/rules/judge.ts';
import { findingsIn } from '../src/rules/shown.ts';
import { findingJson } from '../src/text/call-json.ts';
import { findingsText } from '../src/text/call-text.ts';
import { memoryStructText } from '../src/text/memory-text.ts';
import type { Style } from '../src/text/style.ts';
import { wrapped } from '../src/text/wrap.ts';
import { type ObservedCall, observedCall } from '../src/trace/call.ts';
import { flagsOf, itemsOf } from './captured.ts';
import type { CoreList } from './core.ts';
import { listsJson, listText } from './core-lists.ts';
import { exit, UnreadableError, UsageError } from './exit.ts';
import { eachInput, line, note, outcome } from './io.ts';
import { type CaptureOptions, cmdNamed, fails, type GateOptions } from './options.ts';

/** Decodes structs that are not judged: each as many bytes as the struct has, one after another. */
export async function decodeMemoryStructs(
  struct: MemoryStructName,
  options: Options & { readonly input?: readonly string[]; readonly elf?: string; readonly at?: string },
  style: Style,
): Promise<Iterable<number>> {
  const layout = layoutOf(struct, options.arch ?? 'arm64');
  if (options.elf !== undefined && options.at !== undefined) return decodeInCore(struct, options.elf, options.at, options, style);
  let shown = 0;
  await eachInput(options.input, async (input) => {
    for await (const item of itemsOf(input, options)) {
      if (item.kind === 'unreadable') {
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        const findings = findingsIn({ layout, bytes: item.bytes });
        if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
        await show(layout, item.bytes, findings, shown++, options.json ?? false, style, input.name);
      } else if (item.kind === 'call') throw new UnreadableError(`${input.name}: is a trace: validate shows the calls that are not judged`);
    }
  });
  if (shown === 0) {
    if (outcome.codes.size === 0) note('no struct in there');
    outcome.codes.add(exit.inconclusive);
  }
  return outcome.codes;
}

type Options = CaptureOptions & GateOptions & { readonly json?: boolean };

/** The struct at an address of a core, and its lists. */
async function decodeInCore(struct: MemoryStructName, elf: string, at: string, options: Options, style: Style): Promise<Iterable<number>> {
  try {
    const { memoryInCore } = await import('./core.ts');
    const { layout, bytes, lists } = memoryInCore(elf, at, options, struct);
    const findings = findingsIn({ layout, bytes });
    if (findings.some((f) => fails(f, options))) outcome.codes.add(exit.failed);
    await show(layout, bytes, findings, 0, options.json ?? false, style, elf, lists);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    note(error.message);
    outcome.codes.add(exit.unreadable);
  }
  return outcome.codes;
}

async function show(
  layout: MemoryLayout,
  bytes: Uint8Array,
  findings: readonly Finding[],
  number: number,
  json: boolean,
  style: Style,
  name: string,
  lists: readonly CoreList[] = [],
): Promise<void> {
  if (bytes.length < layout.size) {
    note(`note: ${name}: ${layout.struct} is cut: ${bytes.length} of ${layout.size} bytes`);
    outcome.codes.add(exit.unreadable);
  }
  if (json) {
    const { value, rest } = memoryJson(layout, bytes);
    const more = Object.keys(rest).length > 0 ? { rest } : {};
    const cut = bytes.length < layout.size ? { cut: bytes.length } : {};
    const { struct, arch, size } = layout;
    await line(JSON.stringify({ struct, arch, size, ...cut, value, ...more, findings: findings.map(findingJson), ...listsJson(lists) }));
    return;
  }
  const head = `${style.bold(layout.struct)}  ${layout.size} bytes  ${layout.arch}  not judged`;
  const listed = lists.flatMap((list) => wrapped(`  ${list.path}: `, listText(list), 4));
  const rows = [...memoryStructText(layout, bytes, style), ...listed, ...findingsText(findings, style)];
  for (const text of [...(number > 0 ? [''] : []), head, ...rows]) await line(text);
}

/**
 * Makes the call of which a struct that is not judged may have been the argument; where several ops
 * take it, `--cmd` must say which.
 */
export function memoryCalls(struct: MemoryStructName, options: CaptureOptions): (argument: Uint8Array) => ObservedCall {
  const ops = Object.keys(memoryArguments).filter((op) => memoryArguments[op] === struct);
  const [only] = ops;
  if (only === undefined) throw new UsageError(`${struct} is no argument of an op, but the entry of a list: decode shows it`);
  if (ops.length > 1 && options.cmd === undefined) throw new UsageError(`${struct} is what ${ops.join(', ')} take: say which with --cmd`);
  const cmd = cmdNamed(options.cmd ?? only, 'upstream');
  const setting = { ...flagsOf(options), arch: options.arch ?? 'arm64', profile: 'upstream' } as const;
  return (argument) => observedCall(cmd, { ...setting, argument });
}
