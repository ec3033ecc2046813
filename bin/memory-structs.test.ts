import { describe, expect, it } from 'vitest';
import { file, shell, xenmem } from './shell.ts';

const hex = 'f07f000001000000000000000000000034120000000000000';

describe('the structs of ops that are not judged', () => {
  it('decode shows them by field, by --cmd and by --struct', () => {
    const name = file('add.hex', `${hex.slice(0, 48)}\n`);
    const { code, stdout } = xenmem(['decode', '--cmd', '7', name]);
    expect([code, stdout]).toEqual([
      0,
      `\
xen_add_to_physmap  24 bytes  arm64  not judged
0x00│f0 7f                  │ domid                    0x7ff0
0x02│00 00                  │ size                     0
0x04│01 00 00 00            │ space                    1
0x08│00 00 00 00 00 00 00 00│ idx                      0x0
0x10│34 12 00 00 00 00 00 00│ gpfn                     0x1234
`,
    ]);
    expect(xenmem(['decode', '--struct', 'add_to_physmap', name]).stdout).toBe(stdout);
    expect(xenmem(['decode', '--struct', 'memory_domain', file('one.hex', 'f0\n')]).stdout).toContain('    not captured: domid');
  });

  it('encode makes the same bytes of what decode tells', () => {
    file('add.hex', `${hex.slice(0, 48)}\n`);
    const { code, stdout } = shell('xenmem decode --cmd 7 --json add.hex 2>/dev/null | xenmem encode --hex -');
    expect([code, stdout]).toEqual([0, `${hex.slice(0, 48)}\n`]);
    const { stdout: own } = shell(`echo '{"domid":"0x7ff0","gpfn":"0x1234","space":1}' | xenmem encode --struct add_to_physmap --hex -`);
    expect(own).toBe(`${hex.slice(0, 48)}\n`);
  });

  it('layout shows where each field is, members of unions too', () => {
    const { stdout } = xenmem(['layout', '--arch', 'x86_32', 'add_to_physmap_batch']);
    expect(
      stdout
        .split('\n')
        .slice(0, 6)
        .map((line) => line.replace(/ +/g, ' ')),
    ).toEqual([
      'struct xen_add_to_physmap_batch { /* offset size */',
      ' domid_t domid; /* 0 2 */',
      ' uint16_t space; /* 2 2 */',
      ' uint16_t size; /* 4 2 */',
      ' domid_t u.foreign_domid; /* 6 2 */',
      ' uint16_t u.res0; /* 6 2 */',
    ]);
    expect(JSON.parse(xenmem(['layout', '--json', 'memory_domain']).stdout)).toMatchObject({
      size: 2,
      fields: [{ path: 'domid', size: 2 }],
    });
  });

  it('validate shows their fields, or says why it does not', () => {
    const record = (cmd: number, bytes: string): string =>
      JSON.stringify({ cmd, arch: 'arm64', profile: 'upstream', arg: '0x1000', before: [['0x1000', bytes]], rc: 0 });
    const rows = [record(7, hex.slice(0, 48)), record(15, '00'.repeat(32)), record(2, ''), record(7, '00'.repeat(4096)), record(29, '')];
    const { stdout } = xenmem(['validate', file('others.ndjson', `${rows.join('\n')}\n`)]);
    const lines = stdout.split('\n').map((line) => line.trim());
    expect(lines[1]).toBe('xen_add_to_physmap: domid 0x7ff0, size 0, space 1, idx 0x0, gpfn 0x1234');
    expect(lines[3]).toBe('32 bytes were captured, the shape of a reservation; xen_remove_from_physmap has 16');
    expect(lines[5]).toBe('takes no argument');
    expect(lines[7]).toBe('4096 bytes were captured; xen_add_to_physmap has 24');
    expect(lines[9]).toBe('no Xen has this op');
  });

  /** `add_to_physmap_batch` on arm32: a dirty handle, a null list, a list that is not aligned. */
  const batch = `f07f040003000000 0010000001000000 0000000000000000 0230000000000000`.replaceAll(' ', '');
  const record = JSON.stringify({ cmd: 23, arch: 'arm32', profile: 'upstream', arg: '0x1000', before: [['0x1000', batch]], rc: 0 });
  const findings = [
    ['caller-handle-high-zero', 'error', 'idxs', [8, 16], "the handle's high half is 0x1, not zero"],
    ['caller-list-aligned', 'warning', 'errs', [24, 32], 'the list at 0x3002 is not 4-aligned'],
    ['caller-list-null', 'warning', 'gpfns', [16, 24], '3 entries are asked for, and the handle is null'],
  ].map(([id, severity, where, bytes, message]) => ({ id, blame: 'caller', severity, message, where, bytes }));

  it('validate says what the struct alone shows, in text and as JSON, 64-bit words whole', () => {
    const name = file('batch.ndjson', `${record}\n`);
    const { code, stdout } = xenmem(['validate', name]);
    expect(code).toBe(1);
    expect(stdout).toContain("       error caller-handle-high-zero: idxs @8: the handle's high half is 0x1, not zero\n");
    expect(stdout).toContain('\nfindings: caller-handle-high-zero 1, caller-list-aligned 1, caller-list-null 1\n');
    const [call, summary] = xenmem(['validate', '--json', name])
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(call).toEqual({
      op: 'add_to_physmap_batch',
      argument: {
        struct: 'xen_add_to_physmap_batch',
        size: 32,
        value: { domid: 32752, space: 4, size: 3, u: { foreign_domid: 0 }, idxs: '0x100001000', gpfns: '0x0', errs: '0x3002' },
      },
      findings,
      requirements: {},
    });
    expect(summary.summary).toMatchObject({ not_judged: 1, findings: { 'caller-handle-high-zero': 1 } });
    expect(xenmem(['validate', '--blame', 'hypervisor', name]).code).toBe(0);
  });

  it('a piece of the trace counts the same', () => {
    const name = file('batch.ndjson', `${record}\n`);
    const { code, stdout } = xenmem(['validate', '--partial', name]);
    expect([code, JSON.parse(stdout).counts.findings]).toEqual([
      1,
      { 'caller-handle-high-zero': 1, 'caller-list-aligned': 1, 'caller-list-null': 1 },
    ]);
  });

  it('bytes of another length are not read as the struct', () => {
    const short = record.replace(batch, batch.slice(0, 40));
    const [call] = xenmem(['validate', '--json', file('short.ndjson', `${short}\n`)]).stdout.split('\n');
    expect(JSON.parse(call ?? '')).toMatchObject({
      argument: { struct: 'xen_add_to_physmap_batch', size: 32, captured: 20 },
      findings: [],
    });
  });

  it('a union is read by its discriminant, and padding is judged only in the member that is meant', () => {
    // XENMEM_sharing_op_share (2) ends with six bytes of padding, where range (8) has fields.
    const sharing = (op: string): string => `${op}00f07f00000000${'00'.repeat(34)}010203040506`;
    const told = (op: string): object[] =>
      JSON.parse(xenmem(['decode', '--json', '--struct', 'mem_sharing_op', file(`share${op}.hex`, `${sharing(op)}\n`)]).stdout).findings;
    expect(told('02')).toEqual([
      {
        id: 'caller-padding-zero',
        blame: 'caller',
        severity: 'note',
        message: 'padding is 01 02 03 04 05 06, not zero',
        where: 'u.share.padding',
        bytes: [42, 48],
      },
    ]);
    expect(told('08')).toEqual([]);
  });

  it('explain says which duties are asked of them', () => {
    const ops = (id: string): string => /^ +ops +(.*(\n {12}.*)*)/m.exec(xenmem(['explain', id]).stdout)?.[1]?.replace(/\s+/g, ' ') ?? '';
    expect(ops('caller-padding-zero')).toBe('all judged ops; the other structs of memory.h too');
    expect(ops('caller-list-null')).toMatch(/^decrease_reservation, .*; the other structs of memory.h too$/);
    expect(ops('caller-order')).toBe('all judged ops');
  });

  it('an array of them is read as it comes, and an op that is not said is asked for', () => {
    const name = file('domains.bin', Buffer.alloc(24 * 50_000));
    const raw = ['--input-format', 'raw'];
    const { stdout } = xenmem(['validate', '--struct', 'add_to_physmap', '--summary', ...raw, name]);
    expect(stdout).toContain('50000 calls: 0 judged, 50000 of ops that xenmem does not judge\n');
    expect(xenmem(['validate', '--struct', 'memory_domain', ...raw, name]).stderr).toBe(
      'xenmem: xen_memory_domain is what current_reservation, maximum_reservation, maximum_gpfn take: say which with --cmd\n',
    );
    expect(xenmem(['validate', '--struct', 'vmemrange', ...raw, name]).stderr).toBe(
      'xenmem: xen_vmemrange is no argument of an op, but the entry of a list: decode shows it\n',
    );
  });
});
