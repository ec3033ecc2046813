import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, command, file, has, scratch, shell, xenmem } from './shell.ts';

const balloon = join(captures, 'xen-4.17-arm64-balloon.ndjson');
const dom0 = join(captures, 'xen-4.17-arm64-dom0.ndjson');

describe('an input that cannot be read: one line, exit 3, nothing on stdout', () => {
  const refused = (args: readonly string[], stderr: string, input: string | Uint8Array = ''): void =>
    expect(xenmem(args, input)).toEqual({ code: 3, stdout: '', stderr: `xenmem: ${stderr}\n` });

  mkdirSync(join(scratch, 'folder'));
  file('empty', '');
  file('blank', ' \n\t\n');
  file('text', 'hello there\n');
  file('half', 'a5a5a\n');

  for (const name of ['decode', 'validate']) {
    it(`${name}: an empty file`, () => refused([name, 'empty'], 'empty: the input is empty'));
    it(`${name}: nothing on stdin`, () => refused([name], 'stdin: the input is empty'));
    it(`${name}: a blank file`, () => refused([name, 'blank'], 'blank: the input is blank'));
    it(`${name}: a directory`, () => refused([name, 'folder'], 'folder: is a directory'));
    it(`${name}: no such file`, () => refused([name, 'nothing'], 'nothing: no such file'));
    it(`${name}: a file where a directory should be`, () => refused([name, 'empty/x'], 'empty/x: no such file'));
    it(`${name}: no name`, () => refused([name, ''], '"": no such file'));
    it(`${name}: text in no format`, () =>
      refused(
        [name, 'text'],
        'text: "hello there" begins no trace and no dump of memory: give the bytes, a dump (xxd FILE, gdb x/72xb ADDR, crash rd -64 ADDR 9) or a trace',
      ));
  }

  it('encode: a directory', () => refused(['encode', 'folder'], 'folder: is a directory'));
  it('encode: no such file', () => refused(['encode', 'nothing'], 'nothing: no such file'));

  it('half a hex digit', () => {
    refused(['decode', 'half'], 'note: half: read as plain hex\nxenmem: half:1: half a hex digit at column 5: two make a byte');
  });

  it('binary noise without a struct', () => {
    const noise = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + 13) & 0xff);
    refused(
      ['decode', '-'],
      "note: stdin: read as raw bytes\nxenmem: stdin: 300 bytes are no struct's size on arm64: say which with --struct or --cmd",
      noise,
    );
  });

  it('an endless file', () => {
    refused(
      ['decode', '/dev/zero'],
      'note: /dev/zero: read as raw bytes\nxenmem: /dev/zero: more than 1 MiB is no single struct: name the struct (--struct) to read an array of them',
    );
  });

  it.skipIf(process.getuid?.() === 0)('a file that may not be read', () => {
    writeFileSync(join(scratch, 'secret'), 'x', { mode: 0 });
    refused(['decode', 'secret'], 'secret: permission denied');
  });

  it('a directory on stdin', () => {
    expect(shell('xenmem validate - < folder')).toEqual({ code: 3, stdout: '', stderr: 'xenmem: stdin: is a directory\n' });
  });
});

describe('a hostile name', () => {
  it('is escaped, so that it cannot steer a terminal', () => {
    file('\x1b]0;x\x07\n\u202etxt\u009b', '');
    expect(xenmem(['decode', '\x1b]0;x\x07\n\u202etxt\u009b']).stderr).toBe(
      'xenmem: \\x1b]0;x\\x07\\x0a\\u202etxt\\x9b: the input is empty\n',
    );
  });

  it('is escaped in a record too', () => {
    const { code, stdout, stderr } = xenmem(['validate', '-'], '{"cmd":26,"arch":"\\u001b[2J"}\n{"cmd":26,"note":"\\u001b[2J"}\n');
    expect(code).toBe(3);
    expect(stderr).toBe('xenmem: stdin:1: arch: "\\u{1b}[2J" is not one of arm32, arm64, x86_64, x86_32\n');
    expect(stdout).not.toContain('\x1b');
  });

  it('of a megabyte is cut', () => {
    const { code, stderr } = xenmem(['encode', '--struct', 'put_dma_buf'], `{"in":{},"${'k'.repeat(500_000)}":1}`);
    expect(code).toBe(3);
    expect(stderr.length).toBeLessThan(700);
  });
});

describe('lines', () => {
  it('of a gigabyte are passed over in little memory, and the rest is judged', { timeout: 60_000 }, () => {
    const long = `printf '{"cmd":'; head -c 1000000000 /dev/zero | tr '\\0' 1; echo '}'; cat '${balloon}'`;
    const { code, stdout, stderr } = shell(`{ ${long}; } | '${process.execPath}' --max-old-space-size=128 '${command}' validate -q -`);
    // On a slow machine lines of progress are between, one in ten seconds
    expect(stderr.replace(/^xenmem: [\d.]+ \w?B, .*\n/gm, '')).toBe('xenmem: stdin:1: longer than 1 MiB\n');
    expect(stdout.split('\n')[1]).toBe('9 calls: 9 judged, 1 unreadable');
    expect(code).toBe(3);
  });

  it('that are not UTF-8 or not JSON, or whose numbers have lost digits, are named by file and number', () => {
    file(
      'lines.ndjson',
      Buffer.from('{"cmd":26,"arg":9007199254740993}\n\xff{"cmd":26}\n{"cmd":26\n{"cmd":0x1a}\n# fine\n\n{"cmd":26}\n[1]\n', 'latin1'),
    );
    const { code, stdout, stderr } = xenmem(['validate', 'lines.ndjson']);
    expect(stderr.trimEnd().split('\n')).toEqual([
      'xenmem: lines.ndjson:1: arg: a JSON number beyond 2^53 - 1 has lost digits: 64-bit numbers are written as strings, "0x…"',
      'xenmem: lines.ndjson:2: not UTF-8 at byte 1 of the line',
      'xenmem: lines.ndjson:3: not JSON at column 10: the line ends too early (a record is one line)',
      'xenmem: lines.ndjson:4: not JSON at column 8: a hex number is written as a string: "0x1a"',
      'xenmem: lines.ndjson:8: record: a list of 1 is not an object',
    ]);
    expect(stdout.split('\n')[0]).toBe('#7     get_dma_buf                  rc ?                 unknown   0 hold, 28 unknown');
    expect(stdout.split('\n')[2]).toBe('1 call: 1 judged, 5 unreadable');
    expect(code).toBe(3);
  });
});

describe('exit codes where several apply', () => {
  it('a finding beats an unreadable line, which beats nothing evaluated', () => {
    expect(xenmem(['validate', 'nothing', join(captures, 'xen-4.17-x86_64-pv-dom0.ndjson')]).code).toBe(1);
    expect(xenmem(['validate', '-'], '{"cmd":2}\nno\n').code).toBe(3);
    expect(xenmem(['validate', '-'], '{"cmd":2}\n').code).toBe(4);
  });

  it('wrong usage beats both', () => {
    const { code, stderr } = xenmem(['encode', '--hex'], 'no\n{"in":{}}\n');
    expect(code).toBe(2);
    expect(stderr.trimEnd().split('\n').at(-1)).toBe('xenmem: say which struct with --struct, or give objects with "struct" and "value"');
  });

  it('nothing evaluated is said', () => {
    expect(xenmem(['decode', '-'], '{"xenmem":1}\n')).toEqual({ code: 4, stdout: '', stderr: 'xenmem: no struct that xenmem knows\n' });
    expect(xenmem(['encode', '-'], '\n')).toEqual({ code: 4, stdout: '', stderr: 'xenmem: nothing to encode\n' });
    expect(xenmem(['validate', '-'], '{"xenmem":1}\n').stdout).toBe(
      '\n0 calls: 0 judged\nrequirements: 0 hold, 0 violated, 0 unknown\n? nothing was evaluated\n',
    );
  });
});

describe('streams that are closed or full', () => {
  it('a reader that goes away ends the command quietly', () => {
    expect(shell(`yes '{"cmd":2}' | xenmem validate - | head -1; echo "\${PIPESTATUS[1]}"`)).toEqual({
      code: 0,
      stdout: '#1     maximum_ram_page             rc ?                 not judged\n0\n',
      stderr: '',
    });
  });

  it('without a stderr the exit code still tells', () => {
    expect(shell('xenmem decode nothing 2>&-')).toEqual({ code: 3, stdout: '', stderr: '' });
    expect(shell('xenmem decode nothing 2>/dev/full')).toEqual({ code: 3, stdout: '', stderr: '' });
    expect(shell('(sleep 0.3; xenmem decode nothing; echo $? >&3) 3>&2 2>&1 | true').stderr).toBe('3\n');
  });

  it('a full disk is said', () => {
    expect(shell(`xenmem validate '${dom0}' > /dev/full`)).toEqual({ code: 2, stdout: '', stderr: 'xenmem: stdout: no space left\n' });
  });
});

describe.skipIf(!has('script'))('on a terminal', () => {
  const onTerminal = (line: string): string => shell(`script -qec "'${process.execPath}' '${command}' ${line}" /dev/null`).stdout;

  it('waits for nobody to type', () => {
    expect(onTerminal('decode -')).toBe('xenmem: stdin is a terminal: name a file, or pipe one in\r\n');
    expect(onTerminal('validate')).toBe('xenmem: no input: name a file, or pipe one in\r\n');
  });

  it('writes no bytes', () => {
    expect(onTerminal(`encode ${balloon}`)).toBe('xenmem: bytes do not belong on a terminal: use --hex, --out FILE or a pipe\r\n');
  });

  it('is coloured there only, by NO_COLOR and FORCE_COLOR', () => {
    file('zeros', new Uint8Array(32));
    expect(onTerminal('decode --cmd 27 zeros')).toContain('\x1b[1mxen_put_dma_buf\x1b[0m');
    const colours = (env: NodeJS.ProcessEnv): boolean => xenmem(['decode', '--cmd', '27', 'zeros'], '', env).stdout.includes('\x1b');
    expect(colours({})).toBe(false);
    expect(colours({ FORCE_COLOR: '1' })).toBe(true);
    expect(colours({ FORCE_COLOR: '0' })).toBe(false);
    const quiet = shell(`NO_COLOR=1 script -qec "'${process.execPath}' '${command}' decode --cmd 27 zeros" /dev/null`);
    expect(quiet.stdout).not.toContain('\x1b');
  });
});
