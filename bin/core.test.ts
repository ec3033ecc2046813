import { describe, expect, it } from 'vitest';
import { file, xenmem } from './shell.ts';

/** A segment of a core. */
interface Held {
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly bytes: Uint8Array;
}

/** A core of 64 bits (arm64) or 32 (arm32), its segments one after another. */
function core(bits: 32 | 64, segments: readonly Held[]): Buffer {
  const [header, entry] = bits === 64 ? [64, 56] : [52, 32];
  const head = Buffer.alloc(header + entry * segments.length);
  head.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  head.writeUInt16LE(4, 0x10);
  head.writeUInt16LE(bits === 64 ? 183 : 40, 0x12);
  const word = (at: number, value: bigint): void => {
    if (bits === 64) head.writeBigUInt64LE(value, at);
    else head.writeUInt32LE(Number(value), at);
  };
  word(bits === 64 ? 0x20 : 0x1c, BigInt(header));
  head.writeUInt16LE(entry, bits === 64 ? 0x36 : 0x2a);
  head.writeUInt16LE(segments.length & 0xffff, bits === 64 ? 0x38 : 0x2c);
  let offset = head.length;
  for (const [i, { virtual, physical, bytes }] of segments.entries()) {
    const at = header + i * entry;
    head.writeUInt32LE(1, at);
    word(at + (bits === 64 ? 8 : 4), BigInt(offset));
    word(at + (bits === 64 ? 16 : 8), virtual);
    word(at + (bits === 64 ? 24 : 12), physical);
    word(at + (bits === 64 ? 32 : 16), BigInt(bytes.length));
    offset += bytes.length;
  }
  return Buffer.concat([head, ...segments.map(({ bytes }) => bytes)]);
}

const words = (...values: bigint[]): Buffer => {
  const made = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) made.writeBigUInt64LE(value, 8 * i);
  return made;
};

// populate_physmap of 3 extents of order 0, its list in the next segment.
const reservation = words(0xffff_0000_1000_2000n, 3n, 0n, 0x7ff0n);
const frames = words(0x40600n, 0x40601n, 0x40601n);

describe('decode --elf', () => {
  it('shows the struct and follows its list through the program headers, and judges what is listed', () => {
    const made = file(
      'guest.core',
      core(64, [
        { virtual: 0xffff_0000_1000_1000n, physical: 0x4000_1000n, bytes: Buffer.concat([Buffer.alloc(64), reservation]) },
        { virtual: 0xffff_0000_1000_2000n, physical: 0x4000_5000n, bytes: frames },
      ]),
    );
    const { code, stdout, stderr } = xenmem(['decode', '--elf', made, '--at', '0xffff000010001040', '--cmd', '6', '--fail-on', 'warning']);
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('xen_memory_reservation  32 bytes  arm64  op 6  at 0xffff000010001040');
    expect(lines).toContain('  extent_start: 3 entries at 0xffff000010002000: 0x40600 0x40601 0x40601');
    expect(stdout).toContain('caller-extents-distinct');
    expect(code).toBe(1);
    const physical = xenmem(['decode', '--elf', made, '--at', '0x40001040', '--space', 'physical', '--cmd', '6', '--json']);
    expect(JSON.parse(physical.stdout).lists).toEqual({
      extent_start: { address: '0xffff000010002000', count: '3', entries: [] },
    });
  });

  it('of 32 bits, where a handle is the low half of its word, and the core ends early', () => {
    const struct = Buffer.from(reservation);
    struct.writeBigUInt64LE(0x4000_2000n);
    const made = file(
      'small.core',
      core(32, [
        { virtual: 0x4000_1000n, physical: 0n, bytes: struct },
        { virtual: 0x4000_2000n, physical: 0n, bytes: frames.subarray(0, 20) },
      ]),
    );
    const { code, stdout, stderr } = xenmem(['decode', '--elf', made, '--at', '0x40001000', '--struct', 'memory_reservation']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('arm32');
    expect(stdout).toContain('  extent_start: 2 of 3 entries at 0x40002000: 0x40600 0x40601\n');
  });

  it('of segments that lie over each other each byte is read once, however many they are', () => {
    // 5000 that all say they hold the same 8 MiB, of which a list is said to take all.
    const count = 5000;
    const struct = words(0x2000n, 0xffff_ffffn, 0n, 0x7ff0n);
    const memory = Buffer.alloc(8 << 20);
    memory.set(struct);
    memory.set(frames, 0x1000);
    const made = core(64, [
      ...Array.from({ length: count }, () => ({ virtual: 0x1000n, physical: 0n, bytes: Buffer.alloc(0) })),
      { virtual: 0x1010n, physical: 0n, bytes: Buffer.alloc(16, 0xff) },
    ]);
    for (let i = 0; i < count; i++) {
      made.writeBigUInt64LE(BigInt(made.length), 64 + 56 * i + 8);
      made.writeBigUInt64LE(BigInt(memory.length), 64 + 56 * i + 32);
    }
    const name = file('crowded.core', Buffer.concat([made, memory]));
    const { code, stdout, stderr } = xenmem(['decode', '--elf', name, '--at', '0x1000', '--struct', 'memory_reservation']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`  extent_start: ${((8 << 20) - 0x1000) / 8} of 4294967295 entries at 0x2000: 0x40600 0x40601 0x40601 0x0`);
    expect(stdout).toMatch(/domid +DOMID_SELF/);
  });

  it.each([64, 32] as const)('of more mappings than 16 bits count, whose number is behind all memory, of %d bits', (bits) => {
    const spread = { virtual: 0x4000_0000n, physical: 0n, bytes: Buffer.alloc(1) };
    const struct = words(0x4000_2000n, 3n, 0n, 0x7ff0n);
    // More memory than headers are looked for in: the number is not among the first 64 MiB.
    const made = core(bits, [
      ...Array(70_000).fill(spread),
      { virtual: 0x4000_1000n, physical: 0n, bytes: struct },
      { virtual: 0x4000_2000n, physical: 0n, bytes: Buffer.concat([frames, Buffer.alloc(64 << 20)]) },
    ]);
    const section = Buffer.alloc(bits === 64 ? 64 : 40);
    section.writeUInt32LE(70_002, bits === 64 ? 44 : 28);
    if (bits === 64) made.writeBigUInt64LE(BigInt(made.length), 0x28);
    else made.writeUInt32LE(made.length, 0x20);
    made.writeUInt16LE(0xffff, bits === 64 ? 0x38 : 0x2c);
    const name = file('crowd.core', Buffer.concat([made, section]));
    const { stdout, stderr } = xenmem(['decode', '--elf', name, '--at', '0x40001000', '--cmd', '6']);
    expect(stderr).toBe('');
    expect(stdout).toContain('  extent_start: 3 entries at 0x40002000: 0x40600 0x40601 0x40601\n');
    const cut = xenmem(['decode', '--elf', file('cut.core', made), '--at', '0x40001000', '--cmd', '6']);
    expect([cut.code, cut.stderr]).toEqual([3, 'xenmem: cut.core: the count of its segments: ends after 0 bytes, wanted 0..4\n']);
    section.writeUInt32LE(0xffff_ffff, bits === 64 ? 44 : 28);
    const wild = xenmem(['decode', '--elf', file('wild.core', Buffer.concat([made, section])), '--at', '0x40001000', '--cmd', '6']);
    expect([wild.code, wild.stderr.split('\n').length]).toEqual([3, 2]);
    expect(wild.stderr).toContain('an ELF whose 4294967295 program headers end at ');
  });

  it.each([
    [['--at', '0x10'], 'nothing at 0x10 in it: its 1 segments lie in 0x4000..0x4020', 3],
    [['--at', '4010'], '--at "four": expected an address', 2],
  ])('%j that is not there: one sentence', (at, message, exit) => {
    const made = file('other.core', core(64, [{ virtual: 0x4000n, physical: 0n, bytes: reservation }]));
    const wanted = exit === 2 ? ['--at', 'four'] : at;
    const { code, stderr } = xenmem(['decode', '--elf', made, '--cmd', '6', ...wanted]);
    expect(code).toBe(exit);
    expect(stderr).toContain(message);
  });

  it.each([
    [
      'physical addresses only',
      core(64, [{ virtual: 0n, physical: 0x4000n, bytes: reservation }]),
      'it has physical addresses only: --space physical',
    ],
    [
      'the same, many of them',
      core(64, [
        { virtual: 0n, physical: 0x4000_1000n, bytes: reservation },
        { virtual: 0n, physical: 0x4000_2000n, bytes: frames },
      ]),
      'it has physical addresses only: --space physical',
    ],
    ['no core', Buffer.from('KDUMP   and more'), 'is not an ELF file: --elf takes a core of gcore or dump-guest-memory, not packed'],
    ['no segments', core(64, []), 'an ELF without memory in it'],
    [
      '2^16 segments that are not there',
      (() => {
        const made = core(64, []);
        made.writeUInt16LE(0xfffe, 0x38);
        return made;
      })(),
      'an ELF whose 65534 segments lie outside it',
    ],
  ])('%s: one sentence, exit 3', (_, data, message) => {
    const { code, stderr } = xenmem(['decode', '--elf', file('bad.core', data), '--at', '0x40001000', '--cmd', '6']);
    expect(stderr).toContain(`xenmem: bad.core: `);
    expect([code, stderr.split('\n').length]).toEqual([3, 2]);
    expect(stderr).toContain(message);
  });

  it('what goes together is said', () => {
    expect(xenmem(['decode', '--elf', 'x']).stderr).toBe('xenmem: --elf FILE and --at ADDRESS go together\n');
    expect(xenmem(['decode', '--elf', 'x', '--at', '0x0']).stderr).toBe('xenmem: --elf wants to know what is there: --cmd or --struct\n');
    expect(xenmem(['decode', '--elf', 'x', '--at', '0x0', '--cmd', '6', 'y']).stderr).toBe('xenmem: --elf goes without other inputs\n');
    expect(xenmem(['decode', '--elf', 'nowhere', '--at', '0x0', '--cmd', '6'])).toEqual({
      code: 3,
      stdout: '',
      stderr: 'xenmem: nowhere: no such file\n',
    });
  });

  it('shows a struct that is not judged, its lists of words, numbers and structs, and what it shows alone', () => {
    const at = 0xffff_0000_1000_0000n;
    const memory = Buffer.alloc(0x400);
    // add_to_physmap_batch of 3 (space 2): frames as words, errors as numbers of 4 bytes.
    memory.set([0xf0, 0x7f, 2, 0, 3, 0], 0);
    memory.set(words(at + 0x100n, at + 0x120n, at + 0x140n), 8);
    memory.set(words(1n, 2n, 3n, 0n, 0x40600n, 0x40601n, 0x40602n), 0x100);
    memory.writeInt32LE(-22, 0x144);
    // get_vnumainfo of 2 nodes, between which are 4 distances, 2 vcpus and 1 range, a struct of its own.
    memory.set([0xf0, 0x7f, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], 0x200);
    memory.set(words(0n, at + 0x300n, at + 0x310n), 0x210);
    memory.set([5, 0, 0, 0, 6, 0, 0, 0], 0x300);
    memory.set(words(0x1000n, 0x8000_0000n, 7n << 32n), 0x310);
    const made = file('others.core', core(64, [{ virtual: at, physical: 0n, bytes: memory }]));
    const { code, stdout } = xenmem(['decode', '--elf', made, '--at', '0xffff000010000000', '--cmd', '23']);
    expect([code, stdout.split('\n').slice(-5)]).toEqual([
      0,
      [
        '0x18│40 01 00 10 00 00 ff ff│ errs                     0xffff000010000140',
        '  idxs: 3 entries at 0xffff000010000100: 0x1 0x2 0x3',
        '  gpfns: 3 entries at 0xffff000010000120: 0x40600 0x40601 0x40602',
        '  errs: 3 entries at 0xffff000010000140: 0x0 0xffffffea 0x0',
        '',
      ],
    ]);
    const json = xenmem(['decode', '--json', '--elf', made, '--at', '0xffff000010000200', '--struct', 'vnuma_topology_info']).stdout;
    const { lists, findings } = JSON.parse(json);
    expect(lists).toEqual({
      'vdistance.h': { address: '0x0', count: '4', entries: [] },
      'vcpu_to_vnode.h': { address: '0xffff000010000300', count: '2', entries: ['0x5', '0x6'] },
      'vmemrange.h': {
        address: '0xffff000010000310',
        count: '1',
        entries: [{ start: '0x1000', end: '0x80000000', flags: 0, nid: 7 }],
      },
    });
    expect(findings.map(({ id, where }: { id: string; where: string }) => [id, where])).toEqual([['caller-list-null', 'vdistance.h']]);
    expect(xenmem(['decode', '--elf', made, '--at', '0x10', '--cmd', '23'])).toMatchObject({
      code: 3,
      stderr: 'xenmem: others.core: nothing at 0x10 in it: its 1 segments lie in 0xffff000010000000..0xffff000010000400\n',
    });
  });
});
