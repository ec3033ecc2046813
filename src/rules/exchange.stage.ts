import type { Stage } from './call.stage.ts';

// Guest frames 0x40, 0x41 exchanged for 0x50, 0x51, which got 0x900, 0x901.
export const before: [bigint, bigint | null][] = [
  [0x40n, 0x80n],
  [0x41n, 0x81n],
  [0x50n, null],
  [0x51n, null],
];
export const after: [bigint, bigint | null][] = [
  [0x40n, null],
  [0x41n, null],
  [0x50n, 0x900n],
  [0x51n, 0x901n],
];
export const done: Stage = { rc: 0, N: 2n, returned: [0x900n, 0x901n], p2m: [before, after] };
// The same, stopped after the first page by -ENOMEM.
export const afterHalf: [bigint, bigint | null][] = [
  [0x40n, null],
  [0x41n, 0x81n],
  [0x50n, 0x900n],
  [0x51n, null],
];
export const half: Stage = { rc: -12, N: 1n, returned: [0x900n, 0x51n], p2m: [before, afterHalf] };
// Refused, and nothing done.
export const refused: Stage = { rc: -22, N: 0n, p2m: [before, before] };
export const butAfter = (...change: [bigint, bigint | null][]): Pick<Stage, 'p2m'> => ({ p2m: [before, [...after, ...change]] });
export const butAfterHalf = (...change: [bigint, bigint | null][]): Pick<Stage, 'p2m'> => ({ p2m: [before, [...afterHalf, ...change]] });
// Four single pages for one extent of four, as low as 4 GiB.
const four: [bigint, bigint | null][] = [0x40n, 0x41n, 0x42n, 0x43n].map((g) => [g, g + 0x40n]);
const afterBig: [bigint, bigint | null][] = [0n, 1n, 2n, 3n].map((j) => [0x50n + j, 0x900n + j]);
export const big: Stage = {
  rc: 0,
  N: 4n,
  in: { list: [0x40n, 0x41n, 0x42n, 0x43n] },
  out: { list: [0x50n], order: 2, bits: 32 },
  returned: [0x900n],
  p2m: [four, afterBig],
};
export const bigButAfter = (...change: [bigint, bigint | null][]): Pick<Stage, 'p2m'> => ({ p2m: [four, [...afterBig, ...change]] });
// Two extents of two pages for four single pages.
export const pieces: Stage = {
  rc: 0,
  N: 2n,
  in: { list: [0x40n, 0x42n], order: 1 },
  out: { list: [0x50n, 0x51n, 0x52n, 0x53n] },
  returned: [0x900n, 0x905n, 0x902n, 0x907n],
  p2m: [
    four,
    [
      ...[0x40n, 0x41n, 0x42n, 0x43n].map((g): [bigint, null] => [g, null]),
      [0x50n, 0x900n],
      [0x51n, 0x905n],
      [0x52n, 0x902n],
      [0x53n, 0x907n],
    ],
  ],
};
