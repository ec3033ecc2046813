import type { Argv } from 'yargs';
import { MergeError, mergeResults } from '../../conformance/verdict/merge.ts';
import { readResult } from '../../conformance/verdict/read-result.ts';
import { type Partial, partialSchema, readPartial } from '../../src/text/partial.ts';
import { object, RecordError } from '../../src/trace/fields.ts';
import { type Delivery, delivery, deliveryOptions } from '../deliver.ts';
import { UnreadableError, UsageError } from '../exit.ts';
import { eachInput, outcome } from '../io.ts';
import { type GateOptions, gateOptions } from '../options.ts';
import { joinPartials, tellPartials } from '../partials.ts';

interface Options extends Delivery, GateOptions {
  readonly input?: readonly string[];
  readonly partial?: boolean;
}

/** Most of a result that is read, in bytes. */
const mostInput = 1 << 28;

export function options(args: Argv): Argv {
  const described = args.positional('input', {
    type: 'string',
    array: true,
    describe: 'shards of conform --json, or pieces of validate --partial; - for stdin',
  });
  return gateOptions(deliveryOptions(described))
    .option('partial', { type: 'boolean', describe: 'pieces of a trace become larger pieces, to be merged again' })
    .example('$0 merge pieces/*.json', 'what validate --partial wrote, as one run would have said it');
}

export async function run(options: Options): Promise<Iterable<number>> {
  const deliver = delivery(options);
  const results: ReturnType<typeof readResult>[] = [];
  const partials: Partial[] = [];
  await eachInput(options.input, async ({ name, chunks }) => {
    const text = await whole(name, chunks);
    try {
      for (const json of documents(text)) {
        if (object(json, 'result')['schema'] === partialSchema) partials.push(readPartial(json));
        else results.push(readResult(json));
      }
    } catch (error) {
      if (error instanceof RecordError || error instanceof SyntaxError) throw new UnreadableError(`${name}: ${error.message}`);
      throw error;
    }
  });
  if (partials.length > 0) {
    if (results.length > 0) throw new UsageError('pieces of a trace and shards of a conformance run are no parts of one thing');
    if (options.report?.length || options.expect !== undefined) throw new UsageError('--report and --expect are of conformance runs');
    await (options.partial ? joinPartials(partials) : tellPartials(partials, options));
    return outcome.codes;
  }
  if (options.partial) throw new UsageError('--partial: no piece of a trace was given');
  if (results.length === 0) return outcome.codes;
  try {
    await deliver(mergeResults(results));
  } catch (error) {
    if (error instanceof MergeError) throw new UsageError(error.message);
    throw error;
  }
  return outcome.codes;
}

/** One JSON document, or one a line. */
function documents(text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length < 2) throw error;
    return lines.map((line) => JSON.parse(line));
  }
}

async function whole(name: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const found: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > mostInput) throw new UnreadableError(`${name}: more than ${mostInput} bytes`);
    found.push(chunk);
  }
  return Buffer.concat(found).toString('utf8');
}
