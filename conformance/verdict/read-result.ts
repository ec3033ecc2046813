import { defaultSetting } from '../../src/trace/call.ts';
import { count, flag, object, oneOf, RecordError, shown } from '../../src/trace/fields.ts';
import { readRecord } from '../../src/trace/record.ts';
import type { PairsPlayed } from './pairs.ts';
import {
  type Broken,
  type ConformanceResult,
  type Counterexample,
  type ImplementationInfo,
  type Incident,
  type MemoryChange,
  type P2mEntry,
  type RequirementResult,
  type Shard,
  type StartedFrom,
  type StoryStep,
  type Strength,
  schema,
} from './result.ts';
import { requirementIds } from './summary.ts';

// A result that comes back from a file: nothing in it is believed before it was looked at, except
// what is only counted again.

const most = Number.MAX_SAFE_INTEGER;

/**
 * The result in the JSON of a report; a `RecordError` saying where it cannot be one. What a merge
 * works out anew is left out.
 */
export function readResult(json: unknown): Omit<ConformanceResult, 'verdict' | 'reasons' | 'drift'> {
  const result = object(json, 'result');
  if (result['schema'] !== schema) throw new RecordError('schema', `${shown(result['schema'])} is not "${schema}"`);
  const number = (key: string): number => count(result[key], key, most, '2^53 - 1');
  const optional = <T>(key: string, read: (value: unknown, where: string) => T): { [key: string]: T } =>
    result[key] === undefined ? {} : { [key]: read(result[key], key) };
  return {
    level: count(result['level'], 'level', 2, '2') as 0 | 1 | 2,
    ...optional('demanded', (value, where) => count(value, where, 2, '2')),
    implementation: implementationOf(result['implementation'], 'implementation'),
    seed: number('seed'),
    arch: list(result['arch'], 'arch', text),
    runs: number('runs'),
    played: number('played'),
    calls: number('calls'),
    ...optional('predicted', (value, where) => count(value, where, most, '2^53 - 1')),
    partial: flag(result['partial'], 'partial'),
    ...optional('ended', text),
    ...optional('shard', shardOf),
    ...optional('fixtures', flag),
    requirements: list(result['requirements'], 'requirements', requirementOf),
    cells: record(result['cells'], 'cells', (cell, where) => {
      const { count: n, floor } = object(cell, where);
      return { count: count(n, `${where}.count`, most, '2^53 - 1'), floor: count(floor, `${where}.floor`, most, '2^53 - 1') };
    }),
    ...optional('pairs', pairsOf),
    ...optional('triples', pairsOf),
    readings: record(result['readings'], 'readings', (counts, where) => record(counts, where, (n, at) => count(n, at, most, '2^53 - 1'))),
    incidents: list(result['incidents'], 'incidents', incidentOf),
    ...optional('strength', strengthOf),
  } as Omit<ConformanceResult, 'verdict' | 'reasons' | 'drift'>;
}

function implementationOf(value: unknown, where: string): ImplementationInfo {
  const { name, version, arch, commands, capabilities, limits, packages } = object(value, where);
  return {
    name: text(name, `${where}.name`),
    version: text(version, `${where}.version`),
    arch: list(arch, `${where}.arch`, text),
    commands: record(commands, `${where}.commands`, (n, at) => count(n, at, 63, '63')),
    capabilities: list(capabilities, `${where}.capabilities`, text),
    limits: record(limits, `${where}.limits`, (limit, at) =>
      typeof limit === 'string' && /^0x[0-9a-f]{1,16}$/.test(limit) ? limit : count(limit, at, most, '2^53 - 1'),
    ),
    ...(packages !== undefined && { packages: list(packages, `${where}.packages`, packageOf) }),
  };
}

function packageOf(value: unknown, where: string): StartedFrom {
  const { name, version, sha256 } = object(value, where);
  return {
    name: text(name, `${where}.name`),
    ...(version !== undefined && { version: text(version, `${where}.version`) }),
    sha256: text(sha256, `${where}.sha256`),
  };
}

function pairsOf(value: unknown, where: string): PairsPlayed {
  const { of, reached } = object(value, where);
  const bits = text(reached, `${where}.reached`);
  if (!/^[0-9a-f]{1,5000}$/.test(bits)) throw new RecordError(`${where}.reached`, 'no hex number');
  return { of: count(of, `${where}.of`, 20_000, '20000'), reached: bits };
}

function shardOf(value: unknown, where: string): Shard {
  const { index, of } = object(value, where);
  const shard = { index: count(index, `${where}.index`, 100_000, '100000'), of: count(of, `${where}.of`, 100_000, '100000') };
  if (shard.index < 1 || shard.index > shard.of) throw new RecordError(where, `there is no part ${shard.index} of ${shard.of}`);
  return shard;
}

function requirementOf(value: unknown, where: string): RequirementResult {
  const { id, verdict, exercised, unknown, violated, counterexample } = object(value, where);
  const number = (n: unknown, key: string): number => count(n, `${where}.${key}`, most, '2^53 - 1');
  return {
    id: oneOf(id, `${where}.id`, requirementIds),
    verdict: oneOf(verdict, `${where}.verdict`, ['holds', 'violated', 'unknown']),
    exercised: number(exercised, 'exercised'),
    unknown: number(unknown, 'unknown'),
    violated: number(violated, 'violated'),
    ...(counterexample !== undefined && { counterexample: counterexampleOf(counterexample, `${where}.counterexample`) }),
  };
}

function counterexampleOf(value: unknown, where: string): Counterexample {
  const { replay, iut, reference, live, scenario, step, message, found, story, tight, flaky, evidence } = object(value, where);
  return {
    replay: text(replay, `${where}.replay`),
    ...(iut !== undefined && { iut: text(iut, `${where}.iut`) }),
    ...(reference !== undefined && { reference: list(reference, `${where}.reference`, text) }),
    ...(live !== undefined && { live: list(live, `${where}.live`, text) }),
    scenario,
    step: count(step, `${where}.step`, most, '2^53 - 1'),
    message: text(message, `${where}.message`),
    found: count(found, `${where}.found`, most, '2^53 - 1'),
    ...(tight !== undefined && flag(tight, `${where}.tight`) && { tight: true as const }),
    ...(flaky !== undefined && flag(flaky, `${where}.flaky`) && { flaky: true as const }),
    story: list(story, `${where}.story`, storyStepOf),
    ...(evidence !== undefined && { evidence: list(evidence, `${where}.evidence`, text) }),
  };
}

function storyStepOf(value: unknown, where: string): StoryStep {
  const step = object(value, where);
  const kind = oneOf(step['do'], `${where}.do`, ['call', 'churn', 'nothing']);
  const broken = list(step['broken'], `${where}.broken`, (one, at): Broken => {
    const { id, message } = object(one, at);
    return { id: oneOf(id, `${at}.id`, requirementIds), message: text(message, `${at}.message`) };
  });
  if (kind === 'nothing') return { do: kind, why: text(step['why'], `${where}.why`), broken };
  const texts = (of: unknown, at: string): string[] => list(of, at, text);
  if (kind === 'churn') {
    const p2m = (key: string): P2mEntry[] => list(step[key], `${where}.${key}`, p2mEntryOf);
    const domid = count(step['domid'], `${where}.domid`, 0xffff, '2^16 - 1');
    return {
      do: kind,
      domid,
      p2m_before: p2m('p2m_before'),
      p2m_after: p2m('p2m_after'),
      lost: texts(step['lost'], `${where}.lost`),
      broken,
    };
  }
  const { record: call } = readRecord(step['record'], defaultSetting);
  const inject =
    step['inject'] === undefined ? undefined : record(step['inject'], `${where}.inject`, (n, at) => count(n, at, most, '2^53 - 1'));
  const changed = list(step['changed'], `${where}.changed`, texts).map((change, i): MemoryChange => {
    if (change.length !== 3) throw new RecordError(`${where}.changed[${i}]`, 'not [address, before, after]');
    return change as unknown as MemoryChange;
  });
  return { do: kind, record: call, ...(inject && { inject }), changed, broken };
}

function p2mEntryOf(value: unknown, where: string): P2mEntry {
  if (!Array.isArray(value) || value.length !== 2) throw new RecordError(where, 'not [gfn, mfn]');
  return [text(value[0], `${where}[0]`), value[1] === null ? null : text(value[1], `${where}[1]`)];
}

function incidentOf(value: unknown, where: string): Incident {
  const { kind, found, replay, other, iut, reference, live, message, requirement, evidence } = object(value, where);
  return {
    kind: oneOf(kind, `${where}.kind`, ['flaky', 'setup', 'undriven', 'disputed', 'unlike', 'internal']),
    found: count(found, `${where}.found`, most, '2^53 - 1'),
    replay: text(replay, `${where}.replay`),
    ...(other !== undefined && { other: text(other, `${where}.other`) }),
    ...(iut !== undefined && { iut: text(iut, `${where}.iut`) }),
    ...(reference !== undefined && { reference: list(reference, `${where}.reference`, text) }),
    ...(live !== undefined && { live: list(live, `${where}.live`, text) }),
    message: text(message, `${where}.message`),
    ...(requirement !== undefined && { requirement: oneOf(requirement, `${where}.requirement`, requirementIds) }),
    ...(evidence !== undefined && { evidence: list(evidence, `${where}.evidence`, text) }),
  };
}

function strengthOf(value: unknown, where: string): Strength {
  const { mutants, budget, seed, extras, killed, survivors } = object(value, where);
  const number = (n: unknown, key: string): number => count(n, `${where}.${key}`, most, '2^53 - 1');
  return {
    mutants: number(mutants, 'mutants'),
    budget: number(budget, 'budget'),
    seed: number(seed, 'seed'),
    extras: flag(extras, `${where}.extras`),
    killed: list(killed, `${where}.killed`, text),
    survivors: list(survivors, `${where}.survivors`, text),
  };
}

function record<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): { [key: string]: T } {
  return Object.fromEntries(Object.entries(object(value, where)).map(([key, entry]) => [key, read(entry, `${where}.${key}`)]));
}

function list<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T[] {
  if (!Array.isArray(value)) throw new RecordError(where, `${shown(value)} is not a list`);
  return value.map((entry, i) => read(entry, `${where}[${i}]`));
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new RecordError(where, `${shown(value)} is not text`);
  return value;
}
