import { errnoName } from '../abi/constants.ts';
import { startExtent, xenName } from '../abi/ops.ts';
import { likelyCause } from '../rules/cause.ts';
import type { Finding, Judgement } from '../rules/judge.ts';
import { isRequirement } from '../rules/rule.ts';
import type { Told } from '../rules/shown.ts';
import type { ObservedCall } from '../trace/call.ts';
import { memoryCallText } from './memory-text.ts';
import { mark } from './struct-text.ts';
import { plain, type Style } from './style.ts';
import { wrapped } from './wrap.ts';

/** A call's line begins with its place, in so many columns at least. */
export const placeWidth = 6;

/** One call in one line, and a line for each finding that `shown` lets through. */
export function callText(
  { call, judgement, findings }: Told,
  place: string,
  shown: (finding: Finding) => boolean,
  style: Style = plain,
): string[] {
  const op = nameOf(call, judgement);
  const start = startExtent(call.cmd);
  const name = start > 0 ? `${op} from ${start}` : op;
  const rc = call.rc === undefined ? 'rc ?' : `rc ${call.rc}${errnoName(call.rc) ? ` (${errnoName(call.rc)})` : ''}`;
  const head = `${place.padEnd(placeWidth)} ${name.padEnd(28)} ${rc.padEnd(20)} `;
  if (!judgement) {
    const about = memoryCallText(call);
    return [
      style.dim(`${head}not judged`),
      ...(about === undefined ? [] : wrapped('       ', about, 9)),
      ...findingsText(findings.filter(shown), style),
    ];
  }
  const lines = [`${head}${verdict(judgement, style)}`, ...findingsText(findings.filter(shown), style)];
  const why = likelyCause(judgement);
  if (why !== undefined) lines.push(...wrapped('       likely why: ', why, 9));
  return lines;
}

/** A line, or more where it is long, for each finding. */
export function findingsText(findings: readonly Finding[], style: Style): string[] {
  return findings.flatMap((f) => {
    const where = f.where === undefined ? '' : `${f.where}${f.bytes ? ` @${f.bytes[0]}` : ''}: `;
    const isViolated = isRequirement(f);
    const word = isViolated ? 'violated' : f.severity;
    const [first = '', ...rest] = wrapped(`       ${word} ${f.id}: `, `${where}${f.message}`, 9);
    return [first.replace(word, isViolated ? style.bad(word) : mark(f, style)), ...rest];
  });
}

/** The op of a call, or both where one struct is the argument of two. */
function nameOf(call: ObservedCall, judgement: Judgement | undefined): string {
  if (call.mayBe?.length === 2) return call.mayBe.join(' or ');
  return judgement?.op ?? xenName(call.cmd, call.profile);
}

function verdict({ requirements, findings }: Judgement, style: Style): string {
  const tally = { holds: 0, violated: 0, unknown: 0 };
  for (const { answer } of requirements.values()) tally[answer]++;
  const counts = `${tally.holds} hold, ${tally.violated > 0 ? `${tally.violated} violated, ` : ''}${tally.unknown} unknown`;
  const word =
    tally.violated > 0 ? 'VIOLATED' : findings.some((f) => f.severity === 'error') ? 'caller' : tally.holds > 0 ? 'ok' : 'unknown';
  const colour = { VIOLATED: style.bad, caller: style.bad, ok: style.good, unknown: style.dim }[word];
  return `${colour(word)}${' '.repeat(10 - word.length)}${counts}`;
}
