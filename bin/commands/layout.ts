import type { Argv } from 'yargs';
import { type Arch, arches, archNames, isArch } from '../../src/abi/arch.ts';
import { type AnyStruct, compareLayouts, type Layout, layoutOf } from '../../src/abi/layout.ts';
import { isMemoryStruct } from '../../src/abi/memory-h.ts';
import { structNames } from '../../src/abi/structs.ts';
import type { Asserted } from '../../src/export/assertions.ts';
import { emitCAssertions } from '../../src/export/c-assert.ts';
import { emitCChecks } from '../../src/export/c-checks.ts';
import { type EmitterName, emitterNames, emitters } from '../../src/export/emitters.ts';
import { emitRustAssertions } from '../../src/export/rust-assert.ts';
import { layoutJson, layoutText } from '../../src/text/layout-text.ts';
import { memoryLayoutText } from '../../src/text/memory-text.ts';
import { closest } from '../closest.ts';
import { exit, UsageError } from '../exit.ts';
import { bytes, line, outcome } from '../io.ts';
import { memoryStructNamed, structNamed } from '../options.ts';
import type { CheckOptions } from './layout-check.ts';

interface Options extends CheckOptions {
  readonly struct?: readonly string[];
  readonly emit?: EmitterName;
}

export function options(args: Argv): Argv {
  return args
    .positional('struct', {
      type: 'string',
      array: true,
      describe: `which: ${structNames.join(', ')}, or any of memory.h; or check FILE.., or diff FILE FILE|table`,
      defaultDescription: 'all',
    })
    .option('arch', { choices: archNames, describe: 'the architecture (default arm64); arm32 means EABI', requiresArg: true })
    .option('emit', { choices: emitterNames, describe: 'the structs for another language or tool', requiresArg: true })
    .option('checks', { type: 'boolean', describe: 'with --emit c: a header that checks the duties of the caller instead' })
    .option('assert', {
      type: 'boolean',
      describe: "with --emit c or rust: static assertions alone, for anybody's own declarations",
    })
    .option('compare', { type: 'string', nargs: 2, describe: 'two architectures: what differs, and why (exit 1 if anything does)' })
    .option('as', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'with check or --assert: what a struct or field is called there, NAME=STRUCT',
    })
    .option('base', { type: 'string', describe: "with check: the kernel that a module's BTF goes on from", requiresArg: true })
    .option('report', { type: 'string', array: true, nargs: 1, describe: 'with check or diff: also as KIND=FILE (junit=out.xml, …)' })
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .example('$0 layout --emit lua > xenmem.lua', 'make a dissector for Wireshark')
    .example('$0 layout --emit c --assert > gate.h', "include it after <xen/memory.h>, Linux's or your own header")
    .example('$0 layout diff old.o new.o', 'what became of each struct; table stands for the table')
    .example('$0 layout check vmlinux', 'compare the structs of what was built: BTF or DWARF, kernel, object, archive');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const [word, ...rest] = options.struct ?? [];
  // What reads built files is loaded only by these two.
  if (word === 'check') return (await import('./layout-check.ts')).check(options, rest);
  if (word === 'diff') return (await import('./layout-diff.ts')).diff(options, rest);
  return show(options);
}

async function show(options: Options): Promise<Iterable<number>> {
  const { struct = [], arch = 'arm64', emit, json, compare, checks, as = [], base } = options;
  if (compare && compare.length !== 2) throw new UsageError('--compare is given twice');
  if (options.assert) return assertions(options);
  const wanted = struct.length > 0 ? struct.map(anyStructNamed) : structNames;
  if (emit && (json || compare)) throw new UsageError(`--emit goes without --${json ? 'json' : 'compare'}`);
  if (checks && emit !== 'c') throw new UsageError('--checks goes with --emit c');
  if (as.length > 0) throw new UsageError('--as goes with check or --assert');
  if (options.report) throw new UsageError('--report goes with check or diff');
  if (base !== undefined) throw new UsageError('--base goes with check');
  if (compare) return compareArches(wanted, compare, json ?? false);
  if (emit) {
    const layouts = wanted.map((name): Layout => layoutOf(name, arch));
    await bytes(checks ? emitCChecks(layouts) : emitters[emit](layouts));
    return [];
  }
  for (const [i, name] of wanted.entries()) {
    const text = isMemoryStruct(name) ? memoryLayoutText(layoutOf(name, arch)) : layoutText(layoutOf(name, arch));
    if (json) await line(JSON.stringify(layoutJson(layoutOf(name, arch))));
    else for (const row of [...(i > 0 ? [''] : []), ...text]) await line(row);
  }
  return [];
}

/** A struct of either table by its name, with or without `xen_`. */
function anyStructNamed(name: string): AnyStruct {
  return memoryStructNamed(name) ?? structNamed(name);
}

async function assertions({ struct = [], arch, emit, checks, as = [] }: Options): Promise<Iterable<number>> {
  if (emit !== 'c' && emit !== 'rust') throw new UsageError('--assert goes with --emit c or --emit rust');
  if (checks) throw new UsageError('--assert goes without --checks');
  const { aliasesOf } = await import('./layout-check.ts');
  const { structs, fields } = aliasesOf(as);
  const asked: Asserted = {
    ...(struct.length > 0 && { structs: struct.map(anyStructNamed) }),
    ...(arch && { arch }),
    names: new Map([...structs].map(([name, of]) => [of, name])),
    fields: new Map([...fields].map(([name, of]) => [of, name])),
  };
  await bytes(emit === 'c' ? emitCAssertions(asked) : emitRustAssertions(asked));
  return [];
}

async function compareArches(wanted: readonly AnyStruct[], pair: readonly string[], json: boolean): Promise<Iterable<number>> {
  const [a, b] = pair.map((name) => {
    if (isArch(name)) return name;
    throw new UsageError(`unknown arch ${JSON.stringify(name)}${closest(name, archNames)} (known: ${archNames.join(', ')})`);
  }) as [Arch, Arch];
  for (const name of wanted) {
    const differences = compareLayouts(layoutOf(name, a), layoutOf(name, b));
    if (differences.length > 0) outcome.codes.add(exit.failed);
    if (json) {
      await line(JSON.stringify({ struct: name, compare: [a, b], equal: differences.length === 0, differences }));
      continue;
    }
    await line(`${name}: ${differences.length === 0 ? `equal, ${layoutOf(name, a).size} bytes on both` : 'differs'}`);
    for (const difference of differences) await line(`  ${difference}`);
  }
  if (!json) for (const text of why(a, b)) await line(text);
  return outcome.codes;
}

function why(a: Arch, b: Arch): string[] {
  const [wordA, wordB] = [arches[a].word, arches[b].word];
  const [pointerA, pointerB] = [arches[a].pointer, arches[b].pointer];
  const words =
    wordA === wordB
      ? `why: xen_pfn_t, xen_ulong_t and a guest handle in a struct are ${wordA} bytes, ${wordA}-aligned, on both`
      : `why: xen_pfn_t, xen_ulong_t and a guest handle in a struct are ${wordA} bytes on ${a} and ${wordB} on ${b}`;
  const register = `a handle passed in a register is ${pointerA} bytes on ${a} and ${pointerB} on ${b}`;
  return pointerA === pointerB ? [words] : [words, `not compared: ${register}`];
}
