#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { exit, UsageError, worst } from './exit.ts';
import { explainFailure, note, outcome } from './io.ts';

/** One command: its options, and what it does with them. Answers the exit codes that apply. */
export interface Command {
  readonly options: (args: Argv) => Argv;
  // biome-ignore lint/suspicious/noExplicitAny: each command declares the types of its own options
  readonly run: (args: any) => Promise<Iterable<number>>;
}

type Load = () => Promise<Command>;

/** Only the command that was asked for is loaded. */
const commands: readonly (readonly [usage: string, describe: string, load: Load])[] = [
  ['decode [input..]', 'show the bytes of a struct and what they mean', () => import('./commands/decode.ts')],
  ['encode [input..]', 'make the bytes of a struct from JSON', () => import('./commands/encode.ts')],
  ['validate [input..]', 'judge captured hypercalls by every rule that applies', () => import('./commands/validate.ts')],
  ['layout [struct..]', 'print where each byte of a struct belongs, as pahole does', () => import('./commands/layout.ts')],
  ['explain [id..]', 'show the sentence behind a rule, our reading, and who is to blame', () => import('./commands/explain.ts')],
];

/** Options that take two values. */
const pairs = ['compare'];

// yargs loses a lone `-`, so it travels under another name.
const stdin = '\0stdin';

async function main(words: readonly string[]): Promise<number> {
  let result: Promise<Iterable<number>> | undefined;
  const end = words.indexOf('--');
  const parser = yargs()
    .scriptName('xenmem')
    .usage('$0 <command> [options]\n\nWhat crossed the border between a guest and Xen, byte by byte.')
    .locale('en')
    .detectLocale(false)
    .parserConfiguration({ 'parse-positional-numbers': false, 'boolean-negation': false })
    .strict()
    .recommendCommands()
    .exitProcess(false)
    .showHelpOnFail(false)
    .version(version())
    .alias({ help: 'h', version: 'V' })
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .epilogue(
      'Exit: 0 nothing wrong, 1 something wrong, 2 wrong usage, 3 input unreadable, 4 nothing evaluated, 70 a bug of ours.\n`-` is stdin. Colour follows NO_COLOR and FORCE_COLOR.',
    )
    .example('$0 validate trace.ndjson', 'judge each call of a captured trace')
    .example('$0 decode --struct get_dma_buf req.bin', 'show one captured struct')
    .completion('completion', 'print a completion script for bash or zsh')
    .fail((message, error) => {
      throw error ?? new UsageError(usageMessage(message));
    });
  for (const [usage, describe, load] of commands) {
    parser.command(
      usage,
      describe,
      async (args) => (await load()).options(args),
      async (args) => {
        const named = Object.fromEntries(Object.entries(args).map(([key, value]) => [key, restore(value)]));
        const lists = [/\[(\w+)\.\.\]/.exec(usage)?.[1], ...pairs, '_'];
        const twice = Object.keys(named).find((key) => Array.isArray(named[key]) && !lists.includes(key));
        if (twice !== undefined) throw new UsageError(`--${twice} is given twice`);
        result = (await load()).run(named);
        await result;
      },
    );
  }
  if (words.length === 0) {
    parser.showHelp((help) => process.stderr.write(`${help}\n`));
    return exit.usage;
  }
  const before = end < 0 ? words : words.slice(0, end);
  const after = end < 0 ? [] : words.slice(end + 1);
  // What follows `--` never reaches a positional in yargs; each command's only positional is a list, so it can go with the rest.
  await parser.parseAsync([...before, ...after.map(guard)].map((word) => (word === '-' ? stdin : word)));
  return worst((await result) ?? []);
}

/** A name that looks like an option, said after `--`. */
function guard(word: string): string {
  return word.startsWith('-') && word !== '-' ? `./${word}` : word;
}

function restore(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(restore);
  return value === stdin ? '-' : value;
}

function usageMessage(message: string): string {
  if (message.startsWith('Not enough non-option arguments')) return 'no command: try xenmem --help';
  return message.replace(/\s*\n\s*/g, ' ').trim();
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

process.on('SIGINT', () => {
  note('interrupted');
  process.exit(exit.interrupted);
});

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => worst([...outcome.codes, explainFailure(error)]));
