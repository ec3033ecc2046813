#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { closest } from './closest.ts';
import { exit, UsageError, worst } from './exit.ts';
import { explainFailure, interrupt, outcome } from './io.ts';
import { onStdin, unmarked, usageMessage } from './usage.ts';

/** One command: its options, and what it does with them. Answers the exit codes that apply. */
export interface Command {
  readonly options: (args: Argv) => Argv;
  // biome-ignore lint/suspicious/noExplicitAny: each command declares the types of its own options
  readonly run: (args: any) => Promise<Iterable<number>>;
}

interface Entry {
  /** Its name, and its only positional, if any, which is a list. */
  readonly usage: string;
  readonly describe: string;
  readonly load: () => Promise<Command>;
}

const commands: ReadonlyMap<string, Entry> = new Map(
  (
    [
      ['decode [input..]', 'show the bytes of a struct and what they mean', () => import('./commands/decode.ts')],
      ['encode [input..]', 'make the bytes of a struct from JSON', () => import('./commands/encode.ts')],
      ['validate [input..]', 'judge captured hypercalls by every rule that applies', () => import('./commands/validate.ts')],
      ['layout [struct..]', 'print where each byte of a struct belongs, as pahole does', () => import('./commands/layout.ts')],
      ['recipe [tool..]', 'print a script that captures calls with another tool', () => import('./commands/recipe.ts')],
      ['explain [id..]', 'show the sentence behind a rule, our reading, and who is to blame', () => import('./commands/explain.ts')],
      ['conform', 'play the whole suite against a hypervisor, by default the built-in reference', () => import('./commands/conform.ts')],
      ['live', 'play calls on a real Xen under QEMU, and judge it', () => import('./commands/live.ts')],
      ['fixtures [words..]', 'check, list, copy or make the golden cases', () => import('./commands/fixtures.ts')],
      ['merge [input..]', 'join the shards of a run into its reports', () => import('./commands/merge.ts')],
      ['completion [shell..]', 'print a completion script for bash or zsh', () => import('./commands/completion.ts')],
    ] as const
  ).map(([usage, describe, load]) => [usage.split(' ')[0] as string, { usage, describe, load }]),
);

async function main(given: readonly string[]): Promise<number> {
  const words = given[0] === 'help' ? [...given.slice(1), '--help'] : given;
  const first = words[0];
  if (first !== undefined && !first.startsWith('-') && !commands.has(first)) {
    throw new UsageError(
      `unknown command ${JSON.stringify(first)}${closest(first, [...commands.keys()])} (xenmem --help lists the commands)`,
    );
  }
  const completes = first === '--get-yargs-completions';
  const parser = parserOf(completes ? words : words.map(onStdin), await loaded(words));
  if (words.length === 0) {
    parser.showHelp((help) => process.stderr.write(`${help}\n`));
    return exit.usage;
  }
  if (completes) {
    complete(parser);
    return exit.ok;
  }
  try {
    const { help, version } = parser.parseSync();
    // yargs has answered these by itself.
    if (help || version) return exit.ok;
  } catch (thrown) {
    if (!(thrown instanceof Words)) throw thrown;
    return worst(await thrown.command.run(withRest(thrown.args, thrown.list)));
  }
  throw new UsageError('no command (xenmem --help lists the commands)');
}

/** Options that take more than one value, or may come more than once. */
const lists = ['has', 'as', 'compare', 'report', 'reference'];

/** What the words ask for. `list` is the command's only positional, if it has one. */
class Words {
  readonly command: Command;
  readonly list: string | undefined;
  readonly args: Record<string, unknown>;

  constructor(command: Command, list: string | undefined, args: Record<string, unknown>) {
    this.command = command;
    this.list = list;
    this.args = args;
  }
}

/** Only what was asked for is loaded: the commands whose names are among the words. */
async function loaded(words: readonly string[]): Promise<ReadonlyMap<string, Command>> {
  const named = [...commands].filter(([name]) => words.includes(name));
  return new Map(await Promise.all(named.map(async ([name, { load }]) => [name, await load()] as const)));
}

function parserOf(words: readonly string[], known: ReadonlyMap<string, Command>): Argv {
  const parser: Argv = yargs(words)
    .scriptName('xenmem')
    .usage('$0 <command> [options]\n\nWhat crossed the border between a guest and Xen, byte by byte.')
    .locale('en')
    .detectLocale(false)
    .parserConfiguration({ 'boolean-negation': false, 'populate--': true, 'strip-aliased': true })
    .strict()
    .exitProcess(false)
    .showHelpOnFail(false)
    .help('help', 'show this help')
    .version('version', "print xenmem's version", version())
    .alias({ help: 'h', version: 'V' })
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .epilogue(
      'Exit: 0 nothing wrong, 1 something wrong, 2 wrong usage, 3 input unreadable, 4 nothing evaluated\nor not enough, 5 the implementation could not be driven, 70 a bug of ours, 130 interrupted. `-` is stdin. Colour follows NO_COLOR and FORCE_COLOR.',
    )
    .example('$0 validate trace.ndjson', 'judge each call of a captured trace')
    .example('$0 decode --struct get_dma_buf req.bin', 'show one captured struct')
    .fail((message, error) => {
      throw error instanceof UsageError ? error : new UsageError(usageMessage(message ?? error.message, parser, words));
    });
  for (const [name, { usage, describe }] of commands) {
    const command = known.get(name);
    const list = /\[(\w+)\.\.\]/.exec(usage)?.[1];
    const builder = (args: Argv): Argv => command?.options(args) ?? args;
    parser.command(usage, describe, builder, (args) => {
      // Thrown, because after a handler that returns yargs renders the whole help, which takes as
      // long as most commands.
      if (command) throw new Words(command, list, args);
    });
  }
  return parser;
}

/**
 * Prints what could come next. The words are not finished, so what is wrong with them is no news.
 */
function complete(parser: Argv): void {
  try {
    parser.parseSync();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
}

/** The options as the command takes them; what followed `--` joins its only positional. */
function withRest(parsed: Record<string, unknown>, list: string | undefined): Record<string, unknown> {
  const named = Object.fromEntries(Object.entries(parsed).map(([key, value]) => [key, unmarked(value)]));
  const rest = (named['--'] ?? []) as readonly string[];
  const twice = Object.keys(named).find((key) => Array.isArray(named[key]) && ![list, ...lists, '_', '--'].includes(key));
  if (twice !== undefined) throw new UsageError(`--${twice} is given twice`);
  if (list === undefined) {
    if (rest.length > 0) throw new UsageError(`unknown argument ${JSON.stringify(rest[0])}`);
    return named;
  }
  return { ...named, [list]: [...((named[list] ?? []) as readonly string[]), ...rest] };
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

process.on('SIGINT', () => interrupt());
// An exit by signal would leave what was started running.
process.on('SIGTERM', () => process.exit(143));
process.on('SIGHUP', () => process.exit(129));

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => worst([...outcome.codes, explainFailure(error)]));
