import type { Arch } from '../../abi/arch.ts';
import { type Btf, btfMagic, readBtf } from './btf.ts';
import { BtfError, Bytes } from './bytes.ts';

/** The BTF of a file: in which kind of file it was, and of which architecture that says it is. */
export interface FoundBtf {
  readonly btf: Btf;
  readonly container: string;
  /** Absent where the file does not say. */
  readonly arch?: Arch;
}

/** Unpacks gzip, or throws. It must bound what it makes. */
export type Inflate = (packed: Uint8Array) => Uint8Array;

const machines: ReadonlyMap<number, Arch> = new Map([
  [3, 'x86_32'],
  [40, 'arm32'],
  [62, 'x86_64'],
  [183, 'arm64'],
]);

/** As many blobs with a sane header are tried in an image; a file made of headers must not take for ever. */
const mostTried = 16;
/** A gzip'd image, or an EFI image around one. */
const deepest = 3;

/**
 * The BTF in a file: raw, a section of an ELF (`vmlinux`, a module, an object), or somewhere in a kernel image, which may be gzip'd or an
 * EFI "zboot" around a gzip'd one. A `BtfError` says why there is none.
 */
export function findBtf(data: Uint8Array, inflate: Inflate): FoundBtf {
  return find(new Bytes(data, 'the file'), inflate, '', 0);
}

function find(file: Bytes, inflate: Inflate, around: string, depth: number): FoundBtf {
  if (file.length < 24) throw new BtfError(`${file.length} bytes hold no BTF`);
  if (begins(file, 0, [0x9f, 0xeb]) || begins(file, 0, [0xeb, 0x9f])) return { btf: readBtf(file), container: `${around}raw BTF` };
  if (begins(file, 0, [0x7f, 0x45, 0x4c, 0x46])) return inElf(file, around);
  if (begins(file, 0, [0x1f, 0x8b])) return unpacked(file, inflate, around, depth);
  if (begins(file, 0, ascii('MZ')) && begins(file, 4, ascii('zimg'))) {
    if (!begins(file, 24, ascii('gzip\0'))) throw new BtfError('an EFI zboot image that is not packed with gzip: unpack it first');
    return unpacked(file.part(file.u32(8), file.u32(12), 'the payload'), inflate, `${around}EFI zboot of `, depth);
  }
  const image = file.length >= 64 && begins(file, 56, [0x41, 0x52, 0x4d, 0x64]);
  const btf = inImage(file);
  return image ? { btf, container: `${around}arm64 Image`, arch: 'arm64' } : { btf, container: `${around}a file with BTF inside` };
}

function unpacked(file: Bytes, inflate: Inflate, around: string, depth: number): FoundBtf {
  if (depth === deepest) throw new BtfError('gzip within gzip within gzip');
  let made: Uint8Array;
  try {
    made = inflate(file.data);
  } catch (error) {
    throw new BtfError(`gzip: ${error instanceof Error ? error.message : error}`);
  }
  return find(new Bytes(made, 'the unpacked file'), inflate, `${around}gzip of `, depth + 1);
}

/** The first blob in an image that can be read to its end. */
function inImage(file: Bytes): Btf {
  let tried = 0;
  let why: unknown;
  for (let at = file.data.indexOf(btfMagic[0] as number); at >= 0; at = file.data.indexOf(btfMagic[0] as number, at + 1)) {
    if (!begins(file, at, btfMagic) || !isSane(file, at)) continue;
    if (tried++ === mostTried) break;
    try {
      return readBtf(new Bytes(file.data.subarray(at), 'the BTF'));
    } catch (error) {
      if (!(error instanceof BtfError)) throw error;
      why ??= error;
    }
  }
  throw (
    why ??
    new BtfError("no BTF in it: neither an ELF with .BTF, nor an uncompressed or gzip'd Image of a kernel with CONFIG_DEBUG_INFO_BTF")
  );
}

/** Could this be a header? Types come first, strings follow them, both lie within the file. */
function isSane(file: Bytes, at: number): boolean {
  if (at + 24 > file.length) return false;
  const header = file.u32(at + 4);
  const [typesAt, typesSize, stringsAt, stringsSize] = [8, 12, 16, 20].map((field) => file.u32(at + field)) as [
    number,
    number,
    number,
    number,
  ];
  if (header < 24 || header > 32 || typesSize === 0 || typesAt + typesSize > stringsAt) return false;
  return at + header + stringsAt + stringsSize <= file.length;
}

/** The offsets of what we need in an ELF file header and in a section header. */
const elfClasses = {
  1: { word: 4, sections: 0x20, entrySize: 0x2e, count: 0x30, names: 0x32, least: 40, flags: 8, offset: 16, size: 20, link: 24 },
  2: { word: 8, sections: 0x28, entrySize: 0x3a, count: 0x3c, names: 0x3e, least: 64, flags: 8, offset: 24, size: 32, link: 40 },
} as const;

function inElf(file: Bytes, around: string): FoundBtf {
  const bits = file.u8(4);
  if (bits !== 1 && bits !== 2) throw new BtfError(`ELF of class ${bits}`);
  if (file.u8(5) !== 1) throw new BtfError("a big-endian ELF, which Xen's structs never are");
  const at = elfClasses[bits];
  const word = (where: number): number => (at.word === 4 ? file.u32(where) : file.u64(where));
  const table = word(at.sections);
  const entrySize = file.u16(at.entrySize);
  if (table === 0 || entrySize < at.least) throw new BtfError('an ELF without sections');
  // Where there are too many to count in 16 bits, the first section header says how many, and which holds the names.
  const count = file.u16(at.count) || word(table + at.size);
  const names = file.u16(at.names) === 0xffff ? file.u32(table + at.link) : file.u16(at.names);
  if (count * entrySize > file.length - table) throw new BtfError(`an ELF whose ${count} sections lie outside it`);
  const content = (index: number, what: string): Bytes => {
    if (index >= count) throw new BtfError(`${what}: section ${index} of ${count}`);
    const header = table + index * entrySize;
    if (file.u32(header + 4) === 8) throw new BtfError(`${what}: is not in this file (a stripped part of one?)`);
    return file.part(word(header + at.offset), word(header + at.size), what);
  };
  const named = content(names, 'the names of the sections');
  for (let index = 0; index < count; index++) {
    const header = table + index * entrySize;
    if (!begins(named, file.u32(header), ascii('.BTF\0'))) continue;
    if ((word(header + at.flags) & 0x800) !== 0) throw new BtfError('.BTF: is a compressed section');
    const arch = machines.get(file.u16(0x12));
    return { btf: readBtf(content(index, '.BTF')), container: `${around}ELF`, ...(arch ? { arch } : {}) };
  }
  throw new BtfError('an ELF without a .BTF section (a kernel wants CONFIG_DEBUG_INFO_BTF, an object pahole -J)');
}

function begins(file: Bytes, at: number, with_: readonly number[]): boolean {
  return at + with_.length <= file.length && with_.every((byte, i) => file.data[at + i] === byte);
}

function ascii(text: string): number[] {
  return Array.from(text, (c) => c.charCodeAt(0));
}
