import type { Layout } from '../abi/layout.ts';
import { AbiError } from './errors.ts';
import { fromHex, hex64, toHex } from './hex.ts';
import { encodeMemory, type MemoryScalar, type MemoryValue, memoryValues } from './memory-codec.ts';

/**
 * A struct as JSON has it: fields by name, nested; 64-bit words as hex strings, arrays as lists.
 */
export interface MemoryJson {
  readonly value: object;
  /**
   * Bytes that no field of `value` covers and that are not zero, by their offset: padding, and
   * members of unions that are not meant.
   */
  readonly rest: Readonly<Record<string, string>>;
}

/**
 * The fields of a struct that are meant, or may be, as JSON; a field that was not captured is left
 * out.
 */
export function memoryJson(layout: Layout, bytes: Uint8Array): MemoryJson {
  const value: Nested = {};
  const covered = new Uint8Array(layout.size);
  for (const { field, values, meant } of memoryValues(layout, bytes)) {
    if (meant === false) continue;
    covered.fill(1, field.offset, field.offset + field.size * field.count);
    const shown = values.map(scalarJson);
    put(value, field.path.split('.'), field.count === 1 ? (shown[0] ?? 0) : shown);
  }
  const rest: Record<string, string> = {};
  for (let at = 0; at < Math.min(bytes.length, layout.size); at++) {
    if (covered[at] === 1 || bytes[at] === 0) continue;
    let end = at + 1;
    while (end < Math.min(bytes.length, layout.size) && covered[end] !== 1) end++;
    rest[String(at)] = toHex(bytes.subarray(at, end));
    at = end;
  }
  return { value, rest };
}

/** The bytes that `memoryJson` told of; fields that are left out are zero. */
export function memoryFromJson(layout: Layout, value: unknown, rest: unknown = {}): Uint8Array {
  const { struct, size } = layout;
  const given = new Map<string, readonly MemoryScalar[]>();
  flatten(layout, value, '', given);
  const bytes = encodeMemory(layout, given);
  if (typeof rest !== 'object' || rest === null) throw new AbiError(struct, 'rest', 0, 'type', 'expected an object of hex strings');
  for (const [offset, text] of Object.entries(rest)) {
    const held = typeof text === 'string' ? fromHex(text) : undefined;
    const at = /^\d{1,3}$/.test(offset) ? Number(offset) : size;
    if (!held || at + held.length > size) throw new AbiError(struct, 'rest', at, 'type', 'expected bytes in hex, at their offset');
    bytes.set(held, at);
  }
  return bytes;
}

/** What a field holds, in words: a guest's domid and addresses in hex, else a number. */
export function memoryValueText({ field, values }: MemoryValue): string {
  const shown = values.map((value) => (typeof value === 'bigint' || field.type === 'domid_t' ? `0x${value.toString(16)}` : String(value)));
  return field.count === 1 ? (shown[0] ?? '') : `[${shown.join(', ')}]`;
}

interface Nested {
  [name: string]: string | number | readonly (string | number)[] | Nested;
}

function scalarJson(value: MemoryScalar): string | number {
  return typeof value === 'bigint' ? hex64(value) : value;
}

function put(into: Nested, [head = '', ...rest]: readonly string[], value: Nested[string]): void {
  if (rest.length === 0) {
    into[head] = value;
    return;
  }
  const inner = into[head];
  const next: Nested = typeof inner === 'object' && !Array.isArray(inner) ? (inner as Nested) : {};
  into[head] = next;
  put(next, rest, value);
}

function flatten(layout: Layout, json: unknown, path: string, into: Map<string, readonly MemoryScalar[]>): void {
  const isField = layout.fields.some((field) => field.path === path);
  if (isField) {
    into.set(
      path,
      (Array.isArray(json) ? json : [json]).map((one: unknown) => scalar(layout, one, path)),
    );
    return;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new AbiError(
      layout.struct,
      path,
      0,
      path === '' ? 'type' : 'extra',
      path === '' ? 'expected an object' : 'the struct has no such field',
    );
  }
  for (const [name, inner] of Object.entries(json)) {
    const own = `${path}${path && '.'}${name}`;
    const isKnown = layout.fields.some((field) => field.path === own || field.path.startsWith(`${own}.`));
    if (!isKnown) throw new AbiError(layout.struct, own.slice(0, 80), 0, 'extra', 'the struct has no such field');
    flatten(layout, inner, own, into);
  }
}

function scalar(layout: Layout, json: unknown, path: string): MemoryScalar {
  if (typeof json === 'number' && Number.isSafeInteger(json)) return json;
  if (typeof json === 'string' && /^(0x[0-9a-f]{1,20}|\d{1,24})$/i.test(json)) return BigInt(json);
  throw new AbiError(layout.struct, path, 0, 'type', 'expected a whole number, above 2^53 as a string, "0x…"');
}
