import { closest } from './closest.ts';

// yargs loses a lone `-`, so it travels under another name, which no argument of a process can
// have.
const stdin = '\0stdin';

/** A word as yargs may have it. */
export function onStdin(word: string): string {
  return word === '-' ? stdin : word;
}

/** What yargs made of the words, with `-` as it was. */
export function unmarked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmarked);
  return value === stdin ? '-' : value;
}

/** What yargs knows of the options of the command that was asked for; its types leave it out. */
interface Known {
  getOptions(): { readonly key: object; readonly alias: Readonly<Record<string, readonly string[]>> };
}

/**
 * One line from what yargs says of wrong words, which takes several, drops dashes and lists camel
 * case twins.
 */
export function usageMessage(message: string, parser: unknown, words: readonly string[]): string {
  const text = message.replaceAll(stdin, '-');
  const unknown = /^Unknown arguments?: (.*)$/s.exec(text)?.[1]?.split(', ');
  if (unknown) {
    const name = unknown[0] as string;
    if (name !== '-' && words.includes(name)) return `unexpected ${JSON.stringify(name)}`;
    const { key, alias } = (parser as Known).getOptions();
    const options = [...Object.keys(key), ...Object.values(alias).flat()].map(dashed);
    return name === '-'
      ? 'no command before - (xenmem --help lists the commands)'
      : `unknown option ${dashed(name)}${closest(dashed(name), options)}`;
  }
  const lacking = /^Not enough arguments following: (.*)$/s.exec(text)?.[1];
  if (lacking !== undefined) return `${dashed(lacking)} wants a value`;
  const invalid = /Argument: ([\w-]+), Given: (.*), Choices: (.*)$/s.exec(text);
  if (invalid) {
    const [, name = '', given = '', choices = ''] = invalid;
    const known = choices.split(', ').map((choice) => choice.replaceAll('"', ''));
    return `unknown ${dashed(name)} ${given}${closest(given.replaceAll('"', ''), known)} (known: ${known.join(', ')})`;
  }
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

function dashed(name: string): string {
  return `${name.length === 1 ? '-' : '--'}${name}`;
}
