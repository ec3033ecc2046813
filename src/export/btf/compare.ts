import { type Arch, arches, archNames } from '../../abi/arch.ts';
import { layoutOf, type Member, type StructLayout } from '../../abi/layout.ts';
import { type StructName, structNames } from '../../abi/structs.ts';
import type { Btf, BtfMember, BtfType } from './btf.ts';
import type { FoundBtf } from './find.ts';

/** One struct of the file beside the table. Sizes and offsets in bytes. */
export interface Compared {
  readonly struct: StructName;
  readonly size: number;
  readonly fields: number;
  /** What differs, as sentences; empty if nothing does. */
  readonly differences: readonly string[];
}

/** Every struct of the table that a file has, beside the table, and the architecture taken. */
export interface Comparison {
  readonly arch: Arch;
  /** Who said which architecture it is: the option, the file, or, where neither did, the one that fits best. */
  readonly archFrom: 'asked' | 'file' | 'guessed';
  readonly structs: readonly Compared[];
  readonly absent: readonly StructName[];
}

/** Later headers give the same bytes another name. */
const alsoCalled: Readonly<Record<string, string>> = { address_bits: 'mem_flags' };

/** More members than this are not told one by one. */
const mostMembers = 100;

/** Compares the structs of a file with the table, for the architecture asked for, else the file's own, else the one that fits best. */
export function compareBtf({ btf, arch: own }: FoundBtf, wanted: readonly StructName[] = structNames, asked?: Arch): Comparison {
  const arch = asked ?? own;
  if (arch) return compareFor(btf, wanted, arch, asked ? 'asked' : 'file');
  const long = btf.named('int', 'long unsigned int')[0]?.size;
  const possible = archNames.filter((name) => long === undefined || arches[name].pointer === long);
  // arm64 before x86_64 and arm32 before x86_32: where layouts are equal, that is what these structs are for.
  const order: readonly Arch[] = ['arm64', 'arm32', 'x86_64', 'x86_32'];
  const tried = order.filter((name) => possible.includes(name)).map((name) => compareFor(btf, wanted, name, 'guessed'));
  const drift = (c: Comparison): number => c.structs.reduce((sum, s) => sum + s.differences.length, 0);
  return tried.reduce((best, next) => (drift(next) < drift(best) ? next : best), tried[0] ?? compareFor(btf, wanted, 'arm64', 'guessed'));
}

function compareFor(btf: Btf, wanted: readonly StructName[], arch: Arch, archFrom: Comparison['archFrom']): Comparison {
  const structs = wanted.flatMap((name) =>
    btf.named('struct', name).map((type) => {
      const layout = layoutOf(name, arch);
      return { struct: name, size: type.size, fields: layout.fields.length, differences: differences(btf, type, layout, '') };
    }),
  );
  const seen = new Set(structs.map(({ struct }) => struct));
  return { arch, archFrom, structs, absent: wanted.filter((name) => !seen.has(name)) };
}

function differences(btf: Btf, type: BtfType, layout: StructLayout, path: string): string[] {
  const found: string[] = [];
  if (type.size !== layout.size)
    found.push(`${path === '' ? 'size' : `size of ${path}`}: ${type.size} in the file, ${layout.size} in the table`);
  const members = btf.members(type);
  if (members.length > mostMembers)
    return [...found, `${path}${path && ': '}${members.length} members in the file, ${layout.members.length} in the table`];
  const matched = new Set<BtfMember>();
  for (const member of layout.members) {
    const other = members.find(({ name }) => name === member.name || name === alsoCalled[member.name]);
    if (other) {
      matched.add(other);
      found.push(...memberDifferences(btf, other, member, layout.arch, path));
    } else {
      found.push(`${path}${path && '.'}${member.name}: not in the file (${member.offset}..${member.offset + member.size} in the table)`);
    }
  }
  for (const extra of members) {
    if (matched.has(extra) || isPadding(extra, layout)) continue;
    found.push(`${path}${path && '.'}${extra.name || '(unnamed)'}: at ${extra.bitOffset / 8} in the file, not in the table`);
  }
  return found;
}

function memberDifferences(btf: Btf, member: BtfMember, table: Member, arch: Arch, path: string): string[] {
  const name = `${path}${path && '.'}${table.name}`;
  const found: string[] = [];
  const offset = member.bitOffset / 8;
  if (offset !== table.offset) found.push(`offset of ${name}: ${offset} in the file, ${table.offset} in the table`);
  const type = btf.bare(member.type);
  if (member.bits !== 0) return [...found, `${name}: a bit-field of ${member.bits} bits in the file`];
  if (table.nested) {
    return type.kind === 'struct'
      ? [...found, ...differences(btf, type, table.nested, name)]
      : [...found, `${name}: a ${type.kind} in the file, a struct in the table`];
  }
  const handle = table.type.startsWith('XEN_GUEST_HANDLE');
  // Linux wraps a guest handle in a struct or union on some architectures and has a plain pointer on others.
  const fits = handle ? ['pointer', 'struct', 'union', 'int'] : ['int', 'enum'];
  if (!fits.includes(type.kind)) return [...found, `${name}: a ${type.kind} in the file, ${table.type} in the table`];
  const size = type.kind === 'pointer' ? arches[arch].pointer : type.size;
  if (size !== table.size) found.push(`size of ${name}: ${size} in the file, ${table.size} in the table`);
  return found;
}

/** A member that only names what the table calls padding. One that is longer than that moves what follows it, or the end. */
function isPadding(member: BtfMember, layout: StructLayout): boolean {
  if (!/^(_*(pad|padding|reserved|rsvd)\d*_*)?$/i.test(member.name)) return false;
  const start = member.bitOffset / 8;
  return layout.padding.some((gap) => start >= gap.offset && start < gap.offset + gap.size);
}
