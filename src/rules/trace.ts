import type { ObservedCall } from '../trace/call.ts';
import { type Judgement, judge, withWider } from './judge.ts';
import { PinWatch } from './pins.ts';

/** Judges the calls of a trace in order: by what each shows, and by what those before it have shown. */
export function traceJudge(): (call: ObservedCall) => Judgement | undefined {
  let watch: PinWatch | undefined;
  return (call) => {
    watch ??= new PinWatch(call.fromStart);
    const judgement = judge(call, watch.findings(call));
    return judgement && withWider(judgement, watch.called(judgement));
  };
}
