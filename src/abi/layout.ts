import { type Arch, alignOfType, sizeOfType } from './arch.ts';
import { isMemoryStruct, type MemoryStructName, memoryStructs } from './memory-h.ts';
import { type FieldType, type Members, type StructName, structs, type UnionType, type Word } from './structs.ts';

/** A struct of either table. */
export type AnyStruct = StructName | MemoryStructName;

/**
 * A leaf of a struct: a scalar, or an array of such, at a byte offset from the start of the
 * outermost struct.
 */
export interface Field extends Within {
  /** Dotted path from the outermost struct, as `in.nr_extents`; members of unions included. */
  readonly path: string;
  readonly name: string;
  readonly type: Word;
  readonly offset: number;
  /** Bytes of one. */
  readonly size: number;
  /** How many: 1 but for an array. */
  readonly count: number;
}

/** The unions that something stands in, from the outermost: which, and the member of it. */
export interface Within {
  readonly within: readonly { readonly union: UnionType; readonly member: string }[];
}

/**
 * Bytes that no field of their struct covers. `owner` is the path of the struct they belong to,
 * `''` for the outermost; `path` is theirs, as `in.padding`, the second one `in.padding2`.
 */
export interface Padding extends Within {
  readonly path: string;
  readonly owner: string;
  readonly offset: number;
  readonly size: number;
}

/**
 * A direct member: a scalar, or an array of such, a struct of a table with its own layout, or a
 * struct or union without a tag with its parts. Offsets are relative to what encloses it, sizes
 * those of the whole member.
 */
export interface Member {
  readonly name: string;
  /** A C type word, `struct` and its tag, or `struct` or `union` alone. */
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly align: number;
  readonly count: number;
  readonly nested?: StructLayout;
  readonly parts?: readonly Member[];
}

/** Where every byte of a struct belongs, on one architecture. Fields of unions overlap. */
export interface Layout<Name extends AnyStruct = AnyStruct> {
  readonly struct: Name;
  readonly arch: Arch;
  readonly size: number;
  readonly align: number;
  readonly members: readonly Member[];
  /** All scalars, nested ones included, in memory order but for unions. */
  readonly fields: readonly Field[];
  /** All padding, nested included, in memory order but for unions. */
  readonly padding: readonly Padding[];
}

/** The layout of a struct whose ops are judged. */
export type StructLayout = Layout<StructName>;

/** The layout of a struct whose ops are named and shown. */
export type MemoryLayout = Layout<MemoryStructName>;

const known = new Map<string, Layout>();

/**
 * The layout of a struct as a C compiler for that architecture makes it: each member at the next
 * multiple of its alignment, the whole rounded up to the largest. Sizes and offsets in bytes.
 * Computed once, then shared.
 */
export function layoutOf<Name extends AnyStruct>(struct: Name, arch: Arch): Layout<Name> {
  const key = `${arch} ${struct}`;
  const found = known.get(key);
  if (found) return found as Layout<Name>;
  const leaves: Leaves = { fields: [], padding: [] };
  const table: { readonly [tag: string]: Members } = { ...structs, ...memoryStructs };
  const placed = inTurn(table[struct] ?? {}, arch, { path: '', offset: 0, within: [] }, leaves);
  const made = { struct, arch, ...placed, ...leaves };
  known.set(key, made);
  return made;
}

/**
 * Of each union that something stands in, what must be so for it to be meant: the field `by` holds
 * one of some values, or none of some. Where no value tells, every member may be.
 */
export function meantWhere({ within }: Within): readonly Condition[] {
  return within.map(({ union: { by = '', of = {}, else: rest }, member }) => {
    const values = (isOwn: boolean): number[] =>
      Object.keys(of)
        .filter((value) => (of[Number(value)] === member) === isOwn)
        .map(Number);
    return rest === undefined || rest === member ? { by, isNot: values(false) } : { by, is: values(true) };
  });
}

/** Can something in unions be meant at all? */
export function isEverMeant(part: Within): boolean {
  return meantWhere(part).every((one) => 'isNot' in one || one.is.length > 0);
}

/** The value of a field is one of these, or none of these. */
export type Condition = { readonly by: string } & ({ readonly is: readonly number[] } | { readonly isNot: readonly number[] });

/**
 * An entry of the list behind a guest handle: its bytes, the multiple at which it begins, and its
 * struct, if it is one; `undefined` where the handle's type does not say.
 */
export function entryOf(handle: string, arch: Arch): { size: number; align: number; struct?: MemoryStructName } | undefined {
  const [, entry = ''] = /\((?:const_)?(\w+)\)$/.exec(handle) ?? [];
  const struct = entry.replace(/_t$/, '');
  if (isMemoryStruct(struct)) {
    const { size, align } = layoutOf(struct, arch);
    return { size, align, struct };
  }
  if (entry === 'void') return undefined;
  const words: { readonly [entry: string]: Word } = { int: 'unsigned int', uint: 'unsigned int', uint8: 'uint8_t', uint64: 'uint64_t' };
  const word = words[entry] ?? (entry as Word);
  return { size: sizeOfType(word, arch), align: alignOfType(word, arch) };
}

/**
 * The field at a dotted path; a `TypeError` if the table has none, since only a wrong program asks
 * for it.
 */
export function fieldOf(layout: Layout, path: string): Field {
  const field = layout.fields.find((f) => f.path === path);
  if (!field) throw new TypeError(`${layout.struct} has no field ${path}`);
  return field;
}

/**
 * What differs between two layouts of one struct, as sentences; empty if they are byte-identical.
 */
export function compareLayouts(a: Layout, b: Layout): string[] {
  const differences: string[] = [];
  const note = (what: string, left: number, right: number): void => {
    if (left !== right) differences.push(`${what}: ${left} on ${a.arch}, ${right} on ${b.arch}`);
  };
  note('size', a.size, b.size);
  note('align', a.align, b.align);
  for (const field of a.fields) {
    const other = fieldOf(b, field.path);
    note(`offset of ${field.path}`, field.offset, other.offset);
    note(`size of ${field.path}`, field.size, other.size);
  }
  return differences;
}

/** What a gap of a struct is called, the first one, the second one, and so on from 0. */
export function paddingName(index: number): string {
  return index === 0 ? 'padding' : `padding${index + 1}`;
}

interface Leaves {
  readonly fields: Field[];
  readonly padding: Padding[];
}

/** Where something begins: its path and offset from the outermost struct, and the unions around. */
interface Place extends Within {
  readonly path: string;
  readonly offset: number;
}

interface Placed {
  readonly size: number;
  readonly align: number;
  readonly members: readonly Member[];
}

/** The members of a struct, one behind the other. */
function inTurn(types: Members, arch: Arch, place: Place, leaves: Leaves): Placed {
  const { path, offset, within } = place;
  const members: Member[] = [];
  let end = 0;
  let align = 1;
  let gaps = 0;
  const padTo = (boundary: number): void => {
    const size = Math.ceil(end / boundary) * boundary - end;
    if (size > 0) leaves.padding.push({ path: dotted(path, paddingName(gaps++)), owner: path, offset: offset + end, size, within });
    end += size;
  };
  for (const [name, type] of Object.entries(types)) {
    padTo(alignOf(type, arch));
    const member = memberOf(name, type, arch, { path: dotted(path, name), offset: offset + end, within }, leaves);
    members.push({ ...member, offset: end });
    align = Math.max(align, member.align);
    end += member.size;
  }
  padTo(align);
  return { size: end, align, members };
}

/** The members of a union, each at its first byte. */
function together(union: UnionType, arch: Arch, { path, offset, within }: Place, leaves: Leaves): Placed {
  const members = Object.entries(union.union).map(([member, type]) =>
    memberOf(member, type, arch, { path: dotted(path, member), offset, within: [...within, { union, member }] }, leaves),
  );
  const align = Math.max(...members.map((one) => one.align));
  const size = Math.max(...members.map((one) => one.size));
  return { size: Math.ceil(size / align) * align, align, members };
}

/** A member at the start of what encloses it. */
function memberOf(name: string, type: FieldType, arch: Arch, place: Place, leaves: Leaves): Member {
  if (typeof type === 'object') {
    const isUnion = 'union' in type;
    const { members: parts, ...extent } = isUnion ? together(type, arch, place, leaves) : inTurn(type.struct, arch, place, leaves);
    return { name, type: isUnion ? 'union' : 'struct', offset: 0, count: 1, ...extent, parts };
  }
  const tag = tagOf(type);
  if (tag) {
    const nested = layoutOf(tag, arch);
    inTurn(structs[tag], arch, place, leaves);
    return { name, type, offset: 0, size: nested.size, align: nested.align, count: 1, nested };
  }
  const { word, count } = wordOf(type);
  const size = sizeOfType(word, arch);
  const { path, offset, within } = place;
  leaves.fields.push({ path, name, type: word, offset, size, count, within });
  return { name, type: word, offset: 0, size: size * count, align: alignOfType(word, arch), count };
}

function alignOf(type: FieldType, arch: Arch): number {
  return memberOf('', type, arch, { path: '', offset: 0, within: [] }, { fields: [], padding: [] }).align;
}

function tagOf(type: string): StructName | undefined {
  return type.startsWith('struct ') ? (type.slice('struct '.length) as StructName) : undefined;
}

/** The word of a type, and how many of it: `uint16_t[3]` is three. */
function wordOf(type: string): { word: Word; count: number } {
  const [, word = type, count = '1'] = /^(.*)\[(\d+)\]$/.exec(type) ?? [];
  return { word: word as Word, count: Number(count) };
}

function dotted(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
