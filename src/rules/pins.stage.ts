import type { P2m } from '../trace/call.ts';
import { inWords, type Stage, staged } from './call.stage.ts';
import { type Judgement, judge } from './judge.ts';
import { type PinAnswers, PinWatch } from './pins.ts';

export const own = { domid: 1, fromStart: true };
// Guest frames 0x50 and 0x51 are got, in front of frames 0x900 and 0x901; 0x60 is never pinned.
export const before: [bigint, bigint | null][] = [
  [0x40n, 0x80n],
  [0x41n, 0x81n],
  [0x50n, null],
  [0x51n, null],
  [0x60n, 0x70n],
];
export const after: [bigint, bigint | null][] = [
  [0x40n, null],
  [0x41n, null],
  [0x50n, 0x900n],
  [0x51n, 0x901n],
  [0x60n, 0x70n],
];
export const get: Stage = { returned: [0x900n, 0x901n], p2m: [before, after], more: own };
export const put = (list: bigint[], p2m: Stage['p2m'] = [after, after], rc = 0): Stage => ({
  op: 'put_dma_buf',
  rc,
  in: { list },
  p2m,
  more: own,
});
export const moved = (...changes: [bigint, bigint][]): P2m => new Map([...after, ...changes]);
export const now: P2m = new Map(after);

/** A watch that has seen a get of 0x50 and 0x51. */
export function watching(...stages: Stage[]): PinWatch {
  const watch = new PinWatch(true);
  for (const stage of [get, ...stages]) watch.called(judge(staged(stage)) as Judgement);
  return watch;
}
export const say = (answers: PinAnswers): string[] => [...answers].map(([id, answer]) => `${id} ${answer.answer}`);
export const words = (answers: PinAnswers): string[] => [...answers].map(([id, answer]) => `${id} ${inWords(answer)}`);
export const pinned = (watch: PinWatch, ...gfns: bigint[]): (boolean | undefined)[] => gfns.map((gfn) => watch.isPinned(1, gfn));
