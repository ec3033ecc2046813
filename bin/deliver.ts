import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import type { Manifest } from '../conformance/golden/manifest.ts';
import { conformanceJson, conformanceText } from '../conformance/report/conformance.ts';
import { type FormName, formNames, forms } from '../conformance/report/forms.ts';
import { type Evidence, traceCsv, traceXml } from '../conformance/report/trace.ts';
import { expecting, readExpectations, updatedExpectations } from '../conformance/verdict/expect.ts';
import { exitOf } from '../conformance/verdict/outcome.ts';
import type { ConformanceResult, Expectation } from '../conformance/verdict/result.ts';
import { RecordError } from '../src/trace/fields.ts';
import { exit, UnreadableError, UsageError } from './exit.ts';
import { bytes, line, outcome, reason, styleFor } from './io.ts';

/** Where a result goes, as the options say. */
export interface Delivery {
  readonly json?: boolean;
  readonly report?: readonly string[];
  readonly expect?: string;
  readonly 'update-expect'?: boolean;
}

/** The options of a delivery. */
export function deliveryOptions(args: Argv): Argv {
  return args
    .option('expect', { type: 'string', describe: 'a file of violations that are known', requiresArg: true })
    .option('update-expect', { type: 'boolean', describe: 'write that file from what is seen' })
    .option('report', { type: 'string', array: true, nargs: 1, describe: 'also as KIND=FILE (junit=out.xml, html=out.html, …)' })
    .option('json', { type: 'boolean', describe: 'the result as one JSON object' });
}

/**
 * Looks at the options of a delivery before a run that takes minutes; answers what delivers its
 * result, and says how it ended.
 */
export function delivery({
  json = false,
  report = [],
  expect,
  'update-expect': update = false,
}: Delivery): (result: ConformanceResult) => Promise<void> {
  const reports = report.map(reportOf);
  const onStdout = reports.filter(({ file }) => file === '-');
  if (onStdout.length + (json ? 1 : 0) > 1) throw new UsageError('only one report can go to stdout');
  for (const { file } of reports) if (file !== '-') writable('--report', file);
  if (update && expect === undefined) throw new UsageError('--update-expect needs --expect FILE, the file to write');
  const entries = expect === undefined ? undefined : expectations(expect, update);
  if (update && expect !== undefined) writable('--update-expect', expect);
  return async (plain) => {
    // The day is the only thing a result has of the outside.
    const today = new Date().toISOString().slice(0, 10);
    const result = entries ? expecting(plain, entries, today) : plain;
    if (onStdout[0]) await bytes(textOf(onStdout[0].kind, '-', result));
    else for (const text of json ? [JSON.stringify(conformanceJson(result))] : conformanceText(result, styleFor())) await line(text);
    for (const { kind, file } of reports) if (file !== '-') write(file, textOf(kind, file, result));
    const code = exitOf(result);
    if (!update || expect === undefined) {
      outcome.codes.add(code);
      return;
    }
    write(expect, updatedExpectations(result, entries ?? [], today));
    // What is violated is expected from now on.
    if (code !== exit.failed) outcome.codes.add(code);
  };
}

/** Writes a report; what hinders it is told. */
export function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`${file}: cannot be written: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

/**
 * A kind of `--report`: a form of the result, or its traceability, which wants more than the
 * result.
 */
type Kind = FormName | 'trace';
const kinds: readonly Kind[] = [...formNames, 'trace'];

/** The text of a report; traceability is XML for a file of that name, else a table. */
function textOf(kind: Kind, file: string, result: ConformanceResult): string {
  if (kind !== 'trace') return forms[kind](result);
  return /\.(xml|oreqm|reqm2)$/i.test(file) ? traceXml(result, evidence()) : traceCsv(result, evidence());
}

/**
 * What the package knows of each requirement: its golden cases, and the faults that only it
 * catches.
 */
function evidence(): Evidence {
  const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
  const manifest = read('fixtures/golden/manifest.json') as Pick<Manifest, 'requirements'>;
  const onlyCatches = read('conformance/faults/only.json') as Evidence['onlyCatches'];
  return { fixtures: manifest.requirements, onlyCatches };
}

function reportOf(text: string): { kind: Kind; file: string } {
  const [kind = '', ...rest] = text.split('=');
  const name = kinds.find((form) => form === kind);
  const file = rest.join('=');
  if (name === undefined || file === '') {
    throw new UsageError(`--report ${JSON.stringify(text)}: expected KIND=FILE, with KIND one of ${kinds.join(', ')}`);
  }
  return { kind: name, file };
}

/** Fails now where a file cannot be written, and not after minutes. */
export function writable(option: string, file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new UsageError(`${option}: cannot write ${file}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

function expectations(file: string, mayBeNew: boolean): Expectation[] {
  try {
    const text = readFileSync(file, 'utf8');
    return mayBeNew && text === '' ? [] : readExpectations(text);
  } catch (error) {
    if (error instanceof RecordError) throw new UnreadableError(`${file}: ${error.message}`);
    if (mayBeNew && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UnreadableError(`${file}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}
