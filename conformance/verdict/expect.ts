import { object, RecordError, shown } from '../../src/trace/fields.ts';
import { fingerprintOf } from './outcome.ts';
import type { ConformanceResult, Expectation, RequirementResult } from './result.ts';
import { requirementIds } from './summary.ts';

// Violations that are known and accepted for a while. They are still looked for: one that is gone,
// or that looks otherwise, is drift.

const version = 1;
const day = /^\d{4}-\d{2}-\d{2}$/;

/** The entries of a file of expected failures; a `RecordError` where it cannot be one. */
export function readExpectations(text: string): Expectation[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new RecordError('expectations', (error as Error).message);
  }
  const file = object(json, 'expectations');
  if (file['xenmem-expect'] !== version) throw new RecordError('xenmem-expect', `${shown(file['xenmem-expect'])} is not ${version}`);
  if (!Array.isArray(file['entries'])) throw new RecordError('entries', `${shown(file['entries'])} is not a list`);
  const entries = file['entries'].map((entry: unknown, i) => entryOf(entry, `entries[${i}]`));
  const twice = entries.find((entry, i) => entries.findIndex((e) => e.requirement === entry.requirement) < i);
  if (twice) throw new RecordError('entries', `${twice.requirement} is there twice`);
  return entries;
}

function entryOf(json: unknown, where: string): Expectation {
  const entry = object(json, where);
  const unknown = Object.keys(entry).find(
    (key) => !['requirement', 'fingerprint', 'reason', 'link', 'until'].includes(key) && !key.startsWith('x-'),
  );
  if (unknown !== undefined) throw new RecordError(`${where}.${unknown}`, 'no such key');
  const text = (key: string): string => {
    const value = entry[key];
    if (typeof value !== 'string' || value === '') throw new RecordError(`${where}.${key}`, `${shown(value)} is not text`);
    return value;
  };
  const requirement = text('requirement');
  if (!requirementIds.includes(requirement)) throw new RecordError(`${where}.requirement`, `${shown(requirement)} is no requirement`);
  const until = entry['until'] === undefined ? undefined : text('until');
  if (until !== undefined && (!day.test(until) || Number.isNaN(Date.parse(until)))) {
    throw new RecordError(`${where}.until`, `${shown(until)} is not a day, 2027-03-31`);
  }
  if (entry['link'] !== undefined && !/^https?:\/\//.test(text('link')))
    throw new RecordError(`${where}.link`, 'not an http or https address');
  return {
    requirement,
    fingerprint: text('fingerprint'),
    reason: text('reason'),
    ...(entry['link'] !== undefined && { link: text('link') }),
    ...(until !== undefined && { until }),
  };
}

/** The result against what was expected of it. `today` is a day, `2026-11-22`. */
export function expecting(result: ConformanceResult, entries: readonly Expectation[], today: string): ConformanceResult {
  const drift: string[] = [];
  const requirements = result.requirements.map((requirement): RequirementResult => {
    const entry = entries.find((e) => e.requirement === requirement.id);
    if (requirement.verdict !== 'violated') {
      // Where it was hardly looked at, not to have seen it says nothing.
      if (entry && requirement.verdict === 'holds') {
        drift.push(`${requirement.id} is expected to be violated (${entry.reason}), and holds: delete the entry`);
      }
      return requirement;
    }
    const seen = fingerprintOf(requirement);
    if (!entry) drift.push(`${requirement.id} is violated, and no entry expects it`);
    else if (entry.until !== undefined && today > entry.until) drift.push(`${requirement.id}: the entry has expired on ${entry.until}`);
    else if (entry.fingerprint !== seen)
      drift.push(`${requirement.id} is violated otherwise than expected: "${seen}", not "${entry.fingerprint}"`);
    else return { ...requirement, expected: entry };
    return requirement;
  });
  return { ...result, requirements, drift };
}

/**
 * The file of expected failures that fits this result: entries that still match are kept as a
 * person wrote them, but for a day that has passed; what was not seen often enough to hold is kept
 * too.
 */
export function updatedExpectations(result: ConformanceResult, entries: readonly Expectation[], today: string): string {
  const updated = result.requirements.flatMap((requirement): Expectation[] => {
    const known = entries.find((e) => e.requirement === requirement.id);
    if (requirement.verdict !== 'violated') return known && requirement.verdict === 'unknown' ? [known] : [];
    const fingerprint = fingerprintOf(requirement);
    if (!known) return [{ requirement: requirement.id, fingerprint, reason: 'not said yet' }];
    const { until, ...lasting } = known;
    return [{ ...lasting, fingerprint, ...(until !== undefined && until >= today && { until }) }];
  });
  return `${JSON.stringify({ 'xenmem-expect': version, entries: updated }, undefined, 2)}\n`;
}
