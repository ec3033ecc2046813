import type { BufferItem } from './buffers.ts';
import type { Setting } from './call.ts';
import type { InputFormat } from './formats.ts';
import type { CallItem, HeaderItem, NoteItem, StructsItem, TakenItem, UnreadableItem } from './items.ts';
import type { Part } from './part.ts';
import type { PlainTaker } from './plain-record.ts';

/**
 * In which order the digits of a word stand: `big` is the order of memory, `little` is backwards.
 */
export const wordOrders = ['little', 'big'] as const;

/** What the digits of an offset count in. */
export const offsetRadixes = ['hex', 'octal', 'decimal'] as const;

export interface ReadOptions {
  readonly format?: InputFormat;
  /** Beat what the trace says about itself. */
  readonly flags?: Partial<Setting>;
  /**
   * Bytes of each struct in a raw or hex input. Without it such an input, or each dump in it, is
   * one buffer.
   */
  readonly structSize?: number;
  /**
   * Give structs in many that lie side by side as they come: an array of such structs in raw bytes by
   * the block, those of like packets in rows.
   */
  readonly blocks?: boolean;
  /** Give the headers of an NDJSON trace as items too. */
  readonly headers?: boolean;
  /** Is shown each plain record of an NDJSON trace first, and may take it. */
  readonly plain?: PlainTaker;
  /** How to read groups of digits that may be words, where the text does not tell. */
  readonly wordOrder?: (typeof wordOrders)[number];
  /** How to read offsets, where the text does not tell. */
  readonly offsetRadix?: (typeof offsetRadixes)[number];
}

/** An input that was taken up: `name` completes "read as …"; it holds bytes or calls. */
export type Opened =
  | { readonly name: string; readonly parts: AsyncIterable<Part>; readonly calls?: undefined }
  | {
      readonly name: string;
      readonly calls: AsyncIterable<StructsItem | HeaderItem | CallItem | UnreadableItem | NoteItem | BufferItem | TakenItem>;
    };

/**
 * A row of the table of readers: how an input is known, by its first bytes or by a line, and how it
 * is read or why it is not. Of the lines of a text the first that any row claims decides, the rows
 * being asked in their order; what stands before it stands around what is to be read. A row reads
 * the input from its first byte.
 */
export interface Reader {
  /** What such an input is, as a message calls it. */
  readonly name: string;
  /** The value of `--input-format` that asks for it. */
  readonly format?: InputFormat;
  /** True for the first bytes of such a file. */
  readonly head?: (bytes: Uint8Array) => boolean;
  /** True for a line, bare of what stands around it, that such a text begins with. */
  readonly line?: (text: string) => boolean;
  /** Absent where such an input cannot be read; then `refusal` says what to do. */
  readonly open?: (source: AsyncIterable<Uint8Array>, options: ReadOptions) => Opened | Promise<Opened>;
  /** What to do instead, one sentence, for an input or a line that is known but not read. */
  readonly refusal?: (text: string) => string;
}
