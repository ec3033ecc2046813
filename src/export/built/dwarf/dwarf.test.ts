import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileError } from '../bytes.ts';
import { compareTypes, namesFor, type Wanted } from '../compare.ts';
import { findTypes } from '../find.ts';
import { mostUnpacked, type Unpackers } from '../unpack.ts';

const unpackers: Unpackers = {
  gzip: (packed, most) => gunzipSync(packed, { maxOutputLength: most }),
  zlib: (packed, most) => inflateSync(packed, { maxOutputLength: Math.min(most, 1 << 20) }),
};

// What gcc and clang made of fixtures/objects/structs.c, each in another way: make.sh there says
// how.
const folder = join(import.meta.dirname, '../../../../fixtures/objects');
const objects = ['arm64-gcc-dwarf5', 'x86_64-clang-dwarf5', 'arm32-gcc-dwarf4', 'x86_32-gcc-types-gz'] as const;
type ObjectName = (typeof objects)[number];
const object = (name: ObjectName): Buffer => readFileSync(join(folder, `${name}.o`));

function check(data: Uint8Array, wanted: Wanted = {}) {
  return findTypes(data, { unpackers, names: namesFor(wanted) }).map((found) => ({ found, ...compareTypes(found, wanted) }));
}

/** What is said of each struct. */
function said(data: Uint8Array, wanted: Wanted = {}): Record<string, readonly string[]> {
  return Object.fromEntries(check(data, wanted).flatMap(({ structs }) => structs.map(({ struct, differences }) => [struct, differences])));
}

const equal = { xen_memory_reservation: [], xen_memory_exchange: [], xen_get_dma_buf: [], xen_put_dma_buf: [] };

describe('what compilers made is read', () => {
  it.each([
    ['arm64-gcc-dwarf5', 'arm64', '1 unit of DWARF 5'],
    ['x86_64-clang-dwarf5', 'x86_64', '1 unit of DWARF 5'],
    ['arm32-gcc-dwarf4', 'arm32', '1 unit of DWARF 4'],
    ['x86_32-gcc-types-gz', 'x86_32', '6 units of DWARF 5'],
  ] as const)('%s: every struct is equal', (name, arch, about) => {
    const [only] = check(object(name));
    expect([only?.arch, only?.archFrom, only?.found.types.about]).toEqual([arch, 'file', about]);
    expect(said(object(name))).toEqual(equal);
  });

  it('another architecture can be said, and differs', () => {
    expect(said(object('arm32-gcc-dwarf4'), { arch: 'x86_32', structs: ['xen_put_dma_buf'] })['xen_put_dma_buf']?.slice(0, 3)).toEqual([
      'size: 32 in the file, 20 in the table',
      'size of in: 32 in the file, 20 in the table',
      'size of in.extent_start: 8 in the file, 4 in the table',
    ]);
  });

  it('a struct of another name is found by it, and is called so', () => {
    const [only] = check(object('arm64-gcc-dwarf5'), {
      structs: ['xen_put_dma_buf'],
      as: new Map([['xen_memory_exchange', 'xen_put_dma_buf']]),
    });
    expect(only?.structs.map(({ as, differences }) => [as, differences[0]])).toEqual([
      [undefined, undefined],
      ['xen_memory_exchange', 'size: 72 in the file, 32 in the table'],
    ]);
  });
});

/** An archive of these files, as `ar` of GNU makes it. */
function archive(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => [
    Buffer.from(
      `${`${name}/`.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'644'.padEnd(8)}${`${content.length}`.padEnd(10)}\`\n`,
    ),
    content,
    Buffer.from(content.length % 2 === 1 ? '\n' : ''),
  ]);
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}

describe('the files that objects are in', () => {
  it('an archive: each object that has types, by its name', () => {
    const made = archive({ 'notes.txt': Buffer.from('odd'), 'a.o': object('arm64-gcc-dwarf5'), 'b.o': object('x86_64-clang-dwarf5') });
    expect(check(made).map(({ found, arch }) => [found.member, arch])).toEqual([
      ['a.o', 'arm64'],
      ['b.o', 'x86_64'],
    ]);
    expect(said(made)).toEqual(equal);
  });

  it.each([
    ['an archive of texts', archive({ 'notes.txt': Buffer.from('nothing') }), 'an archive without an ELF object in it'],
    ['a Debian package', archive({ 'debian-binary': Buffer.from('2.0\n') }), 'a Debian package: dpkg -x it'],
    ['a thin archive', Buffer.from('!<thin>\n                        '), 'a thin archive: its objects are files of their own'],
    ['a header', readFileSync(join(folder, 'structs.c')), 'a header or other source, whose layout only a compiler knows: layout --emit c'],
    ['a System.map', Buffer.from('ffffffff81000000 T _stext\nffffffff81000000 T _text\n'), 'a System.map or other list of symbols'],
    ['an EFI program', Buffer.concat([Buffer.from('MZ'), Buffer.alloc(200)]), 'a program for Windows or EFI'],
    ['noise', Buffer.alloc(100, 0x55), 'no types in it: neither an ELF'],
  ])('%s is refused with the way out', (_, data, message) => {
    expect(() => check(data)).toThrow(FileError);
    expect(() => check(data)).toThrow(message);
  });

  it('a bzImage: what is packed with gzip or LZ4 is unpacked, what is not says the way out', () => {
    const image = (payload: Uint8Array): Buffer => {
      const head = Buffer.alloc(1024);
      head.writeUInt8(1, 0x1f1);
      head.write('HdrS', 0x202);
      head.writeUInt16LE(0x20f, 0x206);
      head.writeUInt32LE(0, 0x248);
      head.writeUInt32LE(payload.length, 0x24c);
      return Buffer.concat([head, payload, Buffer.alloc(32)]);
    };
    const kernel = object('x86_64-clang-dwarf5');
    expect(check(image(gzipSync(kernel)))[0]?.found.container).toBe('bzImage of gzip of ELF');
    // One literal run holds all: a token of 15, then 255s, then the rest.
    const rest = kernel.length - 15;
    const run = Buffer.concat([Buffer.from([0xf0]), Buffer.alloc(Math.floor(rest / 255), 255), Buffer.from([rest % 255]), kernel]);
    const size = Buffer.alloc(8);
    size.writeUInt32LE(0x184c2102);
    size.writeUInt32LE(run.length, 4);
    const lz4 = image(Buffer.concat([size, run, Buffer.from([0, 0, 0, 0])]));
    expect([check(lz4)[0]?.found.container, said(lz4)]).toEqual(['bzImage of LZ4 of ELF', equal]);
    const lzma = image(Buffer.from([0x5d, 0, 0, 0x80, 0, 0xff, 0xff, 0xff]));
    expect(() => check(lzma)).toThrow(
      'a bzImage: packed with LZMA: unpack it first (scripts/extract-vmlinux of Linux), or take /sys/kernel',
    );
  });
});

describe('a hostile object ends in one sentence', () => {
  /** The place of a section's header, and of its content, by its name. */
  const sectionOf = (data: Buffer, wanted: string): { header: number; offset: number } => {
    const [table, count, names] = [Number(data.readBigUInt64LE(0x28)), data.readUInt16LE(0x3c), data.readUInt16LE(0x3e)];
    const namesAt = Number(data.readBigUInt64LE(table + 64 * names + 24));
    for (let header = table; header < table + 64 * count; header += 64) {
      const at = namesAt + data.readUInt32LE(header);
      if (data.toString('latin1', at, data.indexOf(0, at)) === wanted) return { header, offset: Number(data.readBigUInt64LE(header + 24)) };
    }
    throw new Error(`no section ${wanted}`);
  };
  const changed = (edit: (data: Buffer, of: (name: string) => { header: number; offset: number }) => void): Buffer => {
    const data = object('arm64-gcc-dwarf5');
    edit(data, (name) => sectionOf(data, name));
    return data;
  };
  it.each([
    [
      'a section beyond the end',
      changed((d, of) => d.writeBigUInt64LE(1n << 40n, of('.debug_info').header + 24)),
      '.debug_info: bytes 1099511627776..',
    ],
    ['a section of 2^63 bytes', changed((d, of) => d.writeBigUInt64LE(1n << 63n, of('.debug_info').header + 32)), 'is beyond any file'],
    [
      'a unit beyond its section',
      changed((d, of) => d.writeUInt32LE(0x7fff_ffff, of('.debug_info').offset)),
      '.debug_info: a unit at byte 0 that ends at 2147483651',
    ],
    ['a unit of reserved length', changed((d, of) => d.writeUInt32LE(0xffff_fff1, of('.debug_info').offset)), 'a unit of reserved length'],
    [
      'DWARF of the future',
      changed((d, of) => d.writeUInt16LE(6, of('.debug_info').offset + 4)),
      '.debug_info: DWARF version 6, not 2 to 5',
    ],
    ['addresses of 3 bytes', changed((d, of) => d.writeUInt8(3, of('.debug_info').offset + 7)), 'with addresses of 3 bytes'],
    ['an unknown form', changed((d, of) => d.writeUInt8(0x7f, of('.debug_abbrev').offset + 4)), 'an attribute of unknown form 0x7f'],
    ['no abbreviations', changed((d, of) => d.writeUInt8(0, of('.debug_abbrev').offset)), '.debug_info: no abbreviation has code'],
    // Where it is, readelf says: the type of domid_t.
    [
      'a typedef of itself',
      changed((d, of) => d.writeUInt32LE(0x1e, of('.debug_info').offset + 0x25)),
      'its typedefs go round in a circle',
    ],
    [
      'a type beyond the end',
      changed((d, of) => d.writeUInt32LE(0xfff_ffff, of('.debug_info').offset + 0x25)),
      'is meant, and lies in no unit',
    ],
    [
      '2^32 sections',
      changed((d, of) => [d.writeBigUInt64LE(1n << 32n, of('').header + 32), d.writeUInt16LE(0, 0x3c)]),
      'an ELF whose 4294967296 sections lie outside it',
    ],
  ])('%s', (_, data, message) => {
    expect(() => check(data)).toThrow(FileError);
    expect(() => check(data)).toThrow(message);
  });

  it('a compressed section that announces more than it can hold', () => {
    const data = object('x86_32-gcc-types-gz');
    const packed = data.indexOf(Buffer.from([1, 0, 0, 0, 0xa, 0, 0, 0]));
    const at = packed >= 0 ? packed : data.indexOf(Buffer.from([0x78, 0x9c])) - 12;
    data.writeUInt32LE(0x4000_0000, at + 4);
    expect(() => check(data)).toThrow(/: 1073741824 bytes do not come of \d+/);
    expect(mostUnpacked).toBe(0x4000_0000);
  });

  it('whatever is flipped, cut or counted up, it is our own error or none', () => {
    const bases = objects.map(object);
    const changes = fc.array(
      fc.record({ at: fc.noBias(fc.nat(5000)), to: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xfe, 0xff), run: fc.integer({ min: 1, max: 2 }) }),
      { minLength: 1, maxLength: 3 },
    );
    let understood = 0;
    fc.assert(
      fc.property(fc.constantFrom(...bases), changes, fc.option(fc.noBias(fc.nat(5000)), { freq: 2 }), (base, flips, cut) => {
        const data = Uint8Array.from(base);
        for (const { at, to, run } of flips) data.fill(to, at % data.length, (at % data.length) + run);
        try {
          for (const { structs } of check(cut === null ? data : data.subarray(0, cut % data.length))) {
            expect(structs.length).toBeLessThanOrEqual(64);
          }
          understood++;
        } catch (error) {
          if (!(error instanceof FileError)) throw error;
        }
      }),
      { numRuns: process.env['XENMEM_LONG'] ? 20_000 : 1000 },
    );
    expect(understood).toBeGreaterThan(100);
  });
});
