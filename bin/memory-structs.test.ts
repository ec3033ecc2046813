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
    expect(xenmem(['layout', '--emit', 'c', 'memory_domain']).stderr).toBe(
      'xenmem: xen_memory_domain is not judged: its layout is shown, and asserted with --emit c --assert\n',
    );
  });

  it('validate shows their fields, or says why it does not', () => {
    const record = (cmd: number, bytes: string): string =>
      JSON.stringify({ cmd, arch: 'arm64', profile: 'upstream', arg: '0x1000', before: [['0x1000', bytes]], rc: 0 });
    const rows = [record(7, hex.slice(0, 48)), record(15, '00'.repeat(32)), record(2, '')];
    const { stdout } = xenmem(['validate', file('others.ndjson', `${rows.join('\n')}\n`)]);
    const lines = stdout.split('\n').map((line) => line.trim());
    expect(lines[1]).toBe('xen_add_to_physmap: domid 0x7ff0, size 0, space 1, idx 0x0, gpfn 0x1234');
    expect(lines[3]).toBe('32 bytes were captured, the shape of a reservation; xen_remove_from_physmap has 16');
    expect(lines[5]).toBe('takes no argument');
  });
});
