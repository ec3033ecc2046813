import { joined, type PairsPlayed } from './pairs.ts';
import type { ConformanceResult, Counterexample, Shard } from './result.ts';
import { type Counts, summarise } from './summary.ts';

/** Shards that do not belong together. `message` says how they differ. */
export class MergeError extends Error {
  override readonly name = 'MergeError';
}

type ShardResult = Omit<ConformanceResult, 'verdict' | 'reasons' | 'drift'>;

/**
 * The shards of one run as that run: byte for byte what it would have been in one piece, if each
 * was played to its end. A missing shard makes it partial. With `as`, they are the shards of that
 * shard.
 */
export function mergeResults(parts: readonly ShardResult[], as?: Shard): ConformanceResult {
  const [first] = parts;
  if (!first) throw new MergeError('nothing to merge');
  for (const key of ['implementation', 'seed', 'arch', 'runs', 'level', 'demanded'] as const) {
    const other = parts.find((part) => JSON.stringify(part[key]) !== JSON.stringify(first[key]));
    if (other) throw new MergeError(`these are not shards of one run: ${key} differs (${shownPart(first[key])}, ${shownPart(other[key])})`);
  }
  const tally = new Map<string, Counts>();
  const cells = new Map<string, number>();
  const readings = new Map<string, Map<string, number>>();
  const counterexamples = new Map<string, Counterexample>();
  for (const part of parts) {
    for (const { id, exercised, violated, unknown, counterexample } of part.requirements) {
      const sum = tally.get(id) ?? { holds: 0, violated: 0, unknown: 0 };
      tally.set(id, { holds: sum.holds + exercised - violated, violated: sum.violated + violated, unknown: sum.unknown + unknown });
      const known = counterexamples.get(id);
      if (counterexample && isBetter(counterexample, known)) counterexamples.set(id, counterexample);
    }
    for (const [cell, { count }] of Object.entries(part.cells)) cells.set(cell, (cells.get(cell) ?? 0) + count);
    for (const [id, counts] of Object.entries(part.readings)) {
      const sums = readings.get(id) ?? new Map<string, number>();
      readings.set(id, sums);
      for (const [reading, n] of Object.entries(counts)) sums.set(reading, (sums.get(reading) ?? 0) + n);
    }
  }
  const { demanded, strength, fixtures } = first;
  const played = (key: 'pairs' | 'triples'): { [key: string]: PairsPlayed } => {
    const sum = parts.reduce<PairsPlayed | undefined>((all, { [key]: own }) => (all && own ? joined(all, own) : (all ?? own)), undefined);
    return sum ? { [key]: sum } : {};
  };
  const ended = [...parts.flatMap((part) => part.ended ?? []), ...missing(parts, as)].join('; ');
  return summarise({
    implementation: first.implementation,
    level: first.level,
    ...(demanded !== undefined && { demanded }),
    seed: first.seed,
    arch: first.arch,
    runs: first.runs,
    played: parts.reduce((sum, part) => sum + part.played, 0),
    calls: parts.reduce((sum, part) => sum + part.calls, 0),
    ...(first.predicted !== undefined && { predicted: parts.reduce((sum, part) => sum + (part.predicted ?? 0), 0) }),
    ...(as && { shard: as }),
    ...(fixtures && { fixtures }),
    ...(ended !== '' && { ended }),
    tally,
    cells,
    ...played('pairs'),
    ...played('triples'),
    readings: Object.fromEntries([...readings].map(([id, sums]) => [id, Object.fromEntries(sums)])),
    incidents: parts.flatMap((part) => part.incidents),
    counterexamples,
    ...(strength && { strength }),
  });
}

/** The first one is kept, and one that shows again before any that does not. */
function isBetter(one: Counterexample, known: Counterexample | undefined): boolean {
  if (!known) return true;
  return one.flaky === known.flaky ? one.found < known.found : known.flaky === true;
}

/**
 * Which shards are missing, in words. Two of the same, or of different divisions, cannot be merged.
 */
function missing(parts: readonly ShardResult[], { index: from, of: step }: Shard = { index: 1, of: 1 }): string[] {
  const [first, ...more] = parts;
  if (!first?.shard) {
    if (more.length > 0) throw new MergeError('one of these is a whole run, not a shard');
    return [];
  }
  const { of } = first.shard;
  const seen = new Set<number>();
  for (const { shard } of parts) {
    if (shard?.of !== of)
      throw new MergeError(`these are not shards of one division: 1/${of} and ${shard ? `1/${shard.of}` : 'a whole run'}`);
    if (seen.has(shard.index)) throw new MergeError(`shard ${shard.index}/${of} is there twice`);
    seen.add(shard.index);
  }
  const wanted = Array.from({ length: of / step }, (_, i) => from + i * step);
  const absent = wanted.filter((index) => !seen.has(index));
  return absent.length > 0 ? [`of ${of} shards ${absent.length > 1 ? 'these are' : 'this is'} missing: ${absent.join(', ')}`] : [];
}

function shownPart(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
