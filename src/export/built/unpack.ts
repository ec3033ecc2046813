import { ascii, type Bytes, FileError } from './bytes.ts';
import { unpackXz, xzMagic } from './xz.ts';
import { unpackZstd, zstdMagic } from './zstd.ts';

/** What unpacks, given by whoever has it: each makes at most `most` bytes, or throws. */
export interface Unpackers {
  readonly gzip: (packed: Uint8Array, most: number) => Uint8Array;
  /** Of a section, which says how long it becomes: `most` is that. */
  readonly zlib: (packed: Uint8Array, most: number) => Uint8Array;
}

/**
 * Most bytes of what a packed file holds: a `vmlinux` with all its debug information has some 500
 * MB.
 */
export const mostUnpacked = 1 << 30;

/** Deflate makes at most 1,032 bytes of one; a kernel comes nowhere near, whatever packs it. */
const densest = 1100;
/** Up to so many bytes may come of fewer packed ones, as zeros do. */
const denseBytes = 1 << 26;

/** Most bytes that come of so many packed ones, other than by a bomb. */
export function mostFrom(packed: number, dense = denseBytes): number {
  return Math.min(mostUnpacked, Math.max(dense, densest * packed));
}

type Way = 'gzip' | 'zlib' | 'zstd' | 'lz4' | 'xz';

/** The first bytes of each way to pack a kernel; where there is no `way`, we cannot undo it. */
const magics: readonly { readonly name: string; readonly magic: readonly number[]; readonly way?: Way }[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], way: 'gzip' },
  { name: 'LZ4', magic: [0x02, 0x21, 0x4c, 0x18], way: 'lz4' },
  { name: 'zstd', magic: zstdMagic, way: 'zstd' },
  { name: 'xz', magic: xzMagic, way: 'xz' },
  { name: 'bzip2', magic: ascii('BZh') },
  { name: 'LZO', magic: [0x89, 0x4c, 0x5a, 0x4f] },
  { name: 'LZMA', magic: [0x5d, 0x00, 0x00] },
];

const wayOut = 'unpack it first (scripts/extract-vmlinux of Linux), or take /sys/kernel/btf/vmlinux of the running kernel';

/**
 * Is it packed by itself, as `gzip vmlinux` makes it? Images that hold something packed are told
 * apart before.
 */
export function isPacked(file: Bytes): boolean {
  return magics.some(({ magic, way }) => way !== undefined && file.begins(0, magic));
}

/** Unpacks what its first bytes say it is; `container` says how, for a person. */
export function unpack(packed: Bytes, unpackers: Unpackers, most = mostFrom(packed.length)): { made: Uint8Array; container: string } {
  const known = magics.find(({ magic }) => packed.begins(0, magic));
  if (!known) throw new FileError(`${packed.what}: packed in a way that is not known: ${wayOut}`);
  const { name, way } = known;
  if (way === undefined) throw new FileError(`${packed.what}: packed with ${name}: ${wayOut}`);
  return { made: undo(way, packed, unpackers, most), container: name };
}

/** What Node 20 has not. */
const ownWays: { readonly [way in Exclude<Way, keyof Unpackers>]: (packed: Bytes, most: number) => Uint8Array } = {
  zstd: unpackZstd,
  lz4: unpackLz4,
  xz: unpackXz,
};

/** Unpacks in one way; whatever goes wrong is a `FileError`. */
export function undo(way: Way, packed: Bytes, unpackers: Unpackers, most: number): Uint8Array {
  if (way !== 'gzip' && way !== 'zlib') return ownWays[way](packed, most);
  try {
    return unpackers[way](packed.data, most);
  } catch (error) {
    throw new FileError(`${way}: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * The packed kernel in an image: a bzImage of x86 says where in its setup header, an EFI "zboot"
 * image in its own. `undefined` if it is neither.
 */
export function payloadOf(file: Bytes): { payload: Bytes; container: string } | undefined {
  if (file.begins(0, ascii('MZ')) && file.begins(4, ascii('zimg'))) {
    return { payload: file.part(file.u32(8), file.u32(12), 'an EFI zboot image'), container: 'EFI zboot' };
  }
  if (!file.begins(0x202, ascii('HdrS'))) return undefined;
  if (file.u16(0x206) < 0x208) throw new FileError('a bzImage of a kernel before 2.6.26, which does not say where its payload is');
  const setup = (file.u8(0x1f1) || 4) + 1;
  const payload = file.part(setup * 512 + file.u32(0x248), file.u32(0x24c), 'a bzImage');
  return { payload, container: 'bzImage' };
}

/**
 * The legacy frame of LZ4, which kernels are packed in: blocks with their length before each, and
 * no end mark.
 */
function unpackLz4(packed: Bytes, most: number): Uint8Array {
  const blockSize = 8 << 20;
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = 4; at + 4 <= packed.length; ) {
    const size = packed.u32(at);
    // After the last block a kernel's build appends its unpacked size.
    if (at + 4 + size > packed.length || size === 0) break;
    const made = unpackBlock(packed.part(at + 4, size, 'a block of LZ4'), blockSize);
    total += made.length;
    if (total > most) throw new FileError(`lz4: more than ${most} bytes`);
    parts.push(made);
    at += 4 + size;
  }
  const whole = new Uint8Array(total);
  let filled = 0;
  for (const part of parts) {
    whole.set(part, filled);
    filled += part.length;
  }
  return whole;
}

function unpackBlock(block: Bytes, most: number): Uint8Array {
  const made = new Uint8Array(most);
  let at = 0;
  let filled = 0;
  const length = (nibble: number): number => {
    let sum = nibble;
    if (nibble === 15) for (let byte = 255; byte === 255; sum += byte) byte = block.u8(at++);
    return sum;
  };
  const room = (wanted: number): void => {
    if (filled + wanted > most) throw new FileError('lz4: a block that is longer than a block can be');
  };
  while (at < block.length) {
    const token = block.u8(at++);
    const literals = length(token >>> 4);
    room(literals);
    made.set(block.part(at, literals, 'a block of LZ4').data, filled);
    at += literals;
    filled += literals;
    if (at >= block.length) break;
    const back = block.u16(at);
    at += 2;
    const copied = length(token & 15) + 4;
    if (back === 0 || back > filled) throw new FileError('lz4: a copy from before the start');
    room(copied);
    for (let i = 0; i < copied; i++, filled++) made[filled] = made[filled - back] ?? 0;
  }
  return made.subarray(0, filled);
}
