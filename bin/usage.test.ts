import { describe, expect, it } from 'vitest';
import { file, has, shell, xenmem } from './shell.ts';

const wrong = (args: readonly string[], line: string): void =>
  expect(xenmem(args)).toEqual({ code: 2, stdout: '', stderr: `xenmem: ${line}\n` });

describe('a wrong word gets one line, a hint and exit 2', () => {
  it.each([
    [['decod'], 'unknown command "decod", did you mean "decode"? (xenmem --help lists the commands)'],
    [['valdiate'], 'unknown command "valdiate", did you mean "validate"? (xenmem --help lists the commands)'],
    [['__proto__'], 'unknown command "__proto__" (xenmem --help lists the commands)'],
    [['a\x1b[31mb\n'], 'unknown command "a\\u001b[31mb\\n" (xenmem --help lists the commands)'],
    [['-'], 'no command before - (xenmem --help lists the commands)'],
    [['--', 'decode'], 'no command (xenmem --help lists the commands)'],
    [['--vrsion'], 'unknown option --vrsion, did you mean "--version"?'],
    [['validate', '--jsn'], 'unknown option --jsn, did you mean "--json"?'],
    [['validate', '--fail-onn', 'error'], 'unknown option --fail-onn, did you mean "--fail-on"?'],
    [['layout', '--verbose'], 'unknown option --verbose'],
    [['decode', '-x'], 'unknown option -x'],
    [
      ['decode', '--struct', 'get_dma_bug'],
      'unknown struct "get_dma_bug", did you mean "xen_get_dma_buf"? (known: xen_memory_reservation, xen_memory_exchange, xen_get_dma_buf, xen_put_dma_buf, the other structs of memory.h)',
    ],
    [
      ['decode', '--struct', 'constructor'],
      'unknown struct "constructor" (known: xen_memory_reservation, xen_memory_exchange, xen_get_dma_buf, xen_put_dma_buf, the other structs of memory.h)',
    ],
    [['decode', '--arch', 'arm46'], 'unknown --arch "arm46", did you mean "arm64"? (known: arm32, arm64, x86_64, x86_32)'],
    [['layout', '--arch', 'ARM64'], 'unknown --arch "ARM64", did you mean "arm64"? (known: arm32, arm64, x86_64, x86_32)'],
    [['layout', '--compare', 'arm32', 'mips'], 'unknown arch "mips" (known: arm32, arm64, x86_64, x86_32)'],
    [['decode', '--profile', 'upsteam'], 'unknown --profile "upsteam", did you mean "upstream"? (known: dma-buf, upstream)'],
    [
      ['decode', '--input-format', 'xdd'],
      'unknown --input-format "xdd" (known: ndjson, calls, pcapng, pcap, raw, xxd, xxd-p, hexdump, hex, dump, list, escapes, base64, ihex, srec)',
    ],
    [['validate', '--fail-on', 'eror'], 'unknown --fail-on "eror", did you mean "error"? (known: error, warning, note, never)'],
    [['recipe'], 'say which recipe: bpftrace, ftrace, gdb, qemu, printk, strace'],
    [['recipe', 'bpftrac'], 'unknown recipe "bpftrac", did you mean "bpftrace"? (known: bpftrace, ftrace, gdb, qemu, printk, strace)'],
    [['recipe', 'gdb', 'x'], 'unexpected "x"'],
    [
      ['recipe', 'gdb'],
      'say which calls with --op: increase_reservation, decrease_reservation, populate_physmap, exchange, get_dma_buf, put_dma_buf',
    ],
    [['recipe', 'gdb', '--op', 'get_dma_buf', '--profile', 'upstream'], 'profile upstream has no get_dma_buf'],
    [['recipe', 'bpftrace', '--op', 'exchange', '--arch', 'x86_32'], 'bpftrace does not run on x86_32: xenmem recipe ftrace, or gdb, does'],
    [['validate', '--blame', 'hyper'], 'unknown --blame "hyper", did you mean "hypervisor"? (known: anyone, hypervisor)'],
    [['validate', '--fail-on'], '--fail-on wants a value'],
    [['decode', '--struct', '--', 'x'], '--struct wants a value'],
    [['decode', '--cmd', '-1'], '--cmd "-1": expected an op by its name, or a number, 0..0xffffffff'],
    [['decode', '--cmd', '0x100000000'], '--cmd "0x100000000": expected an op by its name, or a number, 0..0xffffffff'],
    [['decode', '--cmd', '1e3'], '--cmd "1e3": expected an op by its name, or a number, 0..0xffffffff'],
    [['decode', '--cmd', 'populate'], '--cmd "populate": expected an op by its name, or a number, 0..0xffffffff'],
    [['decode', '--cmd', 'get_vnumainfo'], '--cmd get_vnumainfo is op 26, which is get_dma_buf in profile dma-buf: say --profile upstream'],
    [['decode', '--cmd', '5', '--struct', 'add_to_physmap'], '--cmd 5: the argument of machphys_mfn_list is not xen_add_to_physmap'],
    [['validate', '--cmd', 'exchange', '--struct', 'memory_map'], '--cmd exchange: the argument of exchange is not xen_memory_map'],
    [['decode', '--cmd', '28', '--struct', 'vmemrange'], '--cmd 28: the argument of acquire_resource is not xen_vmemrange'],
    [['decode', '--cmd', '2'], 'op 2 (maximum_ram_page) of profile dma-buf takes no struct that xenmem knows'],
    [
      ['decode', '--cmd', '18', '--profile', 'upstream'],
      'op 18 (get_sharing_freed_pages) of profile upstream takes no struct that xenmem knows',
    ],
    [
      ['decode', '--cmd', '27', '--struct', 'get_dma_buf'],
      '--cmd 27 is put_dma_buf, whose argument is xen_put_dma_buf, not xen_get_dma_buf',
    ],
    [['decode', '--arch', 'arm64', '--arch', 'arm32'], '--arch is given twice'],
    [['encode', '-o', 'a', '--out', 'b'], '--out is given twice'],
    [['live', '--arch', 'arm64', '--has', 'exchange'], '--has goes with --xen FILE and --guest domu'],
    [
      ['live', '--arch', 'arm64', '--guest', 'domu', '--xen', 'xen', '--has', 'get_dma_buf'],
      '--has get_dma_buf goes with --has put_dma_buf: the next scenario begins with nothing pinned',
    ],
    [['layout', '--compare', 'arm32', 'arm64', '--compare', 'arm32', 'arm64'], '--compare is given twice'],
    [['validate', '-', '-'], 'stdin (-) can be read only once'],
    [['explain', 'get-pined'], 'unknown rule "get-pined", did you mean "get-pinned"? (xenmem explain lists them)'],
    [['explain', '--', '-x'], 'unknown rule "-x" (xenmem explain lists them)'],
    [['completion', 'fish'], 'unknown shell "fish" (known: bash, zsh)'],
  ])('%j', (args, line) => wrong(args, line));

  it('no word at all: the help, on stderr', () => {
    const { code, stdout, stderr } = xenmem([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^xenmem <command> \[options\]\n/);
  });
});

describe('help and version', () => {
  it('--version prints the version and nothing else', () => {
    expect(xenmem(['--version'])).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it('the help of a command lists its options and no other', () => {
    const options = (name: string): string[] => {
      const { code, stdout, stderr } = xenmem([name, '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout.split('\n').filter((text) => text.length > 100)).toEqual([]);
      return [...stdout.matchAll(/^ {2}(?:-\w, | {4})--([\w-]+) /gm)].map((found) => found[1] as string);
    };
    const capture = [
      'struct',
      'cmd',
      'arch',
      'profile',
      'input-format',
      'word-order',
      'offset-radix',
      'space',
      'privileged',
      'fail-on',
      'blame',
    ];
    expect(options('validate')).toEqual([
      'help',
      'version',
      ...capture,
      'verbose',
      'quiet',
      'summary',
      'timeline',
      'jobs',
      'json',
      'partial',
      'piece',
      'at',
    ]);
    expect(options('decode')).toEqual(['help', 'version', ...capture, 'json', 'to', 'elf', 'at']);
    expect(options('recipe')).toEqual(['help', 'version', 'arch', 'op', 'profile']);
    expect(options('encode')).toEqual(['help', 'version', 'struct', 'cmd', 'arch', 'profile', 'hex', 'out', 'force']);
    expect(options('layout')).toEqual(['help', 'version', 'arch', 'emit', 'checks', 'assert', 'compare', 'as', 'base', 'report', 'json']);
    expect(options('explain')).toEqual(['help', 'version', 'reference', 'all', 'emit', 'json']);
  });

  it('help COMMAND is COMMAND --help', () => {
    expect(xenmem(['help', 'explain'])).toEqual(xenmem(['explain', '--help']));
  });
});

describe('completion', () => {
  const bash = (...words: string[]): string[] => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const line = `source <(xenmem completion bash); COMP_WORDS=(xenmem ${list}); COMP_CWORD=${words.length}; _xenmem; printf '%s\\n' "\${COMPREPLY[@]}"`;
    // Whatever the login shell is, a script for bash gets what bash can use.
    const { code, stdout, stderr } = shell(line, { SHELL: '/bin/zsh' });
    expect([code, stderr]).toEqual([0, '']);
    return stdout.trimEnd().split('\n');
  };

  it('in bash knows commands, options and values', () => {
    const commands = ['decode', 'encode', 'validate', 'layout', 'recipe', 'explain', 'conform', 'live', 'fixtures', 'merge', 'completion'];
    expect(bash('')).toEqual(commands);
    expect(bash('dec')).toEqual(['decode']);
    expect(bash('validate', '--f')).toEqual(['--fail-on']);
    expect(bash('validate', '--arch', 'arm')).toEqual(['arm32', 'arm64']);
    expect(bash('validate', '--arch', '')).toEqual(['arm32', 'arm64', 'x86_64', 'x86_32']);
    expect(bash('encode', '-')).toContain('--out');
    expect(bash('encode', '-')).not.toContain('--blame');
  });

  it('says nothing where only file names fit', () => {
    expect(bash('decode', 'fil')).toEqual(['']);
  });

  it('for zsh asks for descriptions', () => {
    const { stdout } = xenmem(['completion'], '', { SHELL: '/usr/bin/zsh' });
    expect(stdout).toMatch(/^#compdef xenmem\n/);
    expect(xenmem(['--get-yargs-completions', 'xenmem', 'lay'], '', { SHELL: 'zsh' }).stdout).toContain(
      'layout:print where each byte of a struct belongs, as pahole does\n',
    );
  });

  it.skipIf(!has('zsh'))('zsh can read its script', () => {
    expect(shell('xenmem completion zsh | zsh -n').code).toBe(0);
  });
});

describe('words that yargs would change', () => {
  const zeros = new Uint8Array(32);
  const first = (args: readonly string[]): unknown[] => {
    const { code, stdout } = xenmem(args, zeros);
    return [code, stdout.split('\n')[0]];
  };
  const put = [0, 'xen_put_dma_buf  32 bytes  arm64  op 27'];

  it('takes a file for what it is called', () => {
    file('1e3', zeros);
    file('-x', zeros);
    file('0x10', zeros);
    expect(first(['decode', '--cmd', '27', '1e3'])).toEqual(put);
    expect(first(['decode', '--cmd', '27', '0x10'])).toEqual(put);
    expect(first(['decode', '--cmd', '27', '--', '-x'])).toEqual(put);
    expect(first(['decode', '--cmd', '27', './-x'])).toEqual(put);
  });

  it('takes a lone - for stdin, behind -- too', () => {
    expect(first(['decode', '--cmd', '27', '-'])).toEqual(put);
    expect(first(['decode', '-', '--cmd', '27'])).toEqual(put);
    expect(first(['decode', '--cmd', '27', '--', '-'])).toEqual(put);
    expect(first(['decode', '--cmd', '27'])).toEqual(put);
  });

  it('takes a switch given twice as given', () => {
    expect(xenmem(['decode', '--cmd', '27', '--json', '--json'], zeros).code).toBe(0);
  });
});
