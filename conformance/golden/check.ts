import { type Codecs, codecFor } from '../../src/codec/codec.ts';
import { judge } from '../../src/rules/judge.ts';
import type { Rule } from '../../src/rules/rule.ts';
import { rules as allRules } from '../../src/rules/table.ts';
import { referenceHello, referenceImplementation } from '../protocol/reference.ts';
import { type Scenario, scenarioIn } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import { outcomeAmong } from './allowed.ts';
import { callCase } from './calls.ts';
import { least } from './cannot.ts';
import { type CallCase, canonicalJson, type GoldenCase, pathOf, roles, sha256 } from './case.ts';
import { companions, type StoredFile, storedFiles } from './folder.ts';
import { entryOf, killedIn, type Manifest, manifestName, requirementsOf, textHash } from './manifest.ts';
import { eventsOf, judgeRun, judgeTrace } from './observed.ts';
import { checkStruct } from './structs.ts';

/** Something that is not as it was when the cases were made. */
export interface Problem {
  /** The file, or the requirement whose text changed. */
  readonly of: string;
  readonly what: string;
}

/** What the cases are held against; by default what this build has. */
export interface Truth {
  readonly rules?: readonly Rule[];
  readonly codecs?: (arch: GoldenCase['arch']) => Codecs;
}

/** What a check saw. */
export interface FolderCheck {
  readonly files: number;
  readonly cases: number;
  readonly problems: readonly Problem[];
}

const model = referenceImplementation();
const mostBytes = { file: 64 * 1024, all: 5 * 1024 * 1024 } as const;

/**
 * Checks a folder of cases: every file against the manifest, every requirement's text, every struct
 * against the codec, and every call judged again: by the rules from what was written down, and by
 * the model from its scenario.
 */
export function checkFolder(folder: string, { rules = allRules, codecs = codecFor }: Truth = {}): FolderCheck {
  const stored = storedFiles(folder);
  const problems: Problem[] = [];
  const manifest = manifestOf(stored, problems);
  if (!manifest) return { files: stored.length, cases: 0, problems };
  problems.push(...checkFiles(stored, manifest), ...checkTexts(requirementsOf(rules), manifest));
  const cases: GoldenCase[] = [];
  for (const { file, text } of stored) {
    if (file === manifestName || companions.includes(file as 'schema.json')) continue;
    try {
      const golden = JSON.parse(text) as GoldenCase;
      cases.push(golden);
      problems.push(...checkCase(golden, file, codecs).map((what) => ({ of: file, what })));
    } catch (error) {
      problems.push({ of: file, what: `cannot be read: ${(error as Error).message}` });
    }
  }
  problems.push(...checkSums(cases, rules, manifest));
  return { files: stored.length, cases: cases.length, problems };
}

function manifestOf(stored: readonly StoredFile[], problems: Problem[]): Manifest | undefined {
  const text = stored.find(({ file }) => file === manifestName)?.text;
  if (text === undefined) {
    problems.push({ of: manifestName, what: 'is missing' });
    return undefined;
  }
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.version === 1 && [manifest.files, manifest.requirements, manifest.mutants].every((part) => typeof part === 'object')) {
      return manifest;
    }
  } catch {
    // Said below.
  }
  problems.push({ of: manifestName, what: 'is no manifest of version 1' });
  return undefined;
}

function checkFiles(stored: readonly StoredFile[], { files }: Manifest): Problem[] {
  const problems: Problem[] = [];
  const there = new Set(stored.map(({ file }) => file));
  for (const file of Object.keys(files)) if (!there.has(file)) problems.push({ of: file, what: 'is missing' });
  for (const { file, text } of stored) {
    if (file === manifestName) continue;
    if (files[file] === undefined) problems.push({ of: file, what: 'is not in the manifest' });
    else if (sha256(text) !== files[file])
      problems.push({ of: file, what: `has SHA-256 ${sha256(text).slice(0, 8)}…, the manifest ${files[file].slice(0, 8)}…` });
    if (Buffer.byteLength(text) > mostBytes.file) problems.push({ of: file, what: `is over ${mostBytes.file} bytes` });
  }
  const all = stored.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (all > mostBytes.all) problems.push({ of: '.', what: `is ${all} bytes in all, over ${mostBytes.all}` });
  return problems;
}

function checkTexts(rules: readonly Rule[], { requirements }: Manifest): Problem[] {
  const gone = Object.keys(requirements).filter((id) => !rules.some((rule) => rule.id === id));
  return [
    ...gone.map((of) => ({ of, what: 'is no requirement any more' })),
    ...rules.flatMap((rule) => {
      const known = requirements[rule.id];
      if (!known) return [{ of: rule.id, what: 'is a requirement that the manifest does not know' }];
      return known.text_sha256 === textHash(rule) ? [] : [{ of: rule.id, what: 'has another text than when the cases were made' }];
    }),
  ];
}

/** Do the manifest's sums agree with the cases, and are there enough of them? */
function checkSums(cases: readonly GoldenCase[], rules: readonly Rule[], manifest: Manifest): Problem[] {
  const calls = cases.filter((golden): golden is CallCase => golden.case === 'call');
  const problems: Problem[] = [];
  for (const rule of requirementsOf(rules)) {
    const own = entryOf(rule, calls);
    const said = manifest.requirements[rule.id];
    for (const role of roles) {
      if (said && said[role] !== own[role])
        problems.push({ of: rule.id, what: `has ${own[role]} ${role} cases, the manifest says ${said[role]}` });
      if (manifest.only || own[role] >= least[role] || own.cannot?.[role] !== undefined) continue;
      problems.push({ of: rule.id, what: `has ${own[role]} ${role} cases, fewer than ${least[role]}` });
    }
  }
  const { killed } = manifest.mutants;
  const now = killedIn(calls).size;
  if (now !== killed) problems.push({ of: manifestName, what: `says that ${killed} faulty hypervisors are found out, the cases ${now}` });
  return problems;
}

/** What is wrong with one case, in words. */
function checkCase(golden: GoldenCase, file: string, codecs: (arch: GoldenCase['arch']) => Codecs = codecFor): string[] {
  const name = pathOf(golden);
  const wrong = name === file ? [] : [`has content whose name is ${name}`];
  return [...wrong, ...(golden.case === 'struct' ? checkStruct(golden, codecs(golden.arch)) : checkCall(golden))];
}

function checkCall(golden: CallCase): string[] {
  const last = golden.observed.length - 1;
  const verdict = golden.role === 'negative' ? 'violated' : 'holds';
  const judged = golden.scenario === undefined ? golden.trace_judged : golden.judged;
  const shown = judged.some(({ step, ...at }) => step === last && at[verdict].includes(golden.requirement));
  const early = judged.find(({ step, violated }) => violated.length > 0 && (step < last || golden.role !== 'negative'));
  const wrong = shown ? [] : [`does not show ${golden.requirement} ${verdict} at step ${last}`];
  if (early) wrong.push(`shows ${early.violated.join(', ')} violated at step ${early.step}`);
  wrong.push(...differs('as a trace it is judged', golden.trace_judged, judgeTrace(golden)));
  if (golden.scenario === undefined) return wrong;
  const scenario = scenarioIn(golden.scenario);
  if (!scenario) return [...wrong, 'holds no scenario'];
  wrong.push(...differs('it is judged', golden.judged, judgeRun(scenario, referenceHello, golden)));
  return [...wrong, ...(golden.role === 'negative' ? checkModel(scenario) : [...checkSeen(golden, scenario), ...checkAllowed(golden)])];
}

/** The model must break nothing, whatever a faulty hypervisor did there. */
function checkModel(scenario: Scenario): string[] {
  const broken = checkHere(scenario, model).given.find((g) => g.answer.answer === 'violated');
  return broken ? [`the model breaks ${broken.id} at step ${broken.step}`] : [];
}

/** Does the model show today what was written down? */
function checkSeen({ kills: _, ...said }: CallCase, scenario: Scenario): string[] {
  const { role, requirement, origin } = said;
  const now = callCase({ role, requirement, scenario, origin }, model);
  if (!now) return ['a step of it cannot be played any more'];
  return Object.entries(now).flatMap(([key, value]) => {
    const old = said[key as keyof typeof said];
    const same = JSON.stringify(value) === JSON.stringify(old) || canonicalJson(value) === canonicalJson(old);
    return same ? [] : [`${key} is not what the model shows now`];
  });
}

/** Is what was observed among what the case allows? */
function checkAllowed(golden: CallCase): string[] {
  const { allowed = [], work = [] } = golden;
  return eventsOf(golden).flatMap((event) => {
    const own = allowed[event.step] ?? [];
    const facts = event.kind === 'call' ? judge(event.call)?.facts : undefined;
    if (!facts || outcomeAmong(own, work[event.step] ?? undefined, facts) >= 0) return [];
    return [`step ${event.step} ended in no way that it allows`];
  });
}

function differs(how: string, said: CallCase['judged'], now: CallCase['judged']): string[] {
  for (let step = 0; step <= Math.max(-1, ...[...said, ...now].map((at) => at.step)); step++) {
    const at = (of: CallCase['judged']): string => canonicalJson(of.find((one) => one.step === step) ?? null);
    if (at(said) !== at(now)) return [`${how} otherwise at step ${step}`];
  }
  return [];
}
