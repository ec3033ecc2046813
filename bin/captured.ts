import { type Arch, archNames } from '../src/abi/arch.ts';
import { layoutOf, type StructLayout } from '../src/abi/layout.ts';
import { argumentOf, betterFit, type JudgedOp, opNumber, opsTaking, type Profile, XENMEM } from '../src/abi/ops.ts';
import { isStructName, type StructName, structNames } from '../src/abi/structs.ts';
import { readPrefix } from '../src/guest/memory.ts';
import { printable } from '../src/text/style.ts';
import type { BufferItem } from '../src/trace/buffers.ts';
import { type ObservedCall, observedCall, type Setting } from '../src/trace/call.ts';
import { InputError, type ReadOptions, readTrace, type TraceItem } from '../src/trace/read.ts';
import { usualCut } from '../src/trace/sane.ts';
import { UnreadableError } from './exit.ts';
import { type Input, note } from './io.ts';
import { asked, type CaptureOptions, memoryStructAsked, opFor } from './options.ts';

/** One struct of a raw or hex input, with the call it may have been the argument of. */
export interface CapturedStruct {
  readonly layout: StructLayout;
  /** Where nobody told the struct, those that it may be: their fields and findings are the same. */
  readonly structs: readonly StructName[];
  readonly bytes: Uint8Array;
  readonly call: ObservedCall;
  /** What is worth knowing about it: a cut, a better fitting profile. */
  readonly notes: readonly string[];
}

/** What the flags say of the setting: they beat what a trace says of itself. */
export function flagsOf({ arch, profile, space, privileged }: CaptureOptions): Partial<Setting> {
  return {
    ...(arch !== undefined && { arch }),
    ...(profile !== undefined && { profile }),
    ...(space !== undefined && { space }),
    ...(privileged !== undefined && { privileged }),
  };
}

/**
 * Reads an input, an array of structs by the block if so wanted and plain records by a taker, says aloud what it was taken for,
 * and turns what cannot be read into one clear line.
 */
export async function* itemsOf(
  input: Input,
  options: CaptureOptions,
  { blocks = false, headers = false, plain }: Pick<ReadOptions, 'blocks' | 'headers' | 'plain'> = {},
): AsyncGenerator<TraceItem> {
  const struct = memoryStructAsked(options) ?? asked(options).struct;
  const structSize = struct === undefined ? undefined : layoutOf(struct, options.arch ?? 'arm64').size;
  try {
    const { inputFormat: format, wordOrder, offsetRadix } = options;
    for await (const item of readTrace(input.chunks, {
      ...(format !== undefined && { format }),
      ...(structSize !== undefined && { structSize }),
      ...(wordOrder !== undefined && { wordOrder }),
      ...(offsetRadix !== undefined && { offsetRadix }),
      ...(plain && { plain }),
      blocks,
      headers,
      flags: flagsOf(options),
    })) {
      if (item.kind === 'note') note(`note: ${input.name}${item.line > 1 ? `:${item.line}` : ''}: ${item.message}`);
      if (item.kind === 'format' && item.detected && item.format !== 'ndjson') note(`note: ${input.name}: read as ${item.name}`);
      yield item;
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new UnreadableError(`${input.name}${error.line === undefined ? '' : `:${error.line}`}: ${error.message}`);
  }
}

/** The struct in a buffer: the one that was asked for, else the one its length tells. */
export function structIn({ bytes, offset, struct: named }: BufferItem, options: CaptureOptions, name: string): CapturedStruct {
  const arch: Arch = options.arch ?? 'arm64';
  const profile: Profile = options.profile ?? 'dma-buf';
  const wanted = asked(options);
  const told = wanted.struct ?? named;
  if (told !== undefined && !isStructName(told))
    throw new UnreadableError(`${name}: says that it holds ${printable(told)}, which is no struct that is judged: say which with --struct`);
  const struct = told ?? guess(bytes, arch, name);
  const layout = layoutOf(struct, arch);
  if (bytes.length < layout.size && options.arch === undefined) {
    const other = archNames.find((one) => layoutOf(struct, one).size === bytes.length);
    if (other) throw new UnreadableError(`${name}: ${bytes.length} bytes: ${struct} of ${other}: --arch ${other}`);
  }
  const cmd = wanted.cmd ?? XENMEM['dma-buf'][opFor(struct)];
  const notes: string[] = [];
  if (bytes.length < layout.size) {
    const place = offset > 0 ? ` at byte ${offset}` : '';
    const why = bytes.length === usualCut ? ', as bpftrace (BPFTRACE_STRLEN) and %*ph cut it' : '';
    notes.push(`${struct}${place} is cut: ${bytes.length} of ${layout.size} bytes${why}`);
  }
  const better = betterFit(cmd, profile, arch, bytes.length);
  if (better) notes.push(`${bytes.length} bytes fit op ${opNumber(cmd)} of profile ${better.profile} (${better.op}) better`);
  return {
    layout,
    structs: wanted.struct === undefined && struct === argumentOf.get_dma_buf ? [argumentOf.exchange, struct] : [struct],
    bytes,
    notes,
    call: observedCall(cmd, {
      arch,
      profile,
      ...flagsOf(options),
      argument: bytes,
      ...(wanted.cmd === undefined && { mayBe: opsOf(wanted.struct, layout) }),
    }),
  };
}

/**
 * The ops that a struct may have been passed with: where it was told by its length, those of each
 * struct of that length.
 */
function opsOf(named: StructName | undefined, { arch, size }: StructLayout): JudgedOp[] {
  return structNames.filter((struct) => (named === undefined ? layoutOf(struct, arch).size === size : struct === named)).flatMap(opsTaking);
}

function guess(bytes: Uint8Array, arch: Arch, name: string): StructName {
  const { length } = bytes;
  const exact = structNames.find((struct) => layoutOf(struct, arch).size === length && struct !== argumentOf.exchange);
  if (exact !== undefined) return exact;
  if (length === usualCut && layoutOf('xen_get_dma_buf', arch).size > usualCut) {
    if (!areTwo(bytes, arch)) return 'xen_get_dma_buf';
    const two = `two ${argumentOf.populate_physmap} (--struct ${argumentOf.populate_physmap})`;
    throw new UnreadableError(
      `${name}: ${length} bytes may be ${two}, or one ${argumentOf.exchange} that is cut (--cmd ${XENMEM['dma-buf'].exchange})`,
    );
  }
  for (const other of archNames) {
    const found = structNames.find((struct) => layoutOf(struct, other).size === length);
    if (found) throw new UnreadableError(`${name}: ${length} bytes: ${found} of ${other}: --arch ${other}`);
  }
  throw new UnreadableError(`${name}: ${length} bytes are no struct's size on ${arch}: say which with --struct or --cmd`);
}

/**
 * Are the halves rather two arguments than the two lists of one: the same list, or lists of two
 * domains?
 */
function areTwo(bytes: Uint8Array, arch: Arch): boolean {
  const { size, fields } = layoutOf(argumentOf.populate_physmap, arch);
  const isSame = (name: string): boolean =>
    fields.every(
      (field) =>
        field.name !== name ||
        bytes.subarray(field.offset, field.offset + field.size).every((byte, i) => bytes[size + field.offset + i] === byte),
    );
  return bytes.length === 2 * size && (isSame('extent_start') || !isSame('domid'));
}

/** The struct that a call's record holds, as far as it was captured. */
export function argumentBytes(call: ObservedCall, layout: StructLayout): Uint8Array {
  return call.argument ?? (call.arg === undefined ? new Uint8Array(0) : readPrefix(call.before, call.arg, layout.size));
}
