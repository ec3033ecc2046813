import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { ARG, type Stage, said, structOnly } from './call.stage.ts';

const list = [0x50n, 0x51n];
const put: Stage = { op: 'put_dma_buf', rc: 0, in: { list } };
type Pages = [bigint, bigint | null][];
const mapped = (after: Pages): Pick<Stage, 'p2m'> => ({
  p2m: [
    [
      [0x50n, 0x900n],
      [0x51n, 0x901n],
    ],
    after,
  ],
});
const kept = mapped([
  [0x50n, 0x900n],
  [0x51n, 0x901n],
]);
// Guest frame 0x50 is at 0x50000 where addresses are physical.
const physical: Stage = { ...put, more: { space: 'physical', domid: 1 } };
const changed = (address: bigint, length: bigint): Stage => ({ ...physical, more: { ...physical.more, changes: [{ address, length }] } });

describe('op 27', () => {
  it.each<[string, string, Stage, string]>([
    ['put-rc-zero-or-negative', 'zero', put, 'holds'],
    ['put-rc-zero-or-negative', 'a count', { ...put, rc: 2 }, 'violated: rc is 2: positive'],
    ['put-rc-zero-or-negative', 'no rc', { ...put, rc: undefined }, 'unknown: not captured: rc'],
    ['put-in-untouched', 'nothing written', put, 'holds'],
    ['put-in-untouched', 'frames written into the list', { ...put, inAfter: [0x900n, 0x901n] }, 'violated: entry 0 of the in list changed'],
    [
      'put-in-untouched',
      'nr_extents counted up',
      { ...put, scribble: { at: 8, after: 9 } },
      'violated: bytes 8..9 of the struct changed [in.nr_extents 8..9]',
    ],
    [
      'put-in-untouched',
      'padding written',
      { ...put, scribble: { at: 31, after: 9 } },
      'violated: bytes 31..32 of the struct changed [in.padding 31..32]',
    ],
    [
      'put-in-untouched',
      'the list in a listed page',
      { ...physical, in: { list: [0x60000n] }, inAfter: [0x900n] },
      'violated: entry 0 of the in list changed',
    ],
    ['put-in-untouched', 'no struct', { ...put, more: { arg: undefined } }, "unknown: not captured: the struct's address"],
    [
      'put-in-untouched',
      'a byte of a struct that was not captured',
      { ...put, more: { before: unknownMemory, changes: [{ address: ARG, length: 1n }] } },
      'violated: bytes 0..1 of the struct changed [in.extent_start 0..1]',
    ],
    [
      'put-in-untouched',
      'bytes across the start of the struct',
      { ...put, more: { changes: [{ address: ARG - 8n, length: 16n }] } },
      'violated: bytes 0..8 of the struct changed [in.extent_start 0..8]',
    ],
    [
      'put-in-untouched',
      'no struct, all of memory watched',
      { ...put, more: { arg: undefined, changes: [{ address: 0n, length: 1n }] } },
      "unknown: not captured: the struct's address",
    ],
    [
      'no-stray-writes',
      'elsewhere, the struct not captured',
      { ...put, more: { before: unknownMemory, changes: [{ address: 0n, length: 1n }] } },
      'violated: 1 byte at 0x0 changed',
    ],
    ['put-keeps-pages', 'pages counted only after', { ...put, ...kept, more: { pagesAfter: 64 } }, 'holds'],
    [
      'put-keeps-pages',
      'virtual addresses, a page of that number',
      { ...put, more: { changes: [{ address: 0x50000n, length: 1n }] } },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'put-keeps-pages',
      'pages too many to follow',
      { ...put, ...kept, in: { list: [0x50n], order: 15 } },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'put-in-untouched',
      'the list not captured after',
      { ...put, more: { after: structOnly(put).after } },
      'unknown: not captured: the in list after the call',
    ],
    [
      'put-in-untouched',
      'the list not captured before',
      { ...put, more: { before: structOnly(put).before } },
      'unknown: not captured: the in list before the call',
    ],
    [
      'put-in-untouched',
      'nothing captured after',
      { ...put, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    ['put-in-untouched', 'the list not captured', { ...put, more: structOnly(put) }, 'unknown: not captured: the in list before the call'],
    ['put-keeps-pages', 'mappings as before', { ...put, ...kept }, 'holds'],
    ['put-keeps-pages', 'no p2m', put, 'unknown: not captured: the p2m before the call'],
    [
      'put-keeps-pages',
      'the second page unmapped',
      { ...put, ...mapped([[0x51n, null]]) },
      'violated: listed guest frame 0x51 had frame 0x901 behind it and now has no frame',
    ],
    ['put-keeps-pages', 'a page moved at once', { ...put, in: { list: [0x51n] }, ...mapped([[0x51n, 0x907n]]) }, 'holds'],
    [
      'put-keeps-pages',
      'the last page unmapped, in one extent',
      { ...put, in: { list: [0x50n], order: 1 }, ...mapped([[0x51n, null]]) },
      'violated: listed guest frame 0x51 had frame 0x901 behind it and now has no frame',
    ],
    [
      'put-keeps-pages',
      'the first page unmapped',
      { ...put, ...mapped([[0x50n, null]]) },
      'violated: listed guest frame 0x50 had frame 0x900 behind it and now has no frame',
    ],
    [
      'put-keeps-pages',
      'one page not seen after',
      { ...put, ...mapped([[0x50n, 0x900n]]) },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'put-keeps-pages',
      'a page of a larger extent unmapped',
      { ...put, in: { list: [0x50n], order: 1 }, ...mapped([[0x51n, null]]) },
      'violated: listed guest frame 0x51 had frame 0x901 behind it and now has no frame',
    ],
    [
      'put-keeps-pages',
      'another page moved',
      {
        ...put,
        p2m: [
          [...kept.p2m![0], [0x60n, 1n]],
          [...kept.p2m![1], [0x60n, 2n]],
        ],
      },
      'holds',
    ],
    [
      'put-keeps-pages',
      'pages lost',
      { ...put, ...kept, more: { pagesBefore: 64, pagesAfter: 62 } },
      'violated: the domain owned 64 pages before and 62 after',
    ],
    ['put-keeps-pages', 'as many pages as before', { ...put, ...kept, more: { pagesBefore: 64, pagesAfter: 64 } }, 'holds'],
    ['put-keeps-pages', 'the pages counted only before', { ...put, ...kept, more: { pagesBefore: 64 } }, 'holds'],
    ['put-keeps-pages', 'an empty list', { ...put, in: { list: [] } }, 'unknown: not exercised by this call'],
    ['put-keeps-pages', 'no struct', { ...put, more: { arg: undefined } }, 'unknown: not captured: the struct before the call'],
    [
      'put-keeps-pages',
      'the list not captured',
      { ...put, ...kept, more: structOnly(put) },
      'unknown: not captured: the in list before the call',
    ],
    [
      'put-keeps-pages',
      'an order beyond any machine',
      { ...put, ...kept, in: { list, order: 64 } },
      'unknown: not captured: the in list before the call',
    ],
    ['put-keeps-pages', 'content, all of memory watched', { ...physical, more: { ...physical.more, changes: [] } }, 'holds'],
    [
      'put-keeps-pages',
      'the first page of four, of which only one was seen to move',
      {
        ...put,
        in: { list: [0x50n], order: 2 },
        ...mapped([
          [0x50n, 0x900n],
          [0x51n, 0x901n],
          [0x53n, 1n],
        ]),
      },
      'unknown: not captured: the p2m before the call',
    ],
    ['put-keeps-pages', 'content, not all of memory watched', physical, 'unknown: not captured: the p2m before the call'],
    [
      'put-keeps-pages',
      'the first byte of a listed page written',
      changed(0x50000n, 1n),
      'violated: 1 byte changed at 0x50000, in listed guest frame 0x50',
    ],
    [
      'put-keeps-pages',
      'the last byte of the last listed page written',
      changed(0x51fffn, 1n),
      'violated: 1 byte changed at 0x51fff, in listed guest frame 0x51',
    ],
    [
      'put-keeps-pages',
      'bytes across the start of a listed page written',
      changed(0x4fff8n, 24n),
      'violated: 16 bytes changed at 0x50000, in listed guest frame 0x50',
    ],
    ['put-keeps-pages', 'the byte after the last listed page written', changed(0x52000n, 1n), 'holds'],
    [
      'put-keeps-pages',
      'a page of a foreign domain of that number',
      { ...changed(0x50000n, 1n), in: { list, domid: 2 } },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'put-keeps-pages',
      'a page of whom, is not known',
      { ...changed(0x50000n, 1n), in: { list, domid: 2 }, more: { space: 'physical', changes: [{ address: 0x50000n, length: 1n }] } },
      'unknown: not captured: the p2m before the call',
    ],
    ['no-stray-writes', 'frames written into the list', { ...put, inAfter: [0x900n, 0x901n] }, 'violated: entry 0 of the in list changed'],
    ['no-stray-writes', 'nothing written', put, 'holds'],
    ['put-unpins', 'one call cannot show it', { ...put, ...kept }, 'unknown: one call cannot show it'],
    ['put-only-listed', 'one call cannot show it', { ...put, ...kept }, 'unknown: one call cannot show it'],
    ['put-works', 'one call cannot show it', { ...put, ...kept }, 'unknown: one call cannot show it'],
    [
      'get-refuses-foreign-domid',
      'accepted',
      { ...put, in: { list: [0x50n], domid: 2 }, more: { privileged: false, domid: 1 } },
      'violated: domain 1 is unprivileged and names 2, but rc is 0',
    ],
    [
      'get-refuses-foreign-domid',
      'refused',
      { ...put, rc: -1, in: { list: [0x50n], domid: 2 }, more: { privileged: false, domid: 1 } },
      'holds',
    ],
    ['get-complete-count', 'it has no count', put, 'not asked'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });
});
