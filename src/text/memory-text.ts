import { type Layout, layoutOf } from '../abi/layout.ts';
import { memoryArguments } from '../abi/memory-h.ts';
import { opNumber, xenName } from '../abi/ops.ts';
import { toHex } from '../codec/hex.ts';
import { memoryValues } from '../codec/memory-codec.ts';
import { memoryJson, memoryValueText } from '../codec/memory-json.ts';
import { shownArgument } from '../rules/shown.ts';
import type { ObservedCall } from '../trace/call.ts';
import { typeText } from './layout-text.ts';
import { plain, type Style } from './style.ts';

/**
 * The bytes of a struct that is not judged beside their meaning, a row per field; members of unions
 * that are not meant left out.
 */
export function memoryStructText(layout: Layout, bytes: Uint8Array, style: Style = plain): string[] {
  const rows = memoryValues(layout, bytes)
    .filter(({ meant }) => meant !== false)
    .map((value) => {
      const { path, offset, size, count } = value.field;
      const held = toHex(bytes.subarray(offset, offset + size * count)).replace(/..(?=.)/g, '$& ');
      const either = value.meant === undefined ? '   (one of a union; nothing tells which)' : '';
      return `${style.dim(`0x${offset.toString(16).padStart(2, '0')}`)}│${held.padEnd(23)}│ ${path.padEnd(24)} ${memoryValueText(value)}${either}`;
    });
  const missing = layout.fields.filter(({ offset, size, count }) => offset + size * count > bytes.length);
  const lacks = missing.length > 0 ? [`    not captured: ${missing.map(({ path }) => path).join(', ')}`] : [];
  return [...rows, ...lacks];
}

/**
 * A struct that is not judged, in C, with offset and size of each field; members of unions share
 * their offset.
 */
export function memoryLayoutText({ struct, arch, size, align, fields }: Layout): string[] {
  const width = Math.max(...fields.map((field) => typeText(field).length));
  const rows = fields.map((field) => {
    const text = `    ${typeText(field).padEnd(width)} ${field.path};`;
    return `${text.padEnd(62)}/* ${String(field.offset).padStart(6)} ${String(field.size * field.count).padStart(5)} */`;
  });
  return [
    `${`struct ${struct} {`.padEnd(62)}/* offset  size */`,
    ...rows,
    '',
    `    /* size: ${size}, align: ${align} */`,
    `};  /* ${arch} */`,
  ];
}

/**
 * What is to be said of a call that is not judged: the fields of its argument, where the captured
 * bytes are that op's struct.
 */
export function memoryCallText(call: ObservedCall): string | undefined {
  const name = xenName(call.cmd, call.profile);
  if (name === `op_${opNumber(call.cmd)}`) return 'no Xen has this op';
  if (memoryArguments[name] === 'nothing') return 'takes no argument';
  const argument = shownArgument(call);
  if (!argument) return undefined;
  const { layout, bytes } = argument;
  if (bytes.length !== layout.size) {
    const { size } = layoutOf('xen_memory_reservation', call.arch);
    const shape = bytes.length === size ? ', the shape of a reservation' : '';
    return `${bytes.length} bytes were captured${shape}; ${layout.struct} has ${layout.size}`;
  }
  const fields = memoryValues(layout, bytes).filter(({ meant }) => meant !== false);
  return `${layout.struct}: ${fields.map((value) => `${value.field.path} ${memoryValueText(value)}`).join(', ')}`;
}

/**
 * The same as JSON: the struct and its fields by name, 64-bit words as strings; where the captured
 * bytes are not the struct, how many there are, and no fields.
 */
export function memoryCallJson(call: ObservedCall): object | undefined {
  const argument = shownArgument(call);
  if (!argument) return undefined;
  const { layout, bytes } = argument;
  const { struct, size } = layout;
  if (bytes.length !== size) return { struct, size, captured: bytes.length };
  const { value, rest } = memoryJson(layout, bytes);
  return { struct, size, value, ...(Object.keys(rest).length > 0 && { rest }) };
}
