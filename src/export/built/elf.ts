import type { Arch } from '../../abi/arch.ts';
import { ascii, type Bytes, FileError } from './bytes.ts';

/** A section as its header tells it. */
export interface Section {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

/** A part of a program or of a core: bytes of the file, and where they are in memory. */
export interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly size: number;
}

/** Where program headers are, and how many; `counter` is where else in the file that is said. */
export interface SegmentTable {
  readonly at: number;
  readonly entry: number;
  readonly count: number | { readonly counter: number };
}

/** An ELF file of 32 or 64 bits, little-endian. */
export interface Elf {
  readonly bits: 32 | 64;
  /** Absent where the machine is none of the table's. */
  readonly arch?: Arch;
  /** 1: an object to be linked, 2: a program, 3: a shared one, 4: a core. */
  readonly type: number;
  readonly file: Bytes;
  /** `reach` is called with each part of the file before it is looked at. */
  readonly sections: (reach?: (offset: number, size: number) => void) => Section[];
  readonly segmentTable: () => SegmentTable;
  /** The program headers, as many as the table has. */
  readonly segments: (count: number) => Segment[];
  /** The bytes of a section as they are in the file. */
  readonly content: (section: Section) => Bytes;
}

const machines: ReadonlyMap<number, Arch> = new Map([
  [3, 'x86_32'],
  [40, 'arm32'],
  [62, 'x86_64'],
  [183, 'arm64'],
]);

/** The offsets of what we need in an ELF file header, a section header and a program header. */
const classes = {
  1: {
    bits: 32,
    header: { segments: 0x1c, sections: 0x20, segmentSize: 0x2a, sectionSize: 0x2e },
    section: { least: 40, flags: 8, offset: 16, size: 20, link: 24, info: 28 },
    segment: { least: 32, offset: 4, virtual: 8, physical: 12, size: 16 },
  },
  2: {
    bits: 64,
    header: { segments: 0x20, sections: 0x28, segmentSize: 0x36, sectionSize: 0x3a },
    section: { least: 64, flags: 8, offset: 24, size: 32, link: 40, info: 44 },
    segment: { least: 56, offset: 8, virtual: 16, physical: 24, size: 32 },
  },
} as const;

/** The first bytes of any ELF file. */
export const elfMagic: readonly number[] = [0x7f, ...ascii('ELF')];

/** The type of a section that has no bytes in the file. */
export const noBits = 8;

/** The type of a segment whose bytes are in memory. */
export const loaded = 1;

/**
 * The count of program headers where there are more than 16 bits count: the first section header
 * says how many, and in a core that lies behind all memory.
 */
const tooMany = 0xffff;

/** Reads the header of an ELF file; its tables are read when they are asked for. */
export function readElf(file: Bytes): Elf {
  const kind = file.u8(4);
  if (kind !== 1 && kind !== 2) throw new FileError(`ELF of class ${kind}`);
  if (file.u8(5) !== 1) throw new FileError("a big-endian ELF, which Xen's structs never are");
  const at = classes[kind];
  const word = (where: number): number => (kind === 1 ? file.u32(where) : file.u64(where));
  const address = (where: number): bigint => (kind === 1 ? BigInt(file.u32(where)) : file.word(where));
  const arch = machines.get(file.u16(0x12));

  const sections: Elf['sections'] = (reach) => {
    const table = word(at.header.sections);
    const entry = file.u16(at.header.sectionSize);
    if (table === 0 || entry < at.section.least) return [];
    reach?.(table, entry);
    // Where there are too many to count in 16 bits, the first section header says how many, and
    // which holds the names.
    const few = file.u16(at.header.sectionSize + 2);
    const count = few || word(table + at.section.size);
    if (count * entry > file.length - table) throw new FileError(`an ELF whose ${count} sections lie outside it`);
    reach?.(table, count * entry);
    const fewNames = file.u16(at.header.sectionSize + 4);
    const namesIndex = fewNames === 0xffff ? file.u32(table + at.section.link) : fewNames;
    if (namesIndex >= count) throw new FileError(`the names of the sections: section ${namesIndex} of ${count}`);
    const read = (index: number, name: string): Section => {
      const header = table + index * entry;
      return {
        index,
        name,
        type: file.u32(header + 4),
        flags: word(header + at.section.flags),
        offset: word(header + at.section.offset),
        size: word(header + at.section.size),
        link: file.u32(header + at.section.link),
        info: file.u32(header + at.section.info),
      };
    };
    const holder = read(namesIndex, 'the names of the sections');
    reach?.(holder.offset, holder.size);
    const names = holder.type === noBits ? undefined : content(holder);
    return Array.from({ length: count }, (_, index) => read(index, names?.name(file.u32(table + index * entry)) ?? ''));
  };

  const segmentTable = (): SegmentTable => {
    const few = file.u16(at.header.segmentSize + 2);
    return {
      at: word(at.header.segments),
      entry: file.u16(at.header.segmentSize),
      count: few === tooMany ? { counter: word(at.header.sections) + at.section.info } : few,
    };
  };

  const segments = (count: number): Segment[] => {
    const { at: table, entry } = segmentTable();
    if (table === 0 || entry < at.segment.least) return [];
    if (count * entry > file.length - table) throw new FileError(`an ELF whose ${count} segments lie outside it`);
    return Array.from({ length: count }, (_, index) => {
      const header = table + index * entry;
      return {
        type: file.u32(header),
        offset: word(header + at.segment.offset),
        virtual: address(header + at.segment.virtual),
        physical: address(header + at.segment.physical),
        size: word(header + at.segment.size),
      };
    });
  };

  const content = ({ type, offset, size, name }: Section): Bytes => {
    if (type === noBits) throw new FileError(`${name}: is not in this file (a stripped part of one?)`);
    return file.part(offset, size, name);
  };

  const kindOf = file.u16(0x10);
  return { bits: at.bits, ...(arch && { arch }), type: kindOf, file, sections, segmentTable, segments, content };
}
