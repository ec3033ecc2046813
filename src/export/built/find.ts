import type { Arch } from '../../abi/arch.ts';
import { isArchive, readArchive } from './archive.ts';
import { type Btf, btfMagic, isBtf, isCalledBtf, isSaneBtf, readBtf } from './btf.ts';
import { ascii, Bytes, FileError } from './bytes.ts';
import { type Elf, elfMagic, readElf } from './elf.ts';
import { type Search, typesInElf } from './inside.ts';
import { refuseOther } from './other.ts';
import type { Types } from './types.ts';
import { isPacked, payloadOf, type Unpackers, unpack } from './unpack.ts';

/**
 * The types of a file, or of one in an archive: in which kind of file, and of which architecture
 * that says it is.
 */
export interface Found {
  readonly types: Types;
  readonly container: string;
  /** The file in an archive. */
  readonly member?: string;
  /** Absent where the file does not say. */
  readonly arch?: Arch;
  /** Bytes of a pointer, where the file says so. */
  readonly pointer?: number;
}

/**
 * As many blobs with a sane header are tried in an image; a file made of headers must not take for
 * ever.
 */
const mostTried = 16;
/** An image in an image in something packed. */
const deepest = 3;

/**
 * The types in a file: raw BTF, an ELF with BTF or debug information (`vmlinux`, `xen-syms`, a
 * module, an object), an archive of such, or a kernel image, packed or not. A `FileError` says why
 * there are none, and the way out.
 */
export function findTypes(data: Uint8Array, search: Search): Found[] {
  return find(new Bytes(data, 'the file'), search, '', 0);
}

/** The BTF of a kernel, which that of its modules goes on from. */
export function findBase(data: Uint8Array, unpackers: Unpackers): Btf {
  const [first] = findTypes(data, { unpackers, names: new Set(), btfOnly: true });
  if (!first || !isBtf(first.types)) throw new FileError('no BTF in it, which a module could go on from');
  return first.types;
}

function find(file: Bytes, search: Search, around: string, depth: number): Found[] {
  if (file.length < 24) throw new FileError(`${file.length} bytes hold no types`);
  if (isCalledBtf(file)) {
    return [{ types: readBtf(file, search.base), container: `${around}raw BTF` }];
  }
  if (file.begins(0, elfMagic)) return [inElf(readElf(file), search, around)];
  if (isArchive(file)) return inArchive(file, search, around);
  const image = payloadOf(file);
  const packed = image?.payload ?? (isPacked(file) ? file : undefined);
  if (packed) {
    if (depth === deepest) throw new FileError('packed within packed within packed');
    const { made, container } = unpack(packed, search.unpackers);
    const outer = image ? `${image.container} of ${container}` : container;
    return find(new Bytes(made, 'the unpacked file'), search, `${around}${outer} of `, depth + 1);
  }
  const types = inImage(file);
  return file.begins(56, ascii('ARMd'))
    ? [{ types, container: `${around}arm64 Image`, arch: 'arm64' }]
    : [{ types, container: `${around}a file with BTF inside` }];
}

function inElf(elf: Elf, search: Search, around: string): Found {
  const types = typesInElf(elf, search);
  if (!types) throw new FileError(whyNone(elf));
  return foundIn(elf, types, `${around}ELF`);
}

function foundIn({ arch, bits }: Elf, types: Types, container: string): Found {
  return { types, container, pointer: bits / 8, ...(arch !== undefined && { arch }) };
}

/** Why an ELF file has no types, and where they may be. */
function whyNone(elf: Elf): string {
  if (elf.type === 4) return 'a core, which has no types: check the program it is of; decode --elf reads structs in a core';
  const sections = elf.sections();
  const link = sections.find(({ name }) => name === '.gnu_debuglink');
  if (link) return `stripped: its debug information is in ${elf.content(link).name(0)}: check that file`;
  if (sections.some(({ name }) => name.startsWith('.llvm') || name.startsWith('.gnu.lto_'))) {
    return 'an object of link-time optimisation without debug information: check what is linked from it, built with -g';
  }
  const built = elf.type === 1 ? 'an object is built with -g' : 'a program or a kernel is built with -g, or is stripped of what that made';
  return `no types in it, neither BTF nor debug information (DWARF): ${built}; a Linux kernel has BTF with CONFIG_DEBUG_INFO_BTF`;
}

function inArchive(file: Bytes, search: Search, around: string): Found[] {
  const found: Found[] = [];
  let objects = 0;
  for (const { name, content } of readArchive(file)) {
    if (name === 'debian-binary') throw new FileError('a Debian package: dpkg -x it, and check what was in it');
    if (!content.begins(0, elfMagic)) continue;
    objects++;
    const elf = readElf(content);
    const types = typesInElf(elf, search);
    if (types) found.push({ ...foundIn(elf, types, `${around}archive`), member: name });
  }
  if (objects === 0) throw new FileError('an archive without an ELF object in it');
  if (found.length === 0) throw new FileError(`an archive whose ${objects} objects have no types: build them with -g`);
  return found;
}

/** The first blob in an image that can be read to its end. */
function inImage(file: Bytes): Types {
  let tried = 0;
  let why: unknown;
  for (let at = file.data.indexOf(btfMagic[0] as number); at >= 0; at = file.data.indexOf(btfMagic[0] as number, at + 1)) {
    if (!isSaneBtf(file, at)) continue;
    if (tried++ === mostTried) break;
    try {
      return readBtf(new Bytes(file.data.subarray(at), 'the BTF'));
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      why ??= error;
    }
  }
  throw why ?? refuseOther(file);
}
