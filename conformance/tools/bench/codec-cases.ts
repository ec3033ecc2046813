// biome-ignore lint/style/noRestrictedImports: measured against it as it is
import { DecodeStream, Struct, type Type } from 'restructure';
import { codecFor } from '../../../src/codec/codec.ts';
import type { Timed } from './measure.ts';

const structs = 1024;

/** What is decoded: structs of pseudo-random bytes with clean padding, the same for every case. */
function buffers(size: number): Uint8Array[] {
  let state = 1;
  return Array.from({ length: structs }, () =>
    Uint8Array.from({ length: size }, (_, i) => {
      state = (state * 1103515245 + 12345) & 0x7fffffff;
      return (i & 31) >= 26 && i < 64 ? 0 : state >> 16;
    }),
  );
}

/**
 * Decoding a `xen_get_dma_buf`: a loop written by hand, our codec, and restructure as anyone would
 * use it.
 */
export function decodeCases(): Timed[] {
  const codec = codecFor('arm64').xen_get_dma_buf;
  const inputs = buffers(codec.size);
  const naive = naiveStruct();
  let sink: unknown;
  const each = (decode: (bytes: Uint8Array) => unknown) => (): void => {
    for (const bytes of inputs) sink = decode(bytes);
    if (sink === undefined) throw new Error('nothing was decoded');
  };
  return [
    { name: 'decode, DataView by hand', each: structs, run: each(byHand) },
    { name: 'decode, our codec', each: structs, run: each((bytes) => codec.decode(bytes)) },
    { name: 'decode, naive restructure (32-bit halves)', each: structs, run: each((bytes) => naive.decode(new DecodeStream(bytes))) },
  ];
}

/** Encoding one: by hand without a check, and our codec with all of them. */
export function encodeCases(): Timed[] {
  const codec = codecFor('arm64').xen_get_dma_buf;
  const values = buffers(codec.size).map((bytes) => codec.decode(bytes));
  let sink = 0;
  return [
    {
      name: 'encode, DataView by hand, unchecked',
      each: structs,
      run: () => {
        for (const { in: a, out: b, nr_exchanged } of values) {
          const bytes = new Uint8Array(72);
          const view = new DataView(bytes.buffer);
          for (const [at, r] of [
            [0, a],
            [32, b],
          ] as const) {
            view.setBigUint64(at, r.extent_start, true);
            view.setBigUint64(at + 8, r.nr_extents, true);
            view.setUint32(at + 16, r.extent_order, true);
            view.setUint32(at + 20, r.address_bits, true);
            view.setUint16(at + 24, r.domid, true);
          }
          view.setBigUint64(64, nr_exchanged, true);
          sink += bytes[0] as number;
        }
      },
    },
    {
      name: 'encode, our codec, every field checked',
      each: structs,
      run: () => {
        for (const value of values) sink += codec.encode(value)[0] as number;
        if (Number.isNaN(sink)) throw new Error('nothing was encoded');
      },
    },
  ];
}

function byHand(bytes: Uint8Array): object {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reservation = (at: number): object => ({
    extent_start: view.getBigUint64(at, true),
    nr_extents: view.getBigUint64(at + 8, true),
    extent_order: view.getUint32(at + 16, true),
    address_bits: view.getUint32(at + 20, true),
    domid: view.getUint16(at + 24, true),
  });
  return { in: reservation(0), out: reservation(32), nr_exchanged: view.getBigUint64(64, true) };
}

function naiveStruct(): Struct {
  const number = (bytes: 2 | 4): Type => ({
    size: () => bytes,
    decode(stream) {
      const value = bytes === 2 ? stream.view.getUint16(stream.pos, true) : stream.view.getUint32(stream.pos, true);
      stream.pos += bytes;
      return value;
    },
    encode() {},
  });
  const reservation = (): Struct =>
    new Struct({
      extent_start_low: number(4),
      extent_start_high: number(4),
      nr_extents_low: number(4),
      nr_extents_high: number(4),
      extent_order: number(4),
      address_bits: number(4),
      domid: number(2),
      padding_low: number(4),
      padding_high: number(2),
    });
  return new Struct({ in: reservation(), out: reservation(), nr_exchanged_low: number(4), nr_exchanged_high: number(4) });
}
