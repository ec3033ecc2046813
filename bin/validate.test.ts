import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, command, file, hex, shell, xenmem } from './shell.ts';

const balloon = join(captures, 'xen-4.17-arm64-balloon.ndjson');

interface Verdict {
  readonly seq: number;
  readonly op: string;
  readonly findings: readonly { readonly id: string; readonly blame: string; readonly severity: string }[];
  readonly requirements: Readonly<Record<string, string>>;
}

/** The verdicts on a capture, and the summary. */
function judged(name: string): { verdicts: Verdict[]; summary: Record<string, never>; code: number | null } {
  const { code, stdout, stderr } = xenmem(['validate', '--json', join(captures, name)]);
  expect(stderr).toBe('');
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text));
  return { verdicts: lines.slice(0, -1), summary: lines.at(-1).summary, code };
}

const ids = (verdict: Verdict | undefined, severity: string): string[] => [
  ...new Set(verdict?.findings.filter((f) => f.severity === severity).map((f) => f.id)),
];

const real = ['xen-4.17-arm64-dom0.ndjson', 'xen-4.17-x86_64-pv-dom0.ndjson'] as const;

describe.each([
  [real[0], 258, 186],
  [real[1], 61, 43],
])('what a real Xen did: %s', (name, calls, known) => {
  const { verdicts, summary } = judged(name);
  const records = readFileSync(join(captures, name), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((text) => JSON.parse(text));

  it('gets a verdict per record, in order', () => {
    expect(verdicts.map((v) => v.seq)).toEqual(records.map((record) => record.seq));
    expect(summary).toMatchObject({ calls, not_judged: calls - known, unreadable: 0 });
  });

  it('is judged where xenmem judges the op, and named as Xen names it', () => {
    // xen/include/public/memory.h of Xen 4.17, by number; the trace's profile is upstream.
    const names =
      'increase_reservation decrease_reservation maximum_ram_page current_reservation maximum_reservation machphys_mfn_list ' +
      'populate_physmap add_to_physmap translate_gpfn_list memory_map machine_memory_map exchange machphys_mapping ' +
      'set_memory_map maximum_gpfn remove_from_physmap set_pod_target get_pod_target get_sharing_freed_pages ' +
      'get_sharing_shared_pages paging_op access_op sharing_op add_to_physmap_batch claim_pages machphys_compat_mfn_list ' +
      'get_vnumainfo reserved_device_memory_map acquire_resource';
    expect(verdicts.map((v) => v.op)).toEqual(records.map(({ cmd }) => names.split(' ')[cmd & 63] ?? `op_${cmd & 63}`));
    const unknown = verdicts.filter((_, i) => ![0, 1, 6, 11].includes((records[i]?.cmd ?? 0) & 63));
    expect(unknown.length).toBe(calls - known);
    expect(unknown.filter((v) => Object.keys(v.requirements).length + v.findings.length > 0)).toEqual([]);
  });

  it('breaks no requirement', () => {
    expect(summary['violated']).toEqual({});
    expect(verdicts.flatMap((v) => v.findings.filter((f) => f.blame === 'hypervisor'))).toEqual([]);
    expect(verdicts.flatMap((v) => Object.entries(v.requirements).filter(([, answer]) => answer === 'violated'))).toEqual([]);
  });

  it('has padding full of a5, which is a note and never more', () => {
    const padded = verdicts.flatMap((v) => v.findings.filter((f) => f.id === 'caller-padding-zero'));
    expect(padded.length).toBeGreaterThan(40);
    expect(new Set(padded.map((f) => f.severity))).toEqual(new Set(['note']));
  });
});

describe('exchanges on a real Xen (x86-64 PV)', () => {
  const { verdicts, code } = judged(real[1]);
  const of = (seq: number): Verdict | undefined => verdicts.find((v) => v.seq === seq);

  it.each([28, 29, 30, 31, 32, 34, 35, 36, 40])('record %i has no error of the caller', (seq) => {
    expect(of(seq)?.op).toBe('exchange');
    expect(ids(of(seq), 'error')).toEqual([]);
  });

  it.each([
    [33, 'caller-nr-exchanged-zero'],
    [37, 'caller-size-match'],
    [38, 'caller-nr-exchanged-zero'],
    [39, 'caller-nr-exchanged-zero'],
    [41, 'caller-domid-match'],
    [43, 'caller-domid-match'],
  ])('record %i: %s', (seq, id) => expect(ids(of(seq), 'error')).toEqual([id]));

  it.each([34, 35])('record %i is done in part, and the rest is untouched', (seq) => {
    expect(of(seq)?.requirements).toMatchObject({
      'get-rest-untouched': 'holds',
      'get-partial-count': 'holds',
      'get-incomplete-nonzero': 'holds',
      'get-complete-count': 'unknown',
    });
  });

  it('record 42, whose struct was not captured, is unknown and no error', () => {
    expect(of(42)?.findings).toEqual([]);
    const { 'get-rc-zero-or-negative': rc, ...others } = of(42)?.requirements ?? {};
    expect(rc).toBe('holds');
    expect(new Set(Object.values(others))).toEqual(new Set(['unknown']));
  });

  it('is exit 1 for the errors of the caller, unless only the hypervisor counts', () => {
    expect(code).toBe(1);
    expect(xenmem(['validate', '--blame', 'hypervisor', join(captures, real[1])]).code).toBe(0);
  });
});

describe('huge counts on a real Xen (arm64)', () => {
  const { verdicts } = judged(real[0]);

  it.each([170, 179])('record %i: nr_exchanged beyond all extents hides no other rule', (seq) => {
    const { requirements = {} } = verdicts.find((v) => v.seq === seq) ?? {};
    expect(requirements['get-rc-zero-or-negative']).toBe('holds');
    expect(requirements['get-in-untouched']).toBe('holds');
    expect(requirements['no-stray-writes']).toBe('holds');
  });
});

describe('the view for people', () => {
  it('of the balloon is a line per call, then the summary', () => {
    expect(xenmem(['validate', balloon])).toEqual({
      code: 0,
      stderr: '',
      stdout: `\
#9     decrease_reservation         rc 4                 ok        3 hold, 5 unknown
#10    decrease_reservation         rc 0                 ok        3 hold, 5 unknown
#11    populate_physmap             rc 4                 ok        3 hold, 7 unknown
#12    populate_physmap             rc 4                 ok        3 hold, 7 unknown
#13    decrease_reservation         rc 2                 ok        3 hold, 5 unknown
#14    populate_physmap             rc 2                 ok        3 hold, 7 unknown
#15    decrease_reservation         rc 1                 ok        3 hold, 5 unknown
#16    populate_physmap             rc 1                 ok        3 hold, 7 unknown
#17    decrease_reservation         rc 1                 ok        3 hold, 5 unknown

9 calls: 9 judged
requirements: 27 hold, 0 violated, 53 unknown
findings: caller-padding-zero 9
to judge more: capture the p2m before the call, the p2m after the call and the domain's number of
               pages before and after: up to 13 more answers
✓ nothing wrong in what was captured (27 of 80 answers; 0 warnings, 9 notes)
`,
    });
  });

  it('is 100 columns wide at most, whatever comes', () => {
    const noise = Uint8Array.from({ length: 72 * 20 }, (_, i) => (i * i * 31 + i * 7 + 0x80) & 0xff);
    for (const { stdout } of [xenmem(['validate', '-v', '--cmd', '26'], noise), xenmem(['validate', '-v', join(captures, real[1])])]) {
      expect(stdout.split('\n').filter((row) => [...row].length > 100)).toEqual([]);
    }
  });

  it('--quiet leaves out what is well', () => {
    const { stdout } = xenmem(['validate', '-q', join(captures, real[1])]);
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      '#7     increase_reservation         rc 0                 ok        3 hold, 6 unknown',
      '       warning caller-address-bits: address_bits @20: Xen takes no limit of 2^12 bytes or less',
    ]);
  });
});

describe('a broken hypervisor', () => {
  // rc 0 with one of two extents done, by hand: in 2 x 1 page, out 2 x 1 page.
  const list = '00040000000000000104000000000000';
  const before = `${'0002004000000000'}${'0200000000000000'}0000000000000000f07f000000000000${'0003004000000000'}${'0200000000000000'}0000000000000000f07f000000000000`;
  const record = (done: number): string =>
    JSON.stringify({
      cmd: 26,
      arg: '0x40000100',
      before: [
        ['0x40000100', `${before}0000000000000000`],
        ['0x40000200', list],
      ],
      rc: 0,
      after: [['0x40000100', `${before}0${done}00000000000000`]],
    });

  it('is blamed: get-complete-count and get-incomplete-nonzero', () => {
    const { code, stdout } = xenmem(['validate', '--blame', 'hypervisor'], record(1));
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      expect.stringMatching(/^#1 {5}get_dma_buf {18}rc 0 {17}VIOLATED {2}\d+ hold, 2 violated, \d+ unknown$/),
      expect.stringMatching(/^ {7}violated get-complete-count: /),
      expect.stringMatching(/^ {7}violated get-incomplete-nonzero: /),
    ]);
    expect(stdout).toContain('✗ the hypervisor broke 2 requirements\n');
    expect(code).toBe(1);
    expect(xenmem(['validate', '--json'], record(1)).stdout).toContain('"blame":"hypervisor","severity":"error"');
  });

  it('and one that did both is not', () => {
    expect(xenmem(['validate', '--blame', 'hypervisor'], record(2)).code).toBe(0);
  });
});

describe('a bad line between good ones', () => {
  const [header = '', ...records] = readFileSync(balloon, 'utf8').trimEnd().split('\n');

  it('is reported and counted, the rest is judged, and the exit is 3', () => {
    file('torn.ndjson', [header, ...records.slice(0, 4), records[4]?.slice(0, 70), ...records.slice(5)].join('\n'));
    const { code, stdout, stderr } = xenmem(['validate', 'torn.ndjson']);
    expect(stderr).toMatch(/^xenmem: torn\.ndjson:6: not JSON at column \d+: [^\n]*\n$/);
    expect(stdout.split('\n').filter((row) => row.startsWith('#')).length).toBe(8);
    expect(stdout).toContain('\n8 calls: 8 judged, 1 unreadable\n');
    expect(stdout).toContain('\n? nothing wrong in what could be read\n');
    expect(code).toBe(3);
  });

  it('beside a finding that fails, the exit is 1', () => {
    file('worse.ndjson', [header, '{"cmd":', ...records].join('\n'));
    expect(xenmem(['validate', '--fail-on', 'note', 'worse.ndjson']).code).toBe(1);
  });
});

describe('several inputs', () => {
  it('are judged each, and one that cannot be read hides no other', () => {
    const { code, stdout, stderr } = xenmem(['validate', 'nothing', balloon, '-'], '{"cmd":26}\n');
    expect(stderr).toBe('xenmem: nothing: no such file\n');
    expect(stdout.split('\n').filter((row) => row === balloon || row === 'stdin')).toEqual([balloon, 'stdin']);
    expect(stdout).toContain('\n10 calls: 10 judged, 1 unreadable\n');
    expect(code).toBe(3);
  });

  it('with --json each object names its input', () => {
    const { stdout } = xenmem(['validate', '--json', balloon, '-'], '{"cmd":26}\n');
    const named = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text).input);
    expect(named).toEqual([...Array(9).fill(balloon), 'stdin', undefined]);
  });
});

describe('a raw array of structs', () => {
  const one = '00000040000000000100000000000000 0000000000000000 f07f000000000000';

  it('is a call each, the last of which may be cut', () => {
    file('array.bin', hex(one + one).subarray(0, 40));
    const { code, stdout, stderr } = xenmem(['validate', '--struct', 'put_dma_buf', 'array.bin']);
    expect(stderr).toBe(
      'xenmem: note: array.bin: read as raw bytes\nxenmem: note: array.bin: xen_put_dma_buf at byte 32 is cut: 8 of 32 bytes\n',
    );
    const places = stdout.split('\n').filter((row) => row.startsWith('@'));
    expect(places.map((row) => row.slice(0, 18))).toEqual(['@0     put_dma_buf', '@32    put_dma_buf']);
    expect(code).toBe(3);
  });

  it('wants to know which', () => {
    file('three.bin', hex(one + one + one));
    expect(xenmem(['validate', 'three.bin'])).toEqual({
      code: 3,
      stdout: '',
      stderr:
        "xenmem: note: three.bin: read as raw bytes\nxenmem: three.bin: 96 bytes are no struct's size on arm64: say which with --struct or --cmd\n",
    });
  });
});

describe('as it comes', () => {
  it('answers the first records before the last are there', { timeout: 20_000 }, async () => {
    const child = spawn(process.execPath, [command, 'validate', '-'], { stdio: 'pipe' });
    const [head = '', ...rest] = readFileSync(balloon, 'utf8').split(/(?<=\n)/);
    child.stdin.write(head + rest[0] + rest[1]);
    let seen = '';
    // Nothing more is written before two answers have come: a reader that waits for more would hang
    // here.
    for await (const chunk of child.stdout) {
      seen += chunk;
      if (seen.split('\n').length > 2 && !child.stdin.writableEnded) child.stdin.end(rest.slice(2).join(''));
    }
    expect(seen).toContain('\n9 calls: 9 judged\n');
  });

  it('answers the lines of bpftrace one by one, its own lines before them', { timeout: 20_000 }, async () => {
    const child = spawn(process.execPath, [command, 'validate', '-'], { stdio: 'pipe' });
    const struct = '\\x00\\x20\\x00\\x00\\x00\\x00\\x00\\x00\\x03'.padEnd(24 * 4, '\\x00') + '\\xf0\\x7f'.padEnd(8 * 4, '\\x00');
    const call = (rc: number): string => `xenmem_in: tid=7 cmd=6 arg=0x1000 mem=${struct}\nxenmem_out: tid=7 rc=${rc} mem=${struct}\n`;
    // As bpftrace 0.17 printed it: what it attaches to, the header of the recipe, calls, and its
    // maps at the end.
    child.stdin.write(`Attaching 6 probes...\n{"xenmem":1,"arch":"arm64","source":"xenmem recipe bpftrace"}\n${call(3)}`);
    let seen = '';
    for await (const chunk of child.stdout) {
      seen += chunk;
      if (seen.includes('rc 3') && !child.stdin.writableEnded) child.stdin.end(`${call(2)}\n\n@count[7]: 1\n`);
    }
    expect(
      seen
        .split('\n')
        .slice(0, 2)
        .map((line) => line.split(/ {2,}/).slice(0, 3)),
    ).toEqual([
      ['#3', 'populate_physmap', 'rc 3'],
      ['#5', 'populate_physmap', 'rc 2'],
    ]);
    expect(seen).toContain('\n2 calls: 2 judged\n');
  });

  it('interrupted, says what it has found, and exits 130', { timeout: 20_000 }, async () => {
    const child = spawn(process.execPath, [command, 'validate', '-'], { stdio: 'pipe' });
    let [out, err] = ['', ''];
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.split('\n').length === 3) child.kill('SIGINT');
    });
    child.stdin.write(
      readFileSync(balloon, 'utf8')
        .split(/(?<=\n)/)
        .slice(0, 3)
        .join(''),
    );
    const [code] = await once(child, 'close');
    expect(out.split('\n').slice(2, 4)).toEqual(['', '2 calls: 2 judged']);
    expect(err).toBe('xenmem: interrupted\n');
    expect(code).toBe(130);
  });

  it('is read to its end by a pipe that stays slow', () => {
    expect(shell(`(head -4 '${balloon}'; sleep 0.5; tail -n +5 '${balloon}') | xenmem validate -q - | tail -1`).stdout).toBe(
      '✓ nothing wrong in what was captured (27 of 80 answers; 0 warnings, 9 notes)\n',
    );
  });
});

describe('ops 26 and 27 of a trace that does not say its profile', () => {
  const judged = (cmd: number, bytes: string, more: object = {}): Record<string, unknown> => {
    const record = { cmd, arg: '0x1000', before: [['0x1000', bytes]], rc: 0, ...more };
    return JSON.parse(xenmem(['validate', '--json'], JSON.stringify(record)).stdout.split('\n')[0] as string);
  };
  const put = '0000000000800000' + '0300000000000000' + '0000000000000000' + 'f07f000000000000';

  it('are the proposal where the bytes fit only that', () => {
    expect(judged(27, `0080000000000000${put.slice(16)}`)).toMatchObject({ op: 'put_dma_buf' });
  });

  it('are what Xen has there by the length that only its argument has', () => {
    expect(judged(26, '0100000001000000020000000100000000000000'.padEnd(80, '0'))).toMatchObject({
      op: 'get_vnumainfo',
      findings: ['vdistance.h', 'vcpu_to_vnode.h', 'vmemrange.h'].map((where) => ({ id: 'caller-list-null', where })),
    });
  });

  it('are what Xen has there where the bytes fit only that (a probe of a fixed length)', () => {
    const probe = '010000000400000000400000007f000000000000000000001111111111111111';
    expect(judged(27, probe, { arch: 'x86_64' })).toMatchObject({ op: 'reserved_device_memory_map', findings: [], requirements: {} });
  });

  it('are not judged where the bytes fit both, and a note says how to decide', () => {
    const both = judged(27, put);
    expect(both).toMatchObject({ op: 'reserved_device_memory_map', findings: [] });
    expect(both['notes']).toEqual([
      'op 27 is reserved_device_memory_map (--profile upstream) or put_dma_buf (--profile dma-buf): the capture does not tell',
    ]);
  });

  it('are what a flag, a header or the record says', () => {
    expect(judged(27, put, { profile: 'dma-buf' })).toMatchObject({ op: 'put_dma_buf' });
    expect(judged(27, `0080000000000000${put.slice(16)}`, { profile: 'upstream' })).toMatchObject({ op: 'reserved_device_memory_map' });
  });
});
