import { isRequirement, type Rule, saying } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import { cannot } from './cannot.ts';
import { type CallCase, fileText, type GoldenCase, pathOf, type Role, sha256 } from './case.ts';
import { type Filter, run } from './filter.ts';

/** The file of the list of all cases. */
export const manifestName = 'manifest.json';

/** What the cases of one requirement are, and the text they were made for. */
export interface RequirementEntry {
  /**
   * SHA-256 of the quoted sentence (where there is none, of what is said in its place), a line end,
   * and our reading of it.
   */
  readonly text_sha256: string;
  readonly positive: number;
  readonly negative: number;
  readonly boundary: number;
  /** Cases that it cannot have, and why. */
  readonly cannot?: { readonly [role in Role]?: string };
}

/** The list of all cases, and what they add up to. */
export interface Manifest {
  readonly version: 1;
  readonly made_by: string;
  readonly run: { readonly seed: number; readonly scenarios: number };
  /** Only the cases that match were made; absent where all were. */
  readonly only?: Filter;
  readonly requirements: { readonly [id: string]: RequirementEntry };
  readonly mutants: {
    readonly total: number;
    readonly killed: number;
    /** Faulty hypervisors that no case finds out. */
    readonly needs_random_suite: readonly string[];
  };
  /** Every other file of the folder, with the SHA-256 of its bytes. */
  readonly files: { readonly [file: string]: string };
}

/** The hash of a requirement's text: what it quotes and how we read it. */
export function textHash(rule: Pick<Rule, 'source' | 'quote' | 'remark' | 'reading'>): string {
  return sha256(`${rule.quote ?? saying(rule)}\n${rule.reading}`);
}

/**
 * The files of a folder of cases, the manifest last. `beside`: the text of each companion.
 * `faulty`: the names of all faulty hypervisors that were played.
 */
export function filesOf(
  cases: readonly GoldenCase[],
  beside: ReadonlyMap<string, string>,
  faulty: readonly string[],
  filter: Filter = {},
): Map<string, string> {
  const files = new Map(
    [...beside, ...cases.map((golden) => [pathOf(golden), fileText(golden)] as const)].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  files.set(manifestName, fileText(manifestOf(cases, files, faulty, filter)));
  return files;
}

function manifestOf(cases: readonly GoldenCase[], files: ReadonlyMap<string, string>, faulty: readonly string[], filter: Filter): Manifest {
  const calls = cases.filter((golden): golden is CallCase => golden.case === 'call');
  const killed = killedIn(calls);
  const isPart = Object.values(filter).some((value) => value !== undefined);
  return {
    version: 1,
    made_by: 'xenmem fixtures generate',
    run: { seed: run.seed, scenarios: run.scenarios },
    ...(isPart && { only: filter }),
    requirements: Object.fromEntries(requirementsOf(rules).map((rule) => [rule.id, entryOf(rule, calls)])),
    mutants: {
      total: faulty.length,
      killed: killed.size,
      needs_random_suite: faulty.filter((name) => !killed.has(name)),
    },
    files: Object.fromEntries([...files].map(([file, text]) => [file, sha256(text)])),
  };
}

/** The names of the faulty hypervisors that any of these cases finds out. */
export function killedIn(calls: readonly CallCase[]): ReadonlySet<string> {
  return new Set(calls.flatMap(({ kills = [] }) => kills));
}

/** The rules that bind the hypervisor. */
export function requirementsOf(all: readonly Rule[]): readonly Rule[] {
  return all.filter(isRequirement);
}

/** What the cases of a requirement add up to. */
export function entryOf(rule: Rule, calls: readonly CallCase[]): RequirementEntry {
  const own = calls.filter(({ requirement }) => requirement === rule.id);
  const number = (role: Role): number => own.filter((golden) => golden.role === role).length;
  const excused = cannot[rule.id];
  return {
    text_sha256: textHash(rule),
    positive: number('positive'),
    negative: number('negative'),
    boundary: number('boundary'),
    ...(excused && { cannot: excused }),
  };
}
