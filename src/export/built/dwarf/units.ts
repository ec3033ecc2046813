import { FileError } from '../bytes.ts';
import type { Abbreviations, AbbreviationTables } from './abbreviations.ts';
import { Cursor } from './cursor.ts';
import type { Shape } from './forms.ts';

/**
 * A section of entries. `base` is added to a byte's place in it to tell it from those of the
 * others.
 */
export interface InfoSection {
  readonly name: string;
  readonly data: Uint8Array;
  readonly base: number;
}

/** A unit: what one compilation made, a part of it that others share, or one type. */
export interface Unit {
  readonly section: InfoSection;
  /** Bytes of the section: its header begins, its entries begin, it ends. */
  readonly start: number;
  readonly first: number;
  readonly end: number;
  readonly shape: Shape;
  readonly abbreviations: Abbreviations;
  /** A unit that stands for one in another file. */
  readonly skeleton: boolean;
  /** Of a unit of one type: what others call it by, and where it is in the unit. */
  readonly signature?: bigint;
  readonly typeAt?: number;
}

/** Kinds of units from DWARF 5 on. */
const UNIT = { type: 2, skeleton: 4, splitCompile: 5, splitType: 6 } as const;

const mostUnits = 200_000;

/** The units of a section, in its order. */
export function unitsOf(section: InfoSection, tables: AbbreviationTables): Unit[] {
  const { data, name } = section;
  const units: Unit[] = [];
  for (let start = 0; start < data.length; ) {
    const cursor = new Cursor(data, name, start);
    const [length, offset] = initialLength(cursor);
    const end = cursor.at + length;
    if (end > data.length) throw new FileError(`${name}: a unit at byte ${start} that ends at ${end} of ${data.length}`);
    cursor.end = end;
    // Linkers fill gaps with zeros.
    if (length > 0) units.push(unitAt(section, start, cursor, offset, tables));
    if (units.length > mostUnits) throw new FileError(`${name}: more than ${mostUnits} units`);
    start = end;
  }
  return units;
}

/** The length that a unit or a table begins with, and the bytes of an offset in it. */
function initialLength(cursor: Cursor): [length: number, offset: 4 | 8] {
  const length = cursor.u32();
  if (length < 0xffff_fff0) return [length, 4];
  if (length !== 0xffff_ffff) throw new FileError(`${cursor.what}: a unit of reserved length before byte ${cursor.at}`);
  return [cursor.u64(), 8];
}

function unitAt(section: InfoSection, start: number, cursor: Cursor, offset: 4 | 8, tables: AbbreviationTables): Unit {
  const version = cursor.u16();
  if (version < 2 || version > 5) throw new FileError(`${section.name}: DWARF version ${version}, not 2 to 5`);
  const kind = version >= 5 ? cursor.u8() : section.name.startsWith('.debug_types') ? UNIT.type : 1;
  let address = version >= 5 ? cursor.u8() : 0;
  const abbreviationsAt = cursor.uint(offset);
  if (version < 5) address = cursor.u8();
  if (![2, 4, 8].includes(address)) throw new FileError(`${section.name}: a unit at byte ${start} with addresses of ${address} bytes`);
  const own = kind === UNIT.type || kind === UNIT.splitType;
  const signature = own ? cursor.word() : undefined;
  const typeAt = own ? cursor.uint(offset) : undefined;
  if (version >= 5 && (kind === UNIT.skeleton || kind === UNIT.splitCompile)) cursor.skip(8);
  const shape = { version, address, offset };
  return {
    section,
    start,
    first: cursor.at,
    end: cursor.end,
    shape,
    abbreviations: tables.table(abbreviationsAt, shape),
    skeleton: kind === UNIT.skeleton,
    ...(signature !== undefined && typeAt !== undefined && { signature, typeAt }),
  };
}
