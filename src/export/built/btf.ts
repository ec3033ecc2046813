import { type Bytes, FileError } from './bytes.ts';
import { bareType, type FileMember, type FileType, modifiers, mostMembers, type Types } from './types.ts';

/**
 * The kinds of a BTF type, by number (`linux/btf.h`), and the bytes that follow each: `fixed`, and
 * `each` per element of its list.
 */
const kinds: readonly { readonly name: string; readonly fixed: number; readonly each: number }[] = [
  { name: 'void', fixed: 0, each: 0 },
  { name: 'int', fixed: 4, each: 0 },
  { name: 'pointer', fixed: 0, each: 0 },
  { name: 'array', fixed: 12, each: 0 },
  { name: 'struct', fixed: 0, each: 12 },
  { name: 'union', fixed: 0, each: 12 },
  { name: 'enum', fixed: 0, each: 8 },
  { name: 'forward', fixed: 0, each: 0 },
  { name: 'typedef', fixed: 0, each: 0 },
  { name: 'volatile', fixed: 0, each: 0 },
  { name: 'const', fixed: 0, each: 0 },
  { name: 'restrict', fixed: 0, each: 0 },
  { name: 'function', fixed: 0, each: 0 },
  { name: 'prototype', fixed: 0, each: 8 },
  { name: 'variable', fixed: 4, each: 0 },
  { name: 'section', fixed: 0, each: 12 },
  { name: 'float', fixed: 0, each: 0 },
  { name: 'tag', fixed: 4, each: 0 },
  { name: 'type tag', fixed: 0, each: 0 },
  { name: 'enum64', fixed: 0, each: 12 },
];

/** `0xeB9F`, version 1, flags 0, as the file has them. */
export const btfMagic: readonly number[] = [0x9f, 0xeb, 1, 0];
/** The number alone, in either byte order. */
const number = { little: btfMagic.slice(0, 2), big: btfMagic.slice(0, 2).reverse() };

/** Bytes of a header, and of the longest we know: two fields were added since. */
const shortestHeader = 24;
const longestHeader = 32;
const mostOfOneName = 16;
/** Arrays of arrays stand at most a few deep. */
const deepest = 32;

/** The types of one BTF blob. */
export interface Btf extends Types {
  /** Bytes of the blob, header included. */
  readonly length: number;
  /** Bytes of its strings, and of those that it goes on from. */
  readonly strings: number;
  /** A string by its offset, and whether one there is this. */
  readonly string: (at: number) => string;
  readonly isString: (at: number, name: string) => boolean;
}

/** Are these the types of a BTF blob? */
export function isBtf(types: Types): types is Btf {
  return 'isString' in types;
}

/**
 * Reads a BTF blob from its first byte; bytes after it are ignored. Every type is walked once, so
 * that a file whose counts, sizes or names lead outside is a `FileError` before any of it is
 * believed. Takes 4 bytes of memory per 12 of the blob. The BTF of a module goes on from `base`,
 * its kernel's.
 */
export function readBtf(file: Bytes, base?: Btf): Btf {
  const { types, strings, length } = sections(file, base);
  const before = base?.strings ?? 0;
  const first = base?.count ?? 0;
  const { at, count } = walk(types, before + strings.length);
  const string = (where: number): string => (base && where < before ? base.string(where) : strings.name(where - before));
  const isString = (where: number, name: string): boolean =>
    base && where < before ? base.isString(where, name) : isNamed(strings, where - before, name);
  const whereOf = (id: number): number => {
    const where = at[id - first];
    if (where === undefined || id - first > count) throw new FileError(`type ${id} is meant, there are ${first + count}`);
    return where;
  };
  const type = (id: number, depth = 0): FileType => {
    if (depth > deepest) throw new FileError(`type ${id}: arrays of arrays without end`);
    if (id === 0) return { id, kind: 'void', name: '', size: 0, to: 0 };
    if (base && id <= first) return base.type(id);
    const where = whereOf(id);
    const kind = kindAt(types, where).name;
    const last = types.u32(where + 8);
    const leads = kind === 'pointer' || modifiers.has(kind);
    const to = leads ? last : kind === 'array' ? types.u32(where + 12) : 0;
    const arraySize = (): number => types.u32(where + 20) * bareType((one) => type(one, depth + 1), to).size;
    const size = kind === 'pointer' ? pointerSize() : leads ? 0 : kind === 'array' ? arraySize() : last;
    return { id, kind, name: string(types.u32(where)), size, to };
  };
  let pointer: number | undefined;
  /** BTF does not say it; on every architecture of the table a pointer is as long as a long. */
  const pointerSize = (): number => {
    pointer ??= ['long unsigned int', 'unsigned long'].flatMap((name) => named('int', name))[0]?.size ?? 8;
    return pointer;
  };
  const members = (of: FileType): { list: FileMember[]; count: number } => {
    if (of.kind !== 'struct' && of.kind !== 'union') throw new FileError(`type ${of.id} is no struct`);
    if (base && of.id <= first) return { ...base.members(of), list: [...base.members(of).list] };
    const where = whereOf(of.id);
    const info = types.u32(where + 4);
    const packed = info >>> 31 === 1;
    const list = Array.from({ length: Math.min(info & 0xffff, mostMembers) }, (_, i) => {
      const member = where + 12 + 12 * i;
      const offset = types.u32(member + 8);
      return {
        name: string(types.u32(member)),
        type: types.u32(member + 4),
        bitOffset: packed ? offset & 0xff_ffff : offset,
        bits: packed ? offset >>> 24 : 0,
      };
    });
    return { list, count: info & 0xffff };
  };
  const named = (kind: string, name: string): FileType[] => {
    const wanted = kinds.findIndex((known) => known.name === kind);
    const found: FileType[] = [];
    for (let id = 1; id <= count && found.length < mostOfOneName; id++) {
      const where = whereOf(first + id);
      if (((types.u32(where + 4) >>> 24) & 0x1f) === wanted && isString(types.u32(where), name)) found.push(type(first + id));
    }
    // What a module uses of its kernel's types is in the kernel's.
    return found.length === 0 && base ? base.named(kind, name) : found;
  };
  const bare = (id: number): FileType => bareType(type, id);
  const about = `${count} types`;
  return { about, count, length, strings: before + strings.length, type, members, named, bare, string, isString };
}

/** What the header at `at` says: its length, and where after it the two sections are. */
function placesIn(file: Bytes, at = 0) {
  return {
    header: file.u32(at + 4),
    typeAt: file.u32(at + 8),
    typeSize: file.u32(at + 12),
    stringsAt: file.u32(at + 16),
    stringsSize: file.u32(at + 20),
  };
}

/** Does the file say that it is BTF, of whatever version and byte order? */
export function isCalledBtf(file: Bytes): boolean {
  return file.begins(0, number.little) || file.begins(0, number.big);
}

/**
 * Could a header be at `at`? Types come first, strings follow them, both lie within the file.
 */
export function isSaneBtf(file: Bytes, at: number): boolean {
  if (!file.begins(at, btfMagic) || at + shortestHeader > file.length) return false;
  const { header, typeAt, typeSize, stringsAt, stringsSize } = placesIn(file, at);
  if (header < shortestHeader || header > longestHeader || typeSize === 0 || typeAt + typeSize > stringsAt) return false;
  return at + header + stringsAt + stringsSize <= file.length;
}

/** The two sections, as the header places them. */
function sections(file: Bytes, base: Btf | undefined): { types: Bytes; strings: Bytes; length: number } {
  if (file.begins(0, number.big)) throw new FileError(`${file.what}: big-endian, which Xen's structs never are`);
  if (!file.begins(0, number.little)) throw new FileError(`${file.what}: does not begin with BTF's magic number`);
  if (file.u8(2) !== 1) throw new FileError(`${file.what}: BTF version ${file.u8(2)}, not 1`);
  const { header, typeAt, typeSize, stringsAt, stringsSize } = placesIn(file);
  if (header < shortestHeader || header > longestHeader) throw new FileError(`${file.what}: a header of ${header} bytes`);
  if (typeAt % 4 !== 0) throw new FileError(`${file.what}: types at ${typeAt}, which is not a multiple of 4`);
  const types = file.part(header + typeAt, typeSize, 'the types');
  const strings = file.part(header + stringsAt, stringsSize, 'the strings');
  if (typeAt < stringsAt + stringsSize && stringsAt < typeAt + typeSize) throw new FileError(`${file.what}: types and strings overlap`);
  if (stringsSize === 0 || strings.u8(stringsSize - 1) !== 0) throw new FileError('the strings: do not end with a zero');
  if (strings.u8(0) !== 0 && !base) {
    throw new FileError("BTF of a module, which goes on from its kernel's: check the kernel, or say --base VMLINUX");
  }
  return { types, strings, length: header + Math.max(typeAt + typeSize, stringsAt + stringsSize) };
}

/** Where each type begins, by id. */
function walk(types: Bytes, strings: number): { at: Uint32Array; count: number } {
  const at = new Uint32Array(Math.floor(types.length / 12) + 1);
  let count = 0;
  for (let where = 0; where < types.length; ) {
    const { fixed, each, name } = kindAt(types, where);
    const nameAt = types.u32(where);
    if (nameAt >= strings) throw new FileError(`type ${count + 1}: its name is at ${nameAt}, the strings end at ${strings}`);
    const end = where + 12 + fixed + each * (types.u32(where + 4) & 0xffff);
    if (end > types.length) throw new FileError(`type ${count + 1}: a ${name} that runs past the end of the types`);
    count++;
    at[count] = where;
    where = end;
  }
  return { at, count };
}

function kindAt(types: Bytes, where: number): (typeof kinds)[number] {
  const number = (types.u32(where + 4) >>> 24) & 0x1f;
  const kind = kinds[number];
  if (number === 0 || !kind) throw new FileError(`the types: unknown kind ${number} at byte ${where}`);
  return kind;
}

function isNamed(strings: Bytes, at: number, name: string): boolean {
  if (at + name.length >= strings.length) return false;
  for (let i = 0; i < name.length; i++) if (strings.u8(at + i) !== name.charCodeAt(i)) return false;
  return strings.u8(at + name.length) === 0;
}
