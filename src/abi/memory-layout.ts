import { type Arch, arches } from './arch.ts';
import { type Members, type MemberType, type MemoryStructName, memoryStructs, type UnionType } from './memory-h.ts';

/** A scalar of a struct, or an array of such: bytes of one, and how many. */
export interface MemoryField {
  /** Dotted path from the outermost struct, members of unions included, as `u.nominate.handle`. */
  readonly path: string;
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  /** The unions it stands in, from the outermost: which, and the member of it. */
  readonly within: readonly { readonly union: UnionType; readonly member: string }[];
}

/**
 * Where every byte of one of the other structs belongs, on one architecture. Fields of unions
 * overlap.
 */
export interface MemoryLayout {
  readonly struct: MemoryStructName;
  readonly arch: Arch;
  readonly size: number;
  readonly align: number;
  readonly fields: readonly MemoryField[];
}

const known = new Map<string, MemoryLayout>();

/**
 * The layout of a struct as a C compiler for that architecture makes it, in bytes; computed once.
 */
export function memoryLayoutOf(struct: MemoryStructName, arch: Arch): MemoryLayout {
  const key = `${arch} ${struct}`;
  const found = known.get(key);
  if (found) return found;
  const fields: MemoryField[] = [];
  const { size, align } = placed(memoryStructs[struct], arch, { path: '', offset: 0, within: [], fields });
  const made = { struct, arch, size, align, fields };
  known.set(key, made);
  return made;
}

interface Place {
  readonly path: string;
  readonly offset: number;
  readonly within: MemoryField['within'];
  readonly fields: MemoryField[];
}

interface Extent {
  readonly size: number;
  readonly align: number;
}

/** Lays out members one after another. */
function placed(members: Members, arch: Arch, { path, offset, within, fields }: Place): Extent {
  let end = 0;
  let align = 1;
  for (const [name, type] of Object.entries(members)) {
    const own = extentOf(type, arch);
    align = Math.max(align, own.align);
    const at = Math.ceil(end / own.align) * own.align;
    put(type, arch, { path: `${path}${path && '.'}${name}`, offset: offset + at, within, fields });
    end = at + own.size;
  }
  return { size: Math.ceil(end / align) * align, align };
}

function put(type: MemberType, arch: Arch, place: Place): void {
  if (typeof type === 'string') {
    const { size, count } = scalar(type, arch);
    place.fields.push({ path: place.path, type, offset: place.offset, size, count, within: place.within });
  } else if ('struct' in type) placed(type.struct, arch, place);
  else
    for (const [member, inner] of Object.entries(type.union)) {
      put(inner, arch, { ...place, path: `${place.path}.${member}`, within: [...place.within, { union: type, member }] });
    }
}

function extentOf(type: MemberType, arch: Arch): Extent {
  if (typeof type === 'string') {
    const { size, count, align } = scalar(type, arch);
    return { size: size * count, align };
  }
  if ('struct' in type) return placed(type.struct, arch, { path: '', offset: 0, within: [], fields: [] });
  const inner = Object.values(type.union).map((member) => extentOf(member, arch));
  const align = Math.max(...inner.map((one) => one.align));
  const size = Math.max(...inner.map((one) => one.size));
  return { size: Math.ceil(size / align) * align, align };
}

/** Bytes of a C type in a struct, how many of them, and what their offset is a multiple of. */
function scalar(type: string, arch: Arch): { size: number; count: number; align: number } {
  const [, word = type, count] = /^(.*)\[(\d+)\]$/.exec(type) ?? [];
  const one = sizeOf(word, arch);
  // On i386 a 64-bit word in a struct is 4-aligned, unless its type asks for more.
  const align = one === 8 && arch === 'x86_32' && word === 'uint64_t' ? 4 : one;
  return { size: one, count: count === undefined ? 1 : Number(count), align };
}

function sizeOf(word: string, arch: Arch): number {
  if (word.startsWith('XEN_GUEST_HANDLE_64(')) return 8;
  if (word.startsWith('XEN_GUEST_HANDLE(')) return arches[arch].word;
  switch (word) {
    case 'xen_ulong_t':
    case 'xen_pfn_t':
      return arches[arch].word;
    case 'uint64_t':
    case 'uint64_aligned_t':
      return 8;
    case 'unsigned int':
    case 'uint32_t':
      return 4;
    case 'domid_t':
    case 'uint16_t':
      return 2;
    case 'uint8_t':
      return 1;
    default:
      throw new TypeError(`the table knows no C type ${word}`);
  }
}
