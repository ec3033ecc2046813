import { describe, expect, it } from 'vitest';
import { layoutOf } from '../abi/layout.ts';
import { codecFor } from './codec.ts';
import { AbiError } from './errors.ts';
import { paddingFromJson, valueFromJson, valueJson } from './json.ts';

const reservation = layoutOf('xen_memory_reservation', 'arm64');
const get = layoutOf('xen_get_dma_buf', 'arm64');

const json = {
  in: { extent_start: '0xffff800012340000', nr_extents: '0x4', extent_order: 0, address_bits: 0, domid: 32752 },
  out: { extent_start: '0xffff800012340020', nr_extents: '0x1', extent_order: 2, address_bits: 32, domid: 32752 },
  nr_exchanged: '0x0',
};
const value = {
  in: { extent_start: 0xffff_8000_1234_0000n, nr_extents: 4n, extent_order: 0, address_bits: 0, domid: 0x7ff0 },
  out: { extent_start: 0xffff_8000_1234_0020n, nr_extents: 1n, extent_order: 2, address_bits: 32, domid: 0x7ff0 },
  nr_exchanged: 0n,
};

describe('a value as JSON', () => {
  it('has 64-bit words as strings and the rest as numbers, whatever is nested or missing', () => {
    expect(valueJson(value)).toEqual(json);
    expect(valueJson({ nr_extents: null, domid: null, in: null })).toEqual({ nr_extents: null, domid: null, in: null });
  });

  it('is read back, also from decimal strings and JSON numbers', () => {
    expect(valueFromJson(get, json)).toEqual(value);
    const numbers = { extent_start: 4096, nr_extents: '18446744073709551615', extent_order: '0x12', mem_flags: 7, domid: '1' };
    expect(valueFromJson(reservation, numbers)).toEqual({
      extent_start: 4096n,
      nr_extents: (1n << 64n) - 1n,
      extent_order: 18,
      address_bits: 7,
      domid: 1,
    });
  });

  it('of x86_32 has words of four bytes as 64-bit ones, so that one value fits all', () => {
    expect(valueFromJson(layoutOf('xen_memory_reservation', 'x86_32'), { extent_start: 1, domid: 2 })).toEqual({
      extent_start: 1n,
      domid: 2,
    });
  });

  it('passes on what it does not know, for the codec to name', () => {
    expect(valueFromJson(reservation, { nr_extent: 4, extent_order: true })).toEqual({ nr_extent: 4, extent_order: true });
    for (const other of [null, 7, 'x', [1]]) expect(valueFromJson(reservation, other)).toBe(other);
    expect(valueFromJson(get, { in: [] })).toEqual({ in: [] });
    expect(() => codecFor('arm64').xen_memory_reservation.encode(valueFromJson(reservation, { nr_extent: 4 }) as never)).toThrow(AbiError);
  });

  it.each<[object, string, number, string, string]>([
    [{ in: { nr_extents: 0.5 } }, 'in.nr_extents', 8, 'range', 'expected a whole number, got 0.5'],
    [
      { in: { nr_extents: '0x10000000000000000' } },
      'in.nr_extents',
      8,
      'range',
      'expected 0..18446744073709551615, got 0x10000000000000000',
    ],
    [{ in: { nr_extents: '9'.repeat(50) } }, 'in.nr_extents', 8, 'range', `expected 0..18446744073709551615, got ${'9'.repeat(40)}…`],
    [{ in: { domid: '65536' } }, 'in.domid', 24, 'range', 'expected 0..65535, got 65536'],
    [{ in: { extent_start: '-1' } }, 'in.extent_start', 0, 'range', 'expected 0..18446744073709551615, got -1'],
    [{ in: { domid: 'one' } }, 'in.domid', 24, 'type', 'expected a number, got "one"'],
    [
      { out: { nr_extents: 2 ** 53 } },
      'out.nr_extents',
      40,
      'range',
      'a JSON number above 2^53 has lost digits: write it as a string, "0x…"',
    ],
    [{ nr_exchanged: null }, 'nr_exchanged', 64, 'missing', 'null: it was not captured'],
    [{ out: { address_bits: 1, mem_flags: 1 } }, 'out.address_bits', 32, 'extra', 'given twice, as address_bits and mem_flags'],
  ])('%j is refused with path and offset', (wrong, path, offset, kind, message) => {
    let thrown: unknown;
    try {
      valueFromJson(get, wrong);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AbiError);
    expect(thrown).toMatchObject({ struct: 'xen_get_dma_buf', path, offset, kind });
    expect((thrown as AbiError).message).toContain(message);
  });
});

describe('padding as JSON', () => {
  it('is bytes by the struct that has it', () => {
    expect(paddingFromJson(get, { in: 'a5a5a5a5a5a5', out: '' })).toEqual({ in: new Uint8Array(6).fill(0xa5), out: new Uint8Array(0) });
  });

  it.each<[unknown, string, string]>([
    [null, 'padding', 'expected an object of hex strings'],
    ['a5', 'padding', 'expected an object of hex strings'],
    [{ in: 7 }, 'in', 'expected padding bytes in hex'],
    [{ in: 'a' }, 'in', 'expected padding bytes in hex'],
    [{ '': 'x' }, 'padding', 'expected padding bytes in hex'],
  ])('is not %j', (wrong, path, message) => {
    expect(() => paddingFromJson(get, wrong)).toThrow(
      expect.objectContaining({ path, kind: 'type', message: expect.stringContaining(message) }),
    );
  });
});
