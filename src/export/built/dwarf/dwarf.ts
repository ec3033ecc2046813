import { FileError } from '../bytes.ts';
import { bareType, type FileMember, type FileMembers, type FileType, mostMembers, type Types } from '../types.ts';
import { AbbreviationTables, abbreviationOf } from './abbreviations.ts';
import { Cursor } from './cursor.ts';
import { type Entry, goToName, nameAt, type Placed, placeOf, type Reference, readEntry, type StringSections, TAG } from './entries.ts';
import { skipForm } from './forms.ts';
import { type InfoSection, type Unit, unitsOf } from './units.ts';

/** The sections of a file's debug information. Entries may be in several, as one for each type. */
export interface DwarfSections {
  readonly info: readonly { readonly name: string; readonly data: Uint8Array }[];
  readonly abbreviations: Uint8Array;
  readonly strings: StringSections;
}

const kindOfTag: ReadonlyMap<number, string> = new Map([
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

/** What may bear a wanted name. */
const named = new Set<number>([TAG.structure, TAG.class, TAG.typedef]);
/** Floating point, of real and of complex numbers. */
const floats = new Set([3, 4, 9, 0xa, 0xf]);

/** Arrays of arrays stand at most a few deep. */
const deepest = 32;
/** A kernel has one struct as often as files that include its header. */
const mostOfOneName = 50_000;
/** Entries that are looked at to follow types, all in all: types that lead in circles end here. */
const mostLooks = 20_000_000;
/** The id of a type that is in another file. */
const elsewhere = -1;

/**
 * Reads the debug information of a file (DWARF 2 to 5) as far as the layout of these structs needs
 * it: every entry is passed once, and those that bear one of the names are kept. What leads outside
 * of a section, or round in a circle, is a `FileError`.
 */
export function readDwarf({ info, abbreviations, strings }: DwarfSections, names: ReadonlySet<string>): Types {
  const tables = new AbbreviationTables(abbreviations);
  const units: Unit[] = [];
  let base = 0;
  for (const { name, data } of info) {
    const section: InfoSection = { name, data, base };
    for (const unit of unitsOf(section, tables)) units.push(unit);
    base += data.length;
  }
  const signatures = new Map<bigint, number>();
  for (const { signature, typeAt, section, start } of units) {
    if (signature !== undefined && typeAt !== undefined) signatures.set(signature, section.base + start + typeAt);
  }
  const roots = new Map<Unit, Entry | undefined>();
  /**
   * Split units leave out where the offsets of their strings begin: after the header that DWARF 5
   * gave them.
   */
  const assumedBase = ({ shape: { version, offset } }: Unit): number => (version < 5 ? 0 : offset === 8 ? 16 : 8);
  const rootOf = (unit: Unit): Entry | undefined => {
    if (roots.has(unit)) return roots.get(unit);
    // Its own name may stand before what tells where names are: it is read again then.
    let from: number | undefined;
    const read = (): Entry | undefined =>
      readEntry(new Cursor(unit.section.data, unit.section.name, unit.first, unit.end), unit, strings, () => from ?? assumedBase(unit));
    let root = unit.first < unit.end ? read() : undefined;
    if (root?.stringOffsets !== undefined) {
      from = root.stringOffsets;
      root = read();
    }
    roots.set(unit, root);
    return root;
  };
  const baseOf = (unit: Unit): number => rootOf(unit)?.stringOffsets ?? assumedBase(unit);

  if (units.length > 0 && units.every((unit) => unit.skeleton || rootOf(unit)?.splitName !== undefined)) {
    const name = units.map((unit) => rootOf(unit)?.splitName).find((split) => split !== undefined) ?? 'a .dwo file';
    throw new FileError(`split debug information: the types are in ${name}: check that file`);
  }

  let looks = 0;
  const entryAt = (cursor: Cursor, unit: Unit): Entry | undefined => {
    if (looks++ > mostLooks) throw new FileError('the debug information: its types lead round in circles');
    return readEntry(cursor, unit, strings, baseOf);
  };
  const unitOf = (id: number): Unit => {
    let [low, high] = [0, units.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { section, start } = units[middle] as Unit;
      if (section.base + start <= id) low = middle + 1;
      else high = middle;
    }
    const unit = units[low - 1];
    if (!unit || id < unit.section.base + unit.first || id >= unit.section.base + unit.end)
      throw new FileError(`the debug information: byte ${id} is meant, and lies in no unit`);
    return unit;
  };
  const cursorAt = (unit: Unit, at: number): Cursor => new Cursor(unit.section.data, unit.section.name, at, unit.end);
  const entry = (id: number): Entry => {
    const unit = unitOf(id);
    const found = entryAt(cursorAt(unit, id - unit.section.base), unit);
    if (!found) throw new FileError(`the debug information: byte ${id} is meant, and begins no entry`);
    return found;
  };
  const idOf = (reference: Reference | undefined): number => {
    if (reference === undefined) return 0;
    if (reference === 'elsewhere') return elsewhere;
    return 'id' in reference ? reference.id : (signatures.get(reference.signature) ?? elsewhere);
  };
  /** The entries right below one, by way of siblings where they are told. */
  function* childrenOf(parent: Entry): Generator<Entry> {
    if (!parent.children) return;
    const cursor = cursorAt(parent.unit, parent.after);
    for (;;) {
      const child = entryAt(cursor, parent.unit);
      if (!child) return;
      yield child;
      if (!child.children) continue;
      const next = child.sibling === undefined ? 0 : idOf(child.sibling) - parent.unit.section.base;
      if (next > cursor.at && next <= parent.unit.end) cursor.at = next;
      else for (let depth = 1; depth > 0; ) depth += deeper(entryAt(cursor, parent.unit));
    }
  }
  const deeper = (inner: Entry | undefined): number => (inner === undefined ? -1 : inner.children ? 1 : 0);

  const type = (id: number): FileType => {
    if (id === 0) return { id, kind: 'void', name: '', size: 0, to: 0 };
    if (id === elsewhere) return { id, kind: 'type of another file', name: '', size: 0, to: 0 };
    return typeOf(entry(id), 0);
  };
  const typeOf = (found: Entry, depth: number): FileType => {
    // An entry with a signature stands for the type that another unit holds.
    if (found.signature !== undefined && depth === 0) {
      const other = idOf(found.signature);
      if (other !== elsewhere) return typeOf(entry(other), 1);
    }
    const { id, tag, unit } = found;
    const known = kindOfTag.get(tag) ?? 'type of another kind';
    const kind = tag === TAG.base && floats.has(found.encoding ?? 0) ? 'float' : known;
    const to = idOf(found.type);
    const size = found.byteSize ?? (kind === 'pointer' ? unit.shape.address : kind === 'array' ? arraySize(found, depth) : 0);
    const source = rootOf(unit)?.name;
    return { id, kind, name: found.name ?? '', size, to, ...(source !== undefined && source !== '' && { unit: source }) };
  };
  const arraySize = (array: Entry, depth: number): number => {
    if (depth >= deepest) throw new FileError(`type ${array.id}: arrays of arrays without end`);
    let size = idOf(array.type) > 0 ? typeOf(entry(bare(idOf(array.type)).id), depth + 1).size : 0;
    for (const child of childrenOf(array)) {
      if (child.tag === TAG.subrange) size *= child.count ?? (child.upperBound === undefined ? 0 : child.upperBound + 1);
    }
    return size;
  };
  const bare = (id: number): FileType => bareType(type, id);
  const membersOf = new Map<number, FileMembers>();
  const members = (of: FileType): FileMembers => {
    const known = membersOf.get(of.id);
    if (known) return known;
    const list: FileMember[] = [];
    for (const child of childrenOf(entry(of.id))) {
      const static_ = child.external === true || child.declaration === true;
      if ((child.tag !== TAG.member && child.tag !== TAG.inheritance) || static_) continue;
      list.push({ name: child.name ?? '', type: idOf(child.type), bitOffset: bitOffsetOf(child), bits: child.bitSize ?? 0 });
      if (list.length === mostMembers) break;
    }
    const made = { list, count: list.length };
    membersOf.set(of.id, made);
    return made;
  };
  const bitOffsetOf = (member: Entry): number => {
    if (member.dataBitOffset !== undefined) return member.dataBitOffset;
    const start = 8 * (member.location ?? 0);
    if (member.bitOffset === undefined) return start;
    // DWARF 3 counts the bits of a bit-field from the high end of the word it is in.
    const word = 8 * (member.byteSize ?? bare(idOf(member.type)).size);
    return start + word - member.bitOffset - (member.bitSize ?? 0);
  };

  const found = new Map<string, number[]>();
  const wanted = new Map<number, string[]>();
  for (const name of names) wanted.set(name.charCodeAt(0), [...(wanted.get(name.charCodeAt(0)) ?? []), name]);
  const isWanted = (placed: Placed): boolean => {
    return wanted.get(placed.data[placed.at] ?? 0)?.includes(nameAt(placed)) ?? false;
  };
  const keep = (unit: Unit, at: number): void => {
    const { tag, name = '', declaration, signature } = entry(unit.section.base + at);
    const key = `${kindOfTag.get(tag)} ${name}`;
    const ids = found.get(key) ?? [];
    found.set(key, ids);
    if (declaration !== true && signature === undefined && ids.length < mostOfOneName) ids.push(unit.section.base + at);
  };
  for (const unit of units) {
    const cursor = cursorAt(unit, unit.first);
    while (cursor.at < cursor.end) {
      const at = cursor.at;
      const code = cursor.uleb();
      if (code === 0) continue;
      const abbreviation = abbreviationOf(unit.abbreviations, code, cursor);
      const { attributes, size, tag } = abbreviation;
      if (named.has(tag)) {
        const after = cursor.at;
        const form = goToName(cursor, abbreviation, unit);
        const placed = form === undefined ? undefined : placeOf(cursor, form, unit, strings, baseOf);
        if (placed && isWanted(placed)) keep(unit, at);
        cursor.at = after;
      }
      if (size !== undefined) cursor.skip(size);
      else for (const { form } of attributes) skipForm(cursor, form, unit.shape);
    }
  }
  const versions = [...new Set(units.map(({ shape }) => shape.version))].sort();
  const about = `${units.length} ${units.length === 1 ? 'unit' : 'units'} of DWARF ${versions.join(' and ')}`;
  const byName = (kind: string, name: string): FileType[] => (found.get(`${kind} ${name}`) ?? []).map(type);
  return { about, count: units.length, type, members, named: byName, bare };
}
