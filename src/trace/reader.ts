import type { BufferItem } from './buffers.ts';
import type { Setting } from './call.ts';
import type { InputFormat } from './formats.ts';
import type { Part } from './hex-text.ts';
import type { CallItem, NoteItem, UnreadableItem } from './items.ts';

/** In which order the digits of a word stand: `big` is the order of memory, `little` is backwards. */
export const wordOrders = ['little', 'big'] as const;

/** What the digits of an offset count in. */
export const offsetRadixes = ['hex', 'octal', 'decimal'] as const;

export interface ReadOptions {
  readonly format?: InputFormat;
  /** Beat what the trace says about itself. */
  readonly flags?: Partial<Setting>;
  /** Bytes of each struct in a raw or hex input. Without it such an input, or each dump in it, is one buffer. */
  readonly structSize?: number;
  /** How to read groups of digits that may be words, where the text does not tell. */
  readonly wordOrder?: (typeof wordOrders)[number];
  /** How to read offsets, where the text does not tell. */
  readonly offsetRadix?: (typeof offsetRadixes)[number];
}

/** An input that was taken up: `name` completes "read as …"; it holds bytes or calls. */
export type Opened =
  | { readonly name: string; readonly parts: AsyncIterable<Part>; readonly calls?: undefined }
  | { readonly name: string; readonly calls: AsyncIterable<CallItem | UnreadableItem | NoteItem | BufferItem> };

/**
 * A row of the table of readers. The first line of an input that any row claims decides, the rows being asked in their order;
 * lines before it stand around what is to be read. A row reads the input from its first byte, or says why it cannot and what to do.
 */
export type Reader = {
  /** What such an input is, as a message calls it. */
  readonly name: string;
  /** True for a line, bare of what stands around it, that such an input begins with. */
  readonly line: (text: string) => boolean;
} & (
  | {
      readonly format: InputFormat;
      readonly open: (source: AsyncIterable<Uint8Array>, options: ReadOptions) => Opened | Promise<Opened>;
      readonly refuse?: undefined;
    }
  | { readonly refuse: string | ((text: string) => string) }
);
