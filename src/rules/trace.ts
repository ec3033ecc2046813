import type { ObservedCall } from '../trace/call.ts';
import { type Judgement, judge, withWider } from './judge.ts';
import { PinWatch } from './pins.ts';

/**
 * Judges the calls of a trace in order: by what each shows, and by what those before it have shown.
 */
export interface TraceJudge {
  /**
   * What the rules say of the next call; `undefined` if xenmem does not judge its op. If a rule
   * fails, which is a bug of ours, its error is thrown, and what the call did is not known: the
   * next one can be judged.
   */
  judge(call: ObservedCall): Judgement | undefined;
  /** A record was there and could not be read: what it did is not known. */
  missed(): void;
}

/** A judge at the start of a trace. */
export function traceJudge(judgeCall: typeof judge = judge): TraceJudge {
  let watch: PinWatch | undefined;
  let gap = false;
  const missed = (): void => {
    gap = true;
    watch?.missed();
  };
  return {
    judge(call) {
      watch ??= new PinWatch(call.fromStart && !gap);
      try {
        const judgement = judgeCall(call, watch.findings(call));
        // What an op that is not judged does to the p2m, the guest asked for.
        if (judgement === undefined) watch.missed();
        return judgement && withWider(judgement, watch.called(judgement));
      } catch (error) {
        missed();
        throw error;
      }
    },
    missed,
  };
}
