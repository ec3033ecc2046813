import { type Bytes, FileError } from './bytes.ts';
import { crc32, crc64 } from './checksums.ts';
import { Lzma } from './lzma.ts';
import { type Filter, filters } from './xz-filters.ts';

/** A block of an xz file, found before anything is decoded: what it becomes, and where its chunks are. */
interface Block {
  readonly filters: readonly Filter[];
  readonly at: number;
  readonly size: number;
  /** Is the check that stands behind the block right for what was made? */
  readonly isRight: (made: Uint8Array) => boolean;
}

/** The first bytes of what xz packed. */
export const xzMagic: readonly number[] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
/** Bytes of the check behind each block, by its id. */
const checkSizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const crc32Check = 1;
const crc64Check = 4;
const lzma2 = 0x21;

/**
 * Unpacks what `xz` packed: LZMA2 behind the filters for machine code that kernels are packed with
 * (x86, ARM, Thumb, ARM64). How long it becomes is known before it is made.
 */
export function unpackXz(packed: Bytes, most: number): Uint8Array {
  const blocks = blocksOf(packed);
  const total = blocks.reduce((sum, { size }) => sum + size, 0);
  if (total > most) throw new FileError(`xz: more than ${most} bytes`);
  const out = new Uint8Array(total);
  let filled = 0;
  for (const block of blocks) {
    const made = out.subarray(filled, filled + block.size);
    decode(packed, block, made);
    for (const filter of block.filters) filter(made);
    if (!block.isRight(made)) throw new FileError('xz: the check sum is wrong: the file is damaged');
    filled += block.size;
  }
  return out;
}

/** The blocks of all streams; behind the last one a kernel's build appends its length. */
function blocksOf(packed: Bytes): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; packed.begins(at, xzMagic); ) {
    const check = packed.u8(at + 7) & 15;
    at += 12;
    while (packed.u8(at) !== 0) {
      const block = blockAt(packed, at, check);
      blocks.push(block);
      at = block.end;
    }
    at = behindIndex(packed, at);
    while (packed.begins(at, [0, 0, 0, 0])) at += 4;
  }
  return blocks;
}

function blockAt(packed: Bytes, start: number, check: number): Block & { readonly end: number } {
  const reader = { at: start + 2 };
  const flags = packed.u8(start + 1);
  if ((flags & 0x40) !== 0) number(packed, reader);
  if ((flags & 0x80) !== 0) number(packed, reader);
  const chain: Filter[] = [];
  for (let i = (flags & 3) + 1; i > 0; i--) {
    const id = number(packed, reader);
    const length = number(packed, reader);
    const filter = filters[id];
    if (i === 1 ? id !== lzma2 : filter === undefined || length !== 0)
      throw new FileError('xz: a filter that no kernel is packed with: unpack it first (xz -d)');
    if (i > 1 && filter) chain.unshift(filter);
    reader.at += length;
  }
  const at = start + (packed.u8(start) + 1) * 4;
  const { end, size } = chunksAt(packed, at);
  const behind = at + Math.ceil((end - at) / 4) * 4;
  const isRight = (made: Uint8Array): boolean => {
    if (check === crc32Check) return crc32(made) === packed.u32(behind);
    return check !== crc64Check || crc64(made) === packed.word(behind);
  };
  return { filters: chain, at, size, isRight, end: behind + (checkSizes[check] ?? 0) };
}

/** Where the chunks of LZMA2 end, and how long they become. */
function chunksAt(packed: Bytes, start: number): { end: number; size: number } {
  let size = 0;
  let at = start;
  for (let control = packed.u8(at); control !== 0; control = packed.u8(at)) {
    const chunk = chunkAt(packed, at, control);
    size += chunk.size;
    at = chunk.end;
  }
  return { end: at + 1, size };
}

interface Chunk {
  readonly data: number;
  readonly end: number;
  readonly size: number;
}

function chunkAt(packed: Bytes, at: number, control: number): Chunk {
  const big = (offset: number): number => packed.u8(at + offset) * 256 + packed.u8(at + offset + 1) + 1;
  if (control < 0x80) {
    if (control > 2) throw new FileError('xz: a chunk of a kind that there is not');
    return { data: at + 3, end: at + 3 + big(1), size: big(1) };
  }
  const data = at + (control >= 0xc0 ? 6 : 5);
  return { data, end: data + big(3), size: (control & 0x1f) * 65536 + big(1) };
}

function decode(packed: Bytes, block: Block, out: Uint8Array): void {
  const lzma = new Lzma({ from: packed.data, out });
  let [at, filled, dictionary] = [block.at, 0, 0];
  let isSet = false;
  for (let control = packed.u8(at); control !== 0; control = packed.u8(at)) {
    const { data, end, size } = chunkAt(packed, at, control);
    const bytes = packed.part(data, end - data, 'a chunk of xz').data;
    if (control === 1 || control >= 0xe0) dictionary = filled;
    if (control < 0x80) out.set(bytes, filled);
    else {
      if (control >= 0xc0) lzma.setProperties(packed.u8(at + 5));
      isSet ||= control >= 0xc0;
      if (!isSet) throw new FileError('xz: a chunk before any properties');
      if (control >= 0xa0) lzma.resetState();
      lzma.chunk(data, end, filled, filled + size, dictionary);
    }
    filled += size;
    at = end;
  }
}

/** Behind the index of a stream and its footer. */
function behindIndex(packed: Bytes, start: number): number {
  const reader = { at: start + 1 };
  const records = number(packed, reader);
  for (let i = 0; i < 2 * records; i++) number(packed, reader);
  return start + Math.ceil((reader.at - start) / 4) * 4 + 4 + 12;
}

/** A number of seven bits a byte, the lowest first. */
function number(packed: Bytes, reader: { at: number }): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = packed.u8(reader.at++);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    if (value > Number.MAX_SAFE_INTEGER / 128) throw new FileError('xz: a number that is too long');
  }
}
