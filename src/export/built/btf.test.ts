import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { FileError } from './bytes.ts';
import { type Comparison, compareTypes, namesFor } from './compare.ts';
import { shapesOf } from './diff.ts';
import { type Found, findTypes } from './find.ts';
import type { Unpackers } from './unpack.ts';
import { blob, elf, kernelTypes, type Written } from './written.stage.ts';

const unpackers: Unpackers = {
  gzip: (packed) => gunzipSync(packed, { maxOutputLength: 1 << 20 }),
  zlib: (packed) => inflateSync(packed, { maxOutputLength: 1 << 20 }),
};
const findOne = (data: Uint8Array): Found => {
  const [found] = findTypes(data, { unpackers, names: namesFor({}) });
  if (!found) throw new Error('nothing is found, and nothing is said');
  return found;
};
const check = (data: Uint8Array): Comparison => compareTypes(findOne(data));
/** What is said of each struct that is there. */
const said = (data: Uint8Array): Record<string, readonly string[]> =>
  Object.fromEntries(check(data).structs.map(({ struct, differences }) => [struct, differences]));
const equal = { xen_memory_reservation: [], xen_get_dma_buf: [], xen_put_dma_buf: [] };

const right = blob(kernelTypes());
const padded = (...parts: Uint8Array[]): Uint8Array => Buffer.concat([new Uint8Array(4096), ...parts, new Uint8Array(64)]);
const image = (btf: Uint8Array): Uint8Array => {
  const made = padded(btf);
  made.set([0x41, 0x52, 0x4d, 0x64], 56);
  return made;
};

describe('where BTF is found', () => {
  it.each([
    ['raw BTF', right, 'raw BTF', undefined],
    ['an ELF of 64 bits', elf(right, 64, 183), 'ELF', 'arm64'],
    ['an ELF of 32 bits', elf(blob(kernelTypes({ long: 4 })), 32, 40), 'ELF', 'arm32'],
    ['an arm64 Image', image(right), 'arm64 Image', 'arm64'],
    ['a gzip of an Image', gzipSync(image(right)), 'gzip of arm64 Image', 'arm64'],
    ['an image with the magic number elsewhere too', image(Buffer.concat([right.subarray(0, 24), right])), 'arm64 Image', 'arm64'],
    ['a file of another kind', padded(right), 'a file with BTF inside', undefined],
  ])('%s', (_, data, container, arch) => {
    const found = findOne(data);
    expect([found.container, found.arch, found.types.count]).toEqual([container, arch, 14]);
    expect(said(data)).toEqual(equal);
  });

  it('an EFI zboot image', () => {
    const packed = gzipSync(image(right));
    const header = Buffer.alloc(64);
    header.write('MZ\0\0zimg');
    header.writeUInt32LE(64, 8);
    header.writeUInt32LE(packed.length, 12);
    header.write('gzip\0', 24);
    expect(findOne(Buffer.concat([header, packed])).container).toBe('EFI zboot of gzip of arm64 Image');
    packed.set([0x5d, 0x00, 0x00]);
    expect(() => findOne(Buffer.concat([header, packed]))).toThrow('an EFI zboot image: packed with LZMA: unpack it first');
  });
});

describe('which architecture', () => {
  it('is taken from the file, else guessed from the size of a long', () => {
    const taken = (data: Uint8Array): unknown[] => [check(data).arch, check(data).archFrom];
    expect(taken(elf(right, 64, 62))).toEqual(['x86_64', 'file']);
    expect(taken(right)).toEqual(['arm64', 'guessed']);
    expect(taken(blob(kernelTypes({ long: 4 })))).toEqual(['arm32', 'guessed']);
  });

  it('can be said', () => {
    const { structs } = compareTypes(findOne(right), { structs: ['xen_put_dma_buf'], arch: 'x86_32' });
    expect(structs[0]?.differences.slice(0, 2)).toEqual([
      'size: 32 in the file, 20 in the table',
      'size of in: 32 in the file, 20 in the table',
    ]);
  });
});

describe('what is compared', () => {
  it('takes a plain pointer for a handle where it is as wide, and not on arm32', () => {
    expect(said(blob(kernelTypes({ handle: 7 })))).toEqual(equal);
    expect(said(elf(blob(kernelTypes({ handle: 7, long: 4 })), 32, 40))['xen_put_dma_buf']).toEqual([
      'size of in.extent_start: 4 in the file, 8 in the table',
    ]);
  });

  it('knows the later name of address_bits, and explicit padding', () => {
    expect(said(blob(kernelTypes({ addressBits: 'mem_flags', extra: ['_pad', 3, 26] })))).toEqual(equal);
  });

  it('says what moved, what lacks, what was added, with offsets', () => {
    const moved = said(blob(kernelTypes({ domidAt: 28 })));
    expect(moved['xen_memory_reservation']).toEqual(['offset of domid: 28 in the file, 24 in the table']);
    expect(moved['xen_get_dma_buf']).toEqual([
      'offset of in.domid: 28 in the file, 24 in the table',
      'offset of out.domid: 28 in the file, 24 in the table',
    ]);
    expect(said(blob(kernelTypes({ addressBits: 'width' })))['xen_memory_reservation']).toEqual([
      'address_bits: not in the file (20..24 in the table)',
      'width: at 20 in the file, not in the table',
    ]);
    expect(said(blob(kernelTypes({ extra: ['flags', 3, 26] })))['xen_memory_reservation']).toEqual([
      'flags: at 26 in the file, not in the table',
    ]);
  });

  it('says which structs are not there', () => {
    expect(check(blob(kernelTypes({ put: false }))).absent).toEqual(['xen_memory_exchange', 'xen_put_dma_buf']);
  });
});

describe('a file that is not what it claims to be', () => {
  const word = (at: number, value: number, of = right): Uint8Array => {
    const changed = Uint8Array.from(of);
    new DataView(changed.buffer).setUint32(at, value, true);
    return changed;
  };
  const circle: Written[] = [...kernelTypes().slice(0, 4), { kind: 8, name: 'domid_t', last: 6 }, { kind: 8, name: 'xen_pfn_t', last: 5 }];
  it.each([
    ['nothing', new Uint8Array(), '0 bytes hold no types'],
    ['noise', new Uint8Array(100).fill(0x55), 'no types in it: neither an ELF with BTF'],
    ['version 2', word(0, 0x0002eb9f), 'the file: BTF version 2, not 1'],
    ['big-endian BTF', Uint8Array.from(right).fill(0xeb, 0, 1).fill(0x9f, 1, 2), 'the file: big-endian'],
    ['a header without end', word(4, 0xffffffff), 'the file: a header of 4294967295 bytes'],
    ['types beyond the end', word(12, 0xfffffff0), 'the types: bytes 24..4294967304 lie outside the'],
    ['strings beyond the end', word(16, 0xfffffff0), 'the strings: bytes 4294967304..'],
    ['overlapping sections', word(16, 0), 'types and strings overlap'],
    ['a name outside', word(24, 0xffff), 'type 1: its name is at 65535, the strings end at'],
    ['a kind from the future', word(28, 31 << 24), 'the types: unknown kind 31 at byte 0'],
    ['a count beyond the end', word(28, (4 << 24) | 0xffff), 'type 1: a struct that runs past the end of the types'],
    [
      "a module's strings",
      word(right.length - 4, 0x00616161, right).fill(
        0x61,
        24 + new DataView(right.buffer).getUint32(16, true),
        25 + new DataView(right.buffer).getUint32(16, true),
      ),
      'BTF of a module',
    ],
    [
      'an array of itself',
      blob([...kernelTypes().with(4, { kind: 8, name: 'domid_t', last: 15 }), { kind: 3, list: [15, 2, 0xffffffff] }]),
      'type 15: arrays of arrays without end',
    ],
    ['typedefs in a circle', blob([...circle, ...kernelTypes().slice(6)]), 'its typedefs go round in a circle'],
    [
      'a type that is not there',
      blob([...kernelTypes().slice(0, 4), { kind: 8, name: 'domid_t', last: 99 }, ...kernelTypes().slice(5)]),
      'type 99 is meant, there are 14',
    ],
    ['an ELF that is cut', elf(right, 64, 183).subarray(0, 300), 'an ELF whose 3 sections lie outside it'],
    ['gzip of noise', Uint8Array.of(0x1f, 0x8b, ...new Uint8Array(30)), 'gzip: '],
    ['gzip in gzip in gzip', [1, 2, 3, 4].reduce((inner: Uint8Array) => gzipSync(inner), right), 'packed within packed within packed'],
    ['a bomb', gzipSync(new Uint8Array(2 << 20)), 'gzip: Cannot create a Buffer larger than 1048576 bytes'],
  ])('%s', (_, data, message) => {
    expect(() => check(data)).toThrow(FileError);
    expect(() => check(data)).toThrow(message);
  });

  it('fails with our own error or not at all, whatever is flipped, cut or counted up', () => {
    const bases = [right, elf(right, 64, 183), elf(blob(kernelTypes({ long: 4 })), 32, 40), image(right)];
    const changes = fc.array(
      fc.record({ at: fc.nat(5000), to: fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), run: fc.integer({ min: 1, max: 4 }) }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...bases), changes, fc.option(fc.nat(5000)), (base, flips, cut) => {
        const data = Uint8Array.from(base);
        for (const { at, to, run } of flips) data.fill(to, at % data.length, (at % data.length) + run);
        try {
          const { structs } = check(cut === null ? data : data.subarray(0, cut % data.length));
          expect(structs.length).toBeLessThanOrEqual(64);
        } catch (error) {
          if (!(error instanceof FileError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('reads names full of anything only in part', () => {
    const long = blob([{ kind: 4, name: 'xen_put_dma_buf', last: 32, count: 1, list: ['x'.repeat(100_000), 1, 0] }]);
    expect(said(long)['xen_put_dma_buf']?.[1]).toBe(`${'x'.repeat(256)}: at 0 in the file, not in the table`);
  });

  it('does not tell a thousand members, nor a thousand structs, one by one', () => {
    const wide: Written = { kind: 4, name: 'xen_put_dma_buf', last: 32, count: 60_000, list: Array.from({ length: 180_000 }, () => 0) };
    expect(said(blob([wide]))).toEqual({ xen_put_dma_buf: ['60000 members in the file, 1 in the table'] });
    const many = blob(Array.from({ length: 10_000 }, (_, i) => ({ kind: 4, name: 'xen_put_dma_buf', last: i })));
    expect(check(many).structs.length).toBe(16);
  });

  it('is not held up by structs of structs of structs, named or not', () => {
    const nest = (name: string): Written[] =>
      [1, 2, 3, 4, 5].map((id) => ({
        kind: 4,
        name: id === 5 ? 'xen_put_dma_buf' : `s${id}`,
        last: 32,
        count: id === 1 ? 0 : 900,
        list: Array.from({ length: id === 1 ? 0 : 900 }, () => [name, id - 1, 0]).flat(),
      }));
    expect(() => check(blob(nest('')))).toThrow('type 5: more than 5000 members in unnamed structs');
    expect(() => shapesOf(findOne(blob(nest('m'))).types, 'xen_put_dma_buf')).toThrow(
      'xen_put_dma_buf: more than 20000 members in the structs that it holds',
    );
  });

  it('is not held up by an image made of headers', () => {
    const headers = Buffer.concat(Array.from({ length: 20_000 }, () => right.subarray(0, 24)));
    expect(() => check(Buffer.concat([new Uint8Array(64), headers, new Uint8Array(1 << 20)]))).toThrow(FileError);
  });
});

describe('what gcc and pahole make of the definitions of Linux', () => {
  const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
  const dir = mkdtempSync(join(tmpdir(), 'xenmem-btf-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  /**
   * From arch/arm/include/asm/xen/interface.h and include/xen/interface/memory.h of Linux, and the
   * patch of 2013.
   */
  const linux = `
typedef unsigned short domid_t;
typedef unsigned long long uint64_t;
typedef uint64_t xen_pfn_t;
typedef uint64_t xen_ulong_t;
#define __DEFINE_GUEST_HANDLE(name, type) \\
  typedef struct { union { type *p; uint64_t __attribute__((aligned(8))) q; }; } __guest_handle_ ## name
#define GUEST_HANDLE(name) __guest_handle_ ## name
__DEFINE_GUEST_HANDLE(xen_pfn_t, xen_pfn_t);
struct xen_memory_reservation {
  GUEST_HANDLE(xen_pfn_t) extent_start;
  xen_ulong_t nr_extents;
  unsigned int extent_order;
  unsigned int address_bits;
  domid_t domid;
};
struct xen_memory_exchange { struct xen_memory_reservation in, out; xen_ulong_t nr_exchanged; } exchange;
struct xen_get_dma_buf { struct xen_memory_reservation in, out; xen_ulong_t nr_exchanged; } get;
struct xen_put_dma_buf { struct xen_memory_reservation in; } put;
`;
  const built = (gcc: string, name: string, source: string): Uint8Array => {
    writeFileSync(join(dir, `${name}.c`), source);
    execFileSync(gcc, ['-g', '-c', '-o', `${name}.o`, `${name}.c`], { cwd: dir });
    execFileSync('pahole', ['-J', `${name}.o`], { cwd: dir });
    return readFileSync(join(dir, `${name}.o`));
  };
  const all = { ...equal, xen_memory_exchange: [] };

  for (const [arch, gcc] of [
    ['arm64', 'aarch64-linux-gnu-gcc'],
    ['arm32', 'arm-linux-gnueabihf-gcc'],
  ] as const) {
    const lacking = [gcc, 'pahole'].filter((tool) => !has(tool));
    const why = lacking.length > 0 ? ` (skipped: there is no ${lacking.join(', no ')})` : '';
    it.skipIf(lacking.length > 0)(`${arch}: equal, and drift where somebody drifts${why}`, () => {
      const object = built(gcc, arch, linux);
      expect([check(object).arch, said(object)]).toEqual([arch, all]);
      const drifted = said(
        built(
          gcc,
          `${arch}-drift`,
          linux
            .replace('typedef uint64_t xen_ulong_t', 'typedef unsigned long xen_ulong_t')
            .replace('domid_t domid;', 'unsigned short pages; domid_t domid;'),
        ),
      );
      expect(drifted['xen_memory_reservation']).toEqual(
        arch === 'arm64'
          ? ['offset of domid: 26 in the file, 24 in the table', 'pages: at 24 in the file, not in the table']
          : [
              'size: 24 in the file, 32 in the table',
              'size of nr_extents: 4 in the file, 8 in the table',
              'offset of extent_order: 12 in the file, 16 in the table',
              'offset of address_bits: 16 in the file, 20 in the table',
              'offset of domid: 22 in the file, 24 in the table',
              'pages: at 20 in the file, not in the table',
            ],
      );
    });
  }
});
