import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { NoCloneError } from '../../conformance/faults/load.ts';
import type { CallCase, StructCase } from '../../conformance/golden/case.ts';
import { checkFolder } from '../../conformance/golden/check.ts';
import { copiedFiles, ExistsError, writeCopies } from '../../conformance/golden/copy.ts';
import { type Filter, matches } from '../../conformance/golden/filter.ts';
import {
  casesIn,
  companionsIn,
  FolderError,
  manifestIn,
  promotedIn,
  type StoredCase,
  writeFolder,
} from '../../conformance/golden/folder.ts';
import { filesOf } from '../../conformance/golden/manifest.ts';
import { DisagreementError, PromoteError, promote } from '../../conformance/golden/promote.ts';
import { requirementIds } from '../../conformance/verdict/summary.ts';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { printable } from '../../src/text/style.ts';
import { closest } from '../closest.ts';
import { exit, UnreadableError, UsageError } from '../exit.ts';
import { line, note, outcome, reason } from '../io.ts';
import { structNamed } from '../options.ts';

interface Options {
  readonly words?: readonly string[];
  readonly struct?: string;
  readonly arch?: Arch;
  readonly requirement?: string;
  readonly from: string | undefined;
  readonly to?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const actions = { check, copy, generate, list, promote: promoteToken } as const;
type Action = keyof typeof actions;

/** The package's own fixtures, from where the command is built to. */
const packaged = fileURLToPath(new URL('../../fixtures', import.meta.url));
const packagedGolden: string = fileURLToPath(new URL('../../fixtures/golden', import.meta.url));

export function options(args: Argv): Argv {
  return args
    .positional('words', {
      type: 'string',
      array: true,
      describe: 'what to do: check, list, copy, generate, or promote and a replay token',
      defaultDescription: 'check',
    })
    .option('struct', { type: 'string', describe: 'only this struct (copy, list, generate)', requiresArg: true })
    .option('arch', { choices: archNames, describe: 'only this architecture (copy, list, generate)', requiresArg: true })
    .option('requirement', {
      type: 'string',
      describe: 'only this requirement (list, generate), or what to promote for',
      requiresArg: true,
    })
    .option('from', { type: 'string', describe: "the folder to check, list or copy from (default: the package's own)", requiresArg: true })
    .option('to', { type: 'string', describe: 'the folder to write', requiresArg: true })
    .option('force', { type: 'boolean', describe: 'copy: overwrite what is there' })
    .option('json', { type: 'boolean', describe: 'check, list: one JSON object per line' })
    .example('$0 fixtures check', 'has anything drifted?')
    .example('$0 fixtures copy --struct get_dma_buf --arch arm32 --to vectors', 'bytes, a table and a C header')
    .example('$0 fixtures promote x1.…', 'make a case of a replay token');
}

export async function run(given: Options): Promise<Iterable<number>> {
  const [word = 'check', ...rest] = given.words ?? [];
  const names = Object.keys(actions);
  if (!names.includes(word))
    throw new UsageError(`unknown word ${JSON.stringify(word)}${closest(word, names)} (known: ${names.join(', ')})`);
  if (word !== 'promote' && rest.length > 0) throw new UsageError(`unexpected ${JSON.stringify(rest[0])}`);
  try {
    await actions[word as Action](given, rest);
  } catch (error) {
    if (error instanceof FolderError) throw new UnreadableError(error.message);
    if (error instanceof ExistsError || error instanceof PromoteError || isNoClone(error)) throw new UsageError(error.message);
    if ((error as NodeJS.ErrnoException).syscall !== undefined) {
      const { path = '' } = error as NodeJS.ErrnoException;
      throw new UnreadableError(`${path}: ${reason(error as NodeJS.ErrnoException)}`);
    }
    throw error;
  }
  return outcome.codes;
}

function filterOf({ struct, arch, requirement }: Options): Filter {
  if (requirement !== undefined && !requirementIds.includes(requirement)) {
    throw new UsageError(
      `unknown requirement ${JSON.stringify(requirement)}${closest(requirement, requirementIds)} (xenmem explain lists them)`,
    );
  }
  return {
    ...(struct !== undefined && { struct: structNamed(struct, []) }),
    ...(arch !== undefined && { arch }),
    ...(requirement !== undefined && { requirement }),
  };
}

async function check({ from = packagedGolden, json }: Options): Promise<void> {
  const { files, cases, problems } = checkFolder(from);
  for (const { of, what } of problems) await line(json ? JSON.stringify({ of, what }) : printable(`${of}: ${what}`));
  const verdict = problems.length === 0 ? '✓ nothing drifted' : `✗ ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`;
  await line(json ? JSON.stringify({ files, cases, problems: problems.length }) : `${files} files, ${cases} cases: ${verdict}`);
  if (problems.length > 0) outcome.codes.add(exit.failed);
}

async function list(given: Options): Promise<void> {
  const found = casesIn(given.from ?? packagedGolden).filter(({ golden }) => matches(golden, filterOf(given)));
  for (const one of found) await line(given.json ? JSON.stringify(told(one)) : row(one));
  if (found.length === 0) {
    note('no case matches');
    outcome.codes.add(exit.inconclusive);
  }
}

function told({ file, golden }: StoredCase): object {
  if (golden.case === 'struct') {
    const { struct, arch, shows, rows, origin } = golden;
    return { file, case: golden.case, struct, arch, shows, rows: rows.length, origin: origin.kind };
  }
  const { requirement, role, arch, requirements, edges, observed, kills = [], origin } = golden;
  const scenario = golden.scenario !== undefined;
  return {
    file,
    case: golden.case,
    requirement,
    role,
    arch,
    requirements,
    edges,
    steps: observed.length,
    scenario,
    kills,
    origin: origin.kind,
  };
}

function row({ file, golden }: StoredCase): string {
  const about =
    golden.case === 'struct'
      ? `${golden.rows.length} rows, ${golden.origin.kind}`
      : `${golden.observed.length} ${golden.observed.length === 1 ? 'step' : 'steps'}, ${golden.requirements.length} requirements, kills ${golden.kills?.length ?? 0}, ${golden.origin.kind}`;
  return printable(`${file}  ${about}`);
}

async function copy(given: Options): Promise<void> {
  if (given.to === undefined) throw new UsageError('copy wants --to DIR');
  if (given.requirement !== undefined) throw new UsageError('copy takes structs: --struct and --arch');
  const found = casesIn(given.from ?? packagedGolden).filter(({ golden }) => matches(golden, filterOf(given)));
  const structs = found.flatMap(({ golden }): StructCase[] => (golden.case === 'struct' ? [golden] : []));
  const files = copiedFiles(structs);
  writeCopies(given.to, files, given.force ?? false);
  await line(`${given.to}: ${files.size} files`);
}

async function generate(given: Options): Promise<void> {
  const to = given.to ?? packagedGolden;
  const filter = filterOf(given);
  if (given.to === undefined && Object.keys(filter).length > 0) throw new UsageError('a part of the cases goes elsewhere: --to DIR');
  const kept: CallCase[] = promotedIn(existsSync(to) ? to : packagedGolden);
  const onProgress = (what: string): void => {
    if (process.stderr.isTTY) note(what);
  };
  const { faultNames, generateCases } = await generator();
  const cases = await generateCases({ fixtures: packaged, promoted: kept, onProgress }, filter);
  const files = filesOf(cases, companionsIn(packagedGolden), faultNames, filter);
  writeFolder(to, files);
  const { mutants } = manifestIn(to);
  const size = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  await line(`${to}: ${files.size} files, ${size} bytes; ${mutants.killed} of ${mutants.total} faulty hypervisors found out`);
}

/**
 * The one task that loads faulty hypervisors: what it runs is built beside the command, and no part
 * of the package.
 */
async function generator(): Promise<typeof import('../../conformance/golden/generate.ts')> {
  const module = new URL('../conformance/golden/generate.js', import.meta.url);
  if (!existsSync(module)) throw new NoCloneError();
  return await import(module.href);
}

/** By its name, because what is built beside the command has a class of its own. */
function isNoClone(error: unknown): error is NoCloneError {
  return error instanceof Error && error.name === 'NoCloneError';
}

async function promoteToken({ to = packagedGolden, requirement }: Options, tokens: readonly string[]): Promise<void> {
  const [token, ...more] = tokens;
  if (token === undefined) throw new UsageError('promote wants a replay token');
  if (more.length > 0) throw new UsageError(`unexpected ${JSON.stringify(more[0])}`);
  filterOf({ from: undefined, ...(requirement !== undefined && { requirement }) });
  try {
    await line(promote(token, to, requirement));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`promote: ${error.message}`);
    if (!(error instanceof DisagreementError)) throw error;
    note(error.message);
    outcome.codes.add(exit.internal);
  }
}
