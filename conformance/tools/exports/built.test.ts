import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { has, root, scratch } from '../../../bin/shell.ts';
import { memoryStructNames } from '../../../src/abi/memory-h.ts';
import { Bytes } from '../../../src/export/built/bytes.ts';
import { compareTypes, namesFor } from '../../../src/export/built/compare.ts';
import { diffShapes, shapeOfTable, shapesOf } from '../../../src/export/built/diff.ts';
import { readElf } from '../../../src/export/built/elf.ts';
import { findTypes } from '../../../src/export/built/find.ts';

const unpackers = {
  gzip: (packed: Uint8Array, most: number) => gunzipSync(packed, { maxOutputLength: most }),
  zlib: (packed: Uint8Array, most: number) => inflateSync(packed, { maxOutputLength: most }),
};
const source = readFileSync(join(root, 'fixtures/objects/structs.c'), 'utf8');

const targets = [
  { arch: 'x86_64', gcc: ['gcc'], clang: 'x86_64-linux-gnu' },
  { arch: 'x86_32', gcc: ['gcc', '-m32', '-ffreestanding'], clang: 'i686-linux-gnu' },
  { arch: 'arm64', gcc: ['aarch64-linux-gnu-gcc'], clang: 'aarch64-linux-gnu' },
  { arch: 'arm32', gcc: ['arm-linux-gnueabihf-gcc'], clang: 'armv7-linux-gnueabihf' },
] as const;

/** Ways to have the same types said. */
const ways = [
  '-gdwarf-4',
  '-O2 -gdwarf-4',
  '-gdwarf-5',
  '-O2 -gdwarf-5',
  '-gdwarf-4 -gz',
  '-O2 -gdwarf-5 -gz',
  '-gdwarf-4 -fdebug-types-section',
  '-gdwarf-5 -fdebug-types-section',
];

/** An object as a compiler makes it of a text. */
function compiled(compiler: readonly string[], flags: string, text: string): string {
  writeFileSync(join(scratch, 'structs.c'), text);
  const [program = '', ...first] = compiler;
  execFileSync(program, [...first, ...flags.split(' '), '-c', '-o', 'structs.o', 'structs.c'], { cwd: scratch, stdio: 'pipe' });
  return join(scratch, 'structs.o');
}

/**
 * What is said of a file: its architecture, how its types are told, and what differs in each
 * struct.
 */
function verdict(file: string): { arch: string; about: string; said: Record<string, readonly string[]> } {
  const [found] = findTypes(readFileSync(file), { unpackers, names: namesFor({}) });
  if (!found) throw new Error('nothing is found');
  const { arch, structs } = compareTypes(found);
  return { arch, about: found.types.about, said: Object.fromEntries(structs.map(({ struct, differences }) => [struct, differences])) };
}

/** The same by BTF, which pahole makes of the debug information. */
function byPahole(file: string): Record<string, readonly string[]> {
  execFileSync('pahole', ['--btf_gen_floats', '--btf_encode_detached', `${file}.btf`, file], { stdio: 'pipe' });
  const [found] = findTypes(readFileSync(`${file}.btf`), { unpackers, names: namesFor({}) });
  if (!found) throw new Error('nothing is found');
  const { structs } = compareTypes(found, { arch: verdict(file).arch as (typeof targets)[number]['arch'] });
  return Object.fromEntries(structs.map(({ struct, differences }) => [struct, differences]));
}

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => (tool.startsWith('/') ? !existsSync(tool) : !has(tool)));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

const equal = { xen_memory_reservation: [], xen_memory_exchange: [], xen_get_dma_buf: [], xen_put_dma_buf: [] };

describe('layout check reads what compilers make', () => {
  needs(['gcc', 'objcopy'], 'sections that zstd packed, of 64 and 32 bits', () => {
    for (const { arch, gcc } of targets.slice(0, 2)) {
      const file = compiled(gcc, '-gdwarf-5', source);
      execFileSync('objcopy', ['--compress-debug-sections=zstd', file], { stdio: 'pipe' });
      const { sections } = readElf(new Bytes(readFileSync(file), 'the object'));
      const info = sections().find(({ name }) => name === '.debug_info');
      // ELFCOMPRESS_ZSTD.
      expect(readFileSync(file).readUInt32LE(info?.offset)).toBe(2);
      expect(verdict(file)).toMatchObject({ arch, said: equal });
    }
  });

  for (const { arch, gcc, clang } of targets) {
    for (const compiler of [gcc, ['clang', `--target=${clang}`]]) {
      needs([compiler[0] ?? ''], `${compiler.join(' ')}: equal in ${ways.length} ways`, () => {
        for (const way of ways) {
          const { said, ...rest } = verdict(compiled(compiler, way, source));
          expect([way, rest.arch, said]).toEqual([way, arch, equal]);
        }
      });
    }
  }
});

/**
 * A change of xen_memory_reservation, and all that is to be said of it on arm64, worked out by
 * hand.
 */
const changes: readonly { title: string; edit: (text: string) => string; says: readonly string[] }[] = [
  {
    title: 'a member that lacks',
    edit: (text) => text.replace('unsigned int address_bits;', ''),
    says: [
      'size: 24 in the file, 32 in the table',
      'address_bits: not in the file (20..24 in the table)',
      'offset of domid: 20 in the file, 24 in the table',
    ],
  },
  {
    title: 'a member more',
    edit: (text) => text.replace('domid_t domid;', 'domid_t domid; unsigned short flags;'),
    says: ['flags: at 26 in the file, not in the table'],
  },
  {
    title: 'another name',
    edit: (text) => text.replace('unsigned int extent_order;', 'unsigned int order;'),
    says: ['extent_order: not in the file (16..20 in the table)', 'order: at 16 in the file, not in the table'],
  },
  {
    title: 'two in the other order',
    edit: (text) =>
      text
        .replace('unsigned int extent_order;', 'unsigned int address_bits;')
        .replace(/(address_bits;\s+)unsigned int address_bits;/, '$1unsigned int extent_order;'),
    says: ['offset of extent_order: 20 in the file, 16 in the table', 'offset of address_bits: 16 in the file, 20 in the table'],
  },
  {
    title: 'a wider type',
    edit: (text) => text.replace('domid_t domid;', 'unsigned int domid;'),
    says: ['size of domid: 4 in the file, 2 in the table'],
  },
  {
    title: 'a narrower type',
    edit: (text) => text.replace('xen_ulong_t nr_extents;', 'unsigned int nr_extents;'),
    says: [
      'size: 24 in the file, 32 in the table',
      'size of nr_extents: 4 in the file, 8 in the table',
      'offset of extent_order: 12 in the file, 16 in the table',
      'offset of address_bits: 16 in the file, 20 in the table',
      'offset of domid: 20 in the file, 24 in the table',
    ],
  },
  {
    title: 'packed',
    edit: (text) => text.replace('  domid_t domid;\n};', '  domid_t domid;\n} __attribute__((packed));'),
    says: ['size: 26 in the file, 32 in the table'],
  },
  {
    title: 'aligned more',
    edit: (text) => text.replace('domid_t domid;', 'domid_t domid __attribute__((aligned(16)));'),
    says: ['size: 48 in the file, 32 in the table', 'offset of domid: 32 in the file, 24 in the table'],
  },
  {
    title: 'a bit-field',
    edit: (text) => text.replace('unsigned int extent_order;', 'unsigned int extent_order : 8;'),
    says: ['extent_order: a bit-field of 8 bits in the file'],
  },
  {
    title: 'another kind of type',
    edit: (text) => text.replace('unsigned int extent_order;', 'float extent_order;'),
    says: ['extent_order: a float in the file, unsigned int in the table'],
  },
  {
    title: 'an array',
    edit: (text) => text.replace('domid_t domid;', 'domid_t domid[2];'),
    says: ['domid: an array in the file, domid_t in the table'],
  },
];

describe('each change of a struct is named, and nothing else', () => {
  for (const { title, edit, says } of changes) {
    needs(['aarch64-linux-gnu-gcc', 'clang', 'pahole'], `${title}, by DWARF and by BTF`, () => {
      expect(edit(source)).not.toBe(source);
      for (const compiler of [['aarch64-linux-gnu-gcc'], ['clang', '--target=aarch64-linux-gnu']]) {
        for (const way of ['-O2 -gdwarf-4', '-gdwarf-5']) {
          const object = compiled(compiler, way, edit(source));
          expect([compiler[0], way, verdict(object).said['xen_memory_reservation']]).toEqual([compiler[0], way, says]);
          expect(byPahole(object)).toEqual(verdict(object).said);
        }
      }
    });
  }
});

describe('forms of the same struct', () => {
  needs(['gcc'], 'a typedef of a struct without a tag, members of an unnamed struct, later names and named padding', () => {
    const text = `typedef unsigned long long u64;
typedef struct {
  u64 *extent_start;
  u64 nr_extents;
  struct { union { unsigned int extent_order; int order; }; unsigned int mem_flags; };
  const unsigned short domid;
  unsigned short pad[3];
} xen_memory_reservation_t;
xen_memory_reservation_t r;
typedef struct reservation_in { xen_memory_reservation_t in_; } xen_put_dma_buf;
xen_put_dma_buf p;
`;
    expect(verdict(compiled(['gcc'], '-g', text)).said).toEqual({
      xen_memory_reservation: [],
      xen_put_dma_buf: [],
    });
  });

  needs(['gcc'], 'split debug information: the sentence names the other file, which is read', () => {
    expect(() => verdict(compiled(['gcc'], '-g -gsplit-dwarf', source))).toThrow(
      'split debug information: the types are in structs.dwo: check that file',
    );
    expect(verdict(join(scratch, 'structs.dwo')).said).toEqual(equal);
  });

  needs(['gcc', 'strip', 'objcopy'], 'a stripped file says where its debug information is', () => {
    const object = compiled(['gcc'], '-g -nostdlib -shared -fPIC', source).replace(/\.o$/, '.so');
    execFileSync('gcc', ['-g', '-nostdlib', '-shared', '-o', 'structs.so', 'structs.o'], { cwd: scratch });
    expect(verdict(object).said).toEqual(equal);
    execFileSync('objcopy', ['--only-keep-debug', 'structs.so', 'structs.debug'], { cwd: scratch });
    execFileSync('strip', ['structs.so'], { cwd: scratch });
    execFileSync('objcopy', ['--add-gnu-debuglink=structs.debug', 'structs.so'], { cwd: scratch });
    expect(() => verdict(object)).toThrow('stripped: its debug information is in structs.debug: check that file');
    expect(verdict(join(scratch, 'structs.debug')).said).toEqual(equal);
  });

  needs(['rustc'], 'Rust: repr(C) is equal, and rustc moves what is not', () => {
    const text = (repr: string): string => `#![crate_type = "lib"]
pub type XenPfn = u64;
${repr}
pub struct MemoryReservation {
    pub extent_start: *mut XenPfn, pub nr_extents: u64, pub extent_order: u32, pub mem_flags: u32, pub domid: Domid,
}
#[repr(transparent)]
pub struct Domid(pub u16);
${repr}
pub struct MemoryExchange { pub r#in: MemoryReservation, pub out: MemoryReservation, pub nr_exchanged: u64 }
#[no_mangle]
pub static E: MemoryExchange = MemoryExchange {
    r#in: MemoryReservation { extent_start: 0 as *mut u64, nr_extents: 0, extent_order: 0, mem_flags: 0, domid: Domid(0) },
    out: MemoryReservation { extent_start: 0 as *mut u64, nr_extents: 0, extent_order: 0, mem_flags: 0, domid: Domid(0) },
    nr_exchanged: 0,
};
unsafe impl Sync for MemoryExchange {}
`;
    const as = new Map([
      ['MemoryReservation', 'xen_memory_reservation'],
      ['MemoryExchange', 'xen_memory_exchange'],
    ] as const);
    const said = (repr: string): readonly (readonly string[])[] => {
      writeFileSync(join(scratch, 'structs.rs'), text(repr));
      execFileSync('rustc', ['-g', '--emit', 'obj', '-o', 'rust.o', 'structs.rs'], { cwd: scratch, stdio: 'pipe' });
      const [found] = findTypes(readFileSync(join(scratch, 'rust.o')), { unpackers, names: namesFor({ as }) });
      return found ? compareTypes(found, { as }).structs.map(({ differences }) => differences) : [];
    };
    expect(said('#[repr(C)]')).toEqual([[], []]);
    expect(said('#[repr(C, packed)]')[0]).toEqual(['size: 26 in the file, 32 in the table']);
  });
});

/** The structs of memory.h, as the header of libxen-dev declares them, or a changed copy. */
const ofMemory = (edit: (text: string) => string = (text) => text): string => `#define __XEN_TOOLS__ 1
#include <stdint.h>
#include <xen/xen.h>
#include <xen/physdev.h>
${edit(readFileSync('/usr/include/xen/memory.h', 'utf8')).replace('#include "xen.h"', '').replace('#include "physdev.h"', '')}
${memoryStructNames.map((name) => `struct ${name} own_${name};`).join('\n')}
`;

/** Changes of the header, and all that is to be said of them on arm64, worked out by hand. */
const ofOthers: readonly (readonly [title: string, edit: (text: string) => string, struct: string, says: readonly string[]])[] = [
  [
    'a member of a union that lacks',
    (text) => text.replace('uint16_t res0;', ''),
    'xen_add_to_physmap_batch',
    ['u.res0: not in the file (0..2 in the table)'],
  ],
  [
    'a wider member of a union',
    (text) => text.replace('uint16_t res0;', 'uint16_t res0[2];'),
    'xen_add_to_physmap_batch',
    [
      'size: 40 in the file, 32 in the table',
      'size of u: 4 in the file, 2 in the table',
      'u.res0: an array in the file, uint16_t in the table',
      'offset of idxs: 16 in the file, 8 in the table',
      'offset of gpfns: 24 in the file, 16 in the table',
      'offset of errs: 32 in the file, 24 in the table',
    ],
  ],
  [
    'a longer array',
    (text) => text.replace('_pad[3]', '_pad[5]'),
    'xen_mem_sharing_op',
    ['size of u.range: 40 in the file, 32 in the table', 'size of u.range._pad: 10 in the file, 6 in the table'],
  ],
  [
    'a struct in a union that moved',
    (text) => text.replace('uint64_aligned_t source_gfn;', 'uint32_t first; uint64_aligned_t source_gfn;'),
    'xen_mem_sharing_op',
    [
      'size: 56 in the file, 48 in the table',
      'size of u: 48 in the file, 40 in the table',
      'size of u.share: 48 in the file, 40 in the table',
      'offset of u.share.source_gfn: 8 in the file, 0 in the table',
      'offset of u.share.source_handle: 16 in the file, 8 in the table',
      'offset of u.share.client_gfn: 24 in the file, 16 in the table',
      'offset of u.share.client_handle: 32 in the file, 24 in the table',
      'offset of u.share.client_domain: 40 in the file, 32 in the table',
      'u.share.first: at 0 in the file, not in the table',
    ],
  ],
  [
    'a struct where a union was',
    (text) => text.replace(/union (\{\s+XEN_GUEST_HANDLE\(uint\) h;\s+uint64_t pad;\s+\} vdistance;)/, 'struct $1'),
    'xen_vnuma_topology_info',
    [
      'size: 48 in the file, 40 in the table',
      'vdistance: a struct in the file, a union in the table',
      'offset of vcpu_to_vnode: 32 in the file, 24 in the table',
      'offset of vmemrange: 40 in the file, 32 in the table',
    ],
  ],
];

describe('the other structs of memory.h', () => {
  const others = (said: Record<string, readonly string[]>): [string, readonly string[]][] =>
    Object.entries(said).filter(([struct]) => struct !== 'xen_memory_reservation' && struct !== 'xen_memory_exchange');
  const all = memoryStructNames.map((name) => [name, []]);

  for (const { arch, gcc } of targets) {
    needs([gcc[0], '/usr/include/xen/memory.h'], `${gcc.join(' ')}: equal by DWARF 4 and 5`, () => {
      for (const way of ['-gdwarf-4', '-O2 -gdwarf-5 -gz']) {
        const { said, ...rest } = verdict(compiled(gcc, way, ofMemory()));
        expect([rest.arch, others(said)]).toEqual([arch, all]);
      }
    });
  }

  needs(['aarch64-linux-gnu-gcc', 'pahole', '/usr/include/xen/memory.h'], 'each change is named, and BTF says what DWARF says', () => {
    expect(others(byPahole(compiled(['aarch64-linux-gnu-gcc'], '-gdwarf-5', ofMemory())))).toEqual(all);
    for (const [title, edit, struct, says] of ofOthers) {
      const object = compiled(['aarch64-linux-gnu-gcc'], '-gdwarf-5', ofMemory(edit));
      const differing = others(verdict(object).said).filter(([, differences]) => differences.length > 0);
      expect([title, differing]).toEqual([title, [[struct, says]]]);
      expect([title, byPahole(object)[struct]]).toEqual([title, says]);
    }
  });

  needs(['aarch64-linux-gnu-gcc', '/usr/include/xen/memory.h'], 'layout diff finds none between the table and the header', () => {
    const [found] = findTypes(readFileSync(compiled(['aarch64-linux-gnu-gcc'], '-gdwarf-5', ofMemory())), {
      unpackers,
      names: namesFor({}),
    });
    for (const name of memoryStructNames) {
      const [shape] = found ? shapesOf(found.types, name) : [];
      expect([name, shape && diffShapes(shape, shapeOfTable(name, 'arm64')).changes]).toEqual([name, []]);
    }
  });
});
