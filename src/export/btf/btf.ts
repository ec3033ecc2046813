import { BtfError, type Bytes } from './bytes.ts';

/** The kinds of a BTF type, by number (`linux/btf.h`), and the bytes that follow each: `fixed`, and `each` per element of its list. */
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

const modifiers = new Set(['typedef', 'volatile', 'const', 'restrict', 'type tag']);

/** `0xeB9F`, version 1, flags 0, as the file has them. */
export const btfMagic: readonly number[] = [0x9f, 0xeb, 1, 0];

/** Longest header we know: two fields were added since. */
const longestHeader = 32;
/** Longest name worth reading. */
const longestName = 256;
/** Typedefs and qualifiers stand at most a few deep. */
const deepest = 32;
const mostOfOneName = 16;

/** A type as the file has it. `size` is in bytes and only of those that carry one; `to` is the type a pointer or modifier leads to. */
export interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  readonly to: number;
}

/** A member of a struct or union: offset in bits from its start, and the bits of a bit-field, 0 for any other. */
export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  readonly bits: number;
}

/** The types of one BTF blob. */
export interface Btf {
  /** How many types, `void` not counted. */
  readonly count: number;
  /** Bytes of the blob, header included. */
  readonly length: number;
  /** A type by id; `void` is 0. */
  readonly type: (id: number) => BtfType;
  /** The members of a struct or union. */
  readonly members: (type: BtfType) => BtfMember[];
  /** The types of a kind with a name, the first 16: a file with a thousand structs of one name says no more. */
  readonly named: (kind: string, name: string) => BtfType[];
  /** The type itself, behind typedefs and qualifiers; an error where they go round in a circle. */
  readonly bare: (id: number) => BtfType;
}

/**
 * Reads a BTF blob from its first byte; bytes after it are ignored. Every type is walked once, so that a file whose counts, sizes or
 * names lead outside is a `BtfError` before any of it is believed. Takes 4 bytes of memory per 12 of the blob.
 */
export function readBtf(file: Bytes): Btf {
  const { types, strings, length } = sections(file);
  const { at, count } = walk(types, strings);
  const type = (id: number): BtfType => {
    if (id === 0) return { id, kind: 'void', name: '', size: 0, to: 0 };
    if (id > count) throw new BtfError(`type ${id} is meant, there are ${count}`);
    const where = at[id] as number;
    const kind = kindAt(types, where).name;
    const last = types.u32(where + 8);
    const leads = kind === 'pointer' || modifiers.has(kind);
    return { id, kind, name: stringAt(strings, types.u32(where)), size: leads ? 0 : last, to: leads ? last : 0 };
  };
  const members = ({ id, kind }: BtfType): BtfMember[] => {
    if (kind !== 'struct' && kind !== 'union') throw new BtfError(`type ${id} is no struct`);
    const where = at[id] as number;
    const info = types.u32(where + 4);
    return Array.from({ length: info & 0xffff }, (_, i) => {
      const member = where + 12 + 12 * i;
      const offset = types.u32(member + 8);
      const packed = info >>> 31 === 1;
      return {
        name: stringAt(strings, types.u32(member)),
        type: types.u32(member + 4),
        bitOffset: packed ? offset & 0xff_ffff : offset,
        bits: packed ? offset >>> 24 : 0,
      };
    });
  };
  const named = (kind: string, name: string): BtfType[] => {
    const wanted = kinds.findIndex((known) => known.name === kind);
    const found: BtfType[] = [];
    for (let id = 1; id <= count && found.length < mostOfOneName; id++) {
      const where = at[id] as number;
      if (((types.u32(where + 4) >>> 24) & 0x1f) === wanted && isString(strings, types.u32(where), name)) found.push(type(id));
    }
    return found;
  };
  const bare = (id: number): BtfType => {
    let found = type(id);
    for (let depth = 0; modifiers.has(found.kind); depth++) {
      if (depth === deepest) throw new BtfError(`type ${id}: its typedefs go round in a circle`);
      found = type(found.to);
    }
    return found;
  };
  return { count, length, type, members, named, bare };
}

/** The two sections, as the header places them. */
function sections(file: Bytes): { types: Bytes; strings: Bytes; length: number } {
  if (file.length >= 2 && file.u8(0) === 0xeb && file.u8(1) === 0x9f)
    throw new BtfError(`${file.what}: big-endian, which Xen's structs never are`);
  if (file.u16(0) !== 0xeb9f) throw new BtfError(`${file.what}: does not begin with BTF's magic number`);
  if (file.u8(2) !== 1) throw new BtfError(`${file.what}: BTF version ${file.u8(2)}, not 1`);
  const header = file.u32(4);
  if (header < 24 || header > longestHeader) throw new BtfError(`${file.what}: a header of ${header} bytes`);
  const [typeAt, typeSize, stringsAt, stringsSize] = [8, 12, 16, 20].map((at) => file.u32(at)) as [number, number, number, number];
  if (typeAt % 4 !== 0) throw new BtfError(`${file.what}: types at ${typeAt}, which is not a multiple of 4`);
  const types = file.part(header + typeAt, typeSize, 'the types');
  const strings = file.part(header + stringsAt, stringsSize, 'the strings');
  if (typeAt < stringsAt + stringsSize && stringsAt < typeAt + typeSize) throw new BtfError(`${file.what}: types and strings overlap`);
  if (stringsSize === 0 || strings.u8(stringsSize - 1) !== 0) throw new BtfError('the strings: do not end with a zero');
  if (strings.u8(0) !== 0) throw new BtfError("BTF of a module, which goes on from its kernel's: check the kernel");
  return { types, strings, length: header + Math.max(typeAt + typeSize, stringsAt + stringsSize) };
}

/** Where each type begins, by id. */
function walk(types: Bytes, strings: Bytes): { at: Uint32Array; count: number } {
  const at = new Uint32Array(Math.floor(types.length / 12) + 1);
  let count = 0;
  for (let where = 0; where < types.length; ) {
    const { fixed, each, name } = kindAt(types, where);
    const nameAt = types.u32(where);
    if (nameAt >= strings.length) throw new BtfError(`type ${count + 1}: its name is at ${nameAt}, the strings end at ${strings.length}`);
    const end = where + 12 + fixed + each * (types.u32(where + 4) & 0xffff);
    if (end > types.length) throw new BtfError(`type ${count + 1}: a ${name} that runs past the end of the types`);
    count++;
    at[count] = where;
    where = end;
  }
  return { at, count };
}

function kindAt(types: Bytes, where: number): (typeof kinds)[number] {
  const number = (types.u32(where + 4) >>> 24) & 0x1f;
  const kind = kinds[number];
  if (number === 0 || !kind) throw new BtfError(`the types: unknown kind ${number} at byte ${where}`);
  return kind;
}

/** A name, at most its first 256 characters. */
function stringAt(strings: Bytes, at: number): string {
  let text = '';
  for (let i = at; text.length < longestName; i++) {
    const code = strings.u8(i);
    if (code === 0) break;
    text += String.fromCharCode(code);
  }
  return text;
}

function isString(strings: Bytes, at: number, name: string): boolean {
  if (at + name.length >= strings.length) return false;
  for (let i = 0; i < name.length; i++) if (strings.u8(at + i) !== name.charCodeAt(i)) return false;
  return strings.u8(at + name.length) === 0;
}
