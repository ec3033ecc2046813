import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, it } from 'vitest';
import { captures, file, root, xenmem } from './shell.ts';

function schema(name: string): ValidateFunction {
  return new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(join(root, `fixtures/schemas/${name}.schema.json`), 'utf8')),
  );
}

const line = schema('validate');
const story = schema('trace-summary');
const partial = schema('partial');

const lines = (args: readonly string[], input = ''): unknown[] =>
  xenmem(['validate', '--json', '--fail-on', 'never', ...args], input)
    .stdout.trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text));

/** What a schema has against a value. */
function errors(check: ValidateFunction, value: unknown): string[] {
  check(value);
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const files = ['xen-4.17-arm64-balloon.ndjson', 'xen-4.17-x86_64-pv-dom0.ndjson'].map((name) => join(captures, name));

describe('the schema of validate --json', () => {
  it('takes every line of what it prints', () => {
    const all = [...lines(files), ...lines([], '{"cmd":63}\n{"cmd":26,"arg":"0x10","before":[["0x10","00"]],"rc":-1}\nhello\n')];
    expect(all.length).toBe(9 + 61 + 1 + 2 + 1);
    for (const value of all) expect(errors(line, value)).toEqual([]);
    // Ops that are not judged: a struct in full, one that nothing tells the member of, and a cut one.
    const other = (cmd: number, bytes: string): string =>
      JSON.stringify({ cmd, profile: 'upstream', arg: '0x10', before: [['0x10', bytes]], rc: 0 });
    const shown = lines([], [other(22, 'ff'.repeat(48)), other(22, `08${'ff'.repeat(47)}`), other(26, 'ff'.repeat(24))].join('\n'));
    expect(shown.map((value) => [Object.hasOwn(value as object, 'argument'), ...errors(line, value)])).toEqual([
      [true],
      [true],
      [true],
      [false],
    ]);
  });

  it('does not take what is nearly such a line', () => {
    const [call] = lines([files[0] ?? '']) as [Record<string, unknown>];
    for (const wrong of [
      { ...call, requirements: { 'get-works': 'maybe' } },
      { ...call, extra: 1 },
      { ...call, op: undefined },
      { ...call, findings: [{ id: 'x', blame: 'nobody', severity: 'error', message: 'y' }] },
      { summary: { calls: -1 } },
      { ...call, argument: { struct: 'xen_memory_domain', size: 2, value: { domid: '32752' } } },
      { ...call, argument: { struct: 'xen_memory_domain', size: 2 } },
    ]) {
      expect(line(JSON.parse(JSON.stringify(wrong)))).toBe(false);
    }
  });
});

describe('the schema of validate --summary --json', () => {
  it('takes what it prints, with the summary as ever behind it', () => {
    const [first, last, ...more] = lines(['--summary', ...files]);
    expect(errors(story, first)).toEqual([]);
    expect(errors(line, last)).toEqual([]);
    expect(more).toEqual([]);
    expect(story({ ...(first as object), schema: 'xenmem/trace-summary@2' })).toBe(false);
    expect(errors(story, lines(['--summary'], '{"cmd":63}\n')[0])).toEqual([]);
  });
});

describe('the schema of validate --partial', () => {
  it('takes what it prints', () => {
    for (const name of files) {
      const value = JSON.parse(xenmem(['validate', '--partial', '--piece', '2/3', name]).stdout);
      expect(errors(partial, value)).toEqual([]);
      expect(partial({ ...value, range: [1] })).toBe(false);
      expect(partial({ ...value, open: [{ missed: false }] })).toBe(false);
    }
  });
});

describe('validate --summary', () => {
  const struct = (list: string, count: number): string =>
    `${list}${count.toString(16).padStart(2, '0')}000000000000000000000000000000f07f000000000000`;
  const frames = (...list: number[]): string =>
    list.map((frame) => Buffer.from(new BigUint64Array([BigInt(frame)]).buffer).toString('hex')).join('');
  const call = (cmd: number, rc: number, list: number[], domid = 1): string =>
    JSON.stringify({
      cmd,
      domid,
      arg: '0x1000',
      before: [
        ['0x1000', struct('0020000000000000', list.length)],
        ['0x2000', frames(...list)],
      ],
      rc,
    });

  it('tells who asked for what and got how much, over time, and what was given back twice', () => {
    file(
      'balloon.ndjson',
      [call(1, 2, [0x100, 0x101]), call(6, 1, [0x100, 0x102]), call(6, -12, [0x103]), call(1, 2, [0x101, 0x100]), call(17, 0, [])].join(
        '\n',
      ),
    );
    const { stdout } = xenmem(['validate', '--summary', '--fail-on', 'never', 'balloon.ndjson']);
    expect(stdout.split('\n\n')[0]).toBe(
      [
        'domain 1',
        '  decrease_reservation   2 calls; 4 of 4 extents, 4 of 4 pages; order 0 ×2; rc all ×2',
        '  populate_physmap       2 calls; 1 refused; 1 of 3 extents, 1 of 3 pages; order 0 ×2;',
        '                         rc a part ×1, -ENOMEM ×1',
        '  get_pod_target         1 call; rc 0 ×1',
        'pages: 1 taken, 4 given back, -3 at the end (lowest -3, highest -1)',
        '  ▄██▁▁  a column is 1 call',
        'given back twice: 0x101 of domain 1 at #4 and at #1',
      ].join('\n'),
    );
  });

  it('follows pins from get to put', () => {
    const get = (nr: number): string =>
      `${struct('0020000000000000', 1)}${struct('0030000000000000', 1)}${nr.toString(16).padStart(2, '0')}00000000000000`;
    const memory = (nr: number, out: number): unknown => [
      ['0x1000', get(nr)],
      ['0x2000', frames(0x40)],
      ['0x3000', frames(out)],
    ];
    const record = JSON.stringify({ cmd: 26, domid: 1, arg: '0x1000', before: memory(0, 0x50), rc: 0, after: memory(1, 0x999) });
    const text = (input: string): string => xenmem(['validate', '--summary', '--profile', 'dma-buf', '--fail-on', 'never'], input).stdout;
    expect(text(`${record}\n`)).toContain('pins: 1 page at the end, 1 at most\n  █\nnever put: 0x50 of domain 1\n');
    expect(text(`${record}\n${call(27, 0, [0x50])}\n`)).toContain('pins: 0 pages at the end, 1 at most\n  █▁\n');
  });

  it('keeps its memory bounded, and says what it cut', () => {
    const many = Array.from({ length: 200 }, (_, i) => call(1, 1, [0x1000 + i], i));
    const { stdout } = xenmem(['validate', '--summary', '--fail-on', 'never'], many.join('\n'));
    expect(stdout).toContain('\n136 more calls of other ops or domains: only the first 64 are told apart\n');
    expect(stdout).toMatch(/\n {2}[▁-█]{50} {2}a column is 4 calls\n/);
  });
});
