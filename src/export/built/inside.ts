import { type Btf, readBtf } from './btf.ts';
import { type Bytes, FileError } from './bytes.ts';
import { readDwarf } from './dwarf/dwarf.ts';
import type { DwarfSections } from './dwarf/tree.ts';
import { type Elf, noBits, type Section } from './elf.ts';
import { isRelocation, relocated } from './relocate.ts';
import type { Types } from './types.ts';
import { mostFrom, type Unpackers, undo } from './unpack.ts';

/** What finding types needs beside the file. */
export interface Search {
  readonly unpackers: Unpackers;
  /** The names that types are looked for by. */
  readonly names: ReadonlySet<string>;
  /** What the BTF of a module goes on from. */
  readonly base?: Btf;
  /** Debug information is not wanted. */
  readonly btfOnly?: boolean;
}

const compressed = 0x800;

/**
 * The types in an ELF file: those of `.BTF`, unless only its debug information has one of the
 * names. `undefined` where it has neither.
 */
export function typesInElf(elf: Elf, search: Search): Types | undefined {
  const sections = elf.sections();
  const content = (section: Section): Uint8Array => relocated(elf, section, unpacked(elf, section, search.unpackers), sections);
  const blob = sections.find(({ name }) => name === '.BTF');
  const btf = blob && readBtf(unpackedBytes(elf, blob, search.unpackers), search.base);
  const has = (types: Types): boolean =>
    [...search.names].some((name) => ['struct', 'typedef'].some((kind) => types.named(kind, name).length > 0));
  if (search.btfOnly || (btf && has(btf))) return btf;
  const debug = debugSections(sections, content);
  if (!debug) return btf;
  const types = readDwarf(debug, search.names);
  return btf && !has(types) ? btf : types;
}

/** What is looked at in an ELF file, by the names of sections: of others no byte is. */
const lookedAt = /^\.z?(BTF|debug_(info|types|abbrev|str|line_str|str_offsets)(\.dwo)?|gnu_debuglink)$/;

/**
 * The sections that `typesInElf` may look at, lists of relocations and symbols among them, so that
 * of a big file the rest need not be read.
 */
export function sectionsLookedAt(elf: Elf, reach: (offset: number, size: number) => void): Section[] {
  const sections = elf.sections(reach);
  const named = new Set(sections.filter(({ name }) => lookedAt.test(name)));
  const lists = sections.filter((one) => isRelocation(one) && [...named].some(({ index }) => index === one.info));
  const symbols = lists.flatMap(({ link }) => sections[link] ?? []);
  return [...named, ...lists, ...symbols].filter(({ type }) => type !== noBits);
}

/**
 * The sections of debug information; as old toolchains packed them, and as they are in a split
 * file, too.
 */
function debugSections(sections: readonly Section[], content: (section: Section) => Uint8Array): DwarfSections | undefined {
  for (const suffix of ['', '.dwo']) {
    const called = (name: string): Section[] =>
      sections.filter((one) => (one.name === `.${name}${suffix}` || one.name === `.z${name}${suffix}`) && one.type !== noBits);
    const first = (name: string): Uint8Array => {
      const found = called(name)[0];
      return found ? content(found) : new Uint8Array(0);
    };
    const info = [...called('debug_info'), ...called('debug_types')];
    if (info.length === 0) continue;
    return {
      info: info.map((section) => ({ name: section.name.replace('.z', '.'), data: content(section) })),
      abbreviations: first('debug_abbrev'),
      strings: { plain: first('debug_str'), line: first('debug_line_str'), offsets: first('debug_str_offsets') },
    };
  }
  return undefined;
}

function unpackedBytes(elf: Elf, section: Section, unpackers: Unpackers): Bytes {
  const made = unpacked(elf, section, unpackers);
  return elf.content(section).with(made);
}

/**
 * The content of a section, unpacked where it is compressed: as its flag says, or as its old name
 * does.
 */
function unpacked(elf: Elf, section: Section, unpackers: Unpackers): Uint8Array {
  const raw = elf.content(section);
  if ((section.flags & compressed) !== 0) {
    const wide = elf.bits === 64;
    const kind = raw.u32(0);
    const size = wide ? raw.u64(8) : raw.u32(4);
    const packed = raw.part(wide ? 24 : 12, raw.length - (wide ? 24 : 12), section.name);
    const way = kind === 1 ? 'zlib' : kind === 2 ? 'zstd' : undefined;
    if (!way) throw new FileError(`${section.name}: compressed in way ${kind}, which is not known`);
    return exactly(way, packed, size, unpackers);
  }
  if (section.name.startsWith('.z') && raw.begins(0, [0x5a, 0x4c, 0x49, 0x42])) {
    let size = 0;
    for (let i = 4; i < 12; i++) size = size * 256 + raw.u8(i);
    return exactly('zlib', raw.part(12, raw.length - 12, section.name), size, unpackers);
  }
  return raw.data;
}

function exactly(way: 'zlib' | 'zstd', packed: Bytes, size: number, unpackers: Unpackers): Uint8Array {
  const most = way === 'zlib' ? mostFrom(packed.length, 0) : mostFrom(packed.length);
  if (size > most) throw new FileError(`${packed.what}: ${size} bytes do not come of ${packed.length}`);
  const made = undo(way, packed, unpackers, Math.max(size, 1));
  if (made.length !== size) throw new FileError(`${packed.what}: ${made.length} bytes unpacked, ${size} announced`);
  return made;
}
