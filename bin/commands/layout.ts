import type { Argv } from 'yargs';
import { type Arch, arches, archNames, isArch } from '../../src/abi/arch.ts';
import { compareLayouts, layoutOf } from '../../src/abi/layout.ts';
import { structNames } from '../../src/abi/structs.ts';
import { emitCChecks } from '../../src/export/c-checks.ts';
import { type EmitterName, emitterNames, emitters } from '../../src/export/emitters.ts';
import { layoutJson, layoutText } from '../../src/text/layout-text.ts';
import { closest } from '../closest.ts';
import { exit, UsageError } from '../exit.ts';
import { bytes, line, outcome } from '../io.ts';
import { structNamed } from '../options.ts';
import { check } from './layout-check.ts';

interface Options {
  readonly struct?: readonly string[];
  readonly arch?: Arch;
  readonly emit?: EmitterName;
  readonly json?: boolean;
  readonly compare?: readonly string[];
  readonly checks?: boolean;
  readonly as?: readonly string[];
  readonly base?: string;
}

export function options(args: Argv): Argv {
  return args
    .positional('struct', {
      type: 'string',
      array: true,
      describe: `which: ${structNames.join(', ')}; or check FILE..`,
      defaultDescription: 'all',
    })
    .option('arch', { choices: archNames, describe: 'the architecture (default arm64); arm32 means EABI', requiresArg: true })
    .option('emit', { choices: emitterNames, describe: 'the structs for another language or tool', requiresArg: true })
    .option('checks', { type: 'boolean', describe: 'with --emit c: a header that checks the duties of the caller instead' })
    .option('compare', { type: 'string', nargs: 2, describe: 'two architectures: what differs, and why (exit 1 if anything does)' })
    .option('as', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'with check: what the file calls a struct, NAME=STRUCT',
    })
    .option('base', { type: 'string', describe: "with check: the kernel that a module's BTF goes on from", requiresArg: true })
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .example('$0 layout --emit lua > xenmem.lua', 'make a dissector for Wireshark')
    .example('$0 layout check vmlinux', 'compare the structs of what was built: BTF or DWARF, kernel, object, archive');
}

export async function run(options: Options): Promise<Iterable<number>> {
  return options.struct?.[0] === 'check' ? check(options, options.struct.slice(1)) : show(options);
}

async function show({ struct = [], arch = 'arm64', emit, json, compare, checks }: Options): Promise<Iterable<number>> {
  if (compare && compare.length !== 2) throw new UsageError('--compare is given twice');
  const wanted = struct.length > 0 ? struct.map(structNamed) : structNames;
  if (emit && (json || compare)) throw new UsageError(`--emit goes without --${json ? 'json' : 'compare'}`);
  if (checks && emit !== 'c') throw new UsageError('--checks goes with --emit c');
  if (compare) return compareArches(wanted, compare, json ?? false);
  if (emit) {
    const layouts = wanted.map((name) => layoutOf(name, arch));
    await bytes(checks ? emitCChecks(layouts) : emitters[emit](layouts));
    return [];
  }
  for (const [i, name] of wanted.entries()) {
    const layout = layoutOf(name, arch);
    if (json) await line(JSON.stringify(layoutJson(layout)));
    else for (const text of [...(i > 0 ? [''] : []), ...layoutText(layout)]) await line(text);
  }
  return [];
}

async function compareArches(
  wanted: readonly (typeof structNames)[number][],
  pair: readonly string[],
  json: boolean,
): Promise<Iterable<number>> {
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
