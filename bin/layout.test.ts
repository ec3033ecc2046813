import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { blob, elf, kernelTypes } from '../src/export/built/written.stage.ts';
import { file, root, shell, xenmem } from './shell.ts';

describe('layout --emit', () => {
  it.each([
    ['c', '/* Written by `xenmem layout --emit c --arch arm32` from its table of structs. Do not edit. */'],
    ['rust', '// Written by `xenmem layout --emit rust --arch arm32` from its table of structs. Do not edit.'],
    ['lua', '-- Written by `xenmem layout --emit lua --arch arm32` from its table of structs. Do not edit.'],
    ['gdb', '# Written by `xenmem layout --emit gdb --arch arm32` from its table of structs. Do not edit.'],
    ['json', '{'],
  ])('%s', (emitter, head) => {
    const { code, stdout, stderr } = xenmem(['layout', '--emit', emitter, '--arch', 'arm32', 'put_dma_buf']);
    expect([code, stderr, stdout.split('\n')[0]]).toEqual([0, '', head]);
    expect(stdout).toContain('xen_put_dma_buf');
    expect(stdout).not.toContain('xen_get_dma_buf');
  });

  it.each([
    [['--emit', 'cobol'], 'unknown --emit "cobol" (known: c, rust, lua, json, gdb)'],
    [['--emit', 'c', '--json'], '--emit goes without --json'],
    [['--checks'], '--checks goes with --emit c'],
    [['--emit', 'rust', '--checks'], '--checks goes with --emit c'],
    [['--emit', 'c', '--compare', 'arm32', 'arm64'], '--emit goes without --compare'],
    [['--emit', 'c', 'check', 'x'], 'layout check goes without --emit'],
    [['--compare', 'arm32', 'arm64', '--', 'check', 'x'], 'layout check goes without --compare'],
  ])('%j is wrong usage', (args, message) => {
    expect(xenmem(['layout', ...args])).toEqual({ code: 2, stdout: '', stderr: `xenmem: ${message}\n` });
  });
});

describe('layout check', () => {
  const right = file('right.o', elf(blob(kernelTypes()), 64, 183));
  const drifted = file('drifted.btf', blob(kernelTypes({ domidAt: 28, extra: ['\x1b[2J', 3, 24] })));

  it('says that a kernel has the structs of the table: exit 0', () => {
    const { code, stdout, stderr } = xenmem(['layout', 'check', right]);
    expect(stdout).toBe(`\
right.o: ELF, 14 types, compared with arm64 (as the file says)
  xen_memory_reservation  equal: 32 bytes, 5 fields
  xen_get_dma_buf         equal: 72 bytes, 11 fields
  xen_put_dma_buf         equal: 32 bytes, 5 fields
  xen_memory_exchange     not in the file
`);
    expect([code, stderr]).toEqual([0, '']);
  });

  it('says the same of a big file, of which it reads only a part', () => {
    const small = elf(blob(kernelTypes()), 64, 183);
    const big = file('big.o', Buffer.concat([small, Buffer.alloc(3 << 20, 0xff)]));
    const said = (name: string): string => xenmem(['layout', 'check', name]).stdout.replace(name, 'the file');
    expect(said(big)).toBe(said(right));
    // The content of the section is at the end: what is between is not looked at.
    const moved = Buffer.concat([small, Buffer.alloc(3 << 20, 0xff), small.subarray(64)]);
    const view = new DataView(moved.buffer, moved.byteOffset);
    const table = Number(view.getBigUint64(0x28, true));
    view.setBigUint64(table + 64 + 24, BigInt(small.length + (3 << 20)), true);
    moved.fill(0, 64, 64 + 20);
    expect(said(file('moved.o', moved))).toBe(said(right));
    view.setBigUint64(table + 64 + 24, BigInt(moved.length), true);
    expect(xenmem(['layout', 'check', file('beyond.o', moved)])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^xenmem: beyond\.o: \.BTF: bytes \d+\.\.\d+ lie outside the \d+ of the file\n$/),
    });
  });

  it('says what drifted, safely for a terminal: exit 1', () => {
    const { code, stdout } = xenmem(['layout', 'check', right, drifted]);
    expect(stdout.split('\n').slice(5, 9)).toEqual([
      'drifted.btf: raw BTF, 14 types, compared with arm64 (the file does not say; it fits best)',
      '  xen_memory_reservation  differs',
      '    offset of domid: 28 in the file, 24 in the table',
      '    \\x1b[2J: at 24 in the file, not in the table',
    ]);
    expect(code).toBe(1);
  });

  it('as JSON, an object per file', () => {
    const { code, stdout } = xenmem(['layout', 'check', '--json', '--arch', 'x86_64', drifted]);
    const { structs, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({
      file: 'drifted.btf',
      container: 'raw BTF',
      types: 14,
      arch: 'x86_64',
      arch_from: 'asked',
      absent: ['xen_memory_exchange'],
    });
    expect(structs[2]).toEqual({
      struct: 'xen_put_dma_buf',
      size: 32,
      fields: 5,
      equal: false,
      differences: ['offset of in.domid: 28 in the file, 24 in the table', 'in.\x1b[2J: at 24 in the file, not in the table'],
    });
    expect(code).toBe(1);
  });

  it('reads stdin, and what is packed', () => {
    file('right.gz', gzipSync(elf(blob(kernelTypes()), 64, 183)));
    const { code, stdout } = shell('xenmem layout check - < right.gz');
    expect([code, stdout.split('\n')[0]]).toEqual([0, 'stdin: gzip of ELF, 14 types, compared with arm64 (as the file says)']);
  });

  it('cannot read what is no kernel: exit 3, and the others still have their turn', () => {
    const { code, stdout, stderr } = xenmem(['layout', 'check', file('noise', 'x'.repeat(100)), 'absent', '.', right]);
    expect(stderr.split('\n')).toEqual([
      'xenmem: noise: no types in it: neither an ELF with BTF or debug information, nor an archive of such, nor the image of a kernel with CONFIG_DEBUG_INFO_BTF',
      'xenmem: absent: no such file',
      'xenmem: .: is a directory',
      '',
    ]);
    expect([code, stdout.split('\n').length]).toEqual([3, 6]);
  });

  it('reads debug information, where the struct has another name too', () => {
    const object = file('zephyr.o', readFileSync(join(root, 'fixtures/objects/arm32-gcc-dwarf4.o')));
    const args = ['layout', 'check', '--as', 'xen_memory_exchange=get_dma_buf', object];
    const { code, stdout, stderr } = xenmem(args);
    expect(stdout).toBe(`\
zephyr.o: ELF, 1 unit of DWARF 4, compared with arm32 (as the file says)
  xen_memory_reservation  equal: 32 bytes, 5 fields
  xen_memory_exchange     equal: 72 bytes, 11 fields
  xen_get_dma_buf         equal: 72 bytes, 11 fields
  xen_get_dma_buf         equal: 72 bytes, 11 fields, as xen_memory_exchange
  xen_put_dma_buf         equal: 32 bytes, 5 fields
`);
    expect([code, stderr]).toEqual([0, '']);
    expect(xenmem(['layout', 'check', '--as', 'Reservation', object])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'xenmem: --as "Reservation": expected NAME=STRUCT, as MemoryReservation=xen_memory_reservation\n',
    });
  });

  it("reads a module's types on from its kernel's", () => {
    const kernel = kernelTypes().slice(0, 11);
    const all = blob(kernelTypes());
    const base = blob(kernel);
    file('base.btf', base);
    // The module's own types, numbered on, with strings whose offsets go on too.
    const [baseTypes, baseStrings] = [new DataView(base.buffer).getUint32(12, true), new DataView(base.buffer).getUint32(20, true)];
    const [types, strings] = [new DataView(all.buffer).getUint32(12, true), new DataView(all.buffer).getUint32(20, true)];
    const rest = all.slice(24 + baseTypes, 24 + types);
    const own = all.slice(24 + types + baseStrings, 24 + types + strings);
    const head = new DataView(new ArrayBuffer(24));
    for (const [i, word] of [0x0001eb9f, 24, 0, rest.length, rest.length, own.length].entries()) head.setUint32(4 * i, word, true);
    const module = file('module.btf', Buffer.concat([new Uint8Array(head.buffer), rest, own]));
    expect(xenmem(['layout', 'check', module]).stderr.split('\n')[0]).toBe(
      "xenmem: module.btf: BTF of a module, which goes on from its kernel's: check the kernel, or say --base VMLINUX",
    );
    const { code, stdout } = xenmem(['layout', 'check', '--base', 'base.btf', module]);
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      'module.btf: raw BTF, 3 types, compared with arm64 (the file does not say; it fits best)',
    ]);
  });

  it('of a file with none of the structs: exit 4', () => {
    const { code, stdout, stderr } = xenmem(['layout', 'check', file('none.btf', blob(kernelTypes().slice(0, 4)))]);
    expect([code, stderr, ...stdout.split('\n').slice(0, 2)]).toEqual([
      4,
      'xenmem: none of the structs is in there\n',
      'none.btf: raw BTF, 4 types',
      '  xen_memory_reservation  not in the file',
    ]);
  });
});
