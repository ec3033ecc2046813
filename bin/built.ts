import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { gunzipSync, inflateSync } from 'node:zlib';
import type { Btf } from '../src/export/built/btf.ts';
import { Bytes, FileError } from '../src/export/built/bytes.ts';
import { elfMagic, readElf, type Section } from '../src/export/built/elf.ts';
import { type Found, findBase, findTypes } from '../src/export/built/find.ts';
import { sectionsLookedAt } from '../src/export/built/inside.ts';
import { mostUnpacked, type Unpackers } from '../src/export/built/unpack.ts';
import { UnreadableError } from './exit.ts';
import { type Input, inputAt, reason } from './io.ts';

/** Most bytes of a file: a `vmlinux` with all its debug information has some 500 MB. */
const mostBytes = mostUnpacked;

type Unpack = Unpackers['gzip'];
/**
 * Into one piece, where it is known how long it becomes: of many pieces zlib would make one more
 * copy. The piece is a little longer, since a full one is followed by another.
 */
const inOnePiece: Unpack = (packed, most) => inflateSync(packed, { maxOutputLength: most, chunkSize: Math.max(most + 64, 1024) });
/** What Node can unpack. */
export const unpackers: Unpackers = {
  gzip: (packed, most) => gunzipSync(packed, { maxOutputLength: most }),
  zlib: inOnePiece,
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
    const fill = fillFrom(file, whole);
    const parts = fill(0, 64) && partsOfElf(whole, fill);
    const isRead = parts ? parts.every(({ offset, size: length }) => fill(offset, length)) : fill(0, size);
    return isRead ? whole : undefined;
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    throw new UnreadableError(`${name}: ${reason(error as NodeJS.ErrnoException)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Fills a part of what a file holds; false where it ends before. */
function fillFrom(file: number, whole: Uint8Array): (offset: number, length: number) => boolean {
  return (offset, length) => {
    const end = Math.min(offset + length, whole.length);
    let filled = offset;
    for (let read = 1; read > 0 && filled < end; filled += read) read = readSync(file, whole, filled, end - filled, filled);
    return filled >= end;
  };
}

/**
 * The parts of an ELF file that are looked at: what is not touched of a big file takes no memory.
 * `undefined` for a file of another kind, or one that is better told what is wrong with it whole.
 */
function partsOfElf(whole: Uint8Array, fill: (offset: number, length: number) => boolean): readonly Section[] | undefined {
  const file = new Bytes(whole, 'the file');
  if (!file.begins(0, elfMagic)) return undefined;
  try {
    return sectionsLookedAt(readElf(file), fill);
  } catch (error) {
    if (error instanceof FileError) return undefined;
    throw error;
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
