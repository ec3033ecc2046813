import { FileError } from '../bytes.ts';
import type { Cursor } from './cursor.ts';

/** How a unit writes things: its version, and bytes of an address and of an offset. */
export interface Shape {
  readonly version: number;
  readonly address: number;
  readonly offset: number;
}

/** The forms of attribute values (DWARF 5, section 7.5.6, and what GNU added before it). */
export const FORM = {
  addr: 0x01,
  block2: 0x03,
  block4: 0x04,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  string: 0x08,
  block: 0x09,
  block1: 0x0a,
  data1: 0x0b,
  flag: 0x0c,
  sdata: 0x0d,
  strp: 0x0e,
  udata: 0x0f,
  ref_addr: 0x10,
  ref1: 0x11,
  ref2: 0x12,
  ref4: 0x13,
  ref8: 0x14,
  ref_udata: 0x15,
  indirect: 0x16,
  sec_offset: 0x17,
  exprloc: 0x18,
  flag_present: 0x19,
  strx: 0x1a,
  addrx: 0x1b,
  ref_sup4: 0x1c,
  strp_sup: 0x1d,
  data16: 0x1e,
  line_strp: 0x1f,
  ref_sig8: 0x20,
  implicit_const: 0x21,
  loclistx: 0x22,
  rnglistx: 0x23,
  ref_sup8: 0x24,
  strx1: 0x25,
  strx2: 0x26,
  strx3: 0x27,
  strx4: 0x28,
  addrx1: 0x29,
  addrx2: 0x2a,
  addrx3: 0x2b,
  addrx4: 0x2c,
  GNU_addr_index: 0x1f01,
  GNU_str_index: 0x1f02,
  GNU_ref_alt: 0x1f20,
  GNU_strp_alt: 0x1f21,
} as const;

/**
 * Bytes that forms of fixed length take; negative: a multiple of an address (-1) or of an offset
 * (-2).
 */
const fixed: Readonly<Record<number, number>> = {
  [FORM.addr]: -1,
  [FORM.data1]: 1,
  [FORM.data2]: 2,
  [FORM.data4]: 4,
  [FORM.data8]: 8,
  [FORM.data16]: 16,
  [FORM.flag]: 1,
  [FORM.strp]: -2,
  [FORM.ref1]: 1,
  [FORM.ref2]: 2,
  [FORM.ref4]: 4,
  [FORM.ref8]: 8,
  [FORM.sec_offset]: -2,
  [FORM.flag_present]: 0,
  [FORM.ref_sup4]: 4,
  [FORM.ref_sup8]: 8,
  [FORM.strp_sup]: -2,
  [FORM.line_strp]: -2,
  [FORM.ref_sig8]: 8,
  [FORM.implicit_const]: 0,
  [FORM.strx1]: 1,
  [FORM.strx2]: 2,
  [FORM.strx3]: 3,
  [FORM.strx4]: 4,
  [FORM.addrx1]: 1,
  [FORM.addrx2]: 2,
  [FORM.addrx3]: 3,
  [FORM.addrx4]: 4,
  [FORM.GNU_ref_alt]: -2,
  [FORM.GNU_strp_alt]: -2,
};

const leb: ReadonlySet<number> = new Set([
  FORM.sdata,
  FORM.udata,
  FORM.ref_udata,
  FORM.strx,
  FORM.addrx,
  FORM.loclistx,
  FORM.rnglistx,
  FORM.GNU_addr_index,
  FORM.GNU_str_index,
]);

/**
 * Bytes of a form in a unit of this shape, `undefined` where it depends on what is written there.
 */
export function sizeOfForm(form: number, { version, address, offset }: Shape): number | undefined {
  if (form === FORM.ref_addr) return version <= 2 ? address : offset;
  const size = fixed[form];
  return size === -1 ? address : size === -2 ? offset : size;
}

/** Goes behind a value of variable length. */
export function skipForm(cursor: Cursor, form: number, shape: Shape): void {
  const size = sizeOfForm(form, shape);
  if (size !== undefined) cursor.skip(size);
  else if (leb.has(form)) cursor.uleb();
  else if (form === FORM.string) cursor.skipString();
  else if (form === FORM.block1) cursor.skip(cursor.u8());
  else if (form === FORM.block2) cursor.skip(cursor.u16());
  else if (form === FORM.block4) cursor.skip(cursor.u32());
  else if (form === FORM.block || form === FORM.exprloc) cursor.skip(cursor.uleb());
  else if (form === FORM.indirect) skipForm(cursor, direct(cursor), shape);
  else throw unknownForm(form, cursor);
}

/** The form that an indirect value says of itself. */
export function direct(cursor: Cursor): number {
  const form = cursor.uleb();
  if (form === FORM.indirect || form === FORM.implicit_const) throw unknownForm(form, cursor);
  return form;
}

/** The error for a form that no standard has. */
function unknownForm(form: number, { what, at }: Cursor): FileError {
  return new FileError(`${what}: an attribute of unknown form 0x${form.toString(16)} before byte ${at}`);
}
