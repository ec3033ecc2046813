import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, root, scratch } from '../../../bin/shell.ts';
import type { Arch } from '../../../src/abi/arch.ts';
import { domidName } from '../../../src/abi/constants.ts';
import { layoutOf } from '../../../src/abi/layout.ts';
import { argumentOf, type JudgedOp, opsTaking, XENMEM } from '../../../src/abi/ops.ts';
import { type StructName, structNames } from '../../../src/abi/structs.ts';
import { codecFor } from '../../../src/codec/codec.ts';
import { type EmitterName, emitters } from '../../../src/export/emitters.ts';
import { judge } from '../../../src/rules/judge.ts';
import { ruleOf } from '../../../src/rules/table.ts';
import { observedCall } from '../../../src/trace/call.ts';
import { decoded, type Golden, goldens } from './goldens.stage.ts';

/** A directory of its own, with an export of every struct in it. */
function place(name: string, arch: Arch, emitter: EmitterName, file: string): string {
  const dir = join(scratch, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, file), text(arch, emitter));
  return dir;
}

function text(arch: Arch, emitter: EmitterName): string {
  return emitters[emitter](structNames.map((name) => layoutOf(name, arch)));
}

/** Runs a program to its end; an error holds what it printed. */
function run(dir: string, program: string, args: readonly string[], input: Uint8Array | string = ''): string {
  return execFileSync(program, args, { cwd: dir, input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => !has(tool));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

/** What the generated programs read: the number of the struct, then its bytes, again and again. */
function stream(rows: readonly Golden[]): Uint8Array {
  return Buffer.concat(rows.flatMap(({ struct, bytes }) => [Uint8Array.of(structNames.indexOf(struct)), bytes]));
}

const strict = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-pedantic'];
const compilers = [
  { arch: 'x86_64', gcc: 'gcc', qemu: undefined },
  { arch: 'arm64', gcc: 'aarch64-linux-gnu-gcc', qemu: 'qemu-aarch64' },
  { arch: 'arm32', gcc: 'arm-linux-gnueabihf-gcc', qemu: 'qemu-arm' },
] as const;

describe('C', () => {
  const columns = (struct: StructName): string[] => layoutOf(struct, 'arm64').fields.map(({ path }) => path);
  const cases = structNames.map(
    (struct, i) => `    case ${i}: {
        struct ${struct} s;
        if (fread(&s, sizeof s, 1, stdin) != 1) return 1;
        printf("${struct}${' %llu'.repeat(columns(struct).length)}\\n", ${columns(struct).map((path) => `(unsigned long long) s.${path}`)});
        break;
    }`,
  );
  const main = `#include <stdio.h>
#include "xenmem.h"
int main(void)
{
    int which;
    while ((which = getchar()) != EOF)
        switch (which) {
${cases.join('\n')}
        default: return 2;
        }
    return 0;
}
`;

  for (const { arch, gcc, qemu } of compilers) {
    needs([gcc, ...(qemu ? [qemu] : [])], `reads what the compiler for ${arch} wrote`, () => {
      const dir = place(`c-${arch}`, arch, 'c', 'xenmem.h');
      writeFileSync(join(dir, 'main.c'), main);
      run(dir, gcc, [...strict, '-static', '-o', 'main', 'main.c']);
      const rows = goldens(arch);
      const out = qemu ? run(dir, qemu, ['./main'], stream(rows)) : run(dir, './main', [], stream(rows));
      expect(out.trimEnd().split('\n')).toEqual(decoded(rows));
    });
  }

  /** The mistake everybody makes first: the guest's native words, with the same assertions. */
  const naive = (header: string): string =>
    header
      .replace(/XENMEM_ALIGNED\(8\) uint64_t extent_start;/g, 'unsigned long *extent_start;')
      .replace(/XENMEM_ALIGNED\(8\) uint64_t (nr_\w+);/g, 'unsigned long $1;')
      .replace(/XENMEM_ALIGNED\(8\) (struct)/g, '$1');

  needs(['arm-linux-gnueabihf-gcc', 'aarch64-linux-gnu-gcc'], 'a naive copy passes on arm64 and fails on armhf', () => {
    const dir = place('naive', 'arm32', 'c', 'xenmem.h');
    writeFileSync(join(dir, 'naive.c'), naive(text('arm32', 'c')));
    run(dir, 'aarch64-linux-gnu-gcc', [...strict, '-fsyntax-only', 'naive.c']);
    expect(() => run(dir, 'arm-linux-gnueabihf-gcc', [...strict, '-fsyntax-only', 'naive.c'])).toThrow(
      'static assertion failed: "sizeof(struct xen_get_dma_buf) == 72"',
    );
  });

  it('asserts the offset and size of every field', () => {
    for (const arch of ['arm32', 'arm64', 'x86_64', 'x86_32'] as const) {
      const measured = JSON.parse(readFileSync(join(root, `fixtures/layout/${arch}.json`), 'utf8')).structs;
      const lines = text(arch, 'c').split('\n');
      for (const struct of structNames) {
        const { size, align, fields } = measured[struct];
        expect(lines).toContain(`XENMEM_ASSERT(sizeof(struct ${struct}) == ${size});`);
        expect(lines).toContain(`XENMEM_ASSERT(XENMEM_ALIGNMENT(struct ${struct}) == ${align});`);
        for (const [path, field] of Object.entries<{ offset: number; size: number }>(fields)) {
          expect(lines).toContain(`XENMEM_ASSERT(offsetof(struct ${struct}, ${path}) == ${field.offset});`);
          expect(lines).toContain(`XENMEM_ASSERT(sizeof(((struct ${struct} *)0)->${path}) == ${field.size});`);
        }
      }
    }
  });

  needs(['g++', 'gcc'], 'is C++ too, and holds where 64-bit words are 4-aligned', () => {
    const dir = place('cpp', 'arm64', 'c', 'xenmem.h');
    const in32Bits = (): void =>
      void run(dir, 'gcc', [
        ...strict,
        '-m32',
        '-ffreestanding',
        '-fsyntax-only',
        '-x',
        'c',
        '-include',
        './xenmem.h',
        '-Wno-pedantic',
        '/dev/null',
      ]);
    run(dir, 'g++', ['-std=c++11', ...strict.slice(1), '-fsyntax-only', '-x', 'c++', '-include', 'xenmem.h', '/dev/null']);
    in32Bits();
    place('cpp', 'x86_32', 'c', 'xenmem.h');
    in32Bits();
  });

  it('marks the numbers of the proposal, and those alone', () => {
    const lines = text('arm64', 'c').split('\n');
    const marked = lines.filter((line) => line.startsWith('#define XENMEM_') && line.includes('never merged'));
    expect(marked.map((line) => line.split(/ +/).slice(1, 3))).toEqual([
      ['XENMEM_get_dma_buf', '26'],
      ['XENMEM_put_dma_buf', '27'],
    ]);
    expect(lines).toContain(
      ' * NEVER ISSUE 26 OR 27 TO A XEN OF TODAY. The proposal of 2013 was not merged, and its numbers were given away:',
    );
    expect(emitters.c([layoutOf('xen_memory_exchange', 'arm64')])).not.toContain('NEVER');
  });
});

describe('Rust', () => {
  const escaped = (path: string): string => path.replace(/^in\./, 'r#in.');
  const cases = structNames.map((struct, i) => {
    const { fields, size } = layoutOf(struct, 'arm64');
    return `            ${i} => {
                let (now, rest) = bytes.split_at(${size});
                bytes = rest;
                let s = unsafe { core::ptr::read_unaligned(now.as_ptr() as *const xenmem::${struct}) };
                println!("${struct}${' {}'.repeat(fields.length)}", ${fields.map(({ path }) => `s.${escaped(path)}`).join(', ')});
            }`;
  });
  const main = `mod xenmem;
use std::io::Read;
fn main() {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    let mut bytes = &input[..];
    while let Some((which, rest)) = bytes.split_first() {
        bytes = rest;
        match which {
${cases.join('\n')}
            _ => panic!(),
        }
    }
}
`;

  needs(['rustc'], 'reads what the compilers for arm64 and arm32 wrote', () => {
    const dir = place('rust', 'arm64', 'rust', 'xenmem.rs');
    writeFileSync(join(dir, 'main.rs'), main);
    run(dir, 'rustc', ['--edition', '2021', '-D', 'warnings', '-o', 'main', 'main.rs']);
    const rows = [...goldens('arm64'), ...goldens('arm32')];
    expect(run(dir, './main', [], stream(rows)).trimEnd().split('\n')).toEqual(decoded(rows));
  });

  needs(['rustc'], 'needs no standard library, and a field that moved does not compile', () => {
    const dir = place('no-std', 'arm64', 'rust', 'xenmem.rs');
    const compile = ['--edition', '2021', '-D', 'warnings', '--crate-type', 'lib', '--emit', 'metadata', '-o', 'lib.rmeta', 'lib.rs'];
    writeFileSync(join(dir, 'lib.rs'), '#![no_std]\nmod xenmem;\n');
    run(dir, 'rustc', compile);
    const [order, bits] = ['    pub extent_order: u32,\n', '    pub address_bits: u32,\n'];
    const source = text('arm64', 'rust').replace(/ {4}\/\/\/ \d+: unsigned int\n/g, '');
    expect(source).toContain(order + bits);
    writeFileSync(join(dir, 'xenmem.rs'), source.replace(order + bits, bits + order));
    expect(() => run(dir, 'rustc', compile)).toThrow('xen_memory_reservation.extent_order is not at 16');
  });
});

describe('Lua', () => {
  const paths = (struct: StructName, arch: Arch): string[] => layoutOf(struct, arch).fields.map(({ path }) => `${struct}.${path}`);
  /** The structs that Wireshark takes by default, and those it takes on request. */
  const chosen: Record<string, readonly StructName[]> = {
    default: ['xen_memory_reservation', 'xen_get_dma_buf'],
    preferred: ['xen_memory_exchange', 'xen_put_dma_buf'],
  };

  for (const arch of ['arm64', 'arm32', 'x86_32'] as const) {
    needs(['tshark', 'text2pcap'], `decodes what the compiler for ${arch} wrote, and finds what our rules find`, () => {
      const dir = place(`lua-${arch}`, arch, 'lua', 'xenmem.lua');
      for (const [by, structs] of Object.entries(chosen)) {
        // Every one on arm64; elsewhere what is different, handles and words, shows in a third.
        const every = arch === 'arm64' ? 1 : 3;
        const rows = goldens(arch).filter(({ struct }, i) => structs.includes(struct) && i % every === 0);
        dump(dir, rows);
        const options =
          by === 'default' ? [] : structs.flatMap((struct) => ['-o', `xenmem.bytes_${layoutOf(struct, arch).size}:${struct}`]);
        const fields = [...structs.flatMap((struct) => paths(struct, arch)), '_ws.expert.message'].flatMap((name) => ['-e', name]);
        const format = ['-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=|'];
        const out = run(dir, 'tshark', ['-X', 'lua_script:xenmem.lua', ...options, '-r', 'structs.pcap', ...format, ...fields]);
        const seen = out
          .replace(/\n$/, '')
          .split('\n')
          .map((line) => line.split('\t'));
        const [first, second] = structs.map((struct) => paths(struct, arch).length) as [number, number];
        expect(
          seen.map((cells, i) => {
            const own = rows[i]?.struct === structs[0] ? cells.slice(0, first) : cells.slice(first, first + second);
            return `${rows[i]?.struct} ${own.map((cell) => String(BigInt(cell))).join(' ')}`;
          }),
        ).toEqual(decoded(rows));
        expect(seen.map((cells) => messages(cells.at(-1)!))).toEqual(rows.map((row) => findings(row, arch)));
      }
    });
  }

  needs(['tshark', 'text2pcap'], 'finds what our rules find where it is close', () => {
    const dir = place('lua-edges', 'arm64', 'lua', 'xenmem.lua');
    const plain = { extent_start: 0x1000n, nr_extents: 1n, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
    const get = (given: object, out: object, nr_exchanged = 0n): Golden => {
      const value = { in: { ...plain, ...given }, out: { ...plain, extent_start: 0x2000n, ...out }, nr_exchanged };
      return { struct: 'xen_get_dma_buf', columns: [], values: [], bytes: codecFor('arm64').xen_get_dma_buf.encode(value) };
    };
    const sizes = ([a, ao]: [bigint, number], [b, bo]: [bigint, number]): Golden[] => [
      get({ nr_extents: a, extent_order: ao }, { nr_extents: b, extent_order: bo }),
      get({ nr_extents: b, extent_order: bo }, { nr_extents: a, extent_order: ao }),
    ];
    const rows = [
      ...[0, 1, 12, 13, 255, 256, 0x1ff, 0x10000, 0xffffffff].map((address_bits) => get({ address_bits }, { address_bits })),
      ...[18, 19].map((extent_order) => get({ extent_order }, { extent_order })),
      ...[4n, 8n, 0xffff_ffff_ffff_fff8n, 1n << 63n].map((extent_start) => get({ extent_start }, { extent_start })),
      ...sizes([4n, 0], [1n, 2]),
      ...sizes([5n, 0], [1n, 2]),
      ...sizes([1n << 63n, 1], [0n, 0]),
      ...sizes([1n << 63n, 1], [1n << 62n, 2]),
      ...sizes([1n << 63n, 0], [1n, 63]),
      ...sizes([1n, 64], [1n, 0]),
      ...sizes([1n, 0xffffffff], [1n, 0xffffffbf]),
      ...sizes([0n, 5], [0n, 0xffffffff]),
      ...sizes([(1n << 53n) + 1n, 0], [1n << 53n, 0]),
      get({ domid: 1 }, { domid: 2 }),
      get({ domid: 1 }, { domid: 1 }),
      get({}, {}, 1n << 63n),
    ];
    dump(dir, rows);
    const fields = ['-T', 'fields', '-E', 'aggregator=|', '-e', '_ws.expert.message'];
    const lines = run(dir, 'tshark', ['-X', 'lua_script:xenmem.lua', '-r', 'structs.pcap', ...fields])
      .replace(/\n$/, '')
      .split('\n');
    expect(lines.map(messages)).toEqual(rows.map((row) => findings(row, 'arm64')));
    expect(lines.filter((line) => line === '').length).toBe(7);
  });

  /** Rows as a capture that text2pcap makes, a struct per packet. */
  function dump(dir: string, rows: readonly Golden[]): void {
    const lines = rows.map(({ bytes }) => `000000 ${Buffer.from(bytes).toString('hex').replace(/../g, '$& ')}\n`);
    writeFileSync(join(dir, 'dump.txt'), lines.join(''));
    run(dir, 'text2pcap', ['-q', '-l', '147', 'dump.txt', 'structs.pcap']);
  }

  function messages(cell: string): string[] {
    return cell
      .split('|')
      .filter((message) => message !== '')
      .sort();
  }

  /** What the rules say of the struct alone, but for what needs its address. */
  function findings({ struct, bytes }: Golden, arch: Arch): string[] {
    const op = (Object.keys(argumentOf) as JudgedOp[]).find((name) => argumentOf[name] === struct)!;
    const found = judge(observedCall(XENMEM['dma-buf'][op], { argument: bytes, arch, mayBe: opsTaking(struct) }))!.findings;
    return found.map(({ id, message }) => `${id}: ${message}`).sort();
  }

  it('names only rules there are, with their severities', () => {
    const named = [...text('arm64', 'lua').matchAll(/^ {6}\["(caller-[\w-]+)"\] = "(\w+)",$/gm)].map(([, id, severity]) => [id, severity]);
    expect(new Set(named.map(([id]) => id)).size).toBe(11); // caller-handle-high-zero is arm32's, caller-start-extent needs cmd
    const severities = named.filter(([id]) => id !== 'caller-count'); // a note but on ops 0, 1 and 6
    expect(severities).toEqual(severities.map(([id]) => [id, ruleOf(id!)?.severity]));
    expect(named.filter(([id]) => id === 'caller-count').map(([, severity]) => severity)).toEqual(['warning', 'note', 'note', 'note']);
  });

  needs(['tshark', 'text2pcap'], 'shows severities, names of domains, and a length that no struct has', () => {
    const dir = place('lua-one', 'arm64', 'lua', 'xenmem.lua');
    const sample = readFileSync(join(root, 'fixtures/structs/get-dma-buf.hex'), 'utf8').replace(/\s+/g, ' ');
    writeFileSync(join(dir, 'dump.txt'), `000000 ${sample}\n000000 01 02 03\n`);
    run(dir, 'text2pcap', ['-q', '-l', '147', 'dump.txt', 'structs.pcap']);
    const lines = run(dir, 'tshark', ['-X', 'lua_script:xenmem.lua', '-r', 'structs.pcap', '-V'])
      .split('\n')
      .map((line) => line.trim());
    expect(lines).toContain('xen_get_dma_buf, 72 bytes, get_dma_buf (26)');
    expect(lines).toContain('in.extent_start: 0xffff800012340000');
    expect(lines).toContain('in.domid: 32752 (DOMID_SELF)');
    expect(lines).toContain('[Expert Info (Note/Protocol): caller-padding-zero: padding is 5c 78 30 31 00 00, not zero]');
    expect(lines).toContain('[Expert Info (Error/Protocol): caller-nr-exchanged-zero: nr_exchanged is 0x4 on entry]');
    expect(lines).toContain('[Expert Info (Error/Malformed): 3 bytes: no struct has this size on arm64]');
    run(dir, 'text2pcap', ['-q', '-P', 'xen_get_dma_buf', 'dump.txt', 'named.pcap']);
    const named = run(dir, 'tshark', [
      '-X',
      'lua_script:xenmem.lua',
      '-r',
      'named.pcap',
      '-Y',
      'xen_get_dma_buf.in.domid == 0x7ff0',
      '-T',
      'fields',
      '-e',
      '_ws.col.Info',
    ]);
    expect(named).toBe('get_dma_buf (26)\n');
  });
});

describe('gdb', () => {
  needs(['gcc', 'gdb'], 'prints what the compiler for arm64 wrote, and what our rules find', () => {
    const dir = place('gdb', 'arm64', 'gdb', 'xenmem.gdb');
    const rows = goldens('arm64').filter((_, i) => i % 4 === 0);
    const bytes = rows.flatMap((row) => [...row.bytes]);
    writeFileSync(join(dir, 'rows.c'), `unsigned char rows[] = {${bytes.join()}};\nint main(void) { return 0; }\n`);
    run(dir, 'gcc', ['-o', 'rows', 'rows.c']);
    let at = 0;
    const calls = rows.map((row) => {
      const line = `${row.struct.replace('xen_', 'xenmem_')} (char*)&rows+${at}`;
      at += row.bytes.length;
      return line;
    });
    writeFileSync(join(dir, 'calls.gdb'), `${calls.join('\n')}\n`);
    const out = run(dir, 'gdb', ['-batch', '-nx', '-x', 'xenmem.gdb', '-x', 'calls.gdb', 'rows']);
    const found: { address: bigint; lines: string[] }[] = [];
    const shown = out
      .trimEnd()
      .split(/^(?=xen_)/m)
      .map((one) => {
        const [head = '', ...lines] = one.trimEnd().split('\n');
        found.push({ address: BigInt(/0x\w+$/.exec(head)?.[0] ?? 0), lines: lines.filter((line) => line.startsWith('  caller-')) });
        const fields = lines.filter((line) => line.startsWith('  0x'));
        const cells = fields.map((line) => line.trim().split(/ {2,}/)).filter(([, path]) => path !== 'padding');
        expect(cells.map(([, , , name]) => name).filter((name) => name !== undefined)).toEqual(
          cells
            .filter(([, path]) => path?.endsWith('domid'))
            .map(([, , value]) => domidName(Number(value)))
            .filter((name) => name !== undefined),
        );
        return `${head.split(' ')[0]} ${cells.map(([, , value]) => String(BigInt(value!))).join(' ')}`;
      });
    expect(shown).toEqual(decoded(rows));
    const told = found.map(({ lines }) => lines.map((line) => /^ {2}(caller-[\w-]+: [\w.]+)/.exec(line)?.[1]).sort());
    const expected = rows.map(({ struct, bytes: argument }, i) => {
      const op = XENMEM['dma-buf'][opsTaking(struct)[0]!];
      const { findings } = judge(observedCall(op, { arch: 'arm64', argument, arg: found[i]!.address, mayBe: opsTaking(struct) }))!;
      return findings.map(({ id, where }) => `${id}: ${where}`).sort();
    });
    expect(told).toEqual(expected);
    expect(expected.filter((ids) => ids.length > 0).length).toBeGreaterThan(20);
  });
});

describe('JSON', () => {
  it('holds what the compilers measured', () => {
    for (const arch of ['arm32', 'arm64', 'x86_64', 'x86_32'] as const) {
      const made = JSON.parse(text(arch, 'json'));
      const measured = JSON.parse(readFileSync(join(root, `fixtures/layout/${arch}.json`), 'utf8')).structs;
      expect([made.xenmem_layout, made.arch, made.byte_order]).toEqual([1, arch, 'little']);
      for (const { struct, size, align, fields } of made.structs) {
        expect({ size, align }).toEqual({ size: measured[struct].size, align: measured[struct].align });
        for (const { path, offset, size: bytes } of fields)
          expect([path, { offset, size: bytes }]).toEqual([path, measured[struct].fields[path]]);
      }
      expect(made.ops.filter((op: { merged: boolean }) => !op.merged)).toEqual([
        { name: 'XENMEM_get_dma_buf', nr: 26, merged: false, today: 'XENMEM_get_vnumainfo' },
        { name: 'XENMEM_put_dma_buf', nr: 27, merged: false, today: 'XENMEM_reserved_device_memory_map' },
      ]);
    }
  });
});
