import type { ObservedCall, Setting } from '../trace/call.ts';
import type { PlainRecord } from '../trace/plain-record.ts';
import { AlikeJudge } from './alike.ts';
import { judge, type TraceJudge, withWider } from './judge.ts';
import { PinWatch } from './pins.ts';
import type { Alike, OwnFrames } from './reach.ts';

/** Judges the calls of a trace in order, and those of plain records like others where it can. */
export interface RecordJudge extends TraceJudge {
  /**
   * Judges the next call by its plain record, where that is judged like one that was judged before:
   * what it says of that holds of this one too, and `frames` are those of this one. `undefined` if
   * it is to be judged by itself, and nothing was taken in. `exact` makes a call of it.
   */
  judgeLike(record: PlainRecord, setting: Setting, exact: () => ObservedCall | undefined): Alike | undefined;
  readonly frames: OwnFrames;
}

/** A judge at the start of a trace. */
export function recordJudge(judgeCall: typeof judge = judge): RecordJudge {
  let watch: PinWatch | undefined;
  let gap = false;
  const alikes = new AlikeJudge(judgeCall);
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
    judgeLike(record, setting, exact) {
      watch ??= new PinWatch(setting.fromStart && !gap);
      const alike = alikes.find(record, setting, exact);
      return alike && watch.takes(alike, alikes) ? alike : undefined;
    },
    frames: alikes,
    missed,
  };
}
