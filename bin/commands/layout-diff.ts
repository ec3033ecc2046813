import type { GateCase } from '../../conformance/report/gate.ts';
import { type Arch, archNames } from '../../src/abi/arch.ts';
import { isMemoryStruct, memoryStructNames } from '../../src/abi/memory-h.ts';
import { isStructName, structNames } from '../../src/abi/structs.ts';
import { type Difference, diffShapes, type Shape, shapeOfTable, shapesOf } from '../../src/export/built/diff.ts';
import { type Found, findTypes } from '../../src/export/built/find.ts';
import { printable } from '../../src/text/style.ts';
import { readable, unpackers, wholeOf } from '../built.ts';
import { exit, UsageError } from '../exit.ts';
import { gateReports, reportsOnStdout } from '../gate.ts';
import { inputAt, line, note, outcome } from '../io.ts';
import type { CheckOptions } from './layout-check.ts';

/** The options of `layout diff`. */
export type DiffOptions = Pick<CheckOptions, 'arch' | 'json' | 'report'>;

/** The word for the table in the place of a file. */
const table = 'table';

interface Side {
  readonly name: string;
  readonly arch: Arch | undefined;
  readonly shapes: (struct: string) => readonly Shape[];
}

/**
 * Says what became of each struct from one build to another, or to the table: exit 1 where anything
 * changed, 4 where the two have no struct in common. Without names it looks at those that are
 * judged, and at the others of memory.h that a build has.
 */
export async function diff(options: DiffOptions, words: readonly string[]): Promise<Iterable<number>> {
  const [a, b, ...wanted] = words;
  if (a === undefined || b === undefined) throw new UsageError('layout diff wants two builds: FILE FILE, or FILE table');
  if (a === table && b === table)
    throw new UsageError('layout diff compares the table with a build: layout --compare compares two architectures');
  if (a === '-' && b === '-') throw new UsageError('stdin (-) can be read only once');
  const isAll = wanted.length === 0;
  const structs = isAll ? [...structNames, ...memoryStructNames] : wanted;
  const { json = false, report = [] } = options;
  const deliver = gateReports('layout diff', report);
  const quiet = reportsOnStdout(report);
  const files = [a, b].filter((name) => name !== table);
  const sides: Side[] = [];
  for (const path of files) sides.push(await sideOf(path, structs));
  const arch = options.arch ?? sides.find((side) => side.arch !== undefined)?.arch ?? 'arm64';
  const ofTable: Side = {
    name: `table (${arch})`,
    arch,
    shapes: (struct) => (isStructName(struct) || isMemoryStruct(struct) ? [shapeOfTable(struct, arch)] : []),
  };
  const left = a === table ? ofTable : sides[0];
  const right = b === table ? ofTable : sides.at(-1);
  if (!left || !right) throw new UsageError('layout diff wants two builds');
  const cases: GateCase[] = [];
  const absent: string[] = [];
  for (const struct of structs) {
    const [ofLeft, ofRight] = [left.shapes(struct), right.shapes(struct)];
    if (ofLeft.length === 0 || ofRight.length === 0) {
      const only = ofLeft.length > 0 ? left : ofRight.length > 0 ? right : undefined;
      if (isAll && isMemoryStruct(struct) && (only ?? ofTable) === ofTable) continue;
      absent.push(only === undefined ? `${struct}: in neither` : `${struct}: only in ${only.name}`);
      continue;
    }
    const difference = nearest(ofLeft, ofRight);
    const details = [...difference.changes.map(({ text }) => text), ...several(left, ofLeft), ...several(right, ofRight)];
    if (details.length > 0) outcome.codes.add(exit.failed);
    cases.push({ name: struct, where: right === ofTable ? left.name : right.name, details });
    if (quiet) continue;
    if (json) await line(JSON.stringify(asJson(left, right, difference)));
    else for (const text of asText(difference, details)) await line(text);
  }
  if (!json && !quiet) for (const text of absent) await line(printable(text));
  if (cases.length === 0) {
    note('the two have none of the structs in common');
    outcome.codes.add(exit.inconclusive);
  }
  await deliver(cases);
  return outcome.codes;
}

async function sideOf(path: string, structs: readonly string[]): Promise<Side> {
  const input = inputAt(path);
  const { name } = input;
  const data = await wholeOf(input);
  const names = new Set(structs.flatMap((struct) => [struct, `${struct}_t`]));
  const found: readonly Found[] = readable(name, () => findTypes(data, { unpackers, names }));
  const shapes = (struct: string): readonly Shape[] => {
    const all = readable(name, () => found.flatMap(({ types }) => shapesOf(types, struct)));
    return [...new Map(all.map((shape) => [JSON.stringify(shape), shape])).values()];
  };
  return { name, arch: found.find(({ arch }) => arch !== undefined && archNames.includes(arch))?.arch, shapes };
}

/** Of the ways that each side has a struct, the two that differ least. */
function nearest(left: readonly Shape[], right: readonly Shape[]): Difference {
  const all = left.flatMap((a) => right.map((b) => diffShapes(a, b)));
  return all.reduce((best, next) => (next.changes.length < best.changes.length ? next : best));
}

function several({ name }: Side, shapes: readonly Shape[]): string[] {
  return shapes.length > 1 ? [`${name} has it in ${shapes.length} ways; these are the two nearest`] : [];
}

function asText({ struct, sizes, fields }: Difference, details: readonly string[]): string[] {
  if (details.length === 0) return [`${printable(struct).padEnd(22)}  equal: ${sizes[0]} bytes, ${fields} fields`];
  const number = `${details.length} ${details.length === 1 ? 'change' : 'changes'}`;
  return [`${printable(struct).padEnd(22)}  ${number}`, ...details.map((text) => `  ${printable(text)}`)];
}

function asJson(a: Side, b: Side, { struct, sizes, fields, changes }: Difference): object {
  return { struct, from: a.name, to: b.name, sizes, fields, equal: changes.length === 0, changes };
}
