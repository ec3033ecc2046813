import type { Arch } from '../../abi/arch.ts';
import { type Bytes, FileError } from './bytes.ts';
import type { Elf, Section } from './elf.ts';

/** The numbers of relocations of 32 and 64 bits that stand for an address. */
const absolute: { readonly [A in Arch]: { readonly narrow: number; readonly wide?: number } } = {
  x86_32: { narrow: 1 },
  arm32: { narrow: 2 },
  x86_64: { narrow: 10, wide: 1 },
  arm64: { narrow: 258, wide: 257 },
};

const SHT = { rela: 4, rel: 9 } as const;

/** Is it a list of relocations? */
export function isRelocation({ type }: Section): boolean {
  return type === SHT.rela || type === SHT.rel;
}

/**
 * The content of a section of an object that is not linked yet, with its relocations done as far as
 * debug information needs them: offsets into other such sections. Other relocations are left alone.
 */
export function relocated(elf: Elf, section: Section, content: Uint8Array, sections: readonly Section[]): Uint8Array {
  const kinds = elf.arch && absolute[elf.arch];
  const lists = sections.filter((one) => isRelocation(one) && one.info === section.index);
  if (elf.type !== 1 || !kinds || lists.length === 0) return content;
  // What was unpacked is nobody else's; what lies in the file is, and stays as it is.
  const made = content.buffer === elf.file.data.buffer ? Uint8Array.from(content) : content;
  const view = new DataView(made.buffer, made.byteOffset, made.byteLength);
  for (const list of lists) {
    const table = elf.content(list);
    const symbolTable = sections[list.link];
    if (!symbolTable) throw new FileError(`${list.name}: its symbols are in section ${list.link} of ${sections.length}`);
    const symbols = elf.content(symbolTable);
    const withAddend = list.type === SHT.rela;
    const size = (elf.bits === 64 ? 16 : 8) + (withAddend ? elf.bits / 8 : 0);
    for (let at = 0; at + size <= table.length; at += size) {
      const { place, kind, symbol } = relocationAt(elf, table, at);
      const bytes = kind === kinds.narrow ? 4 : kind === kinds.wide ? 8 : 0;
      if (bytes === 0) continue;
      if (place + bytes > made.length) throw new FileError(`${list.name}: byte ${place} of ${section.name}, which has ${made.length}`);
      const value = elf.bits === 64 ? symbols.word(symbol * 24 + 8) : BigInt(symbols.u32(symbol * 16 + 4));
      const inPlace = bytes === 4 ? BigInt(view.getUint32(place, true)) : view.getBigUint64(place, true);
      const addend = !withAddend ? inPlace : elf.bits === 64 ? table.word(at + 16) : BigInt(table.u32(at + 8));
      const sum = value + addend;
      if (bytes === 4) view.setUint32(place, Number(BigInt.asUintN(32, sum)), true);
      else view.setBigUint64(place, BigInt.asUintN(64, sum), true);
    }
  }
  return made;
}

function relocationAt(elf: Elf, table: Bytes, at: number): { place: number; kind: number; symbol: number } {
  if (elf.bits === 32) {
    const info = table.u32(at + 4);
    return { place: table.u32(at), kind: info & 0xff, symbol: info >>> 8 };
  }
  return { place: table.u64(at), kind: table.u32(at + 8), symbol: table.u32(at + 12) };
}
