import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { ARG, IN, OUT, type Stage, said } from './call.stage.ts';
import { before, done, half, refused } from './exchange.stage.ts';

const put: Stage = { op: 'put_dma_buf', rc: -22, in: { list: [0x50n, 0x51n] } };
const hole = (address: bigint, length = 8n): NonNullable<Stage['more']> => ({ unmapped: [{ address, length }] });
const wrapping: Stage = { rc: -14, N: 0n, out: { start: 0xffff_ffff_ffff_fff8n, list: [], nr: 2n } };

describe('a struct or a list that is no memory', () => {
  it.each<[string, string, Stage, string]>([
    [
      'bad-address-fails',
      'a list that wraps, accepted',
      { ...wrapping, rc: 0 },
      'violated: the out list runs past the end of the address space, but rc is 0',
    ],
    [
      'bad-address-fails',
      'a list that wraps at 2^32 on arm32, accepted',
      { arch: 'arm32', rc: 0, N: 0n, out: { start: 0xffff_fff8n, list: [], nr: 2n } },
      'violated: the out list runs past the end of the address space, but rc is 0',
    ],
    [
      'bad-address-fails',
      'a list that ends at 2^32 on arm32',
      { arch: 'arm32', rc: -22, N: 0n, out: { start: 0xffff_fff0n, list: [], nr: 2n } },
      'unknown: not captured: the out list before the call',
    ],
    [
      'bad-address-fails',
      'a struct in a hole, accepted',
      { ...done, more: hole(ARG) },
      'violated: the struct does not lie in guest memory, but rc is 0',
    ],
    [
      'bad-address-fails',
      'the last byte of the struct in a hole, accepted',
      { ...done, more: hole(ARG + 71n) },
      'violated: the struct does not lie in guest memory, but rc is 0',
    ],
    ['bad-address-fails', 'a hole behind the struct', { ...done, more: hole(ARG + 72n) }, 'unknown: not exercised by this call'],
    [
      'bad-address-fails',
      'a list in a hole, accepted',
      { ...done, more: hole(OUT + 8n) },
      'violated: the out list does not lie in guest memory, but rc is 0',
    ],
    [
      'bad-address-fails',
      'an empty list in a hole',
      { ...done, N: 0n, in: { list: [] }, out: { list: [] }, more: hole(IN - 8n, 16n) },
      'unknown: not exercised by this call',
    ],
    ['bad-address-fails', 'no rc', { ...wrapping, rc: undefined }, 'unknown: not captured: rc'],
    ['bad-address-fails', 'a list that wraps, refused', wrapping, 'holds'],
    ['bad-address-fails', 'a list that wraps, all of memory watched', { ...wrapping, more: { changes: [] } }, 'holds'],
    [
      'bad-address-fails',
      'a list that wraps, refused, an input unmapped',
      { ...wrapping, p2m: [before, [...before, [0x41n, null]]] },
      'violated: the out list runs past the end of the address space, but guest frame 0x41, which the call did not reach, had frame 0x81 behind it and now has no frame',
    ],
    [
      'bad-address-fails',
      'a list that wraps, refused, the struct written',
      { ...wrapping, scribble: { at: 0, after: 1 } },
      'violated: the out list runs past the end of the address space, but bytes 0..1 of the struct changed [in.extent_start 0..1]',
    ],
    [
      'bad-address-fails',
      'a list that wraps, the count not captured',
      { ...wrapping, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    ['bad-address-fails', 'a struct in a hole, refused, nothing changed', { ...refused, more: { ...hole(ARG), changes: [] } }, 'holds'],
    [
      'bad-address-fails',
      'a struct in a hole, refused, something changed',
      { ...refused, more: { ...hole(ARG), changes: [{ address: 0n, length: 1n }] } },
      'unknown: not captured: the struct after the call',
    ],
    [
      'bad-address-fails',
      'a struct in a hole, refused, not all watched',
      { ...refused, more: hole(ARG) },
      'unknown: not captured: all that changed in memory',
    ],
    [
      'bad-address-fails',
      'put: a list in a hole, accepted',
      { ...put, rc: 0, more: hole(IN + 8n) },
      'violated: the in list does not lie in guest memory, but rc is 0',
    ],
    ['bad-address-fails', 'put: a list in a hole, refused', { ...put, more: { ...hole(IN + 8n), changes: [] } }, 'holds'],
    [
      'bad-address-fails',
      'put: a list in a hole, refused, not all watched',
      { ...put, more: hole(IN + 8n) },
      'unknown: not captured: all that changed in memory',
    ],
    [
      'bad-address-fails',
      'put: a list in a hole, refused, a byte changed',
      { ...put, more: { ...hole(IN + 8n), changes: [{ address: 0n, length: 2n }] } },
      'violated: the in list does not lie in guest memory, but 2 bytes at 0x0 changed',
    ],
    [
      'bad-address-fails',
      'a list partly in a hole, and a later input that a committed output populated',
      {
        ...half,
        rc: -14,
        out: { list: [0x41n, 0x51n] },
        p2m: [
          before,
          [
            [0x40n, null],
            [0x41n, 0x900n],
          ],
        ],
        more: hole(OUT + 8n),
      },
      'holds',
    ],
    [
      'bad-address-fails',
      'a list partly in a hole, and a later output that a committed input left',
      { ...half, rc: -14, out: { list: [0x50n, 0x40n] }, more: hole(OUT + 8n), returned: [0x900n, 0x40n] },
      'holds',
    ],
    [
      'bad-address-fails',
      'a hole elsewhere, the struct not captured',
      { ...done, more: { before: unknownMemory, ...hole(0n) } },
      'unknown: not exercised by this call',
    ],
    ['bad-address-fails', 'no hole anywhere', done, 'unknown: not exercised by this call'],
    [
      'bad-address-fails',
      'not captured',
      { ...done, more: { before: unknownMemory } },
      'unknown: not captured: the struct before the call',
    ],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });
});
