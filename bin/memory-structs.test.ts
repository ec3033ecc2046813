import { describe, expect, it } from 'vitest';
import { layoutOf } from '../src/abi/layout.ts';
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

  it('what was judged of them by the struct alone is said, and no more', () => {
    const call = (cmd: number, bytes: string): string =>
      JSON.stringify({ cmd, arch: 'arm64', profile: 'upstream', arg: '0x1000', before: [['0x1000', bytes]], rc: 0 });
    // The handles of op 23 are as they should be; of op 4, a domid, no duty speaks; a struct that
    // is cut is not looked at.
    const rows = [call(23, `f07f020003000000${'0030000000000000'.repeat(3)}`), call(4, 'f07f'), call(23, 'f07f0200')];
    const run = (lines: readonly string[]): [number | null, ...string[]] => {
      const { code, stdout } = xenmem(['validate', file('alone.ndjson', `${lines.join('\n')}\n`)]);
      const said = stdout.trimEnd().split('\n');
      return [code, said.at(-3) ?? '', said.at(-1) ?? ''];
    };
    expect(run(rows)).toEqual([
      0,
      '3 calls: 0 judged, 3 of ops that xenmem does not judge (1 by the struct alone)',
      '✓ nothing wrong in the structs alone',
    ]);
    expect(run(rows.slice(1))).toEqual([4, '2 calls: 0 judged, 2 of ops that xenmem does not judge', '? nothing was evaluated']);
    expect(
      JSON.parse(
        xenmem(['validate', '--json', file('alone.ndjson', rows.join('\n'))])
          .stdout.trimEnd()
          .split('\n')
          .at(-1) ?? '',
      ).summary,
    ).toMatchObject({
      not_judged: 3,
      by_struct: 1,
    });
    const piece = JSON.parse(xenmem(['validate', '--partial', 'alone.ndjson']).stdout);
    expect([piece.counts.by_struct, piece.counts.evaluated]).toEqual([1, true]);
    file('alone.partial.json', JSON.stringify(piece));
    expect(xenmem(['merge', 'alone.partial.json']).stdout).toContain('(1 by the struct alone)');
  });

  it('a piece of the trace counts the same', () => {
    const name = file('batch.ndjson', `${record}\n`);
    const { code, stdout } = xenmem(['validate', '--partial', name]);
    expect([code, JSON.parse(stdout).counts.findings]).toEqual([
      1,
      { 'caller-handle-high-zero': 1, 'caller-list-aligned': 1, 'caller-list-null': 1 },
    ]);
  });

  it('a struct with its lists behind it is read, where they are all that is there', () => {
    // arm64, at 0x1000: a batch of 3 whose lists follow it; an entry of the last is not captured.
    const lists = (errs: string): string =>
      `f07f020003000000${'2010'}000000000000${'3810'}000000000000${errs}000000000000${'01'.repeat(24)}${'02'.repeat(24)}${'03'.repeat(8)}`;
    const said = (cmd: number, bytes: string, arg = '0x1000'): string[] => {
      const call = { cmd, arch: 'arm64', profile: 'upstream', arg, before: [[arg, bytes]], rc: 0 };
      const { stdout } = xenmem(['validate', file('followed.ndjson', `${JSON.stringify(call)}\n`)]);
      return stdout
        .split('\n\n', 1)
        .flatMap((text) => text.split('\n').slice(1))
        .map((text) => text.trim());
    };
    expect(said(23, lists('5010')).join(' ')).toBe(
      'xen_add_to_physmap_batch: domid 0x7ff0, space 2, size 3, u.res0 0, idxs 0x1020, gpfns 0x1038, errs 0x1050',
    );
    // The last list is elsewhere, or the struct is: what is behind it is not told.
    const other = '88 bytes were captured; xen_add_to_physmap_batch has 32';
    expect(said(23, lists('5020'))).toEqual([other]);
    expect(said(23, lists('5010'), '0x1010')).toEqual([other]);
    // A list of structs: reserved_device_memory_map (op 27) of 2 entries of 16 bytes.
    const map = (count: string): string => `00000000${count}000000${'1810'}00000000000000000000${'00'.repeat(4)}${'04'.repeat(32)}`;
    expect(said(27, map('02'))[0]).toMatch(/^xen_reserved_device_memory_map: flags 0, nr_entries 2, buffer 0x1018/);
    expect(said(27, map('01'))).toEqual(['56 bytes were captured; xen_reserved_device_memory_map has 24']);
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

  it.each(['json', 'xxd', 'c', 'pcapng'])('decode --to %s prints what decode reads again', (to) => {
    for (const struct of ['xen_mem_sharing_op'] as const) {
      const { size } = layoutOf(struct, 'arm64');
      const name = file(
        'two.bin',
        Uint8Array.from({ length: 2 * size }, (_, i) => (7 * i) & 0xff),
      );
      const { code, stdout } = shell(`xenmem decode --to ${to} --input-format raw --struct ${struct} ${name} > printed`);
      expect([struct, code, stdout]).toEqual([struct, 0, '']);
      const whole = shell(`xenmem decode --json --input-format raw --struct ${struct} ${name}`).stdout;
      // Packets say themselves what they hold; groups of two bytes alone may be read in two orders.
      const words = to === 'pcapng' ? '' : `--word-order big --struct ${struct}`;
      const again = to === 'json' ? 'cat printed' : `xenmem decode --json ${words} printed 2>/dev/null`;
      expect(shell(again).stdout).toBe(whole);
      expect(whole.split('\n').length).toBe(3);
    }
  });

  it('a struct that packets name is that one, and one that is not known is not guessed', () => {
    // As long as a reservation.
    const made = shell(`printf %064d 0 | xenmem decode --to pcapng --struct add_to_physmap_batch - 2>/dev/null > batch.pcapng`);
    expect(made.code).toBe(0);
    expect(xenmem(['decode', 'batch.pcapng']).stdout).toMatch(/^xen_add_to_physmap_batch {2}32 bytes/);
    expect(xenmem(['validate', 'batch.pcapng']).stdout).toMatch(
      /^@0 +add_to_physmap_batch .* not judged\n +xen_add_to_physmap_batch: domid 0x0/,
    );
    shell(`sed s/xen_add_to_physmap_batch/xen_add_to_physmap_butch/ batch.pcapng > other.pcapng`);
    const said =
      'xenmem: other.pcapng: says that it holds xen_add_to_physmap_butch, which is no struct that is judged: say which with --struct\n';
    for (const command of ['decode', 'validate'])
      expect(xenmem([command, 'other.pcapng'])).toMatchObject({ code: 3, stderr: expect.stringContaining(said) });
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
