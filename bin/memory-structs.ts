import type { Arch } from '../src/abi/arch.ts';
import { layoutOf, type MemoryLayout } from '../src/abi/layout.ts';
import { isMemoryStruct, type MemoryStructName, memoryArguments } from '../src/abi/memory-h.ts';
import { judgedOp, opNamed, xenName } from '../src/abi/ops.ts';
import { memoryJson } from '../src/codec/memory-json.ts';
import { memoryStructText } from '../src/text/memory-text.ts';
import type { Style } from '../src/text/style.ts';
import { itemsOf } from './captured.ts';
import { exit, UnreadableError } from './exit.ts';
import { eachInput, line, note, outcome } from './io.ts';
import { type CaptureOptions, cmdNamed, type StructOptions } from './options.ts';

/** The struct that the words name, where it is one that xenmem shows and does not judge. */
export function memoryStructNamed(name: string): MemoryStructName | undefined {
  const full = name.startsWith('xen_') ? name : `xen_${name}`;
  return isMemoryStruct(full) ? full : undefined;
}

/** The struct that is not judged that `--struct` or `--cmd` asks for. */
export function memoryStructAsked({ struct, cmd, profile = 'dma-buf' }: StructOptions): MemoryStructName | undefined {
  if (struct !== undefined) return memoryStructNamed(struct);
  if (cmd === undefined) return undefined;
  const nr = opNamed(cmd, 'upstream') ?? cmdNamed(cmd);
  if (judgedOp(nr, profile) !== undefined) return undefined;
  const takes = memoryArguments[xenName(nr, profile)];
  return takes !== undefined && isMemoryStruct(takes) ? takes : undefined;
}

/** Decodes structs that are not judged: each as many bytes as the struct has, one after another. */
export async function decodeMemoryStructs(
  struct: MemoryStructName,
  options: CaptureOptions & { readonly input?: readonly string[]; readonly json?: boolean },
  style: Style,
): Promise<Iterable<number>> {
  const { struct: _struct, cmd: _cmd, ...reading } = options;
  const arch: Arch = options.arch ?? 'arm64';
  const layout = layoutOf(struct, arch);
  let shown = 0;
  await eachInput(options.input, async (input) => {
    for await (const item of itemsOf(input, reading)) {
      if (item.kind === 'unreadable') {
        note(`${input.name}:${item.line}: ${item.message}`);
        outcome.codes.add(exit.unreadable);
      } else if (item.kind === 'buffer') {
        for (let at = 0; at < item.bytes.length; at += layout.size) {
          await show(layout, item.bytes.subarray(at, at + layout.size), shown++, options.json ?? false, style, input.name);
        }
      } else if (item.kind === 'call') throw new UnreadableError(`${input.name}: is a trace: validate shows the calls that are not judged`);
    }
  });
  if (shown === 0) {
    if (outcome.codes.size === 0) note('no struct in there');
    outcome.codes.add(exit.inconclusive);
  }
  return outcome.codes;
}

async function show(layout: MemoryLayout, bytes: Uint8Array, number: number, json: boolean, style: Style, name: string): Promise<void> {
  if (bytes.length < layout.size) {
    note(`note: ${name}: ${layout.struct} is cut: ${bytes.length} of ${layout.size} bytes`);
    outcome.codes.add(exit.unreadable);
  }
  if (json) {
    const { value, rest } = memoryJson(layout, bytes);
    const more = Object.keys(rest).length > 0 ? { rest } : {};
    const cut = bytes.length < layout.size ? { cut: bytes.length } : {};
    await line(JSON.stringify({ struct: layout.struct, arch: layout.arch, size: layout.size, ...cut, value, ...more }));
    return;
  }
  const head = `${style.bold(layout.struct)}  ${layout.size} bytes  ${layout.arch}  not judged`;
  for (const text of [...(number > 0 ? [''] : []), head, ...memoryStructText(layout, bytes, style)]) await line(text);
}
