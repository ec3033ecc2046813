import type { GateCase } from '../../conformance/report/gate.ts';
import type { Arch } from '../../src/abi/arch.ts';
import { type AnyStruct, layoutOf } from '../../src/abi/layout.ts';
import { memoryStructNames } from '../../src/abi/memory-h.ts';
import { structNames } from '../../src/abi/structs.ts';
import { type Comparison, compareTypes, namesFor, type Wanted } from '../../src/export/built/compare.ts';
import type { Found } from '../../src/export/built/find.ts';
import { printable } from '../../src/text/style.ts';
import { kernelOf, typesOf } from '../built.ts';
import { exit, UsageError } from '../exit.ts';
import { gateReports, reportsOnStdout } from '../gate.ts';
import { eachInput, line, note, outcome } from '../io.ts';
import { memoryStructNamed, structNamed } from '../options.ts';

/** The options of `layout check`, and those that go without it. */
export interface CheckOptions {
  readonly arch?: Arch;
  readonly json?: boolean;
  readonly as?: readonly string[];
  readonly base?: string;
  readonly emit?: string;
  readonly compare?: readonly string[];
  readonly checks?: boolean;
  readonly assert?: boolean;
  readonly report?: readonly string[];
}

/**
 * Holds the structs of built files against the table; exit 1 where one differs, 4 where none has
 * any.
 */
export async function check(options: CheckOptions, files: readonly string[]): Promise<Iterable<number>> {
  const { arch, emit, json = false, compare, checks, assert, as = [], base, report = [] } = options;
  const other = emit ? 'emit' : compare ? 'compare' : checks ? 'checks' : assert ? 'assert' : undefined;
  if (other) throw new UsageError(`layout check goes without --${other}`);
  const aliases = aliasesOf(as);
  const wanted: Wanted = { ...(arch && { arch }), as: aliases.structs, fields: aliases.fields };
  const kernel = base === undefined ? undefined : await kernelOf(base);
  const deliver = gateReports('layout check', report);
  const quiet = reportsOnStdout(report);
  const cases: GateCase[] = [];
  let compared = 0;
  const { unreadable } = await eachInput(files, async (input) => {
    const shown = await typesOf(input, namesFor(wanted), kernel, (found) =>
      ofInterest(found.map((one) => ({ one, comparison: compareTypes(one, wanted) }))),
    );
    for (const { one, comparison } of shown) {
      compared += comparison.structs.length;
      if (comparison.structs.some(({ differences }) => differences.length > 0)) outcome.codes.add(exit.failed);
      const name = one.member === undefined ? input.name : `${input.name}(${printable(one.member)})`;
      for (const { struct, differences } of comparison.structs) cases.push({ name: struct, where: name, details: differences });
      if (quiet) continue;
      const texts = json ? [JSON.stringify(checkJson(name, one, comparison))] : checkText(name, one, comparison);
      for (const text of texts) await line(text);
    }
  });
  if (compared === 0) {
    if (unreadable === 0) note('none of the structs is in there');
    outcome.codes.add(exit.inconclusive);
  }
  await deliver(cases);
  return outcome.codes;
}

interface Shown {
  readonly one: Found;
  readonly comparison: Comparison;
}

/**
 * What is told of a file: all of it, but of an archive only the objects that have one of the
 * structs, if any has.
 */
function ofInterest(all: readonly Shown[]): readonly Shown[] {
  const having = all.filter(({ comparison }) => comparison.structs.length > 0);
  return having.length > 0 ? having : all.slice(0, 1);
}

/** What others call the structs and the fields of the table, by their names for them. */
export interface Aliases {
  readonly structs: ReadonlyMap<string, AnyStruct>;
  readonly fields: ReadonlyMap<string, string>;
}

/** `NAME=STRUCT` or `NAME=FIELD` of `--as`. */
export function aliasesOf(texts: readonly string[]): Aliases {
  const structs = new Map<string, AnyStruct>();
  const fields = new Map<string, string>();
  const known = new Set(
    [...structNames, ...memoryStructNames].flatMap((name) => layoutOf(name, 'arm64').fields.flatMap(({ path }) => path.split('.'))),
  );
  for (const text of texts) {
    const [name = '', of = '', ...rest] = text.split('=');
    if (!/^[\w #:$<>]{1,200}$/.test(name) || of === '' || rest.length > 0) {
      throw new UsageError(`--as ${JSON.stringify(text)}: expected NAME=STRUCT, as MemoryReservation=xen_memory_reservation`);
    }
    if (known.has(of)) fields.set(name, of);
    else structs.set(name, memoryStructNamed(of) ?? structNamed(of));
  }
  return { structs, fields };
}

const whose = { asked: 'as --arch says', file: 'as the file says', guessed: 'the file does not say; it fits best' } as const;

function checkText(name: string, { container, types }: Found, comparison: Comparison): string[] {
  const { arch, archFrom, structs, absent } = comparison;
  const compared = structs.length === 0 ? '' : `, compared with ${arch} (${whose[archFrom]})`;
  return [
    `${name}: ${container}, ${types.about}${compared}`,
    ...structs.flatMap(({ struct, as, size, fields, differences, unit }) => {
      const called = `${as === undefined ? '' : `, as ${printable(as)}`}${unit === undefined ? '' : `, in ${printable(unit)}`}`;
      return differences.length === 0
        ? [`  ${struct.padEnd(22)}  equal: ${size} bytes, ${fields} fields${called}`]
        : [`  ${struct.padEnd(22)}  differs${called}`, ...differences.map((text) => `    ${printable(text)}`)];
    }),
    ...absent.map((struct) => `  ${struct.padEnd(22)}  not in the file`),
  ];
}

function checkJson(file: string, { container, types }: Found, { arch, archFrom, structs, absent }: Comparison): object {
  const named = structs.map(({ differences, ...rest }) => ({ ...rest, equal: differences.length === 0, differences }));
  return { file, container, types: types.count, arch, arch_from: archFrom, structs: named, absent };
}
