import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import * as zlib from 'node:zlib';
import type { Btf } from '../src/export/built/btf.ts';
import { FileError } from '../src/export/built/bytes.ts';
import { type Found, findBase, findTypes } from '../src/export/built/find.ts';
import { mostUnpacked, type Unpackers } from '../src/export/built/unpack.ts';
import { UnreadableError } from './exit.ts';
import { type Input, inputAt, reason } from './io.ts';

/** Most bytes of a file: a `vmlinux` with all its debug information has some 500 MB. */
const mostBytes = mostUnpacked;

type Unpack = Unpackers['gzip'];
const bounded =
  (unpack: (packed: Uint8Array, options: { maxOutputLength: number }) => Uint8Array): Unpack =>
  (packed, most) =>
    unpack(packed, { maxOutputLength: most });
/** Node has it from 22.15 on. */
const zstd = 'zstdDecompressSync' in zlib && typeof zlib.zstdDecompressSync === 'function' ? zlib.zstdDecompressSync : undefined;

/** What Node can unpack. */
export const unpackers: Unpackers = {
  gzip: bounded(zlib.gunzipSync),
  zlib: bounded(zlib.inflateSync),
  ...(zstd && { zstd: bounded((packed, options) => zstd(packed, options)) }),
};

/** The whole of an input, in one piece. */
export async function wholeOf({ name, chunks, path }: Input): Promise<Uint8Array> {
  const known = path === undefined ? undefined : wholeFile(name, path);
  if (known) return known;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > mostBytes) throw tooLong(name);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/**
 * A regular file read at once; `undefined` for one that does not say how long it is, as in /sys.
 */
function wholeFile(name: string, path: string): Uint8Array | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    if (size > mostBytes) throw tooLong(name);
    if (size < 1 << 20) return undefined;
    const whole = new Uint8Array(size);
    let filled = 0;
    for (let read = 1; read > 0 && filled < size; filled += read) read = readSync(file, whole, filled, size - filled, filled);
    return filled === size ? whole : undefined;
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    throw new UnreadableError(`${name}: ${reason(error as NodeJS.ErrnoException)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function tooLong(name: string): UnreadableError {
  return new UnreadableError(`${name}: longer than ${mostBytes >> 20} MiB`);
}

/**
 * What the types of an input are, and what is made of them; what cannot be read is one clear line.
 */
export async function typesOf<T>(
  input: Input,
  names: ReadonlySet<string>,
  base: Btf | undefined,
  make: (found: readonly Found[]) => T,
): Promise<T> {
  const data = await wholeOf(input);
  return readable(input.name, () => make(findTypes(data, { unpackers, names, ...(base && { base }) })));
}

/** The kernel of `--base`, by its path. */
export async function kernelOf(path: string): Promise<Btf> {
  const input = inputAt(path);
  const data = await wholeOf(input);
  return readable(`--base ${input.name}`, () => findBase(data, unpackers));
}

/** Does something with a file; a file that is not what it claims to be is the user's to know. */
export function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof FileError ? new UnreadableError(`${name}: ${error.message}`) : error;
  }
}
