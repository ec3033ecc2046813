import { FileError } from '../bytes.ts';
import { type Abbreviation, abbreviationOf } from './abbreviations.ts';
import { Cursor } from './cursor.ts';
import { direct, FORM, skipForm } from './forms.ts';
import type { Unit } from './units.ts';

/** Kinds of entries. */
export const TAG = {
  array: 0x01,
  class: 0x02,
  enumeration: 0x04,
  member: 0x0d,
  pointer: 0x0f,
  reference: 0x10,
  structure: 0x13,
  typedef: 0x16,
  union: 0x17,
  inheritance: 0x1c,
  subrange: 0x21,
  base: 0x24,
  const: 0x26,
  volatile: 0x35,
  restrict: 0x37,
  rvalueReference: 0x42,
  atomic: 0x47,
} as const;

/** What a layout calls each kind. */
export const kindOfTag: ReadonlyMap<number, string> = new Map([
  [TAG.structure, 'struct'],
  [TAG.class, 'struct'],
  [TAG.union, 'union'],
  [TAG.enumeration, 'enum'],
  [TAG.base, 'int'],
  [TAG.pointer, 'pointer'],
  [TAG.reference, 'pointer'],
  [TAG.rvalueReference, 'pointer'],
  [TAG.array, 'array'],
  [TAG.typedef, 'typedef'],
  [TAG.const, 'const'],
  [TAG.volatile, 'volatile'],
  [TAG.restrict, 'restrict'],
  [TAG.atomic, 'atomic'],
]);

const AT = {
  sibling: 0x01,
  name: 0x03,
  byteSize: 0x0b,
  bitOffset: 0x0c,
  bitSize: 0x0d,
  upperBound: 0x2f,
  count: 0x37,
  location: 0x38,
  declaration: 0x3c,
  encoding: 0x3e,
  external: 0x3f,
  type: 0x49,
  signature: 0x69,
  dataBitOffset: 0x6b,
  stringOffsets: 0x72,
  splitName: 0x76,
  splitNameOfGnu: 0x2130,
} as const;

/** Where the type of an entry is: in its unit, anywhere, by its signature, or in another file. */
export type Reference = { readonly id: number } | { readonly signature: bigint } | 'elsewhere';

/** What an entry says, as far as a layout needs it. Numbers are as they are in the file. */
export interface Entry {
  readonly unit: Unit;
  readonly id: number;
  readonly tag: number;
  readonly children: boolean;
  /** The byte of the section after it, where its children begin. */
  readonly after: number;
  name?: string;
  byteSize?: number;
  bitOffset?: number;
  bitSize?: number;
  upperBound?: number;
  count?: number;
  location?: number;
  declaration?: boolean;
  encoding?: number;
  external?: boolean;
  type?: Reference;
  signature?: Reference;
  sibling?: Reference;
  dataBitOffset?: number;
  stringOffsets?: number;
  splitName?: string;
}

/** The sections that strings of entries are in, each empty where the file has none. */
export interface StringSections {
  readonly plain: Uint8Array;
  readonly line: Uint8Array;
  readonly offsets: Uint8Array;
}

/** Where a string begins: in which bytes, at which. */
export type Placed = { readonly data: Uint8Array; readonly at: number };

/**
 * Reads the entry at the cursor; `undefined` for the mark that ends a list of children. `baseOf`
 * tells where offsets of a unit's strings begin.
 */
export function readEntry(cursor: Cursor, unit: Unit, strings: StringSections, baseOf: (unit: Unit) => number): Entry | undefined {
  const id = unit.section.base + cursor.at;
  const code = cursor.uleb();
  if (code === 0) return undefined;
  const abbreviation = abbreviationOf(unit.abbreviations, code, cursor);
  const read: Omit<Entry, 'unit' | 'id' | 'tag' | 'children' | 'after'> = {};
  const text = (form: number): string => {
    const placed = placeOf(cursor, form, unit, strings, baseOf);
    return placed === undefined ? '' : nameAt(placed);
  };
  for (const { name, form: written, constant } of abbreviation.attributes) {
    const form = written === FORM.indirect ? direct(cursor) : written;
    if (name === AT.name) read.name = text(form);
    else if (name === AT.byteSize) set(read, 'byteSize', number(cursor, form, constant, unit));
    else if (name === AT.type) set(read, 'type', reference(cursor, form, unit));
    else if (name === AT.location) set(read, 'location', number(cursor, form, constant, unit));
    else if (name === AT.sibling) set(read, 'sibling', reference(cursor, form, unit));
    else if (name === AT.bitOffset) set(read, 'bitOffset', number(cursor, form, constant, unit));
    else if (name === AT.bitSize) set(read, 'bitSize', number(cursor, form, constant, unit));
    else if (name === AT.dataBitOffset) set(read, 'dataBitOffset', number(cursor, form, constant, unit));
    else if (name === AT.upperBound) set(read, 'upperBound', number(cursor, form, constant, unit));
    else if (name === AT.count) set(read, 'count', number(cursor, form, constant, unit));
    else if (name === AT.encoding) set(read, 'encoding', number(cursor, form, constant, unit));
    else if (name === AT.declaration) read.declaration = flag(cursor, form);
    else if (name === AT.external) read.external = flag(cursor, form);
    else if (name === AT.signature) set(read, 'signature', reference(cursor, form, unit));
    else if (name === AT.stringOffsets) set(read, 'stringOffsets', number(cursor, form, constant, unit));
    else if (name === AT.splitName || name === AT.splitNameOfGnu) read.splitName = text(form);
    else skipForm(cursor, form, unit.shape);
  }
  return { unit, id, tag: abbreviation.tag, children: abbreviation.children, after: cursor.at, ...read };
}

function set<T, K extends keyof T>(into: T, key: K, value: T[K] | undefined): void {
  if (value !== undefined) into[key] = value;
}

/** Is there a name among the attributes? Goes to the value of it, else behind the whole entry. */
export function goToName(cursor: Cursor, { attributes }: Abbreviation, unit: Unit): number | undefined {
  for (const { name, form } of attributes) {
    if (name === AT.name) return form === FORM.indirect ? direct(cursor) : form;
    skipForm(cursor, form, unit.shape);
  }
  return undefined;
}

/**
 * Where the string that a form tells of begins; `undefined` where it is in another file. Goes
 * behind the form.
 */
export function placeOf(
  cursor: Cursor,
  form: number,
  unit: Unit,
  strings: StringSections,
  baseOf: (unit: Unit) => number,
): Placed | undefined {
  const { offset } = unit.shape;
  if (form === FORM.string) {
    const at = cursor.at;
    cursor.skipString();
    return { data: cursor.data, at };
  }
  if (form === FORM.strp) return { data: strings.plain, at: cursor.uint(offset) };
  if (form === FORM.line_strp) return { data: strings.line, at: cursor.uint(offset) };
  const indexed = form === FORM.strx || form === FORM.GNU_str_index;
  if (indexed || (form >= FORM.strx1 && form <= FORM.strx4)) {
    const index = indexed ? cursor.uleb() : cursor.uint(form - FORM.strx1 + 1);
    const place = new Cursor(strings.offsets, '.debug_str_offsets', baseOf(unit) + index * offset);
    return { data: strings.plain, at: place.uint(offset) };
  }
  skipForm(cursor, form, unit.shape);
  return undefined;
}

/** A name, at most its first 256 characters. */
export function nameAt({ data, at }: Placed): string {
  if (at >= data.length) throw new FileError(`a name at byte ${at} of strings that have ${data.length}`);
  let text = '';
  for (let i = at; i < Math.min(at + 256, data.length); i++) {
    const code = data[i] ?? 0;
    if (code === 0) break;
    text += String.fromCharCode(code);
  }
  return text;
}

function number(cursor: Cursor, form: number, constant: number, unit: Unit): number | undefined {
  switch (form) {
    case FORM.data1:
      return cursor.u8();
    case FORM.data2:
      return cursor.u16();
    case FORM.data4:
      return cursor.u32();
    case FORM.data8:
      return cursor.u64();
    case FORM.udata:
      return cursor.uleb();
    case FORM.sdata:
      return cursor.sleb();
    case FORM.sec_offset:
      return cursor.uint(unit.shape.offset);
    case FORM.implicit_const:
      return constant;
    case FORM.exprloc:
    case FORM.block1:
    case FORM.block:
      return expression(cursor, form === FORM.block1 ? cursor.u8() : cursor.uleb());
    default:
      skipForm(cursor, form, unit.shape);
      return undefined;
  }
}

/** DWARF 2 has the place of a member as an expression: add this constant. */
function expression(cursor: Cursor, length: number): number | undefined {
  const end = cursor.at + length;
  const plus = length > 1 && cursor.u8() === 0x23 ? cursor.uleb() : undefined;
  cursor.at = end;
  cursor.skip(0);
  return plus;
}

function flag(cursor: Cursor, form: number): boolean {
  return form === FORM.flag_present || cursor.u8() !== 0;
}

function reference(cursor: Cursor, form: number, unit: Unit): Reference | undefined {
  const here = unit.section.base + unit.start;
  switch (form) {
    case FORM.ref1:
      return { id: here + cursor.u8() };
    case FORM.ref2:
      return { id: here + cursor.u16() };
    case FORM.ref4:
      return { id: here + cursor.u32() };
    case FORM.ref8:
      return { id: here + cursor.u64() };
    case FORM.ref_udata:
      return { id: here + cursor.uleb() };
    case FORM.ref_addr:
      return { id: cursor.uint(unit.shape.version <= 2 ? unit.shape.address : unit.shape.offset) };
    case FORM.ref_sig8:
      return { signature: cursor.word() };
    default:
      skipForm(cursor, form, unit.shape);
      return 'elsewhere';
  }
}
