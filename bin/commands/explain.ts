import type { Argv } from 'yargs';
import { references } from '../../conformance/protocol/reference.ts';
import { fusaText, requirementsCsv, requirementsJson } from '../../src/export/requirements.ts';
import { ambiguities, ambiguityOf } from '../../src/rules/ambiguities.ts';
import { ruleOf, rules } from '../../src/rules/table.ts';
import { ambiguityLine, ambiguityText, explanation, ruleLine } from '../../src/text/explain-text.ts';
import { wrapped } from '../../src/text/wrap.ts';
import { closest } from '../closest.ts';
import { UsageError } from '../exit.ts';
import { bytes, line, styleFor } from '../io.ts';
import { referenceNamed } from '../options.ts';

interface Options {
  readonly id?: readonly string[];
  readonly reference?: readonly string[];
  readonly json?: boolean;
  readonly all?: boolean;
  readonly emit?: keyof typeof emitted;
}

/** Forms of the requirements on the hypervisor for those who certify it. */
const emitted = { fusa: fusaText, csv: requirementsCsv, json: requirementsJson } as const;

export function options(args: Argv): Argv {
  return args
    .positional('id', {
      type: 'string',
      array: true,
      describe: 'ids of rules, or of points that the texts leave open',
      defaultDescription: 'all, in a line each',
    })
    .option('reference', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'what conform --reference plays by that name, or by that reading of an open point, FREEDOM=READING',
    })
    .option('all', { type: 'boolean', describe: 'with --emit: every requirement on the hypervisor' })
    .option('emit', {
      choices: Object.keys(emitted),
      describe: "the requirements as Xen's docs/fusa has them, or as a table",
      requiresArg: true,
    })
    .option('json', { type: 'boolean', describe: 'one JSON object per id' });
}

export async function run({ id = [], reference = [], json, all, emit }: Options): Promise<number[]> {
  if ((emit !== undefined) !== (all ?? false)) throw new UsageError('--all and --emit go together');
  if (emit !== undefined) {
    if (json || id.length + reference.length > 0) throw new UsageError('--emit goes with --all alone');
    await bytes(emitted[emit]());
    return [];
  }
  for (const word of reference) {
    const { hello } = referenceNamed([word]);
    const about = references[word]?.about ?? `${hello.name}: ${JSON.stringify(word.split('=')[1])} is one reading of the point below`;
    if (json) await line(JSON.stringify({ reference: word, about }));
    else for (const text of wrapped(`${word}: `, about)) await line(text);
  }
  const points = reference.filter((word) => word.includes('=')).map((word) => word.split('=')[0] as string);
  if (reference.length > 0 && id.length + points.length === 0) return [];
  const wanted = [...id, ...points].map((name) => {
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
