import { isRequirement, type Rule } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import { requiredCells } from './cells.ts';
import { countOf, type PairsPlayed, pairsText } from './pairs.ts';
import type { ConformanceResult, Counterexample, ImplementationInfo, Incident, RequirementResult, Shard, Strength } from './result.ts';

/** Below so many judged calls a requirement that is demanded counts as not exercised. */
export const floor = 30;

/** Scenarios that the two oracles disagree about that are kept: more would say the same. */
export const mostDisputed = 3;

/** How often a requirement was found to hold, violated or unknown. */
export interface Counts {
  holds: number;
  violated: number;
  unknown: number;
}

/**
 * What a run, or a part of one, has collected. All of it can be added up: a run is the sum of its
 * shards.
 */
export interface Collected {
  readonly implementation: ImplementationInfo;
  readonly level: 0 | 1 | 2;
  readonly demanded?: number;
  readonly seed: number;
  readonly arch: readonly string[];
  readonly runs: number;
  readonly played: number;
  readonly calls: number;
  readonly predicted?: number;
  /** Why it ended early, if it did. */
  readonly ended?: string;
  readonly shard?: Shard;
  /**
   * The scenarios were given, each once: a requirement is exercised if one shows it, and there is
   * no coverage table.
   */
  readonly fixtures?: boolean;
  readonly tally: ReadonlyMap<string, Counts>;
  readonly cells: ReadonlyMap<string, number>;
  readonly pairs?: PairsPlayed;
  readonly triples?: PairsPlayed;
  readonly readings: ConformanceResult['readings'];
  readonly incidents: readonly Incident[];
  readonly counterexamples: ReadonlyMap<string, Counterexample>;
  /** Why these requirements need not be exercised on this implementation. */
  readonly excused?: { readonly [requirement: string]: string };
  readonly strength?: Strength;
}

/** The requirements on the hypervisor, in the order of the specification. */
export const requirementIds: readonly string[] = rules.filter(isRequirement).map((rule) => rule.id);

/** The verdict, and all that it stands on. */
export function summarise(collected: Collected): ConformanceResult {
  const {
    implementation,
    level,
    demanded,
    tally,
    cells,
    counterexamples,
    strength,
    shard,
    ended,
    pairs,
    triples,
    fixtures = false,
  } = collected;
  const enough = fixtures ? 1 : floor;
  const requirements = rules.filter(isRequirement).map((rule): RequirementResult => {
    const { holds, violated, unknown } = tally.get(rule.id) ?? { holds: 0, violated: 0, unknown: 0 };
    const excused = excuse(rule, implementation) ?? collected.excused?.[rule.id];
    const counterexample = counterexamples.get(rule.id);
    return {
      id: rule.id,
      verdict: violated > 0 && counterexample?.flaky ? 'unknown' : violated > 0 ? 'violated' : holds >= enough ? 'holds' : 'unknown',
      exercised: holds + violated,
      unknown,
      violated,
      ...(excused !== undefined && { excused }),
      ...(counterexample && { counterexample }),
    };
  });
  const required = fixtures ? [] : [...requiredCells(implementation)];
  const table = required.map(([cell, least]) => [cell, { count: cells.get(cell) ?? 0, floor: least }] as const);
  const broken = requirements.filter((r) => r.verdict === 'violated');
  const vacuous = requirements.filter((r) => r.verdict === 'unknown' && r.excused === undefined && !r.counterexample?.flaky);
  const incidents = settled(collected.incidents, broken.length > 0);
  const reasons = [
    ...broken.map((r) => `${r.id} is violated`),
    ...(demanded !== undefined && demanded > level ? [`level ${demanded} is demanded, ${level} can be seen`] : []),
    ...(['internal', 'disputed', 'unlike', 'flaky', 'setup', 'undriven'] as const).flatMap((kind) => incidentReason(kind, incidents)),
    ...(ended === undefined ? [] : [ended]),
    ...vacuous.map((r) => (fixtures ? `no fixture exercised ${r.id}` : `${r.id} was exercised ${r.exercised} times, fewer than ${floor}`)),
    ...table.flatMap(([cell, c]) => (c.count < c.floor ? [`cell "${cell}" was reached ${c.count} times, fewer than ${c.floor}`] : [])),
    ...(pairs && countOf(pairs) < pairs.of ? [`${pairsText(pairs)} of values were played`] : []),
    ...(triples && countOf(triples) < triples.of ? [`${pairsText(triples, 'triples')} of values were played`] : []),
  ];
  return {
    verdict: broken.length > 0 ? 'nonconformant' : reasons.length > 0 ? 'inconclusive' : 'conformant',
    level,
    ...(demanded !== undefined && { demanded }),
    implementation,
    seed: collected.seed,
    arch: collected.arch,
    runs: collected.runs,
    played: collected.played,
    calls: collected.calls,
    ...(collected.predicted !== undefined && { predicted: collected.predicted }),
    partial: ended !== undefined,
    ...(ended !== undefined && { ended }),
    ...(shard && { shard }),
    ...(fixtures && { fixtures }),
    requirements,
    cells: Object.fromEntries(table),
    ...(pairs && { pairs }),
    ...(triples && { triples }),
    readings: sorted(collected.readings),
    incidents,
    reasons,
    ...(strength && { strength }),
  };
}

/**
 * In the order of their scenarios. Of a faulty implementation it is no wonder if the model would
 * have done otherwise, also where no requirement is seen broken.
 */
function settled(incidents: readonly Incident[], isFaulty: boolean): Incident[] {
  let disputes = 0;
  return [...incidents]
    .sort((a, b) => a.found - b.found)
    .filter(({ kind, requirement }) => {
      if (kind !== 'disputed') return true;
      return (requirement !== undefined || !isFaulty) && ++disputes <= mostDisputed;
    });
}

function sorted(readings: ConformanceResult['readings']): ConformanceResult['readings'] {
  const byName = <T>(of: { readonly [name: string]: T }): (readonly [string, T])[] =>
    Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(byName(readings).map(([id, counts]) => [id, Object.fromEntries(byName(counts))]));
}

function incidentReason(kind: Incident['kind'], incidents: readonly Incident[]): string[] {
  const [first, ...more] = incidents.filter((incident) => incident.kind === kind);
  if (!first) return [];
  const what = {
    flaky: 'broke something once, and not again when it was played alone',
    setup: 'could not be judged: the implementation reports a fault of its surroundings',
    undriven: 'could not be played: the implementation does not start any more',
    internal: "could not be judged: a bug of xenmem's own",
    unlike: 'ended otherwise than one that differs only in what must not matter, though no requirement speaks of it',
    disputed: 'led to a dispute between the rules and the reference model: one of them is wrong',
  }[kind];
  return [`${more.length + 1} ${more.length > 0 ? 'scenarios' : 'scenario'} ${what} (${first.message})`];
}

/** Why a requirement need not be exercised on this implementation. */
function excuse(rule: Rule, { capabilities, commands, limits }: ImplementationInfo): string | undefined {
  const can = (capability: string): boolean => capabilities.includes(capability);
  if (rule.level >= 1 && !can('translate')) return 'needs the capability translate';
  if (rule.level >= 2 && !can('churn')) return 'needs the capability churn';
  if (rule.id === 'frames-conserved' && !can('pages')) return 'needs the capability pages';
  if (rule.id === 'isolation' && Number(limits['domains'] ?? 2) < 2) return 'needs two domains';
  const partial = ['get-partial-mfns', 'get-incomplete-nonzero', 'get-rest-untouched'];
  if (partial.includes(rule.id) && !can('fail-alloc')) return 'is reached only by chance without the capability fail-alloc';
  if (!rule.ops.some((op) => commands[op] !== undefined)) return 'speaks of ops that are not implemented';
  const needsGet = ['put-works', 'put-unpins', 'put-only-listed'];
  if (needsGet.includes(rule.id) && commands['get_dma_buf'] === undefined) return 'needs pages that get has pinned';
  return rule.id === 'put-keeps-pages' && !can('translate') && !can('changes') ? 'needs translate or changes' : undefined;
}
