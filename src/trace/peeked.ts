import { linesOf } from './lines.ts';

/** How much of an input is looked at, at most, before it is read, in bytes. */
export const headSize = 65536;

/**
 * Looks at the head of a source line by line until `look` answers something; after the last of them
 * it is asked with `undefined`. The answer does not depend on how the source is cut. `all` yields
 * everything from the first byte on.
 */
export async function peeked<T>(
  source: AsyncIterable<Uint8Array>,
  look: (line: Uint8Array | undefined) => T | undefined,
): Promise<{ value: T | undefined; all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let cut = false;
  async function* head(): AsyncGenerator<Uint8Array> {
    for (let length = 0; length < headSize; ) {
      const next = await iterator.next();
      if (next.done) return;
      seen.push(next.value.slice());
      const some = next.value.subarray(0, headSize - length);
      length += some.length;
      cut = length === headSize && some.at(-1) !== 0x0a;
      yield some;
    }
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* seen;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  let held: Uint8Array | undefined;
  for await (const { number, bytes } of linesOf(head())) {
    // The last line of a head that is cut is not whole: it counts only where there is no other.
    if (held) {
      const value = look(held);
      if (value !== undefined) return { value, all: all() };
      held = undefined;
    }
    if (cut && number > 1) held = bytes;
    else {
      const value = bytes && look(bytes);
      if (value !== undefined) return { value, all: all() };
    }
  }
  return { value: look(undefined), all: all() };
}
