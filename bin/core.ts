import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Arch } from '../src/abi/arch.ts';
import { type AnyStruct, fieldOf, type Layout, layoutOf, type MemoryLayout, type StructLayout } from '../src/abi/layout.ts';
import type { MemoryStructName } from '../src/abi/memory-h.ts';
import { opsTaking, XENMEM } from '../src/abi/ops.ts';
import type { StructName } from '../src/abi/structs.ts';
import { codecFor } from '../src/codec/codec.ts';
import { listsNamed } from '../src/codec/memory-codec.ts';
import { memoryJson } from '../src/codec/memory-json.ts';
import { Bytes, FileError } from '../src/export/built/bytes.ts';
import { elfMagic, loaded, readElf, type Segment } from '../src/export/built/elf.ts';
import { entriesIn, listBehind } from '../src/guest/handle.ts';
import { type Piece, readPrefix, sparseMemory } from '../src/guest/memory.ts';
import { printable } from '../src/text/style.ts';
import { type ObservedCall, observedCall } from '../src/trace/call.ts';
import { readable } from './built.ts';
import { flagsOf } from './captured.ts';
import { UnreadableError, UsageError } from './exit.ts';
import { reason } from './io.ts';
import { asked, type CaptureOptions, opFor } from './options.ts';

/** The list behind a handle, as far as the core has it. */
export interface CoreList {
  /** The path of the handle, as `in.extent_start`. */
  readonly path: string;
  readonly address: bigint;
  readonly count: bigint;
  /**
   * Entries from the first on, words in hex, structs by their fields; fewer than the list has where
   * the core ends, or where it is long.
   */
  readonly entries: readonly (string | object)[];
}

/** A struct in a core, with the lists that it names. */
export interface CoreStruct {
  readonly layout: StructLayout;
  readonly bytes: Uint8Array;
  readonly call: ObservedCall;
  readonly lists: readonly CoreList[];
  readonly notes: readonly string[];
}

/** Most bytes of the headers, and of one list: a million frames. */
const mostHead = 64 << 20;
const mostListed = 8 << 20;

/**
 * The struct at an address of a core (gcore, QEMU's dump-guest-memory), with the lists behind its
 * handles: both are found through the program headers. `--space physical` takes their physical
 * addresses.
 */
export function structInCore(path: string, at: string, options: CaptureOptions): CoreStruct {
  const { struct, cmd } = asked(options);
  if (struct === undefined) throw new UsageError('--elf wants to know what is there: --cmd or --struct');
  return inCore(path, at, options, struct, (core) => judgedIn(core, options, struct, cmd));
}

/** The same of a struct that is not judged: the lists that the header gives a count. */
export function memoryInCore(path: string, at: string, options: CaptureOptions, struct: MemoryStructName): MemoryInCore {
  return inCore(path, at, options, struct, ({ layout, bytes, piecesAt }) => {
    const lists = listsNamed(layout, bytes).map(({ path, address, count, entry }): CoreList => {
      const most = BigInt(Math.floor(mostListed / entry.size));
      const length = Number(count < most ? count : most) * entry.size;
      const held = length === 0 ? new Uint8Array(0) : readPrefix(sparseMemory(piecesAt(address, length)), address, length);
      const entries = Array.from({ length: Math.floor(held.length / entry.size) }, (_, i) => {
        const own = held.subarray(i * entry.size, (i + 1) * entry.size);
        return entry.struct ? memoryJson(layoutOf(entry.struct, layout.arch), own).value : wordText(own);
      });
      return { path, address, count, entries };
    });
    return { layout, bytes, lists };
  });
}

/** A struct that is not judged in a core, with the lists that it names. */
export type MemoryInCore = Pick<CoreStruct, 'lists' | 'bytes'> & { readonly layout: MemoryLayout };

/** A word, little-endian, in hex. */
function wordText(bytes: Uint8Array): string {
  return `0x${bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n).toString(16)}`;
}

/** A struct at an address, and what reads the memory around it. */
interface InCore<Name extends AnyStruct> {
  readonly layout: Layout<Name>;
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly own: readonly Piece[];
  readonly notes: readonly string[];
  readonly piecesAt: (from: bigint, length: number) => Piece[];
}

function inCore<Name extends AnyStruct, Made>(
  path: string,
  at: string,
  options: CaptureOptions,
  struct: Name,
  make: (core: InCore<Name>) => Made,
): Made {
  const name = printable(path);
  const address = addressNamed(at);
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const core = file;
    return readable(name, () => make(read(core, address, options, struct)));
  } catch (error) {
    if (error instanceof UnreadableError || error instanceof UsageError || !(error instanceof Error && 'code' in error)) throw error;
    throw new UnreadableError(`${name}: ${reason(error as NodeJS.ErrnoException)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function read<Name extends AnyStruct>(file: number, address: bigint, options: CaptureOptions, struct: Name): InCore<Name> {
  const { arch: said, segments } = headOf(file);
  const arch: Arch = options.arch ?? said ?? 'arm64';
  const physical = options.space === 'physical';
  const layout = layoutOf(struct, arch);
  const startOf = (one: Segment): bigint => (physical ? one.physical : one.virtual);
  // All of them begin at 0: an address there would be anywhere.
  if (!physical && segments.length > 1 && segments.every(({ virtual }) => virtual === 0n)) throw new FileError(physicalOnly);
  const inOrder = [...segments].sort((a, b) => (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0));
  // Of segments that lie over each other the first has the bytes: none is read twice.
  const piecesAt = (from: bigint, length: number): Piece[] => {
    const pieces: Piece[] = [];
    const end = from + BigInt(length);
    let at = from;
    for (const one of inOrder) {
      const start = startOf(one);
      const first = at > start ? at : start;
      const behind = end < start + BigInt(one.size) ? end : start + BigInt(one.size);
      if (first >= behind) continue;
      pieces.push({ address: first, bytes: bytesAt(file, one.offset + Number(first - start), Number(behind - first)) });
      at = behind;
    }
    return pieces;
  };

  const own = piecesAt(address, layout.size);
  const bytes = readPrefix(sparseMemory(own), address, layout.size);
  if (bytes.length === 0) throw new FileError(`nothing at 0x${address.toString(16)} in it: ${placesOf(segments, physical)}`);
  const notes = bytes.length < layout.size ? [`${struct} is cut: ${bytes.length} of ${layout.size} bytes`] : [];
  return { layout, address, bytes, own, notes, piecesAt };
}

function judgedIn(core: InCore<StructName>, options: CaptureOptions, struct: StructName, cmd: number | undefined): CoreStruct {
  const { layout, address, bytes, own, notes, piecesAt } = core;
  const { arch } = layout;
  const known = new Map<string, CoreList>();
  let pieces = own;
  if (bytes.length === layout.size) {
    const values = codecFor(arch)[struct].decode(bytes);
    for (const { path } of layout.fields.filter((field) => field.type.startsWith('XEN_GUEST_HANDLE'))) {
      const count = path.replace(/extent_start$/, 'nr_extents');
      const list = listBehind(wordAt(values, path), wordAt(values, fieldOf(layout, count).path), arch);
      const wanted = list.range.length < BigInt(mostListed) ? Number(list.range.length) : mostListed;
      const found = wanted === 0 ? [] : piecesAt(list.range.address, wanted);
      pieces = [...pieces, ...found];
      const prefix = readPrefix(sparseMemory(found), list.range.address, wanted);
      const whole = prefix.subarray(0, prefix.length - (prefix.length % list.stride));
      const entries = entriesIn(whole, list.stride).map((entry) => `0x${entry.toString(16)}`);
      known.set(path, { path, address: list.range.address, count: list.count, entries });
    }
  }
  const call = observedCall(cmd ?? XENMEM['dma-buf'][opFor(struct)], {
    ...flagsOf(options),
    arch,
    arg: address,
    before: sparseMemory(pieces),
    ...(cmd === undefined && { argument: bytes, mayBe: opsTaking(struct) }),
  });
  return { layout, bytes, call, lists: [...known.values()], notes };
}

/**
 * The architecture and the loaded segments; a core is as long as it likes, only its head is read.
 */
function headOf(file: number): { arch?: Arch; segments: Segment[] } {
  const { size } = fstatSync(file);
  const first = new Bytes(bytesAt(file, 0, Math.min(size, 4096)), 'the file');
  if (!first.begins(0, elfMagic)) throw new FileError('is not an ELF file: --elf takes a core of gcore or dump-guest-memory, not packed');
  const { at, entry, count: said } = readElf(first).segmentTable();
  const count = typeof said === 'number' ? said : new Bytes(bytesAt(file, said.counter, 4), 'the count of its segments').u32(0);
  const end = at + count * entry;
  if (end > mostHead) throw new FileError(`an ELF whose ${count} program headers end at ${end}`);
  const head = readElf(new Bytes(bytesAt(file, 0, Math.min(size, Math.max(end, 4096))), 'the file'));
  const segments = head.segments(count).filter(({ type, size: held }) => type === loaded && held > 0);
  if (segments.length === 0) throw new FileError('an ELF without memory in it: no segment is loaded');
  return { segments, ...(head.arch && { arch: head.arch }) };
}

function bytesAt(file: number, at: number, length: number): Uint8Array {
  const held = new Uint8Array(length);
  let filled = 0;
  for (let got = 1; got > 0 && filled < length; filled += got) got = readSync(file, held, filled, length - filled, at + filled);
  return held.subarray(0, filled);
}

const physicalOnly = 'it has physical addresses only: --space physical with such a one, or make it with dump-guest-memory -p';

function placesOf(segments: readonly Segment[], physical: boolean): string {
  if (!physical && segments.every(({ virtual }) => virtual === 0n)) return physicalOnly;
  const starts = segments.map((one) => (physical ? one.physical : one.virtual));
  const ends = segments.map((one, i) => (starts[i] ?? 0n) + BigInt(one.size));
  const [low, high] = [starts.reduce((a, b) => (b < a ? b : a)), ends.reduce((a, b) => (b > a ? b : a))];
  return `its ${segments.length} segments lie in 0x${low.toString(16)}..0x${high.toString(16)}`;
}

function addressNamed(text: string): bigint {
  if (!/^(0x[0-9a-f]{1,16}|\d{1,19})$/i.test(text))
    throw new UsageError(`--at ${JSON.stringify(text)}: expected an address, as 0xffff800012340000`);
  return BigInt(text);
}

/** The word at a dotted path of decoded values. */
function wordAt(values: object, path: string): bigint {
  const [head = '', ...rest] = path.split('.');
  const value: unknown = Object.entries(values).find(([name]) => name === head)?.[1];
  if (rest.length > 0 && typeof value === 'object' && value !== null) return wordAt(value, rest.join('.'));
  if (typeof value !== 'bigint') throw new TypeError(`${path} is no word`);
  return value;
}
