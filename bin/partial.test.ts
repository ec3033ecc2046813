import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, file, hex, scratch, shell, xenmem } from './shell.ts';

/** The summary of one run over an input. */
const summary = (...args: string[]): string =>
  xenmem(['validate', '--json', '--fail-on', 'never', ...args])
    .stdout.trimEnd()
    .split('\n')
    .at(-1) ?? '';
const piece = (...args: string[]): string => {
  const { stdout, stderr } = xenmem(['validate', '--partial', '--fail-on', 'never', ...args]);
  expect(stderr.replaceAll(/^xenmem: note: .*\n/gm, '')).toBe('');
  return stdout;
};

describe('validate --partial, and merge', () => {
  it.each(readdirSync(captures).filter((name) => name.endsWith('.ndjson')))('%s in pieces is what it is whole', (name) => {
    const path = join(captures, name);
    const pieces = [3, 1, 2].map((k) => piece('--piece', `${k}/3`, path)).join('');
    const { code, stdout, stderr } = xenmem(['merge', '--json', '--fail-on', 'never'], pieces);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${summary(path)}\n`, stderr: '' });
  });

  it('pieces of an array of structs end at whole structs', () => {
    // Ten puts of which one has a padding byte set, and half a struct at the end
    const put = hex('0000000040000000 0100000000000000 00000000 00000000 f07f 000000000000').slice(0, 32);
    const dirty = Uint8Array.from(put, (byte, i) => (i === 28 ? 7 : byte));
    const path = file('puts.bin', Buffer.concat([...Array(9).fill(put), dirty, put.subarray(0, 16)]));
    const pieces = [1, 2, 3, 4].map((k) => {
      const { code, stdout } = xenmem(['validate', '--partial', '--struct', 'put_dma_buf', '--piece', `${k}/4`, path]);
      expect(code).toBe(k === 4 ? 3 : 0);
      return stdout;
    });
    expect(pieces.map((text) => JSON.parse(text).range)).toEqual([
      [0, 64],
      [64, 160],
      [160, 224],
      [224, 336],
    ]);
    expect(xenmem(['merge', '--json'], pieces.join('')).stdout).toBe(`${summary('--struct', 'put_dma_buf', path)}\n`);
  });

  const trace = [
    '{"xenmem":1,"arch":"arm32","profile":"dma-buf","from_start":true}',
    ...[1, 2, 3, 4].map((seq) => `{"seq":${seq},"domid":1,"cmd":27,"arg":"0x10","before":[["0x10","${'00'.repeat(24)}"]],"rc":-22}`),
    'no record',
    '{"seq":6,"domid":1,"cmd":27}',
    '',
  ].join('\n');

  it('a piece on stdin may bring the header with it, and says where it begins', () => {
    const path = file('six.ndjson', trace);
    const lines = trace.split(/(?<=\n)/);
    const cut = lines.slice(0, 3).join('').length;
    const first = xenmem(['validate', '--partial', '-'], trace.slice(0, cut));
    const second = xenmem(['validate', '--partial', '--at', String(cut), '-'], `${lines[0]}${trace.slice(cut)}`);
    expect([first.code, second.code, second.stderr]).toEqual([0, 3, expect.stringContaining('xenmem: stdin:4: ')]);
    expect(JSON.parse(second.stdout).range).toEqual([cut, trace.length]);
    const merged = xenmem(['merge', '--json'], second.stdout + first.stdout);
    expect([merged.code, merged.stdout]).toEqual([3, `${summary(path)}\n`]);
  });

  it('larger pieces are merged again; a piece that is missing is told', () => {
    const path = file('six.ndjson', trace);
    const [a, b, c] = [1, 2, 3].map((k) => piece0(`${k}/3`, path)) as [string, string, string];
    const joined = xenmem(['merge', '--partial'], c + b);
    expect(joined.stdout.trimEnd().split('\n').length).toBe(1);
    expect(xenmem(['merge', '--json'], joined.stdout + a).stdout).toBe(`${summary(path)}\n`);
    const [from, to] = JSON.parse(b).range;
    const without = xenmem(['merge'], a + c);
    expect([without.code, without.stderr]).toEqual([3, `xenmem: bytes ${from}..${to} are in no piece\n`]);
    expect(without.stdout.trimEnd().split('\n').at(-1)).toBe('? nothing wrong in what could be read');
  });
  const piece0 = (k: string, path: string): string => xenmem(['validate', '--partial', '--piece', k, path]).stdout;

  it('the last line claims no more than the pieces that are there', () => {
    const path = join(captures, 'xen-4.17-arm64-balloon.ndjson');
    const { code, stdout } = xenmem(['merge'], piece0('1/4', path) + piece0('3/4', path));
    expect([code, stdout.trimEnd().split('\n').at(-1)]).toEqual([3, '? nothing wrong in the pieces that are there']);
  });

  it.each([
    ['validate --piece 1/2 six.ndjson', 2, '--piece needs --partial'],
    ['validate --partial --piece 3/2 six.ndjson', 2, '--piece: K "3": expected a whole number, 1..2'],
    ['validate --partial --piece 1-2 six.ndjson', 2, '--piece 1-2: is not K/N, as 3/8'],
    [
      'validate --partial --piece 1/2 --at 5 six.ndjson',
      2,
      '--piece says where a piece of a file is, --at where that on stdin begins: give one',
    ],
    ['validate --partial --piece 1/2 - < six.ndjson', 2, '--piece needs a file; of stdin say where it begins with --at'],
    ['validate --partial six.ndjson six.ndjson', 2, '--partial judges a piece of one input: name one'],
    [
      'validate --partial --struct vmemrange six.ndjson',
      2,
      'xen_vmemrange is no argument of an op, but the entry of a list: decode shows it',
    ],
    [
      'validate --partial --cmd 7 six.ndjson',
      3,
      'six.ndjson: read as an NDJSON trace, which cannot be judged in pieces (--input-format raw if it is an array)',
    ],
    ['validate --partial --summary six.ndjson', 2, '--summary cannot be had of a piece'],
    [
      'validate --partial --piece 1/2 log.txt',
      3,
      'log.txt: only a trace with a record a line, and an array of structs (--struct), can be judged in pieces',
    ],
    [
      'validate --partial --piece 1/2 two.ndjson',
      3,
      'two.ndjson:3: a header within the trace: cut it before each header, and judge each part whole',
    ],
    ['merge a.json a.json', 2, 'bytes 0..20 and 0..20 overlap: say with --piece or --at where each piece lies'],
    ['merge --report junit=x.xml a.json', 2, '--report and --expect are of conformance runs'],
    ['merge b.json', 3, 'b.json: range: a list of 1 is not [from, to]'],
  ])('%s ends with %i and one line', (words, code, message) => {
    file('six.ndjson', trace);
    file('log.txt', 'bash-1 [000] 1: sys_enter\n');
    file('two.ndjson', '{"xenmem":1}\n{"cmd":27}\n{"xenmem":1,"arch":"arm32"}\n{"cmd":27}\n'.padEnd(100, '\n'));
    const partial = { schema: 'xenmem/partial@1', range: [0, 20], open: [] };
    const counts = { calls: 0, not_judged: 0, unreadable: 0, failed: 0, holds: {}, violated: {}, unknown: {}, findings: {} };
    const weights = { hypervisor: 0, error: 0, warning: 0, note: 0 };
    file('a.json', JSON.stringify({ ...partial, counts: { ...counts, weights, lacks: {}, evaluated: false } }));
    file('b.json', JSON.stringify({ ...partial, range: [1] }));
    const ran = shell(`cd '${scratch}'; xenmem ${words}`);
    expect([ran.code, ran.stderr]).toEqual([code, `xenmem: ${message}\n`]);
  });

  it('comments may stand before the header of the whole', () => {
    const path = file('comment.ndjson', `# captured by hand\n\n${trace}`);
    const pieces = [1, 2, 3].map((k) => piece0(`${k}/3`, path)).join('');
    expect(xenmem(['merge', '--json'], pieces).stdout).toBe(`${summary(path)}\n`);
  });

  it('an array that is no raw bytes is refused, not read as such', () => {
    const path = file('puts.hex', `${'00000040000000000100000000000000000000000000000000f07f00000000000'.slice(0, 64)}\n`);
    const message = 'read as plain hex, which cannot be judged in pieces (--input-format raw if it is an array)';
    for (const args of [['--piece', '1/2', path], [path]]) {
      const { code, stdout, stderr } = xenmem(['validate', '--partial', '--struct', 'put_dma_buf', ...args]);
      expect([code, stdout, stderr.split('\n').at(-2)]).toEqual([3, '', `xenmem: puts.hex: ${message}`]);
    }
  });

  it('what is open is small where gets and puts match', () => {
    const path = join(captures, 'xen-4.17-arm64-dom0.ndjson');
    const { open } = JSON.parse(piece(path));
    expect(JSON.stringify(open).length).toBeLessThan(readFileSync(path).length / 4);
  });
});
