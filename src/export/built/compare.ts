import { type Arch, arches, archNames } from '../../abi/arch.ts';
import { type AnyStruct, type Layout, layoutOf, type Member } from '../../abi/layout.ts';
import { memoryStructNames } from '../../abi/memory-h.ts';
import { type StructName, structNames } from '../../abi/structs.ts';
import type { Found } from './find.ts';
import { type FileField, fieldsOf, isCalled, structsCalled, unwrapped } from './shape.ts';
import { type FileType, mostMembers, type Types } from './types.ts';

/** One struct of the file beside the table. Sizes and offsets in bytes. */
export interface Compared {
  readonly struct: AnyStruct;
  /** What the file calls it, where that is another name. */
  readonly as?: string;
  readonly size: number;
  readonly fields: number;
  /** What differs, as sentences; empty if nothing does. */
  readonly differences: readonly string[];
  /** The source that has it so, where others of the file have it otherwise. */
  readonly unit?: string;
}

/** Every struct of the table that a file has, beside the table, and the architecture taken. */
export interface Comparison {
  readonly arch: Arch;
  /**
   * Who said which architecture it is: the option, the file, or, where neither did, the one that
   * fits best.
   */
  readonly archFrom: 'asked' | 'file' | 'guessed';
  readonly structs: readonly Compared[];
  readonly absent: readonly StructName[];
}

/** What to compare, and as what. */
export interface Wanted {
  /** Where none is said: those that are judged, and of the others of memory.h what the file has. */
  readonly structs?: readonly AnyStruct[];
  readonly arch?: Arch;
  /** Other names, in the file, of structs of the table. */
  readonly as?: ReadonlyMap<string, AnyStruct>;
  /** Other names, in the file, of fields of the table. */
  readonly fields?: ReadonlyMap<string, string>;
}

/** Every struct of the tables. */
const everyStruct: readonly AnyStruct[] = [...structNames, ...memoryStructNames];
/** More members than this are not told one by one. */
const mostTold = 100;
/** More ways in which one file has one struct are not told. */
const mostWays = 16;

/** Every name that a struct of the table may have in a file. */
export function namesFor({ structs = everyStruct, as = new Map() }: Wanted): Set<string> {
  return new Set([...structs, ...structs.map((name) => `${name}_t`), ...as.keys()]);
}

/**
 * Compares the structs of a file with the table, for the architecture asked for, else the file's
 * own, else the one that fits best.
 */
export function compareTypes(found: Found, wanted: Wanted = {}): Comparison {
  const arch = wanted.arch ?? found.arch;
  if (arch) return compareFor(found, wanted, arch, wanted.arch ? 'asked' : 'file');
  const pointer = found.pointer ?? found.types.named('int', 'long unsigned int')[0]?.size;
  const possible = archNames.filter((name) => pointer === undefined || arches[name].pointer === pointer);
  // arm64 before x86_64 and arm32 before x86_32: where layouts are equal, that is what these
  // structs are for.
  const order: readonly Arch[] = ['arm64', 'arm32', 'x86_64', 'x86_32'];
  const tried = order.filter((name) => possible.includes(name)).map((name) => compareFor(found, wanted, name, 'guessed'));
  const drift = (c: Comparison): number => c.structs.reduce((sum, s) => sum + s.differences.length, 0);
  return tried.reduce((best, next) => (drift(next) < drift(best) ? next : best), tried[0] ?? compareFor(found, wanted, 'arm64', 'guessed'));
}

function compareFor(found: Found, wanted: Wanted, arch: Arch, archFrom: Comparison['archFrom']): Comparison {
  const { structs: names = everyStruct, as = new Map<string, AnyStruct>() } = wanted;
  const structs = names.flatMap((name) => {
    const aliases = [...as].filter(([, of]) => of === name).map(([alias]) => alias);
    return [name, ...aliases].flatMap((called) => ways(found.types, name, called, arch, wanted.fields));
  });
  const seen = new Set<AnyStruct>(structs.map(({ struct }) => struct));
  return { arch, archFrom, structs, absent: structNames.filter((name) => names.includes(name) && !seen.has(name)) };
}

/**
 * The different ways in which a file has a struct: as a rule one, however many sources include the
 * header.
 */
function ways(types: Types, name: AnyStruct, called: string, arch: Arch, others?: Wanted['fields']): Compared[] {
  const layout = layoutOf(name, arch);
  const made = new Map<string, { compared: Compared; unit: string | undefined }>();
  for (const type of structsCalled(types, called)) {
    const found = differences(types, type, { ...layout, path: '' }, others);
    const key = JSON.stringify([type.size, found]);
    if (made.has(key)) continue;
    if (made.size === mostWays) break;
    const other = called === name ? {} : { as: called };
    const compared = { struct: name, ...other, size: type.size, fields: layout.fields.length, differences: found };
    made.set(key, { compared, unit: type.unit });
  }
  const several = made.size > 1;
  return [...made.values()].map(({ compared, unit }) => (several && unit !== undefined ? { ...compared, unit } : compared));
}

/** A struct of the table, or one or a union in it. */
type Inside = Pick<Layout, 'arch' | 'size' | 'members'> & { readonly path: string };

function differences(types: Types, type: FileType, layout: Inside, others?: Wanted['fields']): string[] {
  const { path } = layout;
  const found: string[] = [];
  if (type.size !== layout.size)
    found.push(`${path === '' ? 'size' : `size of ${path}`}: ${type.size} in the file, ${layout.size} in the table`);
  const { fields, count } = fieldsOf(types, type);
  if (count > mostTold) {
    const many = count === mostMembers ? `${mostMembers} or more` : count;
    return [...found, `${path}${path && ': '}${many} members in the file, ${layout.members.length} in the table`];
  }
  const matched = new Set<FileField>();
  for (const member of layout.members) {
    const other = fields.find(({ name }) => others?.get(name) === member.name || isCalled(name, member.name));
    if (other) {
      matched.add(other);
      found.push(...memberDifferences(types, other, member, layout.arch, path, others));
    } else {
      found.push(`${path}${path && '.'}${member.name}: not in the file (${member.offset}..${member.offset + member.size} in the table)`);
    }
  }
  for (const extra of fields) {
    // In a union the same bytes have several names.
    const isOther = [...matched].some(({ bitOffset }) => bitOffset === extra.bitOffset);
    if (isOther || isPadding(extra, layout)) continue;
    found.push(`${path}${path && '.'}${extra.name || '(unnamed)'}: at ${extra.bitOffset / 8} in the file, not in the table`);
  }
  return found;
}

function memberDifferences(types: Types, member: FileField, table: Member, arch: Arch, path: string, others?: Wanted['fields']): string[] {
  const name = `${path}${path && '.'}${table.name}`;
  const found: string[] = [];
  const offset = member.bitOffset / 8;
  if (offset !== table.offset) found.push(`offset of ${name}: ${offset} in the file, ${table.offset} in the table`);
  const type = types.bare(member.type);
  if (member.bits !== 0) return [...found, `${name}: a bit-field of ${member.bits} bits in the file`];
  const members = table.nested?.members ?? table.parts;
  if (members) {
    const kind = table.type === 'union' ? 'union' : 'struct';
    return type.kind === kind
      ? [...found, ...differences(types, type, { arch, size: table.size, members, path: name }, others)]
      : [...found, `${name}: ${aKind(type.kind)} in the file, a ${kind} in the table`];
  }
  const handle = table.type.startsWith('XEN_GUEST_HANDLE');
  const inner = handle || table.count > 1 ? type : unwrapped(types, type);
  // Linux wraps a guest handle in a struct or union on some architectures and has a plain pointer
  // on others.
  const fits = handle ? ['pointer', 'struct', 'union', 'int'] : table.count > 1 ? ['array'] : ['int', 'enum'];
  const said = table.count > 1 ? `an array of ${table.count} ${table.type}` : table.type;
  if (!fits.includes(inner.kind)) return [...found, `${name}: ${aKind(inner.kind)} in the file, ${said} in the table`];
  const size = inner.kind === 'pointer' ? inner.size || arches[arch].pointer : type.size;
  if (size !== table.size) found.push(`size of ${name}: ${size} in the file, ${table.size} in the table`);
  return found;
}

function aKind(kind: string): string {
  if (kind === 'void' || kind.startsWith('type ')) return kind;
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

/**
 * A member that only names what the table calls padding. One that is longer than that moves what
 * follows it, or the end.
 */
function isPadding(member: FileField, { members, size }: Inside): boolean {
  if (!/^(_*(pad|padding|reserved|rsvd)\d*_*)?$/i.test(member.name)) return false;
  const start = member.bitOffset / 8;
  return start < size && !members.some((one) => start >= one.offset && start < one.offset + one.size);
}
