import type { Argv } from 'yargs';
import { ambiguityLine, ambiguityText, explanation, ruleLine } from '../../src/report/explain-text.ts';
import { ambiguities, ambiguityOf } from '../../src/rules/ambiguities.ts';
import { ruleOf, rules } from '../../src/rules/table.ts';
import { closest } from '../closest.ts';
import { UsageError } from '../exit.ts';
import { line, styleFor } from '../io.ts';

interface Options {
  readonly id?: readonly string[];
  readonly json?: boolean;
}

export function options(args: Argv): Argv {
  return args
    .positional('id', {
      type: 'string',
      array: true,
      describe: 'ids of rules, or of points that the texts leave open',
      defaultDescription: 'all, in a line each',
    })
    .option('json', { type: 'boolean', describe: 'one JSON object per id' });
}

export async function run({ id = [], json }: Options): Promise<number[]> {
  const wanted = id.map((name) => {
    const entry = ruleOf(name) ?? ambiguityOf(name);
    const ids = [...rules, ...ambiguities].map((known) => known.id);
    if (!entry) throw new UsageError(`unknown rule ${JSON.stringify(name)}${closest(name, ids)} (xenmem explain lists them)`);
    return entry;
  });
  const style = styleFor();
  for (const [i, entry] of (wanted.length > 0 ? wanted : [...rules, ...ambiguities]).entries()) {
    if (json) await line(JSON.stringify(entry));
    else if (wanted.length === 0) await line('blame' in entry ? ruleLine(entry, style) : ambiguityLine(entry, style));
    else {
      const told = 'blame' in entry ? explanation(entry, style) : ambiguityText(entry, style);
      for (const text of [...(i > 0 ? [''] : []), ...told]) await line(text);
    }
  }
  return [];
}
