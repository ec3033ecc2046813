import { type BufferItem, buffersOf } from './buffers.ts';
import type { Setting } from './call.ts';
import { blankInput, detect, detectWithin, firstNotBlank } from './detect.ts';
import { type InputFormat, inputFormats } from './formats.ts';
import { dumpParts, hexParts, type Part } from './hex-text.ts';
import { type CallItem, type NoteItem, readNdjson, type UnreadableItem } from './ndjson.ts';
import { packetBuffers } from './pcap.ts';
import { roomFor } from './room-for.ts';

export { InputError } from './input-error.ts';

/** What the input was taken for: `name` completes "read as …". */
export interface FormatItem {
  readonly kind: 'format';
  readonly format: InputFormat;
  /** False where the caller said it. */
  readonly detected: boolean;
  readonly name: string;
}

/** What an input holds, in its order; the format comes first. */
export type TraceItem = FormatItem | CallItem | UnreadableItem | NoteItem | BufferItem;

export interface ReadOptions {
  readonly format?: InputFormat;
  /** Beat what the trace says about itself. */
  readonly flags?: Partial<Setting>;
  /** Bytes of each struct in a raw or hex input. Without it such an input, or each dump in it, is one buffer. */
  readonly structSize?: number;
}

/**
 * Reads a trace, a raw buffer or a dump as it comes, in memory that does not grow with it. A line of a trace that cannot be
 * read is an item; `InputError` is thrown for an input that cannot be read at all or, in a dump, any further. Errors of the
 * source pass through, and the source is closed in every case.
 */
export async function* readTrace(source: AsyncIterable<Uint8Array>, options: ReadOptions = {}): AsyncGenerator<TraceItem> {
  const { flags, structSize } = options;
  if (structSize !== undefined && !(structSize > 0)) throw new RangeError(`structSize ${structSize} is no size in bytes`);
  const iterator = source[Symbol.asyncIterator]();
  try {
    const { format, head } = await begin(iterator, options.format);
    yield { kind: 'format', format, detected: options.format === undefined, name: inputFormats[format] };
    const bytes = rest(head, iterator);
    if (format === 'ndjson' || format === 'calls') yield* readNdjson(bytes, flags);
    else if (format === 'pcap' || format === 'pcapng') yield* packetBuffers(bytes, structSize);
    else yield* buffersOf(partsOf(bytes, format), structSize);
  } finally {
    await iterator.return?.();
  }
}

function partsOf(
  bytes: AsyncIterable<Uint8Array>,
  format: Exclude<InputFormat, 'ndjson' | 'calls' | 'pcap' | 'pcapng'>,
): AsyncIterable<Part> {
  switch (format) {
    case 'raw':
      return rawParts(bytes);
    case 'xxd':
    case 'hexdump':
      return dumpParts(bytes, format);
    case 'hex':
    case 'xxd-p':
      return hexParts(bytes);
  }
}

async function* rawParts(source: AsyncIterable<Uint8Array>): AsyncGenerator<Part> {
  for await (const bytes of source) yield { bytes, line: undefined, restart: false };
}

async function* rest(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

/** Takes no more from the source than the format can be told from, or than shows that there is anything in it. */
async function begin(
  iterator: AsyncIterator<Uint8Array>,
  given: InputFormat | undefined,
): Promise<{ format: InputFormat; head: Uint8Array }> {
  let held = new Uint8Array(4096);
  let length = 0;
  let looked = 0;
  let begun = false;
  for (;;) {
    const next = await iterator.next();
    const atEnd = next.done === true;
    const chunk: Uint8Array = next.done ? new Uint8Array(0) : next.value;
    held = roomFor(held, length, chunk.length);
    held.set(chunk, length);
    length += chunk.length;
    const head = held.subarray(0, length);
    const full = length >= detectWithin;
    // A byte order mark is blank, but only when all of it is there.
    const fresh = length - chunk.length < 4096 ? head : chunk;
    begun ||= (atEnd || length > 2) && firstNotBlank(fresh) !== undefined;
    if (given !== undefined) {
      if (begun || full || (given === 'raw' && length > 0)) return { format: given, head };
      if (atEnd) throw blankInput(length);
    } else if (atEnd || full || (begun && worthALook(chunk, length, looked))) {
      looked = length;
      const format = detect(head, atEnd);
      if (format !== undefined) return { format, head };
    }
  }
}

/** Looking again at every byte of a slow source would be quadratic; only a line's end or much more can change the answer. */
function worthALook(chunk: Uint8Array, length: number, looked: number): boolean {
  return length <= 4096 || length >= 2 * looked || chunk.includes(0x0a);
}
