import { type FileHandle, open } from 'node:fs/promises';
import type { Argv } from 'yargs';
import { type Arch, archNames, isArch } from '../../src/abi/arch.ts';
import { layoutOf } from '../../src/abi/layout.ts';
import { isStructName, type StructName, structNames } from '../../src/abi/structs.ts';
import { codecFor } from '../../src/codec/codec.ts';
import { AbiError } from '../../src/codec/errors.ts';
import { toHex } from '../../src/codec/hex.ts';
import { paddingFromJson, valueFromJson } from '../../src/codec/json.ts';
import { memoryFromJson } from '../../src/codec/memory-json.ts';
import { jsonLinesOf } from '../../src/trace/json-lines.ts';
import { closest } from '../closest.ts';
import { exit, UnreadableError, UsageError } from '../exit.ts';
import { bytes, eachInput, type Input, note, outcome, reason } from '../io.ts';
import { asked, memoryStructAsked, memoryStructNamed, type StructOptions, structOptions } from '../options.ts';

interface Options extends StructOptions {
  readonly input?: readonly string[];
  readonly hex?: boolean;
  readonly out?: string;
  readonly force?: boolean;
}

export function options(args: Argv): Argv {
  return structOptions(
    args.positional('input', {
      type: 'string',
      array: true,
      describe: 'files of JSON, an object a line; - for stdin',
      defaultDescription: '-',
    }),
  )
    .option('hex', { type: 'boolean', describe: 'a line of hex per struct instead of bytes' })
    .option('out', { type: 'string', alias: 'o', describe: 'write to this file instead of stdout', requiresArg: true })
    .option('force', { type: 'boolean', describe: 'overwrite the --out file' })
    .example('$0 decode --json a.bin | $0 encode > b.bin', 'the same bytes again')
    .epilogue('Takes what decode --json prints, or just its value, with --struct. Nothing is written for a line that does not fit.');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const out = options.out === '-' ? undefined : options.out;
  if (!options.hex && out === undefined && process.stdout.isTTY) {
    throw new UsageError('bytes do not belong on a terminal: use --hex, --out FILE or a pipe');
  }
  let file: FileHandle | undefined;
  let made = 0;
  try {
    await eachInput(options.input, async (input) => {
      for await (const encoded of structsOf(input, options)) {
        made++;
        const data = options.hex ? `${toHex(encoded)}\n` : encoded;
        if (out === undefined) await bytes(data);
        else {
          // Opened only now, so that input that makes nothing leaves a file that is there as it
          // was.
          file ??= await openOutput(out, options.force ?? false);
          await file.appendFile(data).catch((error: NodeJS.ErrnoException) => {
            throw new UsageError(`--out ${out}: ${reason(error)}`);
          });
        }
      }
    });
  } finally {
    await file?.close();
  }
  if (made === 0) {
    if (outcome.codes.size === 0) note('nothing to encode');
    outcome.codes.add(exit.inconclusive);
  }
  return outcome.codes;
}

async function* structsOf(input: Input, options: Options): AsyncGenerator<Uint8Array> {
  for await (const read of jsonLinesOf(input.chunks)) {
    try {
      if (read.problem !== undefined) throw new UnreadableError(read.problem);
      yield encodeOne(read.json, options);
    } catch (error) {
      if (!(error instanceof AbiError || error instanceof UnreadableError)) throw error;
      note(`${input.name}:${read.line}: ${error.message}`);
      outcome.codes.add(exit.unreadable);
    }
  }
}

function encodeOne(json: unknown, options: Options): Uint8Array {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new UnreadableError('expected a JSON object');
  const { struct, arch, value, padding, rest } = json as Record<string, unknown>;
  const whole = typeof value === 'object' && value !== null;
  const other = memoryStructAsked(options) ?? (whole && typeof struct === 'string' ? memoryStructNamed(struct) : undefined);
  if (other !== undefined) {
    const layout = layoutOf(other, options.arch ?? (whole && typeof arch === 'string' ? knownArch(arch) : 'arm64'));
    return memoryFromJson(layout, whole ? value : json, whole ? rest : undefined);
  }
  const name = asked(options).struct ?? (whole && typeof struct === 'string' ? knownStruct(struct) : undefined);
  if (name === undefined) throw new UsageError('say which struct with --struct, or give objects with "struct" and "value"');
  const codec = codecFor(options.arch ?? (whole && typeof arch === 'string' ? knownArch(arch) : 'arm64'))[name];
  const held = whole && padding !== undefined ? paddingFromJson(codec.layout, padding) : undefined;
  return codec.encode(valueFromJson(codec.layout, whole ? value : json) as never, held);
}

function knownStruct(struct: string): StructName {
  if (isStructName(struct)) return struct;
  throw new UnreadableError(`unknown struct ${JSON.stringify(struct.slice(0, 40))}${closest(struct.slice(0, 40), structNames)}`);
}

function knownArch(arch: string): Arch {
  if (isArch(arch)) return arch;
  throw new UnreadableError(
    `unknown arch ${JSON.stringify(arch.slice(0, 40))}${closest(arch.slice(0, 40), archNames)} (known: ${archNames.join(', ')})`,
  );
}

function openOutput(name: string, force: boolean): Promise<FileHandle> {
  return open(name, force ? 'w' : 'wx').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--out ${name}: ${reason(error)}${error.code === 'EEXIST' ? ' (--force overwrites)' : ''}`);
  });
}
