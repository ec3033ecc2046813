import { entryOf, type Field, fieldOf, type Layout } from '../abi/layout.ts';
import { isMemoryStruct, memoryLists } from '../abi/memory-h.ts';
import { AbiError } from './errors.ts';
import { readField } from './field.ts';
import { pointerOf } from './handle.ts';

/** A scalar: a `bigint` where the field may hold 64 bits on some architecture, else a number. */
export type MemoryScalar = number | bigint;

/** A field with what it holds; several of an array. */
export interface MemoryValue {
  readonly field: Field;
  readonly values: readonly MemoryScalar[];
  /**
   * Is it the member of its unions that the struct itself says is meant? `undefined` where nothing
   * says so.
   */
  readonly meant: boolean | undefined;
}

/**
 * Every field of a struct with what it holds, members of unions that are not meant included; of
 * bytes that end early, those that are there.
 */
export function memoryValues(layout: Layout, bytes: Uint8Array): MemoryValue[] {
  const held = layout.fields.filter(({ offset, size, count }) => offset + size * count <= bytes.length);
  const numbers = new Map(held.map((field) => [field.path, valuesOf(field, bytes)]));
  return held.map((field) => ({ field, values: numbers.get(field.path) ?? [], meant: isMeant(field, numbers) }));
}

/**
 * A list that a struct names: where it begins, how many entries it has, and what one of them is.
 */
export interface NamedList {
  /** The path of its handle. */
  readonly path: string;
  readonly address: bigint;
  readonly count: bigint;
  readonly entry: NonNullable<ReturnType<typeof entryOf>>;
}

/** The lists that the header gives a count, as far as the struct was captured. */
export function listsNamed(layout: Layout, bytes: Uint8Array): NamedList[] {
  const lists = (isMemoryStruct(layout.struct) && memoryLists[layout.struct]) || [];
  const known = new Map(memoryValues(layout, bytes).map(({ field, values }) => [field.path, BigInt(values[0] ?? 0)]));
  return lists.flatMap(({ handle, count: counted, times, where }): NamedList[] => {
    const [start, first, other] = [known.get(handle), known.get(counted), times === undefined ? 1n : known.get(times)];
    const entry = entryOf(fieldOf(layout, handle).type, layout.arch);
    if (start === undefined || first === undefined || other === undefined || !entry) return [];
    if (where && known.get(where[0]) !== BigInt(where[1])) return [];
    return [{ path: handle, address: pointerOf(start, layout.arch), count: first * other, entry }];
  });
}

/**
 * The bytes of a struct from what its fields hold, by path; what is not said is zero. Fails where a
 * value does not fit, a path is none of the struct's, or two members of a union say different
 * things of one byte.
 */
export function encodeMemory(layout: Layout, values: ReadonlyMap<string, readonly MemoryScalar[]>): Uint8Array {
  const { struct } = layout;
  const bytes = new Uint8Array(layout.size);
  const written = new Uint8Array(layout.size);
  for (const [path, given] of values) {
    const field = layout.fields.find((one) => one.path === path);
    if (!field) throw new AbiError(struct, path, 0, 'extra', 'the struct has no such field');
    if (given.length !== field.count) {
      throw new AbiError(struct, path, field.offset, 'size', `${given.length} values, not ${field.count}`);
    }
    for (const [i, value] of given.entries()) {
      const word = BigInt(value);
      if (word < 0n || word >> BigInt(8 * field.size) > 0n) {
        throw new AbiError(struct, path, field.offset, 'range', `${value} does not fit in ${field.size} bytes`);
      }
      for (let k = 0; k < field.size; k++) {
        const at = field.offset + i * field.size + k;
        const byte = Number((word >> BigInt(8 * k)) & 0xffn);
        if (written[at] === 1 && bytes[at] !== byte) {
          throw new AbiError(struct, path, at, 'range', 'another member of the union says otherwise');
        }
        bytes[at] = byte;
        written[at] = 1;
      }
    }
  }
  return bytes;
}

function valuesOf(field: Field, bytes: Uint8Array): MemoryScalar[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: field.count }, (_, i) => readField(view, field, i * field.size));
}

function isMeant({ within }: Field, numbers: ReadonlyMap<string, readonly MemoryScalar[]>): boolean | undefined {
  let meant: boolean | undefined = true;
  for (const { union, member } of within) {
    const [by] = numbers.get(union.by ?? '') ?? [];
    const wanted = (by === undefined ? undefined : union.of?.[Number(by)]) ?? union.else;
    if (wanted === undefined) meant = Object.keys(union.union).length === 1 ? meant : undefined;
    else if (wanted !== member) return false;
  }
  return meant;
}
