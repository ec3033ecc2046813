import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, scratch } from '../../../bin/shell.ts';
import { type Arch, archNames } from '../../../src/abi/arch.ts';
import { layoutOf, type MemoryLayout } from '../../../src/abi/layout.ts';
import { memoryStructNames } from '../../../src/abi/memory-h.ts';
import { memoryValues } from '../../../src/codec/memory-codec.ts';
import { emitCChecks } from '../../../src/export/c-checks.ts';
import { type EmitterName, emitters } from '../../../src/export/emitters.ts';
import { findingsIn } from '../../../src/rules/shown.ts';
import { structsOf } from './memory.stage.ts';

// What is written of the structs of memory.h for other tools, by those tools. What the codec reads,
// which stands for the expected values here, memory-h.test.ts holds against C compilers.

const layouts = (arch: Arch): MemoryLayout[] => memoryStructNames.map((name) => layoutOf(name, arch));

function place(name: string, file: string, text: string): string {
  const dir = join(scratch, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, file), text);
  return dir;
}

/** A directory of its own, with an export of every struct in it. */
function exported(name: string, arch: Arch, emitter: EmitterName, file: string): string {
  return place(name, file, emitters[emitter](layouts(arch)));
}

function run(dir: string, program: string, args: readonly string[], input: Uint8Array | string = ''): string {
  return execFileSync(program, args, { cwd: dir, input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** What a program says that must fail. */
function refused(dir: string, program: string, args: readonly string[]): string {
  try {
    run(dir, program, args);
  } catch (error) {
    return String((error as { readonly stderr?: unknown }).stderr);
  }
  throw new Error(`${program} took what it should refuse`);
}

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => (tool.startsWith('/') ? !existsSync(tool) : !has(tool)));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

const compilers: Readonly<Record<Arch, readonly [string, ...string[]]>> = {
  x86_64: ['gcc'],
  x86_32: ['gcc', '-m32', '-ffreestanding'],
  arm64: ['aarch64-linux-gnu-gcc'],
  arm32: ['arm-linux-gnueabihf-gcc'],
};
/** The word that pads a handle in a union of `xen_vnuma_topology_info`. */
const isNeverMeant = (path: string): boolean => /^v\w+\.pad$/.test(path);

const strict = ['-Wall', '-Wextra', '-Werror', '-pedantic', '-fsyntax-only'];
const header = '/usr/include/xen/memory.h';

describe('C', () => {
  for (const arch of archNames) {
    const [gcc, ...target] = compilers[arch];

    needs([gcc, header], `${arch}: each field lies where the header of Xen has it, and its header is strict C`, () => {
      const dir = exported(`memory-c-${arch}`, arch, 'c', 'memory.h');
      run(dir, gcc, [...target, '-std=c11', ...strict, '-x', 'c', '-include', './memory.h', '-Wno-pedantic', '/dev/null']);
      // Xen's structs keep their tags, ours get others.
      place(`memory-c-${arch}`, 'own.h', emitters.c(layouts(arch)).replace(/struct xen_/g, 'struct own_'));
      const same = memoryStructNames.flatMap((struct) => {
        const own = struct.replace(/^xen_/, 'own_');
        const wholes = [`sizeof(struct ${struct}) == sizeof(struct ${own})`, `_Alignof(struct ${struct}) == _Alignof(struct ${own})`];
        const fields = layoutOf(struct, arch).fields.flatMap(({ path }) => [
          `offsetof(struct ${struct}, ${path}) == offsetof(struct ${own}, ${path})`,
          `sizeof(((struct ${struct} *)0)->${path}) == sizeof(((struct ${own} *)0)->${path})`,
        ]);
        return [...wholes, ...fields].map((claim) => `_Static_assert(${claim}, "${claim}");`);
      });
      const text = `#define __XEN_TOOLS__ 1
#include <stdint.h>
#include <xen/xen.h>
#include <xen/physdev.h>
#include <xen/memory.h>
#include "own.h"
${same.join('\n')}
`;
      place(`memory-c-${arch}`, 'same.c', text);
      run(dir, gcc, [...target, '-std=gnu11', '-fsyntax-only', 'same.c']);
      expect(same.length).toBeGreaterThan(150);
    });
  }

  needs(['g++'], 'is C++ too', () => {
    for (const arch of archNames) {
      const dir = exported(`memory-cpp-${arch}`, arch, 'c', 'memory.h');
      run(dir, 'g++', ['-std=c++11', ...strict, '-x', 'c++', '-include', './memory.h', '/dev/null']);
    }
  });

  needs(['gcc'], 'a member that moved does not compile, and is named', () => {
    const text = emitters.c(layouts('arm32'));
    const dir = place('memory-c-moved', 'memory.h', text);
    const all = layouts('arm32').map(({ struct, members }) => ({ struct, names: members.map(({ name }) => name) }));
    // In each round one member of each struct moves; padding, and the insides of unions, stay.
    for (let round = 0; round < Math.max(...all.map(({ names }) => names.length)); round++) {
      const expected = all.flatMap(({ struct, names }) => (names[round] ? [`offsetof(struct ${struct}, ${names[round]})`] : []));
      const moved = text.replace(/^struct xen_\w+ \{\n[\s\S]*?^\};/gm, (whole) => {
        let [depth, at] = [0, 0];
        const lines = whole.split('\n').flatMap((line) => {
          const begins = depth === 1 && !line.includes('uint8_t padding');
          depth += line.endsWith('{') ? 1 : /^ *\}/.test(line) ? -1 : 0;
          return begins && !/^ *\}/.test(line) && at++ === round ? ['    uint8_t moved[8];', line] : [line];
        });
        return lines.join('\n');
      });
      writeFileSync(join(dir, 'memory.h'), moved);
      const said = refused(dir, 'gcc', ['-std=c11', '-fsyntax-only', '-x', 'c', 'memory.h']);
      for (const claim of expected) expect(said).toContain(`static assertion failed: "${claim}`);
    }
  });

  needs(['gcc'], 'its checks find what the rules find', () => {
    for (const arch of ['arm32', 'x86_64'] as const) {
      const dir = place('memory-checks', 'checks.h', emitCChecks(layouts(arch)));
      const calls = memoryStructNames.map(
        (struct, i) => `        case ${i}:
            if (fread(bytes, ${layoutOf(struct, arch).size}, 1, stdin) != 1) return 1;
            broken = xenmem_broken_${struct.replace(/^xen_/, '')}_${arch}(bytes, XENMEM_UNKNOWN, XENMEM_UNKNOWN);
            break;`,
      );
      const main = `#include <stdio.h>
#include "checks.h"
int main(void)
{
    unsigned char bytes[64];
    unsigned int i;
    uint32_t broken;
    int which;
    while ((which = getchar()) != EOF) {
        switch (which) {
${calls.join('\n')}
        default: return 2;
        }
        for (i = 0; i < XENMEM_DUTIES; i++)
            if (broken >> i & 1)
                printf("%s ", xenmem_duty_id(i));
        puts("");
    }
    return 0;
}
`;
      writeFileSync(join(dir, 'main.c'), main);
      run(dir, 'gcc', ['-std=c99', '-Wall', '-Wextra', '-Werror', '-pedantic', '-O1', '-o', 'main', 'main.c']);
      const rows = layouts(arch).flatMap((layout, i) => structsOf(layout, 300).map((bytes) => ({ layout, bytes, i })));
      const out = run(dir, './main', [], Buffer.concat(rows.map(({ bytes, i }) => Buffer.concat([Uint8Array.of(i), bytes]))));
      const expected = rows.map((row) => [...new Set(findingsIn(row).map(({ id }) => id))].sort().join(' '));
      const sorted = (text: string): string => text.trim().split(' ').sort().join(' ');
      expect(out.replace(/\n$/, '').split('\n').map(sorted)).toEqual(expected);
      const told = new Set(expected.flatMap((ids) => ids.split(' ')));
      expect(told.size).toBe(arch === 'arm32' ? 5 : 4); // the empty one, and each duty of these structs
    }
  });
});

describe('Rust', () => {
  const compile = ['--edition', '2021', '-D', 'warnings', '--crate-type', 'lib', '--emit', 'metadata', '-o', 'lib.rmeta', 'lib.rs'];

  for (const arch of archNames) {
    needs(['rustc'], `${arch}: it compiles without the standard library, its own assertions hold`, () => {
      const dir = exported(`memory-rust-${arch}`, arch, 'rust', 'memory.rs');
      writeFileSync(join(dir, 'lib.rs'), '#![no_std]\nmod memory;\n');
      run(dir, 'rustc', compile);
    });
  }

  needs(['rustc'], 'a struct with a byte too many is named', () => {
    const dir = place('memory-rust-moved', 'lib.rs', '#![no_std]\nmod memory;\n');
    const text = emitters
      .rust(layouts('arm64'))
      .replace(/pub struct (xen_\w+) \{\n/g, '$&    pub moved: [u8; 8],\n')
      .replace(/const ZERO: Self = Self \{\n(?! {8}bytes)/g, '$&        moved: [0; 8],\n');
    writeFileSync(join(dir, 'memory.rs'), text);
    const said = refused(dir, 'rustc', compile);
    for (const struct of memoryStructNames) expect(said).toMatch(new RegExp(`${struct}( is not \\d+ bytes|\\.[\\w.]+ is not at)`));
  });
});

describe('Lua', () => {
  for (const [arch, count] of [
    ['arm64', 12],
    ['arm32', 8],
    ['x86_32', 8],
  ] as const) {
    needs(
      ['tshark', 'text2pcap', 'mergecap'],
      `${arch}: shows what the codec reads, members of unions that are meant, and what the rules find`,
      () => {
        const dir = exported(`memory-lua-${arch}`, arch, 'lua', 'xenmem.lua');
        const rows = layouts(arch).flatMap((layout) => structsOf(layout, count).map((bytes) => ({ layout, bytes })));
        const captures = layouts(arch).map(({ struct }) => {
          const own = rows.filter(({ layout }) => layout.struct === struct);
          const lines = own.map(({ bytes }) => `000000 ${Buffer.from(bytes).toString('hex').replace(/../g, '$& ')}\n`);
          writeFileSync(join(dir, 'dump.txt'), lines.join(''));
          run(dir, 'text2pcap', ['-q', '-P', struct, 'dump.txt', `${struct}.pcap`]);
          return `${struct}.pcap`;
        });
        run(dir, 'mergecap', ['-a', '-w', 'all.pcap', ...captures]);
        const shown = layouts(arch).flatMap(({ struct, fields }) =>
          fields.filter(({ path }) => !isNeverMeant(path)).map((field) => ({ struct, field })),
        );
        const names = [...shown.map(({ struct, field }) => `${struct}.${field.path}`), '_ws.expert.message'];
        const format = ['-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=|', ...names.flatMap((name) => ['-e', name])];
        const cells = run(dir, 'tshark', ['-X', 'lua_script:xenmem.lua', '-r', 'all.pcap', ...format])
          .replace(/\n$/, '')
          .split('\n')
          .map((line) => line.split('\t'));
        expect(cells.map((row) => row.slice(0, -1).map(number))).toEqual(
          rows.map(({ layout, bytes }) => {
            const values = new Map(memoryValues(layout, bytes).map((value) => [value.field.path, value]));
            return shown.map(({ struct, field: { path, size, count: entries, offset } }) => {
              const value = struct === layout.struct ? values.get(path) : undefined;
              if (!value || value.meant === false) return '';
              return entries > 1 ? spaced(bytes.subarray(offset, offset + size * entries)) : `${value.values[0]}`;
            });
          }),
        );
        const messages = (cell = ''): string[] => (cell === '' ? [] : cell.split('|').sort());
        const expected = rows.map((row) =>
          findingsIn(row)
            .map(({ id, message }) => `${id}: ${message}`)
            .sort(),
        );
        expect(cells.map((row) => messages(row.at(-1)))).toEqual(expected);
        const seen = new Set(expected.flat().map((message) => message.split(':')[0]));
        expect(seen.size).toBe(arch === 'arm32' ? 4 : 3);
      },
    );
  }

  const spaced = (bytes: Uint8Array): string =>
    Buffer.from(bytes)
      .toString('hex')
      .replace(/..(?=.)/g, '$& ');

  /** A cell as a number in decimal; bytes, which have spaces between them, as they are. */
  function number(cell: string): string {
    return cell === '' || cell.includes(' ') ? cell : String(BigInt(cell));
  }
});

describe('gdb', () => {
  needs(['gcc', 'gdb'], 'prints what the codec reads, members of unions that are meant, and what the rules find', () => {
    const arch = 'arm64';
    const dir = exported('memory-gdb', arch, 'gdb', 'xenmem.gdb');
    const rows = layouts(arch).flatMap((layout) => structsOf(layout, 12).map((bytes) => ({ layout, bytes })));
    writeFileSync(
      join(dir, 'rows.c'),
      `unsigned char rows[] = {${rows.flatMap(({ bytes }) => [...bytes]).join()}};\nint main(void) { return 0; }\n`,
    );
    run(dir, 'gcc', ['-o', 'rows', 'rows.c']);
    let at = 0;
    const calls = rows.map(({ layout, bytes }) => {
      const line = `${layout.struct.replace('xen_', 'xenmem_')} (char*)&rows+${at}`;
      at += bytes.length;
      return line;
    });
    writeFileSync(join(dir, 'calls.gdb'), `${calls.join('\n')}\n`);
    const out = run(dir, 'gdb', ['-batch', '-nx', '-x', 'xenmem.gdb', '-x', 'calls.gdb', 'rows']);
    const told = out
      .trimEnd()
      .split(/^(?=xen_)/m)
      .map((one) =>
        one
          .trimEnd()
          .split('\n')
          .slice(1)
          .map((line) => line.trim()),
      );
    const shown = told.map((lines) =>
      lines
        .filter((line) => line.startsWith('0x'))
        .map((line) => line.split(/ {2,}/))
        .filter(([, path]) => path !== 'padding')
        .map(
          ([, path, value = '']) =>
            `${path} ${value
              .split(' ')
              .map((word) => BigInt(word))
              .join(' ')}`,
        ),
    );
    expect(shown).toEqual(
      rows.map(({ layout, bytes }) =>
        memoryValues(layout, bytes)
          .filter(({ meant, field }) => meant !== false && !isNeverMeant(field.path))
          .map(({ field, values }) => ({ at: field.offset, text: `${field.path} ${values.join(' ')}` }))
          .sort((a, b) => a.at - b.at)
          .map(({ text }) => text),
      ),
    );
    expect(
      told.map((lines) =>
        lines
          .filter((line) => line.startsWith('caller-'))
          .map((line) => line.split(': ').slice(0, 2).join(': '))
          .sort(),
      ),
    ).toEqual(
      rows.map((row) =>
        findingsIn(row)
          .map(({ id, where }) => `${id}: ${where}`)
          .sort(),
      ),
    );
  });
});

it('JSON says of a field in a union what must be so for it to be meant', () => {
  const made = JSON.parse(emitters.json(layouts('arm64')));
  const fields = new Map<string, { offset: number; when?: unknown }>(
    made.structs.flatMap(({ struct, fields: own }: { struct: string; fields: { path: string; offset: number }[] }) =>
      own.map((field) => [`${struct}.${field.path}`, field]),
    ),
  );
  expect(fields.get('xen_add_to_physmap_batch.u.foreign_domid')).toMatchObject({ offset: 6, when: [{ by: 'space', is: [4] }] });
  expect(fields.get('xen_add_to_physmap_batch.u.res0')).toMatchObject({ offset: 6, when: [{ by: 'space', isNot: [4] }] });
  expect(fields.get('xen_mem_access_op.pfn')).toEqual({ path: 'pfn', type: 'uint64_aligned_t', offset: 8, size: 8 });
  expect(made.ops.map(({ nr }: { nr: number }) => nr)).toEqual([3, 4, 5, 7, 9, 10, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 25, 26, 27, 28]);
});
