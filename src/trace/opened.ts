import { InputError } from './input-error.ts';

const gzip = [0x1f, 0x8b, 8];

/** Is this the head of a gzip stream? */
export function isGzip(head: Uint8Array): boolean {
  return gzip.every((byte, i) => head[i] === byte);
}

/** What a gzip stream holds. Throws `InputError` where it is damaged. */
export async function* gunzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = new DecompressionStream('gzip');
  const writer = stream.writable.getWriter();
  let failure: unknown;
  const feed = (async () => {
    try {
      for await (const chunk of source) await writer.write(chunk);
    } catch (error) {
      failure = error;
    }
    await writer.close();
  })().catch(() => undefined);
  const reader = stream.readable.getReader();
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done) break;
      yield next.value;
    }
  } catch {
    throw failure ?? new InputError('the gzip stream is damaged or cut');
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  await feed;
  if (failure !== undefined) throw failure;
}

/** How many bytes of a head tell whether it is a text of 16-bit characters. */
const wideHead = 34;

/** Could more bytes show that this is a gzip stream or a text of 16-bit characters? */
export function needsMore(head: Uint8Array): boolean {
  const [first = 0] = head;
  return first >= 0xfe ? head.length < wideHead : first === gzip[0] && head.length < gzip.length;
}

/**
 * How a text of 16-bit characters is coded, as PowerShell writes it; `undefined` for any other
 * head.
 */
export function wideText(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const [a, b] = head;
  const marked = a === 0xff && b === 0xfe ? 'utf-16le' : a === 0xfe && b === 0xff ? 'utf-16be' : undefined;
  if (!marked || head.length < 4) return undefined;
  const high = marked === 'utf-16le' ? 1 : 0;
  const some = head.subarray(2, wideHead);
  // Characters beyond Latin, as those that draw boxes, are in blocks up to 0x30.
  const zeros = some.filter((byte, i) => i % 2 === high && byte === 0).length;
  return zeros > 0 && some.every((byte, i) => (i % 2 === high ? byte === 0 || (byte >= 0x20 && byte < 0x30) : true)) ? marked : undefined;
}

/** A text of 16-bit characters in UTF-8. */
export async function* narrowed(source: AsyncIterable<Uint8Array>, label: 'utf-16le' | 'utf-16be'): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(label, {});
  const encoder = new TextEncoder();
  for await (const chunk of source) yield encoder.encode(decoder.decode(chunk, { stream: true }));
}
