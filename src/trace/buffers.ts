import { InputError } from './input-error.ts';
import type { Part } from './part.ts';
import { roomFor } from './room-for.ts';

/** A run of bytes to be read as one struct. */
export interface BufferItem {
  readonly kind: 'buffer';
  readonly bytes: Uint8Array;
  /** How many bytes of data came before it in the input; the digits of a dump are not data. */
  readonly offset: number;
  /** The line its first byte stands on, from 1, where the input has lines. */
  readonly line?: number;
  /** False for a last piece that is shorter than the struct asked for. */
  readonly whole: boolean;
  /** The struct's name, where the input says it. */
  readonly struct?: string;
}

const largestBuffer = 1 << 20;

/**
 * Cuts a stream of bytes into structs of `structSize` bytes, each yielded when its last byte is
 * there, the last of a dump possibly shorter. Without a size each dump is one buffer of at most 1
 * MiB, else `InputError`; so is an input without a byte.
 */
export async function* buffersOf(parts: AsyncIterable<Part>, structSize: number | undefined): AsyncGenerator<BufferItem> {
  const limit = structSize ?? largestBuffer;
  let held = new Uint8Array(Math.min(limit, 4096));
  let length = 0;
  let offset = 0;
  let line: number | undefined;
  const take = (): BufferItem => {
    const whole = structSize === undefined || length === structSize;
    const item = { kind: 'buffer', bytes: held.slice(0, length), offset: offset - length, whole } as const;
    length = 0;
    return line === undefined ? item : { ...item, line };
  };
  for await (const part of parts) {
    if (part.restart && length > 0) yield take();
    for (let from = 0; from < part.bytes.length; ) {
      if (length === limit)
        throw new InputError('more than 1 MiB is no single struct: name the struct (--struct) to read an array of them');
      if (length === 0) line = part.line;
      const some = part.bytes.subarray(from, from + limit - length);
      held = roomFor(held, length, some.length);
      held.set(some, length);
      length += some.length;
      offset += some.length;
      from += some.length;
      if (length === structSize) yield take();
    }
  }
  if (length > 0) yield take();
  if (offset === 0) throw new InputError('the input holds no bytes');
}
