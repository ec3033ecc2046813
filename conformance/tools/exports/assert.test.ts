import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, root, scratch } from '../../../bin/shell.ts';
import { layoutOf } from '../../../src/abi/layout.ts';
import { type MemoryStructName, memoryStructNames } from '../../../src/abi/memory-h.ts';
import { emitCAssertions } from '../../../src/export/c-assert.ts';
import { emitRustAssertions } from '../../../src/export/rust-assert.ts';

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => (tool.startsWith('/') ? !existsSync(tool) : !has(tool)));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

/** Compiles a text; an error holds what the compiler said. */
function compile(compiler: readonly string[], name: string, text: string): void {
  writeFileSync(join(scratch, name), text);
  const [program = '', ...flags] = compiler;
  execFileSync(program, [...flags, name], { cwd: scratch, encoding: 'utf8', stdio: 'pipe' });
}

/** What a compiler says that must fail. */
function refusedBy(program: string, flags: readonly string[]): string {
  const { status, stderr } = spawnSync(program, flags, { cwd: scratch, encoding: 'utf8' });
  expect(status).toBe(1);
  return stderr;
}

interface Declaration {
  readonly name: string;
  readonly at: number;
  readonly text: string;
}

/** The declarations of scalars and arrays in a struct of a header, as they follow one another. */
function declarationsOf(header: string, struct: string): Declaration[] {
  const start = header.indexOf(`\nstruct ${struct} {`);
  const blank = (text: string): string => ' '.repeat(text.length);
  // Without comments, and without what is for interfaces before 4.7.
  const block = header
    .slice(start, header.indexOf('\n};', start))
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/#if __XEN_INTERFACE_VERSION__ <[\s\S]*?#else/g, blank);
  const plain = /\b(?:struct \w+|unsigned int|XEN_GUEST_HANDLE(?:_64)?\(\w+\)|\w+_t)\s+(\w+)(?:, \w+)*(?:\[\d+\])?;/g;
  return [...block.matchAll(plain)].map((match) => ({ name: match[1] ?? '', at: start + match.index, text: match[0] }));
}

/** The path of the field that the declaration of this number makes, or the first of several. */
function fieldAt(struct: MemoryStructName, name: string, number: number, declarations: readonly Declaration[]): string {
  const paths = layoutOf(struct, 'arm64').fields.map(({ path }) => path);
  const before = declarations.slice(0, number).filter((one) => one.name === name).length;
  const own = paths.filter(
    (path) => path.split('.').includes(name) && (path.endsWith(`.${name}`) || path === name || !isLeaf(paths, name)),
  );
  return own[before] ?? `${name}, which the table has not`;
}

function isLeaf(paths: readonly string[], name: string): boolean {
  return paths.some((path) => path === name || path.endsWith(`.${name}`));
}

const C = ['-std=gnu99', '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only'];
const targets = [
  ['x86_64', ['gcc', ...C]],
  ['x86_32', ['gcc', '-m32', '-ffreestanding', ...C]],
  ['arm64', ['aarch64-linux-gnu-gcc', ...C]],
  ['arm32', ['arm-linux-gnueabihf-gcc', ...C]],
] as const;

describe('layout --emit c --assert, after the header of libxen-dev', () => {
  const header = '/usr/include/xen/memory.h';
  const program = `#include <stdint.h>
#include <xen/xen.h>
#include <xen/memory.h>
#include "gate.h"
`;
  /** A copy of the header, changed, with the gate beside it. */
  const place = (edit: (text: string) => string): string => {
    mkdirSync(join(scratch, 'include'), { recursive: true });
    cpSync('/usr/include/xen', join(scratch, 'include/xen'), { recursive: true });
    writeFileSync(join(scratch, 'include/xen/memory.h'), edit(readFileSync(header, 'utf8')));
    writeFileSync(join(scratch, 'gate.h'), emitCAssertions({}));
    return '-Iinclude';
  };

  for (const [arch, compiler] of targets) {
    // Xen's own headers are not pedantic: they are included as those of the system.
    const flags = [...compiler, '-isystem', 'include', '-I.'];
    needs([compiler[0], header], `${arch}: it compiles`, () => {
      place((text) => text);
      compile(flags, 'user.c', program);
    });

    needs([compiler[0], header], `${arch}: with each field once moved, that field is named`, () => {
      const start = readFileSync(header, 'utf8').indexOf('struct xen_memory_reservation {');
      const fields = [
        ['extent_start', /(XEN_GUEST_HANDLE\(xen_pfn_t\) extent_start;)/],
        ['nr_extents', /(xen_ulong_t {4}nr_extents;)/],
        ['extent_order', /(unsigned int {3}extent_order;)/],
        ['address_bits', /(unsigned int {3}address_bits;)/],
        ['domid', /(domid_t {8}domid;)/],
        ['in', /(struct xen_memory_reservation in;)/],
        ['out', /(struct xen_memory_reservation out;)/],
        ['nr_exchanged', /(xen_ulong_t nr_exchanged;)/],
      ] as const;
      for (const [field, declared] of fields) {
        place((text) => text.slice(0, start) + text.slice(start).replace(declared, 'unsigned char moved; $1'));
        expect(() => compile(flags, 'user.c', program), field).toThrow(`xenmem: the offset of ${field} in xen_memory_`);
      }
    });
  }

  for (const [arch, compiler] of targets) {
    needs([compiler[0], header], `${arch}: the other structs of the header too, and each field once moved is named`, () => {
      place((text) => text);
      const memory = readFileSync(header, 'utf8');
      writeFileSync(join(scratch, 'gate.h'), emitCAssertions({ structs: memoryStructNames }));
      const [program_ = '', ...flags] = [...compiler, '-D__XEN_TOOLS__', '-isystem', 'include', '-I.'];
      const user = program.replace('#include <xen/memory.h>', '#include <xen/physdev.h>\n#include <xen/memory.h>');
      compile([program_, ...flags], 'user.c', user);
      // In each round one declaration of each struct moves, so that each moves once.
      const declared = memoryStructNames
        .map((struct) => ({ struct, declarations: declarationsOf(memory, struct) }))
        .sort((a, b) => (b.declarations[0]?.at ?? 0) - (a.declarations[0]?.at ?? 0));
      const rounds = Math.max(...declared.map(({ declarations }) => declarations.length));
      let moved = 0;
      for (let round = 0; round < rounds; round++) {
        const expected: string[] = [];
        let text = memory;
        for (const { struct, declarations } of declared) {
          const one = declarations[round];
          if (!one) continue;
          text = `${text.slice(0, one.at)}struct { unsigned char moved[8]; ${one.text} };${text.slice(one.at + one.text.length)}`;
          expected.push(`xenmem: the offset of ${fieldAt(struct, one.name, round, declarations)} in ${struct} is not`);
        }
        writeFileSync(join(scratch, 'include/xen/memory.h'), text);
        const said = refusedBy(program_, [...flags, '-fms-extensions', 'user.c']);
        for (const sentence of expected) expect(said).toContain(sentence);
        moved += expected.length;
      }
      expect(moved).toBe(declared.reduce((sum, { declarations }) => sum + declarations.length, 0));
      expect(moved).toBeGreaterThan(80);
    });
  }

  needs(['g++', header], 'it is C++ too', () => {
    place((text) => text);
    compile(['g++', '-std=c++11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-isystem', 'include', '-I.'], 'user.cc', program);
  });

  needs(['aarch64-linux-gnu-gcc'], "a header of one's own, by its names", () => {
    writeFileSync(
      join(scratch, 'own.h'),
      emitCAssertions({
        structs: ['xen_memory_reservation'],
        names: new Map([['xen_memory_reservation', 'reservation_t']]),
        fields: new Map([['address_bits', 'width']]),
      }),
    );
    const own = (word: string): string => `typedef ${word} word;
typedef struct { word extent_start, nr_extents; unsigned extent_order, width; unsigned short domid; } reservation_t;
#include "own.h"
`;
    compile(['aarch64-linux-gnu-gcc', ...C, '-I.'], 'own.c', own('unsigned long'));
    expect(() => compile(['arm-linux-gnueabihf-gcc', ...C, '-I.'], 'own.c', own('unsigned long'))).toThrow(
      'xenmem: the size of xen_memory_reservation is not 32',
    );
  });
});

describe('layout --emit rust --assert', () => {
  const asked = {
    names: new Map([
      ['xen_memory_reservation', 'MemoryReservation'],
      ['xen_memory_exchange', 'MemoryExchange'],
    ] as const),
    fields: new Map([['address_bits', 'mem_flags']]),
  };
  const crate = (moved = ''): string => {
    const fields = ['extent_start: *mut u64', 'nr_extents: u64', 'extent_order: u32', 'mem_flags: u32', 'domid: u16'];
    const with_ = fields.map((field) => (field.startsWith(`${moved}:`) ? `moved: u8, pub ${field}` : field));
    const outer = ['r#in: MemoryReservation', 'out: MemoryReservation', 'nr_exchanged: u64'];
    const outerWith = outer.map((field) => (field.startsWith(`${moved}:`) ? `moved: u8, pub ${field}` : field));
    return `#![no_std]
#[repr(C)] pub struct MemoryReservation { ${with_.map((field) => `pub ${field}`).join(', ')} }
#[repr(C)] pub struct MemoryExchange { ${outerWith.map((field) => `pub ${field}`).join(', ')} }
include!("gate.rs");
`;
  };
  const rustc = ['rustc', '--edition', '2021', '-D', 'warnings', '--crate-type', 'lib', '--emit', 'metadata', '-o', 'gate.rmeta'];

  needs(['rustc'], "holds a crate's own types, and names each field that moved", () => {
    writeFileSync(join(scratch, 'gate.rs'), emitRustAssertions(asked));
    compile(rustc, 'crate.rs', crate());
    for (const field of ['extent_start', 'nr_extents', 'extent_order', 'mem_flags', 'domid', 'r#in', 'out', 'nr_exchanged']) {
      const said = field === 'mem_flags' ? 'address_bits' : field.replace('r#', '');
      expect(() => compile(rustc, 'crate.rs', crate(field)), field).toThrow(`xenmem: the offset of ${said} in xen_memory_`);
    }
    expect(() => compile(rustc, 'crate.rs', crate().replace('domid: u16', 'domid: u32'))).toThrow(
      'xenmem: the size of domid in xen_memory_reservation is not 2',
    );
  });

  needs(['rustc'], 'holds types of structs of memory.h too, and names each field that moved', () => {
    const structs = ['xen_add_to_physmap', 'xen_mem_acquire_resource', 'xen_add_to_physmap_batch'] as const;
    const names = new Map([
      ['xen_add_to_physmap', 'AddToPhysmap'],
      ['xen_mem_acquire_resource', 'AcquireResource'],
      ['xen_add_to_physmap_batch', 'AddBatch'],
    ] as const);
    writeFileSync(join(scratch, 'gate.rs'), emitRustAssertions({ structs, names, arch: 'x86_64' }));
    const own = `#![no_std]
#[repr(C)] pub struct AddToPhysmap { pub domid: u16, pub size: u16, pub space: u32, pub idx: u64, pub gpfn: u64 }
#[repr(C)] pub struct AcquireResource { pub domid: u16, pub r#type: u16, pub id: u32, pub nr_frames: u32, pub pad: u32, pub frame: u64, pub frame_list: *mut u64 }
#[repr(C)] pub union Whose { foreign_domid: u16, res0: u16 }
#[repr(C)] pub struct AddBatch { pub domid: u16, pub space: u16, pub size: u16, pub u: Whose, pub idxs: *mut u64, pub gpfns: *mut u64, pub errs: *mut i32 }
include!("gate.rs");
`;
    const allowed = ['-A', 'dead_code'];
    compile([...rustc, ...allowed], 'own.rs', own);
    // In each round one field of each struct moves.
    const lines = own.split('\n').map((line) => ({ line, fields: [...line.matchAll(/pub ((?:r#)?\w+):/g)] }));
    const rounds = Math.max(...lines.map(({ fields }) => fields.length));
    expect(rounds).toBe(7);
    for (let round = 0; round < rounds; round++) {
      const names = lines.flatMap(({ fields }) => fields[round]?.[1] ?? []);
      const moved = lines.map(({ line, fields }) => {
        const at = fields[round]?.index ?? -1;
        return at < 0 ? line : `${line.slice(0, at)}pub moved: [u8; 8], ${line.slice(at)}`;
      });
      for (const name of names) {
        expect(() => compile([...rustc, ...allowed], 'own.rs', moved.join('\n')), name).toThrow(
          `xenmem: the offset of ${name.replace('r#', '')} in xen_`,
        );
      }
    }
  });
});

it('the assertions hold what C compilers measured, for each architecture', () => {
  for (const arch of ['arm32', 'arm64', 'x86_64', 'x86_32'] as const) {
    const measured = JSON.parse(readFileSync(join(root, `fixtures/layout/${arch}.json`), 'utf8')).structs;
    const text = emitCAssertions({
      arch,
      structs: ['xen_memory_reservation', 'xen_memory_exchange', 'xen_get_dma_buf', 'xen_put_dma_buf'],
    });
    for (const [struct, { size, align, fields }] of Object.entries<{
      size: number;
      align: number;
      fields: Record<string, { offset: number; size: number }>;
    }>(measured)) {
      expect(text).toContain(`"xenmem: the size of ${struct} is not ${size}"`);
      expect(text).toContain(`"xenmem: the alignment of ${struct} is not ${align}"`);
      for (const [path, { offset, size: bytes }] of Object.entries(fields)) {
        expect(text).toContain(`"xenmem: the offset of ${path} in ${struct} is not ${offset}"`);
        expect(text).toContain(`"xenmem: the size of ${path} in ${struct} is not ${bytes}"`);
      }
    }
  }
});
