import { FileError } from './bytes.ts';

/** A type as a file has it. `size` is in bytes and only of those that carry one. */
export interface FileType {
  /** Its number or place in the file. */
  readonly id: number;
  /** `struct`, `union`, `int`, `enum`, `float`, `pointer`, `array`, `typedef`, …, in one word. */
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  /** The type that a pointer, a typedef, a qualifier or an array leads to; 0 is `void`. */
  readonly to: number;
  /** The source it was compiled from, where the file says so. */
  readonly unit?: string;
}

/** A member: its offset in bits from the start, and the bits of a bit-field, 0 for any other. */
export interface FileMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  readonly bits: number;
}

/** The first members of a struct or union, and how many there are, `most` if more. */
export interface FileMembers {
  readonly list: readonly FileMember[];
  readonly count: number;
}

/** More members than this are not read one by one. */
export const mostMembers = 1000;

/** The types of a file, whichever way it has them. */
export interface Types {
  /** Which way that is, and how many, for a person: `14 types`, `3 units of DWARF 5`. */
  readonly about: string;
  readonly count: number;
  /** A type by id; `void` is 0. */
  readonly type: (id: number) => FileType;
  readonly members: (type: FileType) => FileMembers;
  /** The types of a kind with a name, declarations without content left out; bounded. */
  readonly named: (kind: string, name: string) => FileType[];
  /** The type itself, behind typedefs and qualifiers; an error where they go round in a circle. */
  readonly bare: (id: number) => FileType;
}

/** Kinds that only lead to another type. */
export const modifiers: ReadonlySet<string> = new Set(['typedef', 'volatile', 'const', 'restrict', 'atomic', 'type tag']);

/** Typedefs and qualifiers stand at most a few deep. */
const deepest = 32;

/** `Types.bare`, for types that are read by `type`. */
export function bareType(type: Types['type'], id: number): FileType {
  let found = type(id);
  for (let depth = 0; modifiers.has(found.kind); depth++) {
    if (depth === deepest) throw new FileError(`type ${id}: its typedefs go round in a circle`);
    found = type(found.to);
  }
  return found;
}
