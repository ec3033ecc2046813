import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blob, kernelTypes } from '../src/export/built/written.stage.ts';
import { file, root, scratch, xenmem } from './shell.ts';

const object = (name: string): string => file(`${name}.o`, readFileSync(join(root, `fixtures/objects/${name}.o`)));
const arm64 = object('arm64-gcc-dwarf5');
const arm32 = object('arm32-gcc-dwarf4');
const x86 = object('x86_32-gcc-types-gz');

describe('layout diff', () => {
  it('two builds that are the same: exit 0', () => {
    expect(xenmem(['layout', 'diff', arm64, arm32])).toEqual({
      code: 0,
      stderr: '',
      stdout: `\
xen_memory_reservation  equal: 32 bytes, 5 fields
xen_memory_exchange     equal: 72 bytes, 11 fields
xen_get_dma_buf         equal: 72 bytes, 11 fields
xen_put_dma_buf         equal: 32 bytes, 5 fields
`,
    });
  });

  it('what became of each field: exit 1', () => {
    const { code, stdout, stderr } = xenmem(['layout', 'diff', arm64, x86, 'xen_memory_reservation']);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toBe(`\
xen_memory_reservation  6 changes
  size: 32 → 20 bytes
  extent_start: size 8 → 4, union → pointer
  nr_extents: offset 8 → 4, size 8 → 4
  extent_order: offset 16 → 8
  address_bits: offset 20 → 12
  domid: offset 24 → 16
`);
  });

  it('fields that came and went, and a struct that only one side has', () => {
    const old = file('old.btf', blob(kernelTypes({ put: false })));
    const now = file('now.btf', blob(kernelTypes({ addressBits: 'width', extra: ['flags', 3, 26] })));
    const { code, stdout } = xenmem(['layout', 'diff', old, now, 'xen_memory_reservation', 'xen_put_dma_buf']);
    expect(code).toBe(1);
    expect(stdout).toBe(`\
xen_memory_reservation  3 changes
  address_bits: removed (4 bytes at 20)
  width: added (4 bytes at 20)
  flags: added (2 bytes at 26)
xen_put_dma_buf: only in now.btf
`);
  });

  it('a build and the table, by the architecture of the build', () => {
    const { code, stdout } = xenmem(['layout', 'diff', 'table', x86, '--json', 'xen_put_dma_buf']);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { struct: 'xen_put_dma_buf', from: 'table (x86_32)', to: x86, sizes: [20, 20], fields: 5, equal: true, changes: [] },
    ]);
    expect(xenmem(['layout', 'diff', arm64, 'table', '--arch', 'x86_32', 'xen_put_dma_buf']).stdout).toContain('in.domid: offset 24 → 16');
  });

  it('without names: the structs of the table, the others of memory.h where a build has them', () => {
    const members = ['start', 4, 0, 'end', 4, 64, 'flags', 2, 128, 'nid', 2, 160];
    const range = { kind: 4, name: 'xen_vmemrange', last: 24, count: 4, list: members };
    const made = file('range.btf', blob([...kernelTypes(), range]));
    const others = file('others.btf', blob(kernelTypes()));
    const last = (...args: string[]): (string | undefined)[] =>
      xenmem(['layout', 'diff', ...args])
        .stdout.split('\n')
        .slice(-3, -1);
    const exchange = 'xen_memory_exchange: only in table (arm64)';
    expect(last(made, 'table')).toEqual(['xen_vmemrange           equal: 24 bytes, 4 fields', exchange]);
    expect(last(others, 'table')).toEqual(['xen_put_dma_buf         equal: 32 bytes, 5 fields', exchange]);
    expect(last(made, others)).toEqual(['xen_memory_exchange: in neither', 'xen_vmemrange: only in range.btf']);
  });

  it('any struct of the two by its name, and none in common is exit 4', () => {
    expect(xenmem(['layout', 'diff', arm64, arm32, 'nowhere'])).toEqual({
      code: 4,
      stdout: 'nowhere: in neither\n',
      stderr: 'xenmem: the two have none of the structs in common\n',
    });
  });

  it('reports, of diff and of check', () => {
    const { stdout } = xenmem(['layout', 'diff', arm64, x86, '--report', 'github=-', '--report', 'junit=out.xml']);
    expect(stdout.split('\n').at(-2)).toBe('::notice title=xenmem layout diff::layout diff: 4 of 4 differ');
    expect(readFileSync(join(scratch, 'out.xml'), 'utf8')).toContain('tests="4" failures="4"');
    expect(xenmem(['layout', 'check', arm64, x86, '--report', 'github=-']).stdout).toBe(
      '::notice title=xenmem layout check::layout check: 0 of 8 differ\n',
    );
  });

  it.each([
    [['layout', 'diff', arm64], 'layout diff wants two builds: FILE FILE, or FILE table', 2],
    [['layout', 'diff', 'table', 'table'], 'layout diff compares the table with a build: layout --compare compares two architectures', 2],
    [
      ['layout', 'diff', arm64, arm32, '--report', 'html=x'],
      '--report "html=x": expected KIND=FILE, with KIND one of junit, sarif, github, markdown',
      2,
    ],
    [['layout', 'diff', arm64, 'absent'], 'absent: no such file', 3],
    [['layout', 'diff', '-', '-'], 'stdin (-) can be read only once', 2],
    [['layout', '--report', 'junit=x'], '--report goes with check or diff', 2],
  ])('%j is told in one sentence', (args, message, code) => {
    expect(xenmem(args)).toEqual({ code, stdout: '', stderr: `xenmem: ${message}\n` });
  });
});
