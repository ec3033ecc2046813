import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import type { OtherDomain } from '../trace/call.ts';
import { ARG, IN, OUT, type Stage, said, structOnly } from './call.stage.ts';
import { before, butAfter, done, half, refused } from './exchange.stage.ts';

const put: Stage = { op: 'put_dma_buf', rc: -22, in: { list: [0x50n, 0x51n] } };
const populate: Stage = { op: 'populate_physmap', rc: 1, in: { list: [0x40n, 0x41n] } };
// Guest frame 0x60000 holds struct and lists where addresses are physical; 0x40 is at 0x40000.
const physical = (stage: Stage, at?: bigint, length = 8n): Stage => ({
  ...stage,
  more: { space: 'physical', domid: 1, ...(at !== undefined && { changes: [{ address: at, length }] }) },
});
const watched = (stage: Stage, at: bigint, length = 8n): Stage => ({ ...stage, more: { changes: [{ address: at, length }] } });
const other = (seen: Partial<OtherDomain>): Stage => ({
  ...done,
  more: { others: [{ domid: 7, changes: [], p2mBefore: new Map(), p2mAfter: new Map(), ...seen }] },
});
/** Maps before and after, as `50=900 51=-`: guest frames and what is behind them. */
const seen = (...texts: [string, string]): NonNullable<Stage['p2m']> => {
  const [a, b] = texts.map((text) =>
    text.split(' ').map((page): [bigint, bigint | null] => {
      const [gfn, frame] = page.split('=');
      return [BigInt(`0x${gfn}`), frame === '-' ? null : BigInt(`0x${frame}`)];
    }),
  );
  return [a!, b!];
};
const counted = { pagesBefore: 64, pagesAfter: 64 };

describe('what must hold whatever the caller did', () => {
  it.each<[string, string, Stage, string]>([
    ['no-stray-writes', 'a later entry written', { ...half, returned: [0x900n, 0x901n] }, 'violated: entry 1 of the out list changed'],
    [
      'no-stray-writes',
      'the entries of a refused call',
      { ...refused, returned: [0x900n, 0x901n] },
      'violated: entry 0 of the out list changed',
    ],
    ['no-stray-writes', 'the input list', { ...done, inAfter: [0x40n, 0x99n] }, 'violated: entry 1 of the in list changed'],
    [
      'no-stray-writes',
      'nr_exchanged of a refused call',
      { ...refused, N: 0n, more: { changes: [{ address: ARG + 64n, length: 8n }] } },
      'holds',
    ],
    [
      'no-stray-writes',
      'the byte behind the struct of a refused call',
      watched(refused, ARG + 72n, 1n),
      'violated: 1 byte at 0x60000048 changed',
    ],
    [
      'no-stray-writes',
      'across the start of a list of a refused call',
      watched(refused, IN - 8n, 16n),
      'violated: entry 0 of the in list changed',
    ],
    ['no-stray-writes', 'elsewhere, of a refused call', watched(refused, 0x1000n), 'violated: 8 bytes at 0x1000 changed'],
    ['no-stray-writes', 'elsewhere, when virtual pages changed hands', watched(done, 0x1000n), 'holds'],
    [
      'no-stray-writes',
      'in the struct, when virtual pages changed hands',
      watched(done, ARG + 8n),
      'violated: bytes 8..16 of the struct changed [in.nr_extents 8..16]',
    ],
    [
      'no-stray-writes',
      'across the struct and nr_exchanged',
      watched(done, ARG + 60n, 12n),
      'violated: bytes 60..64 of the struct changed [out.padding 60..64]',
    ],
    ['no-stray-writes', 'in an exchanged input page', physical(done, 0x41000n), 'holds'],
    ['no-stray-writes', 'in an exchanged output page', physical(done, 0x51ff8n), 'holds'],
    ['no-stray-writes', 'behind an exchanged output page', physical(done, 0x52000n), 'violated: 8 bytes at 0x52000 changed'],
    [
      'no-stray-writes',
      'across the end of an exchanged output page',
      physical(done, 0x51ff8n, 16n),
      'violated: 8 bytes at 0x52000 changed',
    ],
    ['no-stray-writes', 'in a page that was not reached', physical(half, 0x41000n), 'violated: 8 bytes at 0x41000 changed'],
    [
      'no-stray-writes',
      'in a page of that number, exchanged in another domain',
      { ...physical(done, 0x41000n), in: { domid: 2 }, out: { domid: 2 } },
      'violated: 8 bytes at 0x41000 changed',
    ],
    [
      'no-stray-writes',
      'it is not known whose pages were exchanged',
      { ...physical(done, 0x41000n), in: { domid: 2 }, out: { domid: 2 }, more: { space: 'physical', changes: [] } },
      "unknown: not captured: the caller's domid",
    ],
    [
      'no-stray-writes',
      'the count not captured',
      { ...done, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    [
      'no-stray-writes',
      'the lists not captured',
      { ...done, more: structOnly(done) },
      'unknown: not captured: the in list before the call',
    ],
    ['no-stray-writes', 'the entries of a chunk of unequal orders', { ...done, in: { list: [0x40n], order: 1 }, N: 1n }, 'holds'],
    ['no-stray-writes', 'populate: the page given', physical(populate, 0x40000n), 'holds'],
    [
      'no-stray-writes',
      'populate: a page listed, of a call that gave none',
      physical({ ...populate, rc: 0 }, 0x40000n),
      'violated: 8 bytes at 0x40000 changed',
    ],
    ['no-stray-writes', 'populate: a page not listed', physical(populate, 0x42000n), 'violated: 8 bytes at 0x42000 changed'],
    [
      'no-stray-writes',
      'populate: a page given to another domain',
      { ...physical(populate, 0x40000n), in: { list: [0x40n], domid: 2 } },
      'violated: 8 bytes at 0x40000 changed',
    ],
    ['no-stray-writes', 'populate: elsewhere, virtual addresses', watched(populate, 0x1000n), 'holds'],
    [
      'no-stray-writes',
      'populate: elsewhere, no page given',
      watched({ ...populate, start: 1 }, 0x1000n),
      'violated: 8 bytes at 0x1000 changed',
    ],
    ['no-stray-writes', 'populate: no rc', { ...watched(populate, OUT), rc: undefined }, 'holds'],
    ['no-stray-writes', 'put: elsewhere', watched({ ...put, rc: 0 }, 0x1000n), 'violated: 8 bytes at 0x1000 changed'],
    [
      'frames-conserved',
      'one frame behind two pages',
      { ...done, ...butAfter([0x51n, 0x900n]) },
      'violated: frame 0x900 is behind guest frames 0x50 and 0x51',
    ],
    [
      'frames-conserved',
      'one frame behind two pages as before',
      {
        ...done,
        p2m: seen('40=9 41=9', '40=9 41=9'),
      },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    [
      'frames-conserved',
      'a second page of a frame that was behind one',
      {
        ...done,
        p2m: seen('60=9 50=-', '60=9 50=9'),
      },
      'violated: frame 0x9 is behind guest frames 0x60 and 0x50',
    ],
    [
      'frames-conserved',
      'two pages of a frame, one of them not seen before',
      {
        ...done,
        p2m: seen('60=9', '60=9 50=9'),
      },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    ['frames-conserved', 'two holes', { ...done, more: counted }, 'holds'],
    [
      'frames-conserved',
      'a frame of another domain',
      { ...other({ p2mAfter: new Map([[1n, 0x901n]]) }) },
      'violated: frame 0x901 is in two domains',
    ],
    [
      'frames-conserved',
      'a frame shared with another domain before',
      {
        ...other({ p2mAfter: new Map([[1n, 9n]]) }),
        p2m: seen('60=9 50=-', '60=9 50=-'),
      },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    [
      'frames-conserved',
      'another domain with a hole',
      { ...other({ p2mAfter: new Map([[1n, null]]) }) },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    [
      'frames-conserved',
      'pages gained',
      { ...done, more: { pagesBefore: 64, pagesAfter: 65 } },
      'violated: the domain owned 64 pages before and 65 after',
    ],
    [
      'frames-conserved',
      'pages counted only before',
      { ...done, more: { pagesBefore: 64 } },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    [
      'frames-conserved',
      'pages counted only after',
      { ...done, more: { pagesAfter: 64 } },
      "unknown: not captured: the domain's number of pages before and after",
    ],
    ['frames-conserved', 'as many pages as before', { ...done, more: counted }, 'holds'],
    [
      'frames-conserved',
      'an input not seen before',
      { ...done, p2m: [before.slice(1), done.p2m![1]], more: counted },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'frames-conserved',
      'an output not seen after',
      { ...done, p2m: [before, done.p2m![1].slice(0, 3)], more: counted },
      'unknown: not captured: the p2m after the call',
    ],
    ['frames-conserved', 'no p2m', { ...done, p2m: [[], []], more: counted }, 'unknown: not captured: the p2m after the call'],
    [
      'frames-conserved',
      'no p2m, and nothing listed',
      { ...done, N: 0n, in: { list: [] }, out: { list: [] }, p2m: [[], []], more: counted },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'frames-conserved',
      'the lists not captured',
      { ...done, more: { ...counted, ...structOnly(done) } },
      'unknown: not captured: the in list before the call',
    ],
    ['isolation', 'no other domain was seen', done, 'unknown: no other domain was watched'],
    ['isolation', 'there is no other domain', { ...done, more: { others: [] } }, 'unknown: not exercised by this call'],
    ['isolation', 'nothing changed', other({ p2mBefore: new Map([[1n, 2n]]), p2mAfter: new Map([[1n, 2n]]) }), 'holds'],
    [
      'isolation',
      'a byte of it changed',
      other({ changes: [{ address: 0x1000n, length: 1n }] }),
      'violated: 1 byte at 0x1000 of domain 7 changed',
    ],
    [
      'isolation',
      'a page of it unmapped',
      other({
        p2mBefore: new Map([
          [0n, 1n],
          [1n, 2n],
        ]),
        p2mAfter: new Map([
          [0n, 1n],
          [1n, null],
        ]),
      }),
      'violated: guest frame 0x1 of domain 7 had frame 0x2 behind it and now has no frame',
    ],
    ['isolation', 'a page of it seen only after', other({ p2mAfter: new Map([[1n, 3n]]) }), 'holds'],
    ['isolation', 'a page of it seen only before', other({ p2mBefore: new Map([[1n, 3n]]) }), 'holds'],
    [
      'no-stray-writes',
      'put: a list written, and a count returned',
      { ...put, rc: 2, inAfter: [0x900n, 0x901n] },
      'violated: entry 0 of the in list changed',
    ],
    ['no-stray-writes', 'put: elsewhere, and a count returned', watched({ ...put, rc: 2 }, 0x1000n), 'violated: 8 bytes at 0x1000 changed'],
    ['no-stray-writes', 'put: by nobody knows whom', { ...put, in: { list: [0x50n], domid: 2 }, more: { space: 'physical' } }, 'holds'],
    ['no-stray-writes', 'virtual addresses, by nobody knows whom', { ...done, in: { domid: 2 }, out: { domid: 2 } }, 'holds'],
    [
      'no-stray-writes',
      'a refused call whose struct was not captured, all of memory watched',
      { ...refused, more: { before: unknownMemory, changes: [] } },
      'holds',
    ],
    [
      'no-stray-writes',
      'populate: the struct, at the address of a page given',
      { ...populate, in: { list: [0x60000n] }, scribble: { at: 8, after: 9 } },
      'violated: bytes 8..9 of the struct changed [nr_extents 8..9]',
    ],
    [
      'frames-conserved',
      'a second page, seen first, of a frame that was behind one',
      {
        ...done,
        p2m: seen('50=- 60=9', '50=9 60=9'),
      },
      'violated: frame 0x9 is behind guest frames 0x50 and 0x60',
    ],
    ['bounded-work', 'is asked of a live run', done, 'unknown: one call cannot show it'],
    ['survives', 'is asked of a live run', done, 'unknown: one call cannot show it'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });
});
