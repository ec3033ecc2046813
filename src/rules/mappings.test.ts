import { describe, expect, it } from 'vitest';
import { unknownMemory } from '../guest/memory.ts';
import { ARG, IN, OUT, only, type Stage, said, saidOf, staged } from './call.stage.ts';
import { after, afterHalf, before, big, bigButAfter, butAfter, butAfterHalf, done, half, pieces, refused } from './exchange.stage.ts';

describe('what the p2m shows of op 26', () => {
  it.each<[string, string, Stage, string]>([
    [
      'get-mfns-returned',
      'the list still holds guest frames',
      { ...done, returned: [0x50n, 0x51n] },
      'violated: output entry 0 says frame 0x50, but frame 0x900 is behind guest frame 0x50',
    ],
    [
      'get-mfns-returned',
      'the second entry is another frame',
      { ...done, returned: [0x900n, 0x903n] },
      'violated: output entry 1 says frame 0x903, but frame 0x901 is behind guest frame 0x51',
    ],
    [
      'get-mfns-returned',
      'nothing is behind it',
      { ...done, ...butAfter([0x51n, null]) },
      'violated: output entry 1 says frame 0x901, but nothing is behind guest frame 0x51',
    ],
    ['get-mfns-returned', 'no p2m', { ...done, p2m: [[], []] }, 'unknown: not captured: the p2m after the call'],
    [
      'get-mfns-returned',
      'a mapping not seen',
      { ...done, p2m: [before, after.slice(0, 3)] },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'get-mfns-returned',
      'nothing asked for',
      { ...done, N: 0n, in: { list: [] }, out: { list: [] } },
      'unknown: not exercised by this call',
    ],
    ['get-mfns-returned', 'no rc', { ...done, rc: undefined }, 'unknown: not captured: rc'],
    ['get-mfns-returned', 'rc is not 0', half, 'unknown: not exercised by this call'],
    [
      'get-partial-mfns',
      'the first entry was not written',
      { ...half, returned: [0x50n, 0x51n] },
      'violated: output entry 0 says frame 0x50, but frame 0x900 is behind guest frame 0x50',
    ],
    ['get-partial-mfns', 'no rc', { ...half, rc: undefined }, 'unknown: not captured: rc'],
    ['get-partial-mfns', 'rc is 0', done, 'unknown: not exercised by this call'],
    ['get-partial-mfns', 'nothing was exchanged', refused, 'unknown: not exercised by this call'],
    [
      'get-new-pages',
      'the old frame again',
      { ...done, ...butAfter([0x50n, 0x80n]) },
      'violated: output extent 0 got frame 0x80, which an input of the same chunk had',
    ],
    ['get-new-pages', 'the old frame of another chunk', { ...done, ...butAfter([0x50n, 0x81n]) }, 'holds'],
    [
      'get-new-pages',
      'an old frame of the same chunk, in its fourth page',
      { ...big, ...bigButAfter([0x53n, 0x81n]) },
      'violated: output extent 0 got frame 0x81, which an input of the same chunk had',
    ],
    ['get-new-pages', 'the frames of larger inputs', pieces, 'holds'],
    [
      'get-new-pages',
      'a frame of the same larger input',
      { ...pieces, p2m: [pieces.p2m![0], [...pieces.p2m![1], [0x51n, 0x80n]]] },
      'violated: output extent 1 got frame 0x80, which an input of the same chunk had',
    ],
    [
      'get-new-pages',
      'a page lost',
      { ...done, more: { pagesBefore: 64, pagesAfter: 63 } },
      'violated: the domain owned 64 pages before and 63 after',
    ],
    [
      'get-new-pages',
      'a page lost, and nothing exchanged',
      { ...refused, more: { pagesBefore: 64, pagesAfter: 63 } },
      'violated: the domain owned 64 pages before and 63 after',
    ],
    ['get-new-pages', 'pages counted only before', { ...done, more: { pagesBefore: 64 } }, 'holds'],
    ['get-new-pages', 'pages counted only after', { ...done, more: { pagesAfter: 64 } }, 'holds'],
    [
      'get-new-pages',
      'a hole where a hole was',
      {
        ...done,
        p2m: [
          [
            [0x40n, null],
            [0x41n, 1n],
          ],
          [
            [0x50n, null],
            [0x51n, 2n],
          ],
        ],
      },
      'holds',
    ],
    ['get-new-pages', 'as many pages as before', { ...done, more: { pagesBefore: 64, pagesAfter: 64 } }, 'holds'],
    [
      'get-new-pages',
      'input lists of machine frames',
      { ...done, more: { translated: false } },
      'unknown: input lists hold machine frames here',
    ],
    [
      'get-new-pages',
      'the inputs were not seen before',
      { ...done, p2m: [[[0x40n, 0x80n]], after] },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'get-new-pages',
      'an output is not seen after',
      { ...done, p2m: [before, after.slice(0, 3)] },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'get-new-pages',
      'the count not captured',
      { ...done, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    [
      'get-populates-gpfns',
      'an output page is a hole',
      { ...done, ...butAfter([0x51n, null]) },
      'violated: output extent 1: nothing is behind guest frame 0x51',
    ],
    [
      'get-populates-gpfns',
      'the third page of an extent is a hole',
      { ...big, ...bigButAfter([0x52n, null]) },
      'violated: output extent 0: nothing is behind guest frame 0x52',
    ],
    [
      'get-populates-gpfns',
      'the last page of an extent is not seen',
      { ...big, p2m: [big.p2m![0], big.p2m![1].slice(0, 3)] },
      'unknown: not captured: the p2m after the call',
    ],
    ['get-populates-gpfns', 'no p2m', { ...done, p2m: [[], []] }, 'unknown: not captured: the p2m after the call'],
    ['get-populates-gpfns', 'nothing was exchanged', refused, 'unknown: not exercised by this call'],
    ['get-populates-gpfns', 'a hole that a failed chunk left', half, 'holds'],
    ['get-contiguous', 'four pages in a row', big, 'holds'],
    [
      'get-contiguous',
      'the third page lies elsewhere',
      { ...big, ...bigButAfter([0x52n, 0x907n]) },
      'violated: output extent 0: page 2 lies at frame 0x907, the extent at 0x900',
    ],
    [
      'get-contiguous',
      'the last page is not seen',
      { ...big, p2m: [big.p2m![0], big.p2m![1].slice(0, 3)] },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'get-contiguous',
      'a hole among them, which is not its to say',
      { ...big, ...bigButAfter([0x52n, null]) },
      'unknown: nothing is behind a page of it',
    ],
    ['get-contiguous', 'a hole where it begins', { ...big, ...bigButAfter([0x50n, null]) }, 'unknown: nothing is behind a page of it'],
    [
      'get-inputs-released',
      'an input page kept',
      { ...done, ...butAfter([0x41n, 0x81n]) },
      'violated: guest frame 0x41 of input extent 1 still has frame 0x81 behind it',
    ],
    [
      'get-inputs-released',
      'the same frame put back',
      { ...done, out: { list: [0x40n, 0x51n] }, ...butAfter([0x40n, 0x80n]) },
      'violated: guest frame 0x40 of input extent 0 has kept its frame 0x80',
    ],
    ['get-inputs-released', 'another frame put back', { ...done, out: { list: [0x40n, 0x51n] }, ...butAfter([0x40n, 0x900n]) }, 'holds'],
    [
      'get-inputs-released',
      'the same frame from an earlier chunk',
      { ...done, out: { list: [0x50n, 0x40n] }, ...butAfter([0x40n, 0x80n]) },
      'holds',
    ],
    [
      'get-inputs-released',
      'a page of a larger input kept',
      { ...pieces, p2m: [pieces.p2m![0], [...pieces.p2m![1], [0x43n, 0x83n]]] },
      'violated: guest frame 0x43 of input extent 1 still has frame 0x83 behind it',
    ],
    [
      'get-inputs-released',
      'an input page not seen after',
      { ...done, p2m: [before, after.slice(1)] },
      'unknown: not captured: the p2m after the call',
    ],
    [
      'get-inputs-released',
      'put back, and not seen before',
      { ...done, out: { list: [0x40n, 0x51n] }, p2m: [[], [...after, [0x40n, 0x80n]]] },
      'unknown: not captured: the p2m before the call',
    ],
    [
      'get-inputs-released',
      'input lists of machine frames',
      { ...done, more: { translated: false } },
      'unknown: input lists hold machine frames here',
    ],
    [
      'get-inputs-released',
      'a page kept that a later output names',
      { ...half, out: { list: [0x50n, 0x40n] }, ...butAfterHalf([0x40n, 0x80n]) },
      'violated: guest frame 0x40 of input extent 0 still has frame 0x80 behind it',
    ],
    [
      'get-rest-untouched',
      'a page not seen before',
      { ...half, p2m: [before.filter(([gfn]) => gfn !== 0x41n), [...afterHalf, [0x41n, 9n]]] },
      'holds',
    ],
    ['get-inputs-released', 'nothing was exchanged', refused, 'unknown: not exercised by this call'],
    [
      'get-inputs-released',
      'the count not captured',
      { ...done, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
    [
      'get-inputs-released',
      'more counted than there are',
      { ...half, N: 3n },
      'violated: guest frame 0x41 of input extent 1 still has frame 0x81 behind it',
    ],
    ['get-rest-untouched', 'a later entry written', { ...half, returned: [0x900n, 0x901n] }, 'violated: entry 1 of the out list changed'],
    [
      'get-rest-untouched',
      'a later input unmapped',
      { ...half, ...butAfterHalf([0x41n, null]) },
      'violated: guest frame 0x41, which the call did not reach, had frame 0x81 behind it and now has no frame',
    ],
    [
      'get-rest-untouched',
      'a later output mapped',
      { ...half, ...butAfterHalf([0x51n, 0x901n]) },
      'violated: guest frame 0x51, which the call did not reach, had no frame behind it and now has frame 0x901',
    ],
    [
      'get-rest-untouched',
      'a page that no list names',
      {
        ...half,
        p2m: [
          [...before, [0x70n, 1n]],
          [...afterHalf, [0x70n, 2n]],
        ],
      },
      'holds',
    ],
    [
      'get-rest-untouched',
      'a later page, but input lists hold machine frames',
      { ...half, ...butAfterHalf([0x41n, null]), more: { translated: false } },
      'holds',
    ],
    [
      'get-rest-untouched',
      'a later input that a committed output populated',
      { ...half, out: { list: [0x41n, 0x51n] }, ...butAfterHalf([0x41n, 0x900n]) },
      "unknown: suspended by the caller's error",
    ],
    ['get-inputs-released', 'more counted than there are, and all of them released', { ...done, rc: -12, N: 3n }, 'holds'],
    ['get-rest-untouched', 'nothing is left over', done, 'unknown: not exercised by this call'],
    ['get-rest-untouched', 'a refusal', refused, 'holds'],
    [
      'get-rest-untouched',
      'a refusal, and an input unmapped',
      { ...refused, p2m: [before, [...before, [0x41n, null]]] },
      'violated: guest frame 0x41, which the call did not reach, had frame 0x81 behind it and now has no frame',
    ],
    ['get-rest-untouched', 'a refusal, and an input moved', { ...refused, p2m: [before, [...before, [0x41n, 0x99n]]] }, 'holds'],
    [
      'get-rest-untouched',
      'an input that was not reached and has lost its content',
      {
        ...half,
        more: {
          space: 'physical',
          domid: 1,
          changes: [
            { address: ARG + 64n, length: 8n },
            { address: OUT, length: 8n },
            { address: 0x41010n, length: 16n },
          ],
        },
      },
      'violated: 16 bytes changed at 0x41010, in a page that the call did not reach',
    ],
    [
      'get-new-pages',
      'the frame of an input again, where another page was moved meanwhile',
      {
        ...done,
        p2m: [
          [...before, [0x60n, 0x70n]],
          [...after, [0x60n, 0x71n], [0x50n, 0x80n]],
        ],
      },
      'unknown: other pages were moved during the call, and inputs may have been',
    ],
    [
      'get-rest-untouched',
      'the count not captured',
      { ...half, more: { after: unknownMemory } },
      'unknown: not captured: the struct after the call',
    ],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });

  it('is judged no further than the lists were captured', () => {
    const part = (id: string, stage: Stage, ...ranges: [address: bigint, length: bigint][]): string =>
      saidOf(id, only(staged(stage), { address: ARG, length: 72n }, ...ranges.map(([address, length]) => ({ address, length }))));
    const unlisted = 'unknown: not captured: the in list before the call';
    const returned = 'unknown: not captured: the out list after the call';
    const unlistedOut = 'unknown: not captured: the out list before the call';
    expect([part('get-inputs-released', done, [IN, 8n], [OUT, 16n]), part('get-inputs-released', done, [IN, 16n], [OUT, 16n])]).toEqual([
      unlisted,
      'holds',
    ]);
    for (const id of ['get-populates-gpfns', 'get-contiguous', 'get-new-pages', 'get-aligned', 'get-mfns-returned']) {
      expect([id, part(id, done, [IN, 16n], [OUT, 8n]), part(id, done, [IN, 16n], [OUT, 16n])]).toEqual([
        id,
        id === 'get-aligned' || id === 'get-mfns-returned' ? returned : unlistedOut,
        'holds',
      ]);
    }
    // What an output that was not captured may have populated blames nobody.
    const moved: Stage = { ...half, ...butAfterHalf([0x41n, null]) };
    expect(part('get-rest-untouched', moved, [IN, 16n], [OUT + 8n, 8n])).toBe(unlistedOut);
    expect(part('get-rest-untouched', moved, [IN, 16n], [OUT, 8n])).toMatch('violated: guest frame 0x41, which the call did not reach');
  });
});
