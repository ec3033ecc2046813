import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, file, has, hex, root, scratch, shell, xenmem } from './shell.ts';

const sample = join(root, 'fixtures/structs/get-dma-buf.hex');

/**
 * A `xen_memory_reservation` of 64-bit layout, by hand: little-endian hex of each field in turn,
 * then padding.
 */
const reservation = (start: string, nr: string, order: string, bits: string, domid: string, padding = '000000000000'): string =>
  start + nr + order + bits + domid + padding;
const self = 'f07f';
const clean = reservation('0000004000000000', '0100000000000000', '00000000', '00000000', self);

describe('the view for people', () => {
  it('shows bytes and meaning side by side, findings beside their rows', () => {
    const { code, stdout, stderr } = xenmem(['decode', '-'], shell(`cat '${sample}'`).stdout);
    expect(stderr).toBe('xenmem: note: stdin: read as plain hex\n');
    expect(stdout).toBe(`\
xen_memory_exchange (op 11), and xen_get_dma_buf (op 26)  72 bytes  arm64
0x00│00 00 34 12 00 80 ff ff│ in.extent_start   0xffff800012340000
0x08│04 00 00 00 00 00 00 00│ in.nr_extents     4
0x10│00 00 00 00            │ in.extent_order   0  (4 KiB each)
0x14│            00 00 00 00│ in.address_bits   0
0x18│f0 7f                  │ in.domid          DOMID_SELF (0x7ff0)
0x1a│      5c 78 30 31 00 00│ padding           not zero              note  caller-padding-zero
0x20│20 00 34 12 00 80 ff ff│ out.extent_start  0xffff800012340020
0x28│01 00 00 00 00 00 00 00│ out.nr_extents    1
0x30│02 00 00 00            │ out.extent_order  2  (16 KiB each)
0x34│            20 00 00 00│ out.address_bits  32  (below 2^32)
0x38│f0 7f                  │ out.domid         DOMID_SELF (0x7ff0)
0x40│04 00 00 00 00 00 00 00│ nr_exchanged      4                     error caller-nr-exchanged-zero
  caller-nr-exchanged-zero: nr_exchanged is 0x4 on entry
✗ 1 error, 1 note   (xenmem explain caller-nr-exchanged-zero)
`);
    expect(code).toBe(1);
  });

  it('takes the largest values there are, exactly, in 100 columns', () => {
    const worst = reservation('ff'.repeat(8), 'ff'.repeat(8), 'ffffffff', 'ffffffff', 'ffff', 'ff'.repeat(6));
    for (const arch of ['arm64', 'arm32']) {
      const { code, stdout } = xenmem(['decode', '--struct', 'get_dma_buf', '--arch', arch], hex(worst + worst + 'ff'.repeat(8)));
      const rows = stdout.split('\n');
      expect(rows.filter((row) => [...row].length > 100)).toEqual([]);
      const beside = arch === 'arm64' ? 'warning caller-list-aligned' : 'error caller-handle-high-zero';
      expect(rows[1]).toBe(`0x00│ff ff ff ff ff ff ff ff│ in.extent_start   0xffffffffffffffff    ${beside}`);
      expect(rows).toContain('0x08│ff ff ff ff ff ff ff ff│ in.nr_extents     18446744073709551615  (0xffffffffffffffff)');
      expect(rows).toContain('0x10│ff ff ff ff            │ in.extent_order   4294967295            warning caller-order');
      expect(rows).toContain('0x14│            ff ff ff ff│ in.address_bits   0xffffffff  (ignored)');
      expect(rows).toContain('0x34│            ff ff ff ff│ out.address_bits  0xffffffff  (255 bits, node 254, PoD, exact, vnode)');
      expect(rows).toContain('    │                       │                                         warning caller-address-bits');
      expect(rows).toContain('    │                       │                                         error caller-nr-exchanged-zero');
      expect(code).toBe(1);
    }
  });

  it('says where in an array a struct stands', () => {
    const { stdout } = xenmem(['decode', '--struct', 'put_dma_buf'], hex(clean + clean));
    expect(stdout.split('\n').filter((row) => row.startsWith('xen_'))).toEqual([
      'xen_put_dma_buf  32 bytes  arm64  op 27',
      'xen_put_dma_buf  32 bytes  arm64  op 27  at byte 32',
    ]);
  });

  it('of a bare reservation does not guess the op', () => {
    expect(xenmem(['decode', '--struct', 'memory_reservation'], hex(clean)).stdout.split('\n')[0]).toBe(
      'xen_memory_reservation  32 bytes  arm64',
    );
  });

  it('of a trace shows each call that has a struct, with op and number', () => {
    const { code, stdout } = xenmem(['decode', join(captures, 'xen-4.17-x86_64-pv-dom0.ndjson')]);
    const heads = stdout.split('\n').filter((row) => row.startsWith('xen_'));
    expect(heads.length).toBe(43);
    expect(heads[4]).toBe('xen_memory_reservation  32 bytes  x86_64  op 0 from 1  #5');
    expect(heads[27]).toBe('xen_memory_exchange  72 bytes  x86_64  op 11  #28');
    expect(heads[41]).toBe('xen_memory_exchange  0 of 72 bytes  x86_64  op 11  #42');
    expect(code).toBe(1);
  });
});

describe('a struct that is cut', () => {
  const cut = hex(clean + reservation('0000004100000000', '0200000000000000', '00000000', '00000000', self));

  it('is asked about where it is rather two reservations', () => {
    const { code, stdout, stderr } = xenmem(['decode'], hex(clean + clean));
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/64 bytes may be two xen_memory_reservation \(--struct xen_memory_reservation\), or one .* cut \(--cmd 11\)/);
  });

  it('is shown as far as it goes, called cut, and never filled with zeros', () => {
    file('cut64', cut);
    const { code, stdout, stderr } = xenmem(['decode', 'cut64']);
    expect(stderr).toBe(
      'xenmem: note: cut64: read as raw bytes\n' +
        'xenmem: note: cut64: xen_get_dma_buf is cut: 64 of 72 bytes, as bpftrace (BPFTRACE_STRLEN) and %*ph cut it\n',
    );
    const rows = stdout.split('\n');
    expect(rows[0]).toBe('xen_memory_exchange (op 11), and xen_get_dma_buf (op 26)  64 of 72 bytes  arm64');
    expect(rows[10]).toBe('0x38│f0 7f                  │ out.domid         DOMID_SELF (0x7ff0)');
    expect(rows[11]).toBe('0x40│                       │ nr_exchanged      not captured');
    expect(code).toBe(1);
  });

  it('without other faults is exit 3', () => {
    const apart = clean + reservation('0000005000000000', '0100000000000000', '00000000', '00000000', self);
    const { code, stdout } = xenmem(['decode', '--json'], hex(apart));
    expect(JSON.parse(stdout)).toMatchObject({ struct: 'xen_get_dma_buf', cut: 64, value: { nr_exchanged: null }, findings: [] });
    expect(code).toBe(3);
  });

  it('in the middle of a field says so', () => {
    const { code, stdout } = xenmem(['decode', '--struct', 'put_dma_buf'], hex(clean).subarray(0, 13));
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      'xen_put_dma_buf  13 of 32 bytes  arm64  op 27',
      '0x00│00 00 00 40 00 00 00 00│ in.extent_start   0x40000000',
      '0x08│01 00 00 00 00         │ in.nr_extents     cut: only 5 bytes captured',
      '0x10│                       │ in.extent_order   not captured',
    ]);
    expect(code).toBe(3);
  });

  it('of the size that op 26 has had since Xen 4.5 gets a note about profile upstream', () => {
    file('forty', cut.subarray(0, 40));
    const { code, stderr } = xenmem(['decode', '--cmd', '26', 'forty']);
    expect(stderr).toBe(
      'xenmem: note: forty: read as raw bytes\n' +
        'xenmem: note: forty: xen_get_dma_buf is cut: 40 of 72 bytes\n' +
        'xenmem: note: forty: 40 bytes fit op 26 of profile upstream (get_vnumainfo) better\n',
    );
    expect(code).toBe(3);
  });
});

describe('--json', () => {
  it('is one object per struct, as the protocol has it', () => {
    const input = reservation('0000341200 80ffff', '0200000000000000', '00000000', '00000000', self, 'a5'.repeat(6));
    const out = reservation('0001341200 80ffff', '0000000000000080', '01000000', '20000000', self);
    const { code, stdout } = xenmem(['decode', '--json', '--cmd', '26'], hex(`${input}${out}0000000000000000`));
    expect(stdout).toBe(
      `${JSON.stringify({
        struct: 'xen_get_dma_buf',
        arch: 'arm64',
        size: 72,
        value: {
          in: { extent_start: '0xffff800012340000', nr_extents: '0x2', extent_order: 0, address_bits: 0, domid: 32752 },
          out: { extent_start: '0xffff800012340100', nr_extents: '0x8000000000000000', extent_order: 1, address_bits: 32, domid: 32752 },
          nr_exchanged: '0x0',
        },
        padding: { in: 'a5a5a5a5a5a5' },
        findings: [
          {
            id: 'caller-padding-zero',
            blame: 'caller',
            severity: 'note',
            message: 'padding is a5 a5 a5 a5 a5 a5, not zero',
            where: 'in.padding',
            bytes: [26, 32],
          },
          {
            id: 'caller-size-match',
            blame: 'caller',
            severity: 'error',
            message: 'in is 2 << 0 pages, out is 9223372036854775808 << 1',
            where: 'out.nr_extents',
            bytes: [40, 48],
          },
          {
            id: 'caller-lists-disjoint',
            blame: 'caller',
            severity: 'error',
            message: 'the list of 9223372036854775808 entries at 0xffff800012340100 runs past the end of the address space',
            where: 'out.extent_start',
            bytes: [32, 40],
          },
          {
            id: 'caller-count',
            blame: 'caller',
            severity: 'note',
            message: '9223372036854775808 extents are more than the 0x3ffffff that start_extent can count',
            where: 'out.nr_extents',
            bytes: [40, 48],
          },
        ],
      })}\n`,
    );
    expect(code).toBe(1);
  });

  it('then encode gives the same bytes, padding and values above 2^63 included', () => {
    const bytes = Uint8Array.from({ length: 72 * 3 }, (_, i) => (i * 89 + 0x91) & 0xff);
    file('any.bin', bytes);
    const { code, stderr } = shell(
      `xenmem decode --json --fail-on never --struct get_dma_buf any.bin 2>/dev/null | xenmem encode > ${scratch}/again.bin; cmp any.bin again.bin`,
    );
    expect([code, stderr]).toEqual([0, '']);
    const captured = shell(`xenmem decode --json '${join(captures, 'xen-4.17-arm64-balloon.ndjson')}' | xenmem encode --hex`);
    expect(captured.stdout.split('\n')[0]).toBe('001401600000000004000000000000000000000000000000f07fa5a5a5a5a5a5');
    expect(captured.stdout.split('\n').length).toBe(10);
  });
});

describe('--fail-on', () => {
  const run = (...args: string[]): number | null =>
    xenmem(['decode', ...args], hex(reservation('0400004000000000', '01'.padEnd(16, '0'), '00000000', '00000000', self, 'a5'.repeat(6))))
      .code;

  it('is what makes it exit 1', () => {
    // One warning (the list is not 8-aligned) and one note (padding).
    expect(run('--cmd', '27')).toBe(0);
    expect(run('--cmd', '27', '--fail-on', 'warning')).toBe(1);
    expect(run('--cmd', '27', '--fail-on', 'note')).toBe(1);
    expect(run('--cmd', '27', '--fail-on', 'note', '--blame', 'hypervisor')).toBe(0);
    expect(run('--cmd', '27', '--fail-on', 'never')).toBe(0);
  });
});

describe('dumps', () => {
  for (const tool of ['xxd', 'xxd -p', 'hexdump -C']) {
    it.skipIf(!has(tool.split(' ')[0] as string))(tool, () => {
      const out = reservation('0000005000000000', '0100000000000000', '00000000', '00000000', self);
      file('clean.bin', hex(`${clean}${out}0000000000000000`));
      const direct = xenmem(['decode', 'clean.bin']);
      expect(direct.code).toBe(0);
      expect(shell(`${tool} clean.bin | xenmem decode -`)).toEqual({ ...direct, stderr: `xenmem: note: stdin: read as ${tool}\n` });
    });
  }
});

describe('what is not guessed', () => {
  const small = '004023c1040000000000000000000000f07f0000';

  it.each([
    ['20 bytes', [], small, '20 bytes: xen_memory_reservation of x86_32: --arch x86_32'],
    ['44 bytes', [], `${small}${small}00000000`, '44 bytes: xen_memory_exchange of x86_32: --arch x86_32'],
    ['44 bytes with --cmd', ['--cmd', '11'], `${small}${small}00000000`, '44 bytes: xen_memory_exchange of x86_32: --arch x86_32'],
    ['20 bytes with --struct', ['--struct', 'memory_reservation'], small, '20 bytes: xen_memory_reservation of x86_32: --arch x86_32'],
  ])('%s name the architecture whose struct they are', (_, args, bytes, message) => {
    const { code, stdout, stderr } = xenmem(['decode', ...args], hex(bytes));
    expect([code, stdout, stderr.split('\n')[1]]).toEqual([3, '', `xenmem: stdin: ${message}`]);
    expect(xenmem(['decode', '--fail-on', 'never', '--arch', 'x86_32', ...args], hex(bytes)).code).toBe(0);
  });

  it('two names are given to 72 bytes, one where the op is said', () => {
    const bytes = hex(`${clean}${reservation('0000005000000000', '0100000000000000', '00000000', '00000000', self)}0000000000000000`);
    expect(JSON.parse(xenmem(['decode', '--json'], bytes).stdout)).toMatchObject({
      struct: 'xen_get_dma_buf',
      structs: ['xen_memory_exchange', 'xen_get_dma_buf'],
    });
    expect(xenmem(['decode', '--cmd', '11'], bytes).stdout.split('\n')[0]).toBe('xen_memory_exchange  72 bytes  arm64  op 11');
    expect(xenmem(['validate'], bytes).stdout.split('\n')[0]).toMatch(/^@0 +exchange or get_dma_buf /);
  });

  it('a word order is asked for, and its answer is taken', () => {
    const dump = '00000000: 00800000 00000000 00000000 00000000\n00000010: 00000000 00000000 00000000 00000000\n';
    const { code, stdout, stderr } = xenmem(['decode'], dump);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/--word-order big.*--word-order little/);
    expect(xenmem(['decode', '--word-order', 'little'], dump).stdout).toContain('extent_start      0x800000\n');
    expect(xenmem(['decode', '--word-order', 'big'], dump).stdout).toContain('extent_start      0x8000\n');
  });

  it('a file of another kind is named, with --struct too', () => {
    const elf = hex('7f454c460201010000000000000000000400b7000100000000000000000000'.padEnd(64, '0'));
    for (const args of [[], ['--struct', 'memory_reservation'], ['--cmd', '6']]) {
      const { code, stdout, stderr } = xenmem(['decode', ...args], elf);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^xenmem: stdin: this is an ELF file: /);
    }
  });
});
