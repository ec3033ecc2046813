import type { MemoryLayout } from '../src/abi/layout.ts';
import { isMemoryStruct, type MemoryStructName, memoryArguments } from '../src/abi/memory-h.ts';
import { memoryJson } from '../src/codec/memory-json.ts';
import type { Finding } from '../src/rules/judge.ts';
import { findingJson } from '../src/text/call-json.ts';
import { findingsText } from '../src/text/call-text.ts';
import { memoryStructText } from '../src/text/memory-text.ts';
import type { Style } from '../src/text/style.ts';
import { wrapped } from '../src/text/wrap.ts';
import { type ObservedCall, observedCall } from '../src/trace/call.ts';
import { flagsOf } from './captured.ts';
import type { CoreList } from './core.ts';
import { listsJson, listText } from './core-lists.ts';
import { UsageError } from './exit.ts';
import { asked, type CaptureOptions, cmdNamed } from './options.ts';

/** A struct that is not judged, what it alone shows, and the lists that it names. */
export interface MemoryStructTold {
  readonly layout: MemoryLayout;
  readonly bytes: Uint8Array;
  readonly findings: readonly Finding[];
  readonly lists: readonly CoreList[];
}

/** One object of `decode --json`. */
export function memoryStructJson({ layout, bytes, findings, lists }: MemoryStructTold): string {
  const { value, rest } = memoryJson(layout, bytes);
  const more = Object.keys(rest).length > 0 ? { rest } : {};
  const cut = bytes.length < layout.size ? { cut: bytes.length } : {};
  const { struct, arch, size } = layout;
  return JSON.stringify({ struct, arch, size, ...cut, value, ...more, findings: findings.map(findingJson), ...listsJson(lists) });
}

/** The same for a person. */
export function memoryStructLines({ layout, bytes, findings, lists }: MemoryStructTold, style: Style): string[] {
  const head = `${style.bold(layout.struct)}  ${layout.size} bytes  ${layout.arch}  not judged`;
  const listed = lists.flatMap((list) => wrapped(`  ${list.path}: `, listText(list), 4));
  return [head, ...memoryStructText(layout, bytes, style), ...listed, ...findingsText(findings, style)];
}

/** The struct that is not judged that an input names itself, where nobody asked for another. */
export function memoryStructOf({ struct }: { readonly struct?: string }, options: CaptureOptions): MemoryStructName | undefined {
  return struct !== undefined && isMemoryStruct(struct) && asked(options).struct === undefined ? struct : undefined;
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
