import type { Argv } from 'yargs';
import { MergeError, mergeResults } from '../../conformance/verdict/merge.ts';
import { readResult } from '../../conformance/verdict/read-result.ts';
import { RecordError } from '../../src/trace/fields.ts';
import { type Delivery, delivery, deliveryOptions } from '../deliver.ts';
import { UnreadableError, UsageError } from '../exit.ts';
import { eachInput, outcome } from '../io.ts';

interface Options extends Delivery {
  readonly input?: readonly string[];
}

/** Most of a result that is read, in bytes. */
const mostInput = 1 << 28;

export function options(args: Argv): Argv {
  return deliveryOptions(args.positional('input', { type: 'string', array: true, describe: 'results in JSON, a shard each; - for stdin' }));
}

export async function run(options: Options): Promise<Iterable<number>> {
  const deliver = delivery(options);
  const parts: ReturnType<typeof readResult>[] = [];
  await eachInput(options.input, async ({ name, chunks }) => {
    const text = await whole(name, chunks);
    try {
      parts.push(readResult(JSON.parse(text)));
    } catch (error) {
      if (error instanceof RecordError || error instanceof SyntaxError) throw new UnreadableError(`${name}: ${error.message}`);
      throw error;
    }
  });
  if (parts.length === 0) return outcome.codes;
  try {
    await deliver(mergeResults(parts));
  } catch (error) {
    if (error instanceof MergeError) throw new UsageError(error.message);
    throw error;
  }
  return outcome.codes;
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
