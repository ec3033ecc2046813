import type { Argv } from 'yargs';
import { explanation, ruleLine } from '../../src/report/explain-text.ts';
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
    .positional('id', { type: 'string', array: true, describe: 'rule ids', defaultDescription: 'all, in a line each' })
    .option('json', { type: 'boolean', describe: 'one JSON object per rule' });
}

export async function run({ id = [], json }: Options): Promise<number[]> {
  const wanted = id.map((name) => {
    const rule = ruleOf(name);
    const ids = rules.map((r) => r.id);
    if (!rule) throw new UsageError(`unknown rule ${JSON.stringify(name)}${closest(name, ids)} (xenmem explain lists them)`);
    return rule;
  });
  const style = styleFor();
  for (const [i, rule] of (wanted.length > 0 ? wanted : rules).entries()) {
    if (json) {
      const { check, ...told } = rule;
      await line(JSON.stringify(told));
    } else if (wanted.length === 0) {
      await line(ruleLine(rule, style));
    } else {
      for (const text of [...(i > 0 ? [''] : []), ...explanation(rule, style)]) await line(text);
    }
  }
  return [];
}
