import { type Arch, sizeOfType } from './arch.ts';
import { type CType, type FieldType, type StructName, structs } from './structs.ts';

/** A leaf of a struct: a scalar at a byte offset from the start of the outermost struct. */
export interface Field {
  /** Dotted path from the outermost struct, as `in.nr_extents`. */
  readonly path: string;
  readonly name: string;
  readonly type: CType;
  readonly offset: number;
  readonly size: number;
}

/**
 * Bytes that no field covers. `owner` is the path of the struct they belong to, `''` for the
 * outermost; `path` is theirs, as `in.padding`.
 */
export interface Padding {
  readonly path: string;
  readonly owner: string;
  readonly offset: number;
  readonly size: number;
}

/**
 * A direct member: a scalar, or a nested struct with its own layout. Offsets are relative to the
 * enclosing struct.
 */
export interface Member {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly size: number;
  readonly nested?: StructLayout;
}

/** Where every byte of a struct belongs, on one architecture. */
export interface StructLayout {
  readonly struct: StructName;
  readonly arch: Arch;
  readonly size: number;
  readonly align: number;
  readonly members: readonly Member[];
  /** All scalars, nested ones included, in memory order. */
  readonly fields: readonly Field[];
  /** All padding, nested included, in memory order. */
  readonly padding: readonly Padding[];
}

const known = new Map<string, StructLayout>();

/**
 * The layout of a struct as a C compiler for that architecture makes it: each member at the next
 * multiple of its alignment, the whole rounded up to the largest. Sizes and offsets in bytes.
 * Computed once, then shared.
 */
export function layoutOf(struct: StructName, arch: Arch): StructLayout {
  const key = `${arch} ${struct}`;
  const found = known.get(key);
  if (found) return found;
  const made = layOut(struct, arch);
  known.set(key, made);
  return made;
}

/**
 * The field at a dotted path; a `TypeError` if the table has none, since only a wrong program asks
 * for it.
 */
export function fieldOf(layout: StructLayout, path: string): Field {
  const field = layout.fields.find((f) => f.path === path);
  if (!field) throw new TypeError(`${layout.struct} has no field ${path}`);
  return field;
}

/**
 * What differs between two layouts of one struct, as sentences; empty if they are byte-identical.
 */
export function compareLayouts(a: StructLayout, b: StructLayout): string[] {
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

function layOut(struct: StructName, arch: Arch): StructLayout {
  const members: Member[] = [];
  const fields: Field[] = [];
  const padding: Padding[] = [];
  let end = 0;
  let align = 1;
  const padTo = (boundary: number): void => {
    const start = end;
    end = Math.ceil(end / boundary) * boundary;
    if (end > start) padding.push({ path: 'padding', owner: '', offset: start, size: end - start });
  };
  for (const [name, type] of Object.entries(structs[struct]) as [string, FieldType][]) {
    const tag = type.startsWith('struct ') ? (type.slice('struct '.length) as StructName) : undefined;
    if (tag) {
      const nested = layoutOf(tag, arch);
      align = Math.max(align, nested.align);
      padTo(nested.align);
      const offset = end;
      members.push({ name, type, offset, size: nested.size, nested });
      for (const f of nested.fields) fields.push({ ...f, path: `${name}.${f.path}`, offset: offset + f.offset });
      for (const p of nested.padding) {
        const owner = p.owner ? `${name}.${p.owner}` : name;
        padding.push({ path: `${name}.${p.path}`, owner, offset: offset + p.offset, size: p.size });
      }
      end += nested.size;
    } else {
      const size = sizeOfType(type as CType, arch);
      align = Math.max(align, size);
      padTo(size);
      members.push({ name, type, offset: end, size });
      fields.push({ path: name, name, type: type as CType, offset: end, size });
      end += size;
    }
  }
  padTo(align);
  return { struct, arch, size: end, align, members, fields, padding };
}
