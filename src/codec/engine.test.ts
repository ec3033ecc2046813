import * as restructure from 'restructure';
import { expect, it } from 'vitest';
import { layoutOf } from '../abi/layout.ts';
import { AbiStruct } from './engine.ts';

it('restructure really exports what restructure.d.ts claims', () => {
  const stream = new restructure.DecodeStream(new Uint8Array(2));
  expect([typeof restructure.Struct, stream.pos, stream.view.byteLength]).toEqual(['function', 0, 2]);
  const out = new restructure.EncodeStream(new Uint8Array(2));
  expect([out.pos, out.view.byteLength]).toEqual([0, 2]);
});

it('naive restructure gets this ABI wrong, which is why the layout is ours', () => {
  const { uint16, uint32 } = restructure as unknown as Record<string, restructure.Type>;
  const naive = new restructure.Struct({ order: uint32!, bits: uint32!, domid: uint16! });
  expect(naive.size()).toBe(10); // C makes it 12
});

it('a struct composes with restructure as any type does', () => {
  const type = new AbiStruct(layoutOf('xen_put_dma_buf', 'arm64'));
  const bytes = new Uint8Array(64);
  bytes[40] = 7;
  const stream = new restructure.DecodeStream(bytes);
  type.decode(stream);
  expect(type.decode(stream)).toMatchObject({ in: { nr_extents: 7n } });
  expect(stream.pos).toBe(64);
  const written = new restructure.EncodeStream(new Uint8Array(64));
  written.pos = 32;
  type.encode(written, { in: { extent_start: 0n, nr_extents: 9n, extent_order: 0, address_bits: 0, domid: 0 } });
  expect([written.buffer[40], written.pos]).toEqual([9, 64]);
  expect(() => type.encode(written, {})).toThrow(new TypeError('value does not fit the struct'));
});
