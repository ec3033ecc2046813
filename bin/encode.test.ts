import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { file, scratch, shell, xenmem } from './shell.ts';

const reservation = { extent_start: '0x40000000', nr_extents: 4, extent_order: 0, address_bits: 0, domid: 0x7ff0 };
const put = { struct: 'xen_put_dma_buf', value: { in: reservation } };
const putHex = '00000040000000000400000000000000 0000000000000000 f07f000000000000'.replaceAll(' ', '');
const changed = (change: object): string => JSON.stringify({ in: { ...reservation, ...change } });

describe('takes', () => {
  const made = (json: unknown, ...args: string[]): string => {
    const { code, stdout, stderr } = xenmem(['encode', '--hex', ...args], JSON.stringify(json));
    expect([code, stderr]).toEqual([0, '']);
    return stdout.trimEnd();
  };

  it('what decode --json prints', () => expect(made(put)).toBe(putHex));
  it('just the value, with --struct or --cmd', () => {
    expect(made(put.value, '--struct', 'put_dma_buf')).toBe(putHex);
    expect(made(put.value, '--cmd', '27')).toBe(putHex);
  });
  it('the padding', () => expect(made({ ...put, padding: { in: 'a5a5a5a5a5a5' } })).toBe(putHex.replace(/0{12}$/, 'a5a5a5a5a5a5')));
  it('an architecture, and a flag that beats it', () => {
    const small = '00000040040000000000000000000000f07f0000';
    expect(made({ ...put, arch: 'x86_32' })).toBe(small);
    expect(made({ ...put, arch: 'x86_32' }, '--arch', 'arm32')).toBe(putHex);
  });
  it('mem_flags for address_bits, numbers in decimal and hex strings', () => {
    const { address_bits, ...rest } = reservation;
    expect(made({ in: { ...rest, nr_extents: '18446744073709551615', mem_flags: '0xffffffff' } }, '--cmd', '27')).toBe(
      '0000004000000000ffffffffffffffff 00000000ffffffff f07f000000000000'.replaceAll(' ', ''),
    );
  });
});

describe('refuses a line that does not fit, says where, writes nothing for it and goes on', () => {
  it.each([
    [changed({ extent_order: 2 ** 32 }), 'xen_put_dma_buf.in.extent_order @16: range: expected 0..4294967295, got 4294967296'],
    [changed({ domid: 70_000 }), 'xen_put_dma_buf.in.domid @24: range: expected 0..65535, got 70000'],
    [changed({ domid: -1 }), 'xen_put_dma_buf.in.domid @24: range: expected 0..65535, got -1'],
    [changed({ domid: 0.5 }), 'xen_put_dma_buf.in.domid @24: range: expected a whole number, got 0.5'],
    [changed({ domid: undefined }), 'xen_put_dma_buf.in.domid @24: missing: no value'],
    [changed({ domid: null }), 'xen_put_dma_buf.in.domid @24: missing: null: it was not captured'],
    [changed({ domid: 'self' }), 'xen_put_dma_buf.in.domid @24: type: expected a number, got "self"'],
    [changed({ domain: 1 }), 'xen_put_dma_buf.in.domain @0: extra: no such field'],
    [changed({ mem_flags: 0 }), 'xen_put_dma_buf.in.address_bits @0: extra: given twice, as address_bits and mem_flags'],
    [
      changed({ nr_extents: '0x10000000000000000' }),
      'xen_put_dma_buf.in.nr_extents @8: range: expected 0..18446744073709551615, got 0x10000000000000000',
    ],
    ['{"in":9007199254740993}', 'xen_put_dma_buf.in @0: type: expected an object, got 9007199254740992 (a number)'],
    [
      changed({ nr_extents: 0 }).replace('"nr_extents":0', '"nr_extents":9007199254740993'),
      'xen_put_dma_buf.in.nr_extents @8: range: a JSON number above 2^53 has lost digits: write it as a string, "0x…"',
    ],
    ['[]', 'expected a JSON object'],
    ['{"in":', 'not JSON at column 7: the line ends too early (a record is one line)'],
  ])('%s', (line, message) => {
    const good = JSON.stringify(put.value);
    const { code, stdout, stderr } = xenmem(['encode', '--hex', '--cmd', '27'], `${good}\n${line}\n# a comment\n${good}\n`);
    expect(stderr).toBe(`xenmem: stdin:2: ${message}\n`);
    expect(stdout).toBe(`${putHex}\n${putHex}\n`);
    expect(code).toBe(3);
  });

  it('and so for what the object says of itself', () => {
    file('self.ndjson', ['xen_get_dma_bug', 'constructor'].map((struct) => JSON.stringify({ ...put, struct })).join('\n'));
    file('arch.ndjson', JSON.stringify({ ...put, arch: 'arm46' }));
    file('padding.ndjson', JSON.stringify({ ...put, padding: { in: 'a5' } }));
    const { code, stdout, stderr } = xenmem(['encode', '--hex', 'self.ndjson', 'arch.ndjson', 'padding.ndjson']);
    expect(stderr).toBe(
      'xenmem: self.ndjson:1: unknown struct "xen_get_dma_bug", did you mean "xen_get_dma_buf"?\n' +
        'xenmem: self.ndjson:2: unknown struct "constructor"\n' +
        'xenmem: arch.ndjson:1: unknown arch "arm46", did you mean "arm64"? (known: arm32, arm64, x86_64, x86_32)\n' +
        'xenmem: padding.ndjson:1: xen_put_dma_buf.in @26: size: expected 6 bytes of padding, got 1\n',
    );
    expect([code, stdout]).toEqual([3, '']);
  });
});

describe('--out', () => {
  const path = join(scratch, 'out.bin');

  it('is not overwritten without --force', () => {
    file('put.ndjson', JSON.stringify(put));
    writeFileSync(path, 'precious');
    expect(xenmem(['encode', 'put.ndjson', '--out', 'out.bin'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'xenmem: --out out.bin: exists already (--force overwrites)\n',
    });
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(xenmem(['encode', 'put.ndjson', '--out', 'out.bin', '--force'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(path).toString('hex')).toBe(putHex);
  });

  it('is left as it was by input that makes nothing', () => {
    writeFileSync(path, 'precious');
    expect(xenmem(['encode', '-', '-o', 'out.bin', '--force'], 'no\n').code).toBe(3);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(xenmem(['encode', '-', '-o', 'new.bin'], 'no\n').code).toBe(3);
    expect(existsSync(join(scratch, 'new.bin'))).toBe(false);
  });

  it('- is stdout', () => {
    expect(shell('xenmem encode put.ndjson --out - | wc -c')).toEqual({ code: 0, stdout: '32\n', stderr: '' });
  });

  it('that cannot be written is said', () => {
    const failed = (out: string): string => xenmem(['encode', 'put.ndjson', '--out', out, '--force']).stderr;
    expect(failed('no/such/file')).toBe('xenmem: --out no/such/file: no such file\n');
    expect(failed('/')).toBe('xenmem: --out /: is a directory\n');
    expect(failed('/dev/full')).toBe('xenmem: --out /dev/full: no space left\n');
  });
});
