import type { Argv } from 'yargs';
import type { Implementation } from '../conformance/protocol/implementation.ts';
import { referenceFor, UnknownReferenceError, WrongReferenceError } from '../conformance/protocol/reference.ts';
import { type Arch, archNames } from '../src/abi/arch.ts';
import { isMemoryStruct, type MemoryStructName, memoryArguments, memoryStructNames } from '../src/abi/memory-h.ts';
import { argumentOf, type JudgedOp, judgedOp, opName, opNamed, opNumber, type Profile, profileNames, xenName } from '../src/abi/ops.ts';
import { isStructName, type StructName, structNames } from '../src/abi/structs.ts';
import type { Severity } from '../src/rules/answer.ts';
import type { Finding } from '../src/rules/judge.ts';
import type { Tally } from '../src/text/tally.ts';
import type { Setting } from '../src/trace/call.ts';
import { type InputFormat, inputFormatNames } from '../src/trace/formats.ts';
import { offsetRadixes, type ReadOptions, wordOrders } from '../src/trace/reader.ts';
import { closest } from './closest.ts';
import { UsageError } from './exit.ts';

/** How bad a finding must be to fail the command. */
const weights = { error: 3, warning: 2, note: 1, never: 4 } as const;

const severities: readonly Severity[] = ['error', 'warning', 'note'];

export interface GateOptions {
  readonly failOn: keyof typeof weights;
  readonly blame: 'anyone' | 'hypervisor';
}

/** `--fail-on` and `--blame`: which findings make the exit code 1. */
export function gateOptions(args: Argv): Argv {
  return args
    .option('fail-on', {
      choices: Object.keys(weights),
      default: 'error',
      describe: 'exit 1 on a finding at or above this',
      requiresArg: true,
    })
    .option('blame', {
      choices: ['anyone', 'hypervisor'],
      default: 'anyone',
      describe: 'whose findings make it exit 1',
      requiresArg: true,
    });
}

/** Does this finding fail the command? */
export function fails(finding: Finding, { failOn, blame }: GateOptions): boolean {
  if (blame === 'hypervisor' && finding.blame !== 'hypervisor') return false;
  return weights[finding.severity] >= weights[failOn];
}

/** Do these findings fail the command, of which only the number by weight is known? */
export function failsAny(found: Tally['weights'], { failOn, blame }: GateOptions): boolean {
  const isOver = (severity: Severity): boolean => weights[severity] >= weights[failOn];
  if (found.hypervisor > 0 && isOver('error')) return true;
  return blame !== 'hypervisor' && severities.some((severity) => found[severity] > 0 && isOver(severity));
}

/** `--arch`, `--profile`, `--cmd`, `--struct`: what the bytes are. */
export function structOptions(args: Argv): Argv {
  return args
    .option('struct', {
      type: 'string',
      describe: `the struct: ${structNames.join(', ')}, or any of memory.h (xen_ may be left out)`,
      requiresArg: true,
    })
    .option('cmd', {
      type: 'string',
      describe: 'the cmd of the call instead: op in bits 0..5, start_extent above; or its op by name',
      requiresArg: true,
    })
    .option('arch', { choices: archNames, describe: 'the architecture (default arm64)', requiresArg: true })
    .option('profile', { choices: profileNames, describe: 'what op numbers mean (default dma-buf)', requiresArg: true });
}

/** How to read a capture, and what it does not say of itself. */
export function captureOptions(args: Argv): Argv {
  return args
    .option('input-format', { choices: inputFormatNames, describe: 'how to read the input, instead of finding out', requiresArg: true })
    .option('word-order', { choices: wordOrders, describe: 'what groups of digits are: big is the order of memory', requiresArg: true })
    .option('offset-radix', { choices: offsetRadixes, describe: 'what the offsets of a dump count in', requiresArg: true })
    .option('space', { choices: ['virtual', 'physical'], describe: 'what addresses are; physical: gfn = address >> 12', requiresArg: true })
    .option('privileged', { type: 'boolean', describe: 'the caller is privileged (--privileged=false: it is not)' });
}

export interface StructOptions {
  readonly struct?: string;
  readonly cmd?: string;
  readonly arch?: Arch;
  readonly profile?: Profile;
}

export interface CaptureOptions extends StructOptions {
  readonly inputFormat?: InputFormat;
  readonly wordOrder?: NonNullable<ReadOptions['wordOrder']>;
  readonly offsetRadix?: NonNullable<ReadOptions['offsetRadix']>;
  readonly space?: Setting['space'];
  readonly privileged?: boolean;
}

/**
 * A struct by its C tag, with or without `xen_`. `others`: what else would be taken, for who
 * mistypes it.
 */
export function structNamed(name: string, others: readonly string[] = memoryStructNames): StructName {
  const full = name.startsWith('xen_') ? name : `xen_${name}`;
  if (isStructName(full)) return full;
  const known = others.length > 0 ? [...structNames, 'the other structs of memory.h'] : structNames;
  throw new UsageError(`unknown struct ${JSON.stringify(name)}${closest(full, [...structNames, ...others])} (known: ${known.join(', ')})`);
}

/** A `cmd` as the user wrote it: an op by its name, or 32 bits, decimal or 0x-hex. */
export function cmdNamed(text: string, profile: Profile): number {
  const op = opNamed(text, profile);
  const other = op ?? opNamed(text, 'upstream');
  if (op === undefined && other !== undefined && opName(other, profile) !== undefined)
    throw new UsageError(`--cmd ${text} is op ${other}, which is ${opName(other, profile)} in profile ${profile}: say --profile upstream`);
  const value = other ?? (/^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN);
  if (!(value <= 0xffff_ffff))
    throw new UsageError(`--cmd ${JSON.stringify(text)}: expected an op by its name, or a number, 0..0xffffffff`);
  return value;
}

/** The struct and op that the options name, as far as they do. */
export function asked({ struct, cmd, profile = 'dma-buf' }: StructOptions): { struct?: StructName; cmd?: number } {
  const shown = memoryStructAsked({ profile, ...(struct !== undefined && { struct }), ...(cmd !== undefined && { cmd }) });
  if (shown !== undefined) throw new TypeError(`${shown} is not judged: memoryStructAsked comes before`);
  const named = struct === undefined ? undefined : structNamed(struct);
  if (cmd === undefined) return named === undefined ? {} : { struct: named };
  const nr = cmdNamed(cmd, profile);
  const op = judgedOp(nr, profile);
  if (op === undefined && named === undefined) {
    const name = opName(opNumber(nr), profile);
    throw new UsageError(`op ${opNumber(nr)}${name ? ` (${name})` : ''} of profile ${profile} takes no struct that xenmem knows`);
  }
  if (named !== undefined && op !== undefined && argumentOf[op] !== named) {
    throw new UsageError(`--cmd ${cmd} is ${op}, whose argument is ${argumentOf[op]}, not ${named}`);
  }
  return { struct: named ?? argumentOf[op as JudgedOp], cmd: nr };
}

/** The struct that the words name, where it is one that xenmem shows and does not judge. */
export function memoryStructNamed(name: string): MemoryStructName | undefined {
  const full = name.startsWith('xen_') ? name : `xen_${name}`;
  return isMemoryStruct(full) ? full : undefined;
}

/** The struct that is not judged that `--struct` or `--cmd` asks for. */
export function memoryStructAsked({ struct, cmd, profile = 'dma-buf' }: StructOptions): MemoryStructName | undefined {
  if (struct !== undefined) {
    const named = memoryStructNamed(struct);
    const op = named !== undefined && cmd !== undefined ? xenName(cmdNamed(cmd, 'upstream'), 'upstream') : undefined;
    if (op !== undefined && memoryArguments[op] !== named) throw new UsageError(`--cmd ${cmd}: the argument of ${op} is not ${named}`);
    return named;
  }
  if (cmd === undefined) return undefined;
  const nr = cmdNamed(cmd, profile);
  if (judgedOp(nr, profile) !== undefined) return undefined;
  const takes = memoryArguments[xenName(nr, profile)];
  return takes !== undefined && isMemoryStruct(takes) ? takes : undefined;
}

/** An op that takes this struct, for judging a struct whose op is not known. */
export function opFor(struct: StructName): JudgedOp {
  return (Object.keys(argumentOf) as JudgedOp[]).findLast((op) => argumentOf[op] === struct) as JudgedOp;
}

/**
 * The reference that the words of `--reference` name; a wrong one is the user's mistake, told with
 * what is known.
 */
export function referenceNamed(words: readonly string[] = []): Implementation {
  try {
    return referenceFor(words);
  } catch (error) {
    if (!(error instanceof WrongReferenceError)) throw error;
    const known = error instanceof UnknownReferenceError ? `${closest(error.word, error.known)} (known: ${error.known.join(', ')})` : '';
    throw new UsageError(`--reference: ${error.message}${known}`);
  }
}

/** The whole number that an option was given, within bounds; `UsageError` for anything else. */
export function wholeNumber(option: string, text: string, most: number, least = 0): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most))
    throw new UsageError(`${option} ${JSON.stringify(text)}: expected a whole number, ${least}..${most}`);
  return value;
}

/** What `--timeout-scale` was given. */
export function scaleNamed(text: string): number {
  const scale = Number(text);
  if (!(scale > 0 && scale <= 10_000)) throw new UsageError(`--timeout-scale ${JSON.stringify(text)}: expected a number above 0`);
  return scale;
}
