import { judge, type TraceJudge } from './judge.ts';
import { recordJudge } from './record-judge.ts';

export type { TraceJudge } from './judge.ts';

/** A judge at the start of a trace. */
export function traceJudge(judgeCall: typeof judge = judge): TraceJudge {
  return recordJudge(judgeCall);
}
