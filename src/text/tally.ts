import { type CapturePiece, pieces } from '../rules/answer.ts';
import type { Finding, Judgement } from '../rules/judge.ts';
import { addLacks, type Lacks, nextCapture } from '../rules/needs.ts';
import { isRequirement } from '../rules/rule.ts';
import type { Told } from '../rules/shown.ts';
import { count, plain, type Style } from './style.ts';
import { wrapped } from './wrap.ts';

type Counts = Record<string, number>;

/**
 * What a trace came to: counts by id. Adding two tallies field by field gives the tally of both
 * traces.
 */
export interface Tally {
  calls: number;
  not_judged: number;
  /** Of those, the ones of which the struct alone was judged. */
  by_struct: number;
  unreadable: number;
  /** Calls that xenmem failed to judge, which is a bug of its own. */
  failed: number;
  readonly holds: Counts;
  readonly violated: Counts;
  readonly unknown: Counts;
  readonly findings: Counts;
  /** Findings by severity, violated requirements apart. */
  readonly weights: { hypervisor: number; error: number; warning: number; note: number };
  /** What the captures lacked for the answers that are unknown. */
  readonly lacks: Lacks;
  /** Was any requirement or duty judged at all? */
  evaluated: boolean;
}

export function newTally(): Tally {
  return {
    calls: 0,
    not_judged: 0,
    by_struct: 0,
    unreadable: 0,
    failed: 0,
    holds: {},
    violated: {},
    unknown: {},
    findings: {},
    weights: { hypervisor: 0, error: 0, warning: 0, note: 0 },
    lacks: new Map(),
    evaluated: false,
  };
}

/**
 * Adds a call, or several that are judged alike; `undefined` is a call that xenmem does not judge.
 */
export function addJudgement(tally: Tally, judgement: Judgement | undefined, calls = 1): void {
  tally.calls += calls;
  if (judgement === undefined) {
    tally.not_judged += calls;
    return;
  }
  for (const [id, { answer }] of judgement.requirements) {
    tally[answer][id] = (tally[answer][id] ?? 0) + calls;
    tally.evaluated ||= answer !== 'unknown';
  }
  tally.evaluated ||= judgement.dutiesJudged;
  addLacks(tally.lacks, judgement, calls);
  addFindings(tally, judgement.findings, calls);
}

/** Adds what another part of the same input came to. */
export function addTally(tally: Tally, part: Tally): void {
  for (const name of ['calls', 'not_judged', 'by_struct', 'unreadable', 'failed'] as const) tally[name] += part[name];
  for (const name of ['holds', 'violated', 'unknown', 'findings', 'weights'] as const) {
    const into: Counts = tally[name];
    for (const [id, calls] of Object.entries(part[name])) into[id] = (into[id] ?? 0) + calls;
  }
  for (const [pieces, answers] of part.lacks) tally.lacks.set(pieces, (tally.lacks.get(pieces) ?? 0) + answers);
  tally.evaluated ||= part.evaluated;
}

/**
 * Adds a call, or several that are told alike, with what the struct alone shows where it is not
 * judged.
 */
export function addTold(tally: Tally, { judgement, findings, byStruct }: Told, calls = 1): void {
  addJudgement(tally, judgement, calls);
  if (!byStruct) return;
  tally.by_struct += calls;
  tally.evaluated = true;
  addFindings(tally, findings, calls);
}

function addFindings(tally: Tally, findings: readonly Finding[], calls = 1): void {
  for (const { id, blame, severity } of findings) {
    tally.findings[id] = (tally.findings[id] ?? 0) + calls;
    tally.weights[isRequirement({ blame, severity }) ? 'hypervisor' : severity] += calls;
  }
}

/** The summary line of `xenmem validate --json`. */
export function tallyJson({ calls, not_judged, by_struct, unreadable, failed, holds, violated, unknown, findings }: Tally): object {
  const byId = (counts: Counts): Counts => Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
  const counted = { holds: byId(holds), violated: byId(violated), unknown: byId(unknown), findings: byId(findings) };
  return { summary: { calls, not_judged, ...(by_struct > 0 && { by_struct }), unreadable, ...(failed > 0 && { failed }), ...counted } };
}

/**
 * The same for a person: what was judged, what holds, who erred. `isWhole`: nothing of the input is
 * known to be missing.
 */
export function tallyText(tally: Tally, style: Style = plain, isWhole = true): string[] {
  const total = (counts: Counts): number => Object.values(counts).reduce((sum, n) => sum + n, 0);
  const { hypervisor, error, warning, note } = tally.weights;
  const judged = tally.calls - tally.not_judged - tally.failed;
  const unreadable = tally.unreadable > 0 ? `, ${tally.unreadable} unreadable` : '';
  const failed = tally.failed > 0 ? `, ${tally.failed} that xenmem failed to judge` : '';
  const alone = tally.by_struct > 0 ? ` (${tally.by_struct} by the struct alone)` : '';
  const others = tally.not_judged > 0 ? `, ${tally.not_judged} of ops that xenmem does not judge${alone}` : '';
  const [hold, violated, unknown] = [tally.holds, tally.violated, tally.unknown].map(total) as [number, number, number];
  const lines = [
    `${count(tally.calls, 'call')}: ${judged} judged${others}${failed}${unreadable}`,
    `requirements: ${hold} hold, ${violated} violated, ${unknown} unknown`,
  ];
  const ids = Object.entries(tally.findings).sort(([a], [b]) => (a < b ? -1 : 1));
  if (ids.length > 0)
    lines.push(...wrapped('findings: ', ids.map(([id, n]) => `${id}\u00a0${n}`).join(', ')).map((text) => text.replaceAll('\u00a0', ' ')));
  const next = unknown > hold + violated ? nextCapture(tally.lacks) : undefined;
  if (next) lines.push(...wrapped('to judge more: ', `capture ${listed(next.pieces)}: up to ${count(next.answers, 'more answer')}`));
  const seen = [
    ...(unknown > 0 ? [`${hold + violated} of ${hold + violated + unknown} answers`] : []),
    ...(warning + note > 0 ? [`${count(warning, 'warning')}, ${count(note, 'note')}`] : []),
  ];
  if (hypervisor > 0) lines.push(style.bad(`✗ the hypervisor broke ${count(hypervisor, 'requirement')}`));
  else if (error > 0) lines.push(style.bad(`✗ ${count(error, 'error')} of the caller; no requirement on the hypervisor violated`));
  else if (!tally.evaluated) lines.push(style.warn('? nothing was evaluated'));
  else if (tally.failed > 0) lines.push(style.warn('? nothing wrong in what could be judged'));
  else if (tally.unreadable > 0) lines.push(style.warn('? nothing wrong in what could be read'));
  else if (!isWhole) lines.push(style.warn('? nothing wrong in the pieces that are there'));
  else
    lines.push(
      style.good(
        `✓ nothing wrong${judged === 0 ? ' in the structs alone' : unknown > 0 ? ' in what was captured' : ''}${seen.length > 0 ? ` (${seen.join('; ')})` : ''}`,
      ),
    );
  return lines;
}

/** Pieces as one phrase. */
function listed(names: readonly CapturePiece[]): string {
  const [last = '', ...others] = names.map((piece) => pieces[piece]).reverse();
  return others.length > 0 ? `${others.reverse().join(', ')} and ${last}` : last;
}
