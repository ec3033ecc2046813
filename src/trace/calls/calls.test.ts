import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../codec/hex.ts';
import { everywhere } from '../../guest/memory.ts';
import { InputError, readTrace } from '../read.ts';

const encoder = new TextEncoder();

async function* chunks(...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield encoder.encode(part);
}

/** What a log holds, a line each: a call's cmd, rc and memory; a buffer's bytes; what was said. */
async function told(text: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const item of readTrace(chunks(text))) {
      if (item.kind === 'call') {
        const { cmd, arg, rc, domid, before, after, argument } = item.call;
        const memory = (name: string, known: typeof before): string[] =>
          known.known(everywhere).map(({ address, bytes }) => `${name} ${address.toString(16)} ${toHex(bytes)}`);
        found.push(
          [
            `${item.line}: cmd ${cmd}`,
            ...(arg === undefined ? [] : [`arg ${arg.toString(16)}`]),
            ...(domid === undefined ? [] : [`domid ${domid}`]),
            ...(argument ? [`argument ${toHex(argument)}`] : []),
            ...memory('before', before),
            ...(rc === undefined ? [] : [`rc ${rc}`]),
            ...memory('after', after),
          ].join(', '),
        );
        found.push(...(item.notes ?? []).map((text) => `   ${text}`));
      }
      if (item.kind === 'buffer') found.push(`${item.line}: ${toHex(item.bytes)}`);
      if (item.kind === 'note') found.push(`note ${item.line}: ${item.message}`);
      if (item.kind === 'unreadable') found.push(`bad ${item.line}: ${item.message}`);
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    found.push(`refused: ${error.message}`);
  }
  return found;
}

// 3 extents of order 0, DOMID_SELF; the list is at 0xffff000009a41000.
const reservation = '0010a4090000ffff03000000000000000000000000000000f07f000000000000';
// The same list as both halves of an exchange of 4 pages for one of order 2, below 4 GiB.
const exchange =
  '000034120080ffff04000000000000000000000000000000f07f000000000000200034120080ffff01000000000000000200000020000000f07f0000000000000000000000000000';
const pairs = (hex: string): string => (hex.match(/../g) ?? []).join(' ');
const escaped = (hex: string): string => hex.replace(/../g, '\\x$&');
/** As bpftrace prints `%r`: what is printable stays. */
const printable = (hex: string): string =>
  hex.replace(/../g, (two) => (/^[2-7]/.test(two) && two !== '7f' ? String.fromCharCode(Number.parseInt(two, 16)) : `\\x${two}`));
/** As the kernel prints an array of a kprobe event. */
const array = (hex: string, width: number): string =>
  `{${(hex.match(new RegExp(`.{${2 * width}}`, 'g')) ?? []).map((word) => `0x${BigInt(`0x${(word.match(/../g) ?? []).reverse().join('')}`).toString(16)}`).join(',')}}`;

// bpftrace 0.17 of Debian 12 printed lines of each of these forms, `Attaching` and the maps at the
// end included.
describe('bpftrace', () => {
  const call = `2: cmd 1, arg ffff80001234a000, before ffff80001234a000 ${reservation}`;
  it.each([
    ['%rh', `op=1 arg=0xffff80001234a000 buf: ${pairs(reservation)}`],
    ['%rh behind =', `cmd=1 arg=0xffff80001234a000 buf=${pairs(reservation)}`],
    ['%rx', `cmd=0x1 va=0xffff80001234a000 ${escaped(reservation)}`],
    ['%r', `cmd=1 arg=0xffff80001234a000 ${printable(reservation)}`],
    ['-f json', JSON.stringify({ type: 'printf', data: `cmd=1 arg=0xffff80001234a000 ${escaped(reservation)}\n` })],
  ])('prints a call with %s', async (_, line) => {
    expect(await told(`Attaching 2 probes...\n${line}\n\n\n@seen: 3\n@va[12, 3]: 72\n`)).toEqual([call]);
  });

  it('prints bytes alone, and behind the number of their op', async () => {
    expect(await told(`${escaped(exchange)}\n`)).toEqual([`1: ${exchange}`]);
    expect(await told(`Attached 1 probe\n${printable(exchange)}\n`)).toEqual([`2: ${exchange}`]);
    expect(await told(`Attaching 1 probe...\n11 ${pairs(exchange)}\n`)).toEqual([`2: cmd 11, argument ${exchange}`]);
    expect(await told(`Attaching 1 probe...\ncmd=11 ${pairs(exchange)}\n`)).toEqual([`2: cmd 11, argument ${exchange}`]);
  });

  it('cuts a buffer at 64 bytes, which stays cut', async () => {
    expect(await told(`cmd=11 ${escaped(exchange.slice(0, 128))}\n`)).toEqual([`1: cmd 11, argument ${exchange.slice(0, 128)}`]);
  });

  it('leaves open with %r what a backslash is, and is not guessed at', async () => {
    // The bytes 5c 78 30 31 are printed as \x01 is.
    const open = `5c783031${reservation.slice(8)}`;
    expect(await told(`cmd=1 mem=${printable(open)}\n`)).toEqual([
      "bad 1: 29 bytes, if each \\xNN is one: bpftrace's %r leaves that open, print with %rx",
    ]);
  });

  it('has a number before the bytes that could be one of them', async () => {
    expect(await told(`op=1 len 32 ${pairs(reservation)}\n`)).toEqual([
      'bad 1: 33 bytes, which no struct here has: print a colon before the first',
    ]);
  });

  it('says that events are lost', async () => {
    expect(await told(`Attaching 1 probe...\nLost 12 events\ncmd=1 arg=0x10 rc=3\n`)).toEqual([
      'bad 2: bpftrace lost 12 events here',
      'note 3: these lines hold no memory, so little can be judged; xenmem recipe bpftrace --op decrease_reservation captures it',
      '3: cmd 1, arg 10, rc 3',
    ]);
  });

  it('may print records, also with a header', async () => {
    expect(await told('Attaching 2 probes...\n{"xenmem":1,"arch":"arm32"}\n{"cmd":6,"rc":"0xfffffff4"}\n')).toEqual(['3: cmd 6, rc -12']);
  });

  it('is read as it comes', async () => {
    const source = chunks('Attaching 1 probe...\n', `cmd=1 arg=0x10 ${escaped(reservation)}\n`);
    let asked = 0;
    const counted = {
      [Symbol.asyncIterator]: () => ({ next: () => (++asked > 2 ? new Promise<never>(() => {}) : source.next()) }),
    };
    const items = readTrace(counted)[Symbol.asyncIterator]();
    expect((await items.next()).value).toMatchObject({ kind: 'format', format: 'calls' });
    expect((await items.next()).value).toMatchObject({ kind: 'call', line: 2 });
  });
});

describe('what a recipe captures', () => {
  it('is a call in several lines, those of each thread together', async () => {
    const text = [
      '{"xenmem":1,"arch":"arm64"}',
      `xenmem_in: tid=7 cmd=0x1 arg=0x1000 mem=${escaped(reservation)}`,
      'xenmem_in: tid=8 cmd=6 arg=0x2000',
      `xenmem_list: tid=7 at=0x3000 mem=${escaped('0006040000000000')}`,
      'xenmem_out: tid=8 rc=-12',
      'xenmem_after: tid=7 at=0x3000 mem=0106040000000000',
      `xenmem_out: tid=7 rc=3 mem=${reservation}`,
      'xenmem_out: tid=9 rc=0',
      'xenmem_in: tid=7 cmd=6 arg=0x4000',
    ];
    expect(await told(`${text.join('\n')}\n`)).toEqual([
      'note 3: these lines hold no memory, so little can be judged; xenmem recipe bpftrace --op populate_physmap captures it',
      '3: cmd 6, arg 2000, rc -12',
      `2: cmd 1, arg 1000, before 1000 ${reservation}, before 3000 0006040000000000, rc 3, after 1000 ${reservation}, after 3000 0106040000000000`,
      '9: cmd 6, arg 4000',
    ]);
  });

  it('comes from ftrace with the thread in the head of the line', async () => {
    const head = (event: string): string => `     balloon-66      [001] .....  1038.286875: ${event}: (HYPERVISOR_memory_op+0x0/0xc)`;
    const text = [
      `${head('xenmem_in')} cmd=0x1 arg=0xffff80001234a000 mem64=${array(reservation, 8)}`,
      '     balloon-66      [001] ..... 1038.286899: xenmem_out: (balloon_process+0x1/0x2 <- HYPERVISOR_memory_op) rc=3',
    ];
    expect(await told(`# tracer: nop\n#\n${text.join('\n')}\n`)).toEqual([
      `3: cmd 1, arg ffff80001234a000, before ffff80001234a000 ${reservation}, rc 3`,
    ]);
  });
});

describe('a recipe for ftrace', () => {
  // The probes print so by Documentation/trace/kprobetrace.rst: fields in their order, an array in
  // braces, `(fault)` where it was not mapped.
  it('has the struct and what is behind its handles in one line', async () => {
    const head = '     balloon-66      [001] .....  1038.286875: xenmem_in0: (HYPERVISOR_memory_op+0x0/0xc)';
    const lists = 'at1=0xffff800012340000 mem64_1={0x40600,0x40601} at2=0xffff800012340020 mem64_2=(fault)';
    const out = '     balloon-66      [001] .....  1038.286899: xenmem_out0: (exchange+0x1/0x2 <- HYPERVISOR_memory_op) rc=-12';
    expect(await told(`{"xenmem":1}\n${head} cmd=0xb arg=0x1000 mem64=${array(exchange, 8)} ${lists}\n${out}\n`)).toEqual([
      `2: cmd 11, arg 1000, before 1000 ${exchange}, before ffff800012340000 00060400000000000106040000000000, rc -12`,
    ]);
  });

  it('has a function of x86 that knows the list only', async () => {
    const head = '     balloon-66      [001] .....  1038.286875: xenmem_in1: (xenmem_reservation_increase+0x0/0x60)';
    const out = '     balloon-66      [001] .....  1038.286899: xenmem_out1: (balloon_process+0x1/0x2 <- xenmem_reservation_increase) rc=2';
    expect(await told(`${head} cmd=0x6 count=2 at1=0x2000 mem64_1={0x40600,0x40601}\n${out}\n`)).toEqual([
      '1: cmd 6, before 2000 00060400000000000106040000000000, rc 2',
    ]);
  });

  it('has the words of privcmd beside those of the call', async () => {
    const head = '     xl-66      [001] .....  1038.286875: xenmem_in1: (privcmd_ioctl+0x0/0x60) ioc=0x305000 hypercall=0xc';
    expect(await told(`${head} cmd=0x6 arg=0x7000 mem64=${array(reservation, 8)} at1=0x2000 mem64_1={0x40600}\n`)).toEqual([
      `1: cmd 6, arg 7000, before 2000 0006040000000000, before 7000 ${reservation}`,
    ]);
  });
});

// Linux, kernel/trace/trace_output.c and trace_probe.c; Debian's trace-cmd and perf print the same
// fields behind their own heads.
describe('ftrace', () => {
  const call = (line: number): string => `${line}: cmd 1, arg ffff80001234a000, before ffff80001234a000 ${reservation}`;
  const fields = (name: string, width: number): string => `cmd=0x1 arg=0xffff80001234a000 ${name}=${array(reservation, width)}`;

  it.each([8, 4, 2, 1])('prints an array of words of %i bytes, which the size of the struct tells', async (width) => {
    const line = `     balloon-66      [001] .....  1038.286875: memop: (HYPERVISOR_memory_op+0x0/0xc) ${fields('b', width)}`;
    expect(await told(`# tracer: nop\n#\n${line}\n`)).toEqual([call(3)]);
  });

  it('is printed by trace-cmd and perf script too', async () => {
    expect(await told(`cpus=4\n     balloon-66    [001]  1038.286875: memop:   (ffff800010a1) ${fields('b', 8)}\n`)).toEqual([call(2)]);
    expect(await told(`balloon    66 [001]  1038.286875: probe:memop: (ffff800010a1) ${fields('b', 8)}\n`)).toEqual([call(1)]);
  });

  it('is not guessed at where its words could be of two widths', async () => {
    const line = '  a-66  [001] .....  1.2: memop: (x+0x0/0xc) cmd=0x1 arg=0x10 b={0x0,0x10,0xa4}';
    expect(await told(`${line}\n`)).toEqual(["bad 1: 3 words in b make no struct's size: name the array mem8, mem16, mem32 or mem64"]);
    expect(await told(`${line.replace('b=', 'mem8=')}\n`)).toEqual(['1: cmd 1, arg 10, before 10 0010a4']);
  });

  it('passes over events of others', async () => {
    const text = `# tracer: nop\n   sh-1 [000] d..1. 1.2: sched_switch: prev_comm=sh\n   a-66  [001] .....  1.2: memop: (x+0x0/0xc) cmd=0x1 rc=0x3\n`;
    expect((await told(text)).at(-1)).toBe('3: cmd 1, rc 3');
  });
});

const words = (nr: number, cmd: number, arg: string): string =>
  `${`\\x${nr.toString(16).padStart(2, '0')}`}${'\\x00'.repeat(7)}\\x${cmd.toString(16).padStart(2, '0')}${'\\x00'.repeat(7)}${escaped(arg)}`;

describe('tools that show arguments only', () => {
  const lacks = (line: number, what: string, op: string, recipe = 'bpftrace'): string =>
    `note ${line}: ${what}, so little can be judged; xenmem recipe ${recipe} --op ${op} captures it`;

  // The second form is that of the test in strace's pull request 307; Debian's 6.1 printed the
  // refused ones.
  it('strace', async () => {
    const ioctl = (buffer: string, result: string): string => `ioctl(3, _IOC(_IOC_NONE, 0x50, 0, 0x30), ${buffer}) = ${result}`;
    const full = words(12, 6, '00a03412fd7f0000') + '\\x00'.repeat(24);
    const cut = `"${full.slice(0, 128)}"... => "${full.slice(0, 128)}"...`;
    expect(await told(`${ioctl(`"${full}" => "${full}"`, '3')}\n${ioctl(cut, '-1 EINVAL (Invalid argument)')}\n`)).toEqual([
      lacks(1, 'strace shows no memory behind the arguments of a hypercall', 'populate_physmap'),
      '1: cmd 6, arg 7ffd1234a000, rc 3',
      '2: cmd 6, arg 7ffd1234a000, rc -22',
    ]);
    expect(await told(`${ioctl(`"${words(36, 6, '00a03412fd7f0000')}"`, '0')}\n`)).toEqual([
      'refused: no line holds a call of memory_op; xenmem recipe prints scripts that capture some',
    ]);
    for (const line of ['ioctl(10, _IOC(_IOC_NONE, 0x50, 0, 0x30), 0x7ffe4dd01b50) = 3', 'ioctl(0xa, 0x305000, 0x7ffe4dd01b50) = 0x3']) {
      expect(await told(`${line}\n`)).toEqual([
        'refused: strace before 6.11, or without -v, does not show which hypercall it was; xenmem recipe bpftrace captures the memory too',
      ]);
    }
    expect(await told(`12:01:02 ${ioctl(`"${words(12, 6, '00a0')}"...`, '3')}\n`)).toEqual([
      'refused: strace cut the arguments: -s 48 shows them; xenmem recipe bpftrace captures the memory too',
    ]);
  });

  // target/i386/kvm/trace-events; the decimal behind 0x was in the patches only.
  it("QEMU's trace", async () => {
    const line = (nr: number, ret: string): string =>
      `4711@1700000000.123456:kvm_xen_hypercall xen_hypercall: cpu 0 cpl 0 input ${nr} a0 0xb a1 0xffffc90040013d00 a2 0x0 ret ${ret}`;
    expect(await told([line(29, '0x0'), line(12, '0xffffffffffffffea'), line(12, '0x18446744073709551594')].join('\n'))).toEqual([
      lacks(2, "QEMU's trace has the arguments and the result, no memory", 'exchange', 'qemu --arch x86_64'),
      '2: cmd 11, arg ffffc90040013d00, rc -22',
      '3: cmd 11, arg ffffc90040013d00, rc -22',
    ]);
  });

  // krata, crates/xen/xencall/src/lib.rs: op is hex, arguments are decimal.
  it("krata's log", async () => {
    const line = (op: string): string =>
      `2024-05-01T10:00:00Z TRACE xencall: call fd=22 hypercall op=${op} arg=[6, 140213012345600, 0, 0, 0]`;
    expect(await told(`${line('0x24')}\n${line('0xc')}\n`)).toEqual([
      lacks(2, "krata's log has the arguments, no memory and no result", 'populate_physmap'),
      '2: cmd 6, arg 7f85e2cb3300',
    ]);
  });

  // Xen 4.18 wrote such lines on xen-devel, 2024-11-28.
  it("Xen's log", async () => {
    const text = '(XEN) common/memory.c:278:d0v2 Could not allocate order=9 extent: id=24 memflags=0xc0 (3 of 4)\n(XEN) ...repeated\n';
    expect(await told(text)).toEqual([
      lacks(1, "Xen's log says what failed, not by which call", 'populate_physmap'),
      '1: cmd 6, domid 0, rc 3',
      '   Xen found no memory for order 9 of domain 24: 3 of 4 extents, by populate_physmap or increase_reservation',
    ]);
    expect((await told('[    1.2] (XEN) memory.c:257:d0v1 Could not allocate order=18 extent: id=1 memflags=0xc0 (0 of 1)\n'))[1]).toBe(
      '1: cmd 6, domid 0, rc 0',
    );
  });

  // coregrind/m_syswrap/syswrap-xen.c, both forms.
  it("Valgrind's trace", async () => {
    for (const arguments_ of ['6, 7ffd1234a000', '6, 0x7ffd1234a000']) {
      expect((await told(`SYSCALL[4223,1](258) __HYPERVISOR_memory_op ( ${arguments_} )[sync] --> Success(0x0)\n`))[1]).toBe(
        '1: cmd 6, arg 7ffd1234a000',
      );
    }
  });

  // include/trace/events/xen.h.
  it('xen:xen_mc_entry', async () => {
    const line = (op: string): string => `  xl-66 [001] ..... 1038.286875: xen_mc_entry: op ${op} args [1, ffff80001234a000, 0, 0, 0, 0]\n`;
    expect((await told(line('12(memory_op)')))[1]).toBe('1: cmd 1, arg ffff80001234a000');
    expect(await told(line('1(mmu_update)'))).toEqual([
      'refused: no line holds a call of memory_op; xenmem recipe prints scripts that capture some',
    ]);
  });
});

describe('records by hand', () => {
  it('may be spread over lines, or stand in an array', async () => {
    const wanted = ['1: cmd 11, arg 1000, rc -22', '1: cmd 6, rc 3'];
    const two = [
      { cmd: 'XENMEM_exchange', arg: '0x1000', rc: '0xffffffffffffffea', note: 'a "{" and a \\' },
      { cmd: 6, rc: 3 },
    ];
    const numbered = (texts: string[]): string[] => texts.map((text) => text.replace(/^\d+/, '1'));
    expect(numbered(await told(two.map((record) => JSON.stringify(record, null, 2)).join('\n')))).toEqual(wanted);
    expect(numbered(await told(JSON.stringify(two, null, 2)))).toEqual(wanted);
    expect(await told(JSON.stringify(two))).toEqual(wanted);
  });

  it('says once where a record that is spread over lines is cut', async () => {
    expect(await told('{"cmd":26,\n{"cmd":6}\n')).toEqual([
      'bad 1: not JSON at column 11: the line ends too early (a record is one line)',
      '2: cmd 6',
    ]);
    expect(await told('{\n"cmd":6\n},\nhello\n{"cmd":1}\n')).toEqual(['1: cmd 6', 'bad 4: a record was expected at column 1', '5: cmd 1']);
  });

  it('goes on after a bad line at the next that begins a record', async () => {
    expect(await told('{"cmd":6}\n{"cmd":6,,\n"rc":3\n}\n{"cmd":1}\n')).toEqual([
      '1: cmd 6',
      'bad 2: not JSON at column 10: a key in double quotes was expected, not ","',
      '5: cmd 1',
    ]);
  });
});

it('throws nothing but InputError on logs that were damaged, and finds no number that is not in them', async () => {
  const head = '     balloon-66      [001] .....  1038.286875:';
  const logs = [
    `Attaching 2 probes...\ncmd=1 arg=0xffff80001234a000 ${escaped(reservation)}\n@a[1]: 3\n`,
    `${head} memop: (x+0x0/0xc) cmd=0x1 arg=0xffff80001234a000 b=${array(reservation, 8)}\n`,
    `${head} xenmem_in1: (x) cmd=0x6 arg=0x7000 mem64=${array(reservation, 8)} at1=0x2000 mem64_1={0x40600}\n${head} xenmem_out1: (x) rc=3\n`,
    `{"type": "printf", "data": "cmd=11 ${pairs(exchange)}\\n"}\n`,
    'kvm_xen_hypercall xen_hypercall: cpu 0 cpl 0 input 12 a0 0xb a1 0xffffc90040013d00 a2 0x0 ret 0xffffffffffffffea\n',
    `ioctl(3, _IOC(_IOC_NONE, 0x50, 0, 0x30), "${words(12, 6, '00a03412fd7f0000')}"...) = -1 EINVAL (Invalid argument)\n`,
    'call fd=22 hypercall op=0xc arg=[6, 140213012345600, 0, 0, 0]\n',
    '(XEN) common/memory.c:278:d0v2 Could not allocate order=9 extent: id=24 memflags=0xc0 (3 of 4)\n',
    '[\n {"cmd": "exchange", "rc": "0xffffffffffffffea"},\n {"cmd":6}]\n',
  ];
  const edit = fc.tuple(fc.nat(2000), fc.constantFrom('', ' ', '=', '{', '}', ',', '0', 'x', '\\', '"', '[', '\n', '-', 'f'), fc.nat(3));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...logs), fc.array(edit, { maxLength: 4 }), async (log, edits) => {
      const text = edits.reduce(
        (whole, [at, put, cut]) => whole.slice(0, at % whole.length) + put + whole.slice((at % whole.length) + cut),
        `${log} `,
      );
      for (const line of await told(text)) {
        const cmd = /cmd (\d+)/.exec(line)?.[1];
        const named = /exchange|Could not|ioctl/.test(text);
        if (cmd !== undefined && !named)
          expect(
            [cmd, `0x${Number(cmd).toString(16)}`, `x${Number(cmd).toString(16).padStart(2, '0')}`].some((way) => text.includes(way)),
          ).toBe(true);
      }
    }),
    { numRuns: process.env['XENMEM_LONG'] ? 100_000 : 2000 },
  );
});

it('takes a time that is linear in the line', async () => {
  const long = 60_000;
  const hard = [
    '00 '.repeat(long / 3),
    `${'a'.repeat(long)}=`,
    'ioctl(1<'.repeat(long / 8),
    'mem=0'.repeat(long / 5),
    `x={${'0,'.repeat(long / 2)}`,
    '\\x0'.repeat(long / 3),
    ' [001] '.repeat(long / 7),
  ];
  const started = performance.now();
  for (const line of hard) await told(`Attaching 1 probe...\ncmd=1 ${line} z\n`);
  expect(performance.now() - started).toBeLessThan(2000);
});

describe("what bpftrace's scripts leave behind", () => {
  const bytes = '0010a4090000ffff03000000000000000000000000000000f07f000000000000';
  const escaped = bytes.replace(/../g, '\\x$&');
  it('bytes in a map are read, as text and as JSON', async () => {
    expect(await told(`Attaching 2 probes...\n\n@b[6]: ${escaped}\n@n: 3\n`)).toEqual([`3: ${bytes}`]);
    const json = (data: object): string => `{"type": "map", "data": ${JSON.stringify(data)}}\n`;
    expect(await told(json({ '@b': escaped }) + json({ '@c': { 6: escaped } }))).toEqual([`1: ${bytes}`, `2: ${bytes}`]);
  });

  it('a line that is cut within an escape is not filled up with its characters', async () => {
    expect(await told(`Attaching 1 probe...\ncmd=6 arg=0x1000 ${escaped.slice(0, -9)}\n`)).toEqual([
      'bad 2: the line is cut within a byte',
    ]);
  });
});
