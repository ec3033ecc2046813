import { FileError } from '../bytes.ts';
import { bareType, type FileMember, type FileMembers, type FileType, mostMembers, type Types } from '../types.ts';
import { type Entry, kindOfTag, TAG } from './entries.ts';
import { idsByName } from './names.ts';
import { type DwarfSections, elsewhere, treeOf } from './tree.ts';

/** Floating point, of real and of complex numbers. */
const floats = new Set([3, 4, 9, 0xa, 0xf]);

/** Arrays of arrays stand at most a few deep. */
const deepest = 32;

/**
 * Reads the debug information of a file (DWARF 2 to 5) as far as the layout of these structs needs
 * it: every entry is passed once, and those that bear one of the names are kept. What leads outside
 * of a section, or round in a circle, is a `FileError`.
 */
export function readDwarf(sections: DwarfSections, names: ReadonlySet<string>): Types {
  const tree = treeOf(sections);
  const { units, rootOf, entry, idOf, childrenOf } = tree;
  const found = idsByName(tree, names);

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

  const versions = [...new Set(units.map(({ shape }) => shape.version))].sort();
  const about = `${units.length} ${units.length === 1 ? 'unit' : 'units'} of DWARF ${versions.join(' and ')}`;
  const byName = (kind: string, name: string): FileType[] => (found.get(`${kind} ${name}`) ?? []).map(type);
  return { about, count: units.length, type, members, named: byName, bare };
}
