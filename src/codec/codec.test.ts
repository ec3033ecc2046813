import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { archNames, isWord } from '../abi/arch.ts';
import type { StructLayout } from '../abi/layout.ts';
import { structNames } from '../abi/structs.ts';
import type { XenGetDmaBuf } from '../abi/values.ts';
import { type Codecs, codecFor, type StructCodec } from './codec.ts';
import { AbiStruct } from './engine.ts';
import { AbiError } from './errors.ts';
import { fromHex, toHex } from './hex.ts';

interface Values {
  columns: string[];
  rows: string[][];
  dirty_rows: string[][];
  whole_handle_rows: string[][];
}

function compilerValues(arch: string, struct: string): Values {
  return JSON.parse(readFileSync(`fixtures/layout/${arch}.json`, 'utf8')).values[struct];
}

type AnyCodec = StructCodec<'xen_get_dma_buf'>;
const codecsOf = (arch: keyof typeof import('../abi/arch.ts').arches): Record<string, AnyCodec> =>
  codecFor(arch) as unknown as Record<string, AnyCodec>;

/** The value that a row of the C program's fields describes. */
function rowValue(layout: StructLayout, columns: string[], row: string[]): XenGetDmaBuf {
  const value: Record<string, never> = {};
  for (const [i, path] of columns.entries()) {
    const type = layout.fields.find((f) => f.path === path)!.type;
    const parts = path.split('.');
    let at = value as Record<string, unknown>;
    for (const part of parts.slice(0, -1)) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[parts.at(-1)!] = isWord(type) ? BigInt(row[i]!) : Number(row[i]);
  }
  return value as unknown as XenGetDmaBuf;
}

describe.each(archNames)('on %s the codec agrees with the C compiler', (arch) => {
  it.each(structNames)('%s', (name) => {
    const codec = codecsOf(arch)[name]!;
    const { columns, rows, dirty_rows, whole_handle_rows } = compilerValues(arch, name);
    let beyond53 = 0;
    let beyond63 = 0;
    for (const row of [...rows, ...whole_handle_rows]) {
      const value = rowValue(codec.layout, columns, row);
      const bytes = fromHex(row.at(-1)!)!;
      expect(codec.decode(bytes)).toEqual(value);
      expect(toHex(codec.encode(value))).toBe(row.at(-1));
      expect(codec.padding(bytes)).toEqual({});
      if (row.slice(0, -1).some((word) => BigInt(word) > 1n << 53n)) beyond53++;
      if (row.slice(0, -1).some((word) => BigInt(word) > 1n << 63n)) beyond63++;
    }
    for (const row of dirty_rows) {
      const bytes = fromHex(row.at(-1)!)!;
      const value = rowValue(codec.layout, columns, row);
      expect(codec.decode(bytes)).toEqual(value);
      // The C program filled the memory with a5 first, so exactly the padding still holds it.
      const padding = codec.padding(bytes);
      expect(Object.fromEntries(Object.entries(padding).map(([owner, held]) => [owner, toHex(held)]))).toEqual(
        Object.fromEntries(codec.layout.padding.map((gap) => [gap.owner, 'a5'.repeat(gap.size)])),
      );
      expect(toHex(codec.encode(value, padding))).toBe(row.at(-1));
    }
    expect(rows.length).toBeGreaterThanOrEqual(200);
    expect(dirty_rows.length).toBeGreaterThan(0);
    if (arch !== 'x86_32') expect([beyond53 > 10, beyond63 > 3]).toEqual([true, true]);
  });
});

const anyCodec = fc.constantFrom(...archNames).chain((arch) => fc.constantFrom(...structNames).map((name) => codecsOf(arch)[name]!));
const codecAndBytes = anyCodec.chain((codec) =>
  fc.tuple(fc.constant(codec), fc.uint8Array({ minLength: codec.size, maxLength: codec.size })),
);

describe('codec', () => {
  it('decodes every byte string, and encodes back every bit of it', () => {
    fc.assert(
      fc.property(codecAndBytes, ([codec, bytes]) => {
        const value = codec.decode(bytes);
        expect(codec.encode(value, codec.padding(bytes))).toEqual(bytes);
        const tidy = bytes.slice();
        for (const gap of codec.layout.padding) tidy.fill(0, gap.offset, gap.offset + gap.size);
        expect(codec.encode(value)).toEqual(tidy);
      }),
    );
  });

  it('its generated code agrees with restructure’s own walk through the fields', () => {
    fc.assert(
      fc.property(codecAndBytes, ([codec, bytes]) => {
        const type = new AbiStruct(codec.layout);
        const [generated, own] = [new Uint8Array(codec.size).fill(0xa5), new Uint8Array(codec.size).fill(0xa5)];
        expect(type.tryWrite(generated, codec.decode(bytes))).toBe(true);
        type.walkWrite(own, codec.decode(bytes));
        expect(own).toEqual(generated);
        expect(Object.values(type.fields).reduce((sum, field) => sum + field.size(), 0)).toBe(codec.size);
        const walked = type.walk(bytes);
        expect(JSON.stringify(codec.decode(bytes), (_, v) => (typeof v === 'bigint' ? `${v}n` : v))).toBe(
          JSON.stringify(walked, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)),
        );
      }),
    );
  });

  it('reads a struct that starts anywhere in a larger buffer', () => {
    const memory = Uint8Array.from({ length: 100 }, (_, i) => i);
    const { decode } = codecFor('arm64').xen_put_dma_buf;
    expect(decode(memory.subarray(3, 35)).in.nr_extents).toBe(0x1211100f0e0d0c0bn);
  });

  it('decodes a cut buffer as far as it goes', () => {
    fc.assert(
      fc.property(codecAndBytes, fc.nat(72), ([codec, bytes], length) => {
        const held = Math.min(length, codec.size);
        const cut = codec.decodeCut(bytes.subarray(0, held)) as unknown as Record<string, unknown>;
        const whole = codec.decode(bytes) as unknown as Record<string, unknown>;
        const at = (value: Record<string, unknown>, path: string): unknown =>
          path.split('.').reduce((v: unknown, part) => (v as Record<string, unknown>)[part], value);
        for (const field of codec.layout.fields) {
          expect(at(cut, field.path)).toBe(field.offset + field.size <= held ? at(whole, field.path) : null);
        }
      }),
    );
  });

  it('takes exactly its size', () => {
    const codec = codecFor('arm32').xen_memory_reservation;
    for (const length of [0, 26, 31, 33]) {
      expect(() => codec.decode(new Uint8Array(length))).toThrow(`xen_memory_reservation: size: expected 32 bytes, got ${length}`);
    }
    expect(() => codec.decodeCut(new Uint8Array(33))).toThrow('xen_memory_reservation: size: expected at most 32 bytes, got 33');
  });

  it('has typed values', () => {
    expectTypeOf<Codecs['xen_get_dma_buf']['decode']>().returns.toEqualTypeOf<XenGetDmaBuf>();
    expectTypeOf<XenGetDmaBuf['in']['nr_extents']>().toEqualTypeOf<bigint>();
    expectTypeOf<XenGetDmaBuf['out']['domid']>().toEqualTypeOf<number>();
  });
});

describe('encode refuses before it writes', () => {
  const reservation = { extent_start: 0n, nr_extents: 1n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
  const good = { in: reservation, out: reservation, nr_exchanged: 0n };
  const codec = codecFor('arm64').xen_get_dma_buf;
  const refused = (value: unknown): AbiError => {
    try {
      codec.encode(value as XenGetDmaBuf);
    } catch (error) {
      if (error instanceof AbiError) return error;
      throw error;
    }
    throw new Error('it was taken');
  };
  const out = (change: object): unknown => ({ ...good, out: { ...reservation, ...change } });
  const { nr_extents: _, ...withoutCount } = reservation;

  it.each([
    ['out of range', out({ domid: 70_000 }), 'xen_get_dma_buf.out.domid @56: range: expected 0..65535, got 70000'],
    [
      'an order of 2^32',
      out({ extent_order: 2 ** 32 }),
      'xen_get_dma_buf.out.extent_order @48: range: expected 0..4294967295, got 4294967296',
    ],
    ['negative', out({ address_bits: -1 }), 'xen_get_dma_buf.out.address_bits @52: range: expected 0..4294967295, got -1'],
    ['fractional', out({ extent_order: 1.5 }), 'xen_get_dma_buf.out.extent_order @48: range: expected 0..4294967295, got 1.5'],
    ['not a number', out({ domid: Number.NaN }), 'xen_get_dma_buf.out.domid @56: range: expected 0..65535, got NaN'],
    [
      '2^64',
      { ...good, nr_exchanged: 1n << 64n },
      'xen_get_dma_buf.nr_exchanged @64: range: expected 0..18446744073709551615, got 18446744073709551616',
    ],
    ['a negative word', out({ nr_extents: -1n }), 'xen_get_dma_buf.out.nr_extents @40: range: expected 0..18446744073709551615, got -1'],
    ['a number for a word', out({ nr_extents: 4 }), 'xen_get_dma_buf.out.nr_extents @40: type: expected a bigint, got 4 (a number)'],
    ['a word for a number', out({ extent_order: 4n }), 'xen_get_dma_buf.out.extent_order @48: type: expected a number, got 4'],
    ['text', out({ domid: 'self' }), 'xen_get_dma_buf.out.domid @56: type: expected a number, got "self"'],
    ['a missing field', { ...good, out: withoutCount }, 'xen_get_dma_buf.out.nr_extents @40: missing: no value'],
    ['a missing struct', { in: reservation, nr_exchanged: 0n }, 'xen_get_dma_buf.out @32: missing: no value'],
    ['an unknown field', out({ pad: 0 }), 'xen_get_dma_buf.out.pad @32: extra: no such field'],
    ['null for a struct', { ...good, in: null }, 'xen_get_dma_buf.in @0: type: expected an object, got null'],
    ['an array', [], 'xen_get_dma_buf: type: expected an object, got an array'],
    ['nothing', undefined, 'xen_get_dma_buf: type: expected an object, got undefined'],
  ])('%s', (_name, value, message) => {
    expect(refused(value).message).toBe(message);
  });

  it('says where in parts too', () => {
    const { struct, path, offset, kind } = refused(out({ domid: 70_000 }));
    expect({ struct, path, offset, kind }).toEqual({ struct: 'xen_get_dma_buf', path: 'out.domid', offset: 56, kind: 'range' });
  });

  it('padding of the wrong length or owner', () => {
    const put = codecFor('arm64').xen_put_dma_buf;
    expect(() => put.encode({ in: reservation }, { in: new Uint8Array(5) })).toThrow(
      'xen_put_dma_buf.in @26: size: expected 6 bytes of padding, got 5',
    );
    expect(() => put.encode({ in: reservation }, { out: new Uint8Array(6) })).toThrow('xen_put_dma_buf.out @0: extra: no padding here');
  });

  it('a 32-bit word on x86_32', () => {
    const narrow = codecFor('x86_32').xen_memory_reservation;
    expect(() => narrow.encode({ ...reservation, nr_extents: 1n << 32n })).toThrow(
      'xen_memory_reservation.nr_extents @4: range: expected 0..4294967295, got 4294967296',
    );
  });
});
