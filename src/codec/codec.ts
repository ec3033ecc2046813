import { type Arch, isWord } from '../abi/arch.ts';
import { layoutOf, type StructLayout } from '../abi/layout.ts';
import { type StructName, structNames } from '../abi/structs.ts';
import type { ValueOf } from '../abi/values.ts';
import { AbiStruct } from './engine.ts';
import { AbiError } from './errors.ts';
import { readField } from './field.ts';

/**
 * Bytes found in padding, by the path of the struct they belong to (`''` for the outermost). Only
 * non-zero padding is listed.
 */
export type PaddingBytes = { readonly [owner: string]: Uint8Array };

/**
 * A decoded struct of which only the first bytes were there: `null` for every field that is not
 * wholly covered.
 */
export type CutValue<T> = { [K in keyof T]: T[K] extends bigint | number ? T[K] | null : CutValue<T[K]> };

/** Encoder and decoder of one struct on one architecture. Always little-endian, always exact. */
export interface StructCodec<S extends StructName> {
  readonly struct: S;
  readonly arch: Arch;
  readonly layout: StructLayout;
  /** Bytes. */
  readonly size: number;
  /**
   * The bytes of a value, padding zero unless given. Refuses a number that is out of range or
   * fractional, a value of the wrong type, a missing and an unknown field with an `AbiError`,
   * before a byte is written.
   */
  encode(value: ValueOf<S>, padding?: PaddingBytes): Uint8Array;
  /**
   * The value in exactly `size` bytes; any other length is an `AbiError` of kind `size`. Never
   * judges what it reads.
   */
  decode(bytes: Uint8Array): ValueOf<S>;
  /** What a buffer that ends early still holds. Nothing is filled with zeros. */
  decodeCut(bytes: Uint8Array): CutValue<ValueOf<S>>;
  /**
   * What the padding held, as far as the buffer goes, where it is not zero. Xen ignores it; a tidy
   * caller zeroes it.
   */
  padding(bytes: Uint8Array): PaddingBytes;
}

export type Codecs = { readonly [S in StructName]: StructCodec<S> };

const known = new Map<Arch, Codecs>();

/** The codecs of every struct in the table for one architecture. */
export function codecFor(arch: Arch): Codecs {
  let codecs = known.get(arch);
  if (!codecs) {
    codecs = Object.fromEntries(structNames.map((name) => [name, structCodec(name, arch)])) as unknown as Codecs;
    known.set(arch, codecs);
  }
  return codecs;
}

function structCodec<S extends StructName>(struct: S, arch: Arch): StructCodec<S> {
  const layout = layoutOf(struct, arch);
  const type = new AbiStruct(layout);
  return {
    struct,
    arch,
    layout,
    size: layout.size,
    encode(value, padding) {
      const bytes = new Uint8Array(layout.size);
      if (padding) writePadding(layout, bytes, padding);
      if (!type.tryWrite(bytes, value)) explainMisfit(layout, layout, value, '', 0);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length !== layout.size) {
        throw new AbiError(struct, '', 0, 'size', `expected ${layout.size} bytes, got ${bytes.length}`);
      }
      return type.read(bytes) as ValueOf<S>;
    },
    decodeCut(bytes) {
      if (bytes.length > layout.size) {
        throw new AbiError(struct, '', 0, 'size', `expected at most ${layout.size} bytes, got ${bytes.length}`);
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return cut(layout, view, 0) as CutValue<ValueOf<S>>;
    },
    padding(bytes) {
      const found: Record<string, Uint8Array> = {};
      for (const gap of layout.padding) {
        const held = bytes.subarray(gap.offset, gap.offset + gap.size);
        if (held.some((byte) => byte !== 0)) found[gap.owner] = held.slice();
      }
      return found;
    },
  };
}

function cut(layout: StructLayout, view: DataView, base: number): object {
  const value: Record<string, unknown> = {};
  for (const member of layout.members) {
    const offset = base + member.offset;
    if (member.nested) value[member.name] = cut(member.nested, view, offset);
    else value[member.name] = offset + member.size <= view.byteLength ? readField(view, { ...member, offset }) : null;
  }
  return value;
}

/**
 * Says why a value does not fit, as the `AbiError` of the first field in memory order that does
 * not.
 */
function explainMisfit(outer: StructLayout, layout: StructLayout, value: unknown, path: string, base: number): void {
  const fail = (at: string, offset: number, kind: 'type' | 'range' | 'missing' | 'extra', detail: string): never => {
    throw new AbiError(outer.struct, at, offset, kind, detail);
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AbiError(outer.struct, path, base, 'type', `expected an object, got ${show(value)}`);
  }
  const record = value as Record<string, unknown>;
  const prefix = path === '' ? '' : `${path}.`;
  for (const { name, type, offset, size, nested } of layout.members) {
    const at = prefix + name;
    if (!Object.hasOwn(record, name)) fail(at, base + offset, 'missing', 'no value');
    const field = record[name];
    if (nested) {
      explainMisfit(outer, nested, field, at, base + offset);
    } else if (isWord(type)) {
      if (typeof field !== 'bigint') fail(at, base + offset, 'type', `expected a bigint, got ${show(field)}`);
      const most = size === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
      if ((field as bigint) < 0n || (field as bigint) > most) fail(at, base + offset, 'range', `expected 0..${most}, got ${field}`);
    } else {
      if (typeof field !== 'number') fail(at, base + offset, 'type', `expected a number, got ${show(field)}`);
      const most = size === 4 ? 0xffff_ffff : 0xffff;
      if (!Number.isInteger(field) || (field as number) < 0 || (field as number) > most) {
        fail(at, base + offset, 'range', `expected 0..${most}, got ${field}`);
      }
    }
  }
  for (const name in record) {
    if (!layout.members.some((m) => m.name === name)) fail(prefix + name, base, 'extra', 'no such field');
  }
}

function writePadding(layout: StructLayout, bytes: Uint8Array, padding: PaddingBytes): void {
  for (const [owner, held] of Object.entries(padding)) {
    const gap = layout.padding.find((p) => p.owner === owner);
    if (!gap) throw new AbiError(layout.struct, owner, 0, 'extra', 'no padding here');
    if (held.length !== gap.size) {
      throw new AbiError(layout.struct, owner, gap.offset, 'size', `expected ${gap.size} bytes of padding, got ${held.length}`);
    }
    bytes.set(held, gap.offset);
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'number' ? `${value} (a number)` : String(value);
}
