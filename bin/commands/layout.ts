import { gunzipSync } from 'node:zlib';
import type { Argv } from 'yargs';
import { type Arch, arches, archNames, isArch } from '../../src/abi/arch.ts';
import { compareLayouts, layoutOf } from '../../src/abi/layout.ts';
import { structNames } from '../../src/abi/structs.ts';
import { BtfError } from '../../src/export/btf/bytes.ts';
import { type Comparison, compareBtf } from '../../src/export/btf/compare.ts';
import { type FoundBtf, findBtf } from '../../src/export/btf/find.ts';
import { emitCChecks } from '../../src/export/c-checks.ts';
import { type EmitterName, emitterNames, emitters } from '../../src/export/emitters.ts';
import { layoutJson, layoutText } from '../../src/text/layout-text.ts';
import { printable } from '../../src/text/style.ts';
import { closest } from '../closest.ts';
import { exit, UnreadableError, UsageError } from '../exit.ts';
import { bytes, eachInput, type Input, line, note, outcome } from '../io.ts';
import { structNamed } from '../options.ts';

interface Options {
  readonly struct?: readonly string[];
  readonly arch?: Arch;
  readonly emit?: EmitterName;
  readonly json?: boolean;
  readonly compare?: readonly string[];
  readonly checks?: boolean;
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
    .option('json', { type: 'boolean', describe: 'one JSON object per struct' })
    .example('$0 layout --emit lua > xenmem.lua', 'make a dissector for Wireshark')
    .example('$0 layout check vmlinux', 'compare the structs of a built kernel (ELF, arm64 Image, raw BTF)');
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

/** Most bytes of a file, and of what a packed one holds: a `vmlinux` with all its debug information has some 500 MB. */
const mostBytes = 1 << 30;

async function check({ arch, emit, json = false, compare, checks }: Options, files: readonly string[]): Promise<Iterable<number>> {
  const other = emit ? 'emit' : compare ? 'compare' : checks ? 'checks' : undefined;
  if (other) throw new UsageError(`layout check goes without --${other}`);
  let compared = 0;
  const { unreadable } = await eachInput(files, async (input) => {
    const found = await btfOf(input);
    const comparison = comparisonOf(input, found, arch);
    compared += comparison.structs.length;
    if (comparison.structs.some(({ differences }) => differences.length > 0)) outcome.codes.add(exit.failed);
    const texts = json ? [JSON.stringify(checkJson(input.name, found, comparison))] : checkText(input.name, found, comparison);
    for (const text of texts) await line(text);
  });
  if (compared === 0) {
    if (unreadable === 0) note('none of the structs is in there');
    outcome.codes.add(exit.inconclusive);
  }
  return outcome.codes;
}

async function btfOf({ name, chunks }: Input): Promise<FoundBtf> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > mostBytes) throw new UnreadableError(`${name}: longer than ${mostBytes >> 20} MiB`);
    parts.push(chunk);
  }
  return readable(name, () => findBtf(Buffer.concat(parts), (packed) => gunzipSync(packed, { maxOutputLength: mostBytes })));
}

function comparisonOf({ name }: Input, found: FoundBtf, arch: Arch | undefined): Comparison {
  return readable(name, () => compareBtf(found, structNames, arch));
}

function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof BtfError ? new UnreadableError(`${name}: ${error.message}`) : error;
  }
}

const whose = { asked: 'as --arch says', file: 'as the file says', guessed: 'the file does not say; it fits best' } as const;

function checkText(name: string, { container, btf }: FoundBtf, { arch, archFrom, structs, absent }: Comparison): string[] {
  return [
    `${name}: ${container}, ${btf.count} types${structs.length === 0 ? '' : `, compared with ${arch} (${whose[archFrom]})`}`,
    ...structs.flatMap(({ struct, size, fields, differences }) =>
      differences.length === 0
        ? [`  ${struct.padEnd(22)}  equal: ${size} bytes, ${fields} fields`]
        : [`  ${struct.padEnd(22)}  differs`, ...differences.map((text) => `    ${printable(text)}`)],
    ),
    ...absent.map((struct) => `  ${struct.padEnd(22)}  not in the file`),
  ];
}

function checkJson(file: string, { container, btf }: FoundBtf, { arch, archFrom, structs, absent }: Comparison): object {
  const named = structs.map(({ differences, ...rest }) => ({ ...rest, equal: differences.length === 0, differences }));
  return { file, container, types: btf.count, arch, arch_from: archFrom, structs: named, absent };
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
