import { type BufferItem, buffersOf } from './buffers.ts';
import { blankInput, fileWith, firstNotBlank, natureOf, readerOf, unknownText } from './detect.ts';
import { type InputFormat, inputFormats } from './formats.ts';
import { InputError } from './input-error.ts';
import type { CallItem, HeaderItem, NoteItem, StructsItem, TakenItem, UnreadableItem } from './items.ts';
import { gunzipped, isGzip, narrowed, needsMore, wideText } from './opened.ts';
import type { Part } from './part.ts';
import { headSize, peeked } from './peeked.ts';
import type { Reader, ReadOptions } from './reader.ts';
import { readers } from './readers.ts';
import { roomFor } from './room-for.ts';
import { bareLine } from './row.ts';

export { InputError } from './input-error.ts';
export type { ReadOptions } from './reader.ts';

/** What the input was taken for: `name` completes "read as …". */
export interface FormatItem {
  readonly kind: 'format';
  readonly format: InputFormat;
  /** False where the caller said it. */
  readonly detected: boolean;
  readonly name: string;
  /** What was opened to get at it, `gzip of `; empty where the bytes are those of the input. */
  readonly covers: string;
}

/** Bytes of an array of structs, cut anywhere. */
export interface BlockItem {
  readonly kind: 'block';
  readonly bytes: Uint8Array;
}

/** What an input holds, in its order; the format comes first. */
export type TraceItem = FormatItem | StructsItem | HeaderItem | CallItem | UnreadableItem | NoteItem | BufferItem | BlockItem | TakenItem;

/**
 * Reads a trace, a raw buffer or a dump as it comes, in memory that does not grow with it. A line
 * of a trace that cannot be read is an item; `InputError` is thrown for an input that cannot be
 * read at all or, in a dump, any further. Errors of the source pass through, and the source is
 * closed in every case.
 */
export async function* readTrace(source: AsyncIterable<Uint8Array>, options: ReadOptions = {}): AsyncGenerator<TraceItem> {
  const { structSize } = options;
  if (structSize !== undefined && !(structSize > 0)) throw new RangeError(`structSize ${structSize} is no size in bytes`);
  const iterator = source[Symbol.asyncIterator]();
  try {
    yield* itemsOf(iterator, options, '');
  } finally {
    await iterator.return?.();
  }
}

async function* itemsOf(iterator: AsyncIterator<Uint8Array>, options: ReadOptions, covers: string): AsyncGenerator<TraceItem> {
  const head = await headOf(iterator, options.format);
  const bytes = rest(head, iterator);
  const given = options.format;
  const wide = given === 'raw' ? undefined : wideText(head);
  if (given !== 'raw' && isGzip(head)) return yield* itemsOf(gunzipped(bytes), options, `${covers}gzip of `);
  if (wide) return yield* itemsOf(narrowed(bytes, wide), options, `${covers}UTF-16 of `);
  const { reader, all, text } = given === undefined ? await readerFor(bytes, head) : { reader: readerCalled(given), all: bytes, text: '' };
  if (!reader.open || !reader.format) throw new InputError(`this is ${reader.name}: ${reader.refusal?.(text) ?? 'it is not read'}`);
  const opened = await reader.open(all, options);
  yield { kind: 'format', format: reader.format, detected: given === undefined, name: covers + opened.name, covers };
  if (opened.calls) yield* opened.calls;
  else {
    const parts = given === 'raw' ? opened.parts : withoutFiles(opened.parts);
    const inBlocks = options.blocks && options.structSize !== undefined && reader.format === 'raw';
    yield* inBlocks ? blocksOf(parts) : buffersOf(parts, options.structSize);
  }
}

async function* blocksOf(parts: AsyncIterable<Part>): AsyncGenerator<BlockItem> {
  for await (const { bytes } of parts) yield { kind: 'block', bytes };
}

async function readerFor(
  bytes: AsyncIterable<Uint8Array>,
  head: Uint8Array,
): Promise<{ reader: Reader; all: AsyncIterable<Uint8Array>; text: string }> {
  const nature = natureOf(head, true);
  if (typeof nature === 'object') return { reader: nature, all: bytes, text: '' };
  if (nature === 'raw') return { reader: readerCalled('raw'), all: bytes, text: '' };
  let first: string | undefined;
  let isTrace = true;
  const { value, all } = await peeked(bytes, (line) => {
    if (!line) return undefined;
    const text = bareLine(line);
    if (text.trim() === '') return undefined;
    if (!/^\s*#/.test(text)) {
      first ??= text;
      isTrace = false;
    }
    const reader = readerOf(text);
    return reader && { reader, text };
  });
  if (value) return { ...value, all };
  // Nothing but comments is a trace without a call.
  if (isTrace) return { reader: readerCalled('ndjson'), all, text: '' };
  throw unknownText(first ?? '');
}

function readerCalled(format: InputFormat): Reader {
  const found = readers.find((reader) => reader.format === format);
  if (!found) throw new TypeError(`no reader of ${inputFormats[format]}`);
  return found;
}

/** Bytes of which none begins another kind of file. */
async function* withoutFiles(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
  const held = new Uint8Array(16);
  let length = 0;
  for await (const part of parts) {
    if (part.restart) length = 0;
    if (length < held.length) {
      const some = part.bytes.subarray(0, held.length - length);
      held.set(some, length);
      length += some.length;
      const file = fileWith(held.subarray(0, length));
      if (file)
        throw new InputError(
          `these bytes are the head of ${file.name}, not a struct: ${file.refusal?.('') ?? 'give the file itself'}`,
          part.line,
        );
    }
    yield part;
  }
}

async function* rest(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

/**
 * Takes no more from the source than shows what kind of input it is, or that there is anything in
 * it.
 */
async function headOf(iterator: AsyncIterator<Uint8Array>, given: InputFormat | undefined): Promise<Uint8Array> {
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
    const full = length >= headSize;
    // A byte order mark is blank, but only when all of it is there.
    const fresh = length - chunk.length < 4096 ? head : chunk;
    begun ||= (atEnd || length > 2) && firstNotBlank(fresh) !== undefined;
    if (given !== undefined) {
      if ((begun && !needsMore(head)) || full || (given === 'raw' && length > 0) || (begun && atEnd)) return head;
      if (atEnd) throw blankInput(length);
    } else if (atEnd || full || (begun && worthALook(chunk, length, looked))) {
      looked = length;
      if (natureOf(head, atEnd) !== undefined) return head;
    }
  }
}

/**
 * Looking again at every byte of a slow source would be quadratic; only a line's end or much more
 * can change the answer.
 */
function worthALook(chunk: Uint8Array, length: number, looked: number): boolean {
  return length <= 4096 || length >= 2 * looked || chunk.includes(0x0a);
}
