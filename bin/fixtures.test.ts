import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, root, scratch, shell, shownToken, xenmem } from './shell.ts';

const golden = join(root, 'fixtures/golden');
const at = (...parts: string[]): string => join(scratch, ...parts);
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

describe('fixtures check', () => {
  it("finds nothing wrong with the package's own, within seconds", () => {
    const { code, stdout } = xenmem(['fixtures', 'check']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d{3} files, \d{3} cases: ✓ nothing drifted\n$/)]);
  });

  it('names a changed byte, a stray file and a missing one, and exits 1', () => {
    expect(xenmem(['fixtures', 'generate', '--struct', 'put_dma_buf', '--to', 'drift']).code).toBe(0);
    const [changed = '', missing = ''] = filesIn(at('drift')).filter((file) => file.startsWith('structs/'));
    const text = readFileSync(at('drift', changed), 'utf8');
    writeFileSync(at('drift', changed), text.replace('"extent_order":0', '"extent_order":1'));
    writeFileSync(at('drift/stray.bin'), 'x');
    shell(`rm drift/${missing}`);
    const { code, stdout } = xenmem(['fixtures', 'check', '--from', 'drift', '--json']);
    const problems = stdout
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one));
    expect(code).toBe(1);
    expect(new Set(problems.slice(0, -1).map(({ of }) => of))).toEqual(new Set([changed, missing, 'stray.bin']));
    expect(problems.at(-1)).toMatchObject({ problems: problems.length - 1 });
  });

  it('cannot read what is not there, or no such folder', () => {
    expect(xenmem(['fixtures', 'check', '--from', 'nowhere'])).toMatchObject({ code: 3, stderr: 'xenmem: nowhere: no such folder\n' });
  });
});

describe('fixtures generate', () => {
  it('writes the same bytes again, of a part the same as of the whole', () => {
    expect(xenmem(['fixtures', 'generate', '--struct', 'get_dma_buf', '--to', 'again'])).toMatchObject({ code: 0, stderr: '' });
    const made = filesIn(at('again')).filter((file) => file !== 'manifest.json');
    expect(made.filter((file) => file.startsWith('structs/')).length).toBe(8);
    for (const file of made) {
      expect([file, readFileSync(at('again', file), 'utf8') === readFileSync(join(golden, file), 'utf8')]).toEqual([file, true]);
    }
  });

  it('puts no part in the place of the whole', () => {
    expect(xenmem(['fixtures', 'generate', '--struct', 'get_dma_buf'])).toMatchObject({
      code: 2,
      stderr: 'xenmem: a part of the cases goes elsewhere: --to DIR\n',
    });
  });
});

describe('fixtures list', () => {
  it('tells what there is of a requirement, a struct, an architecture', () => {
    const { code, stdout } = xenmem(['fixtures', 'list', '--requirement', 'isolation', '--arch', 'arm32', '--json']);
    const cases = stdout
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one));
    expect(code).toBe(0);
    expect(cases.length).toBeGreaterThan(2);
    for (const one of cases)
      expect([one.arch, one.requirements.includes('isolation'), existsSync(join(golden, one.file))]).toEqual(['arm32', true, true]);
    const { stdout: text } = xenmem(['fixtures', 'list', '--struct', 'get_dma_buf', '--arch', 'x86_32']);
    expect(text).toMatch(
      /^structs\/x86_32\/get-dma-buf-encoded\.[0-9a-f]{8}\.json {2}\d+ rows, compiler\nstructs\/x86_32\/get-dma-buf-errors\..*\n$/,
    );
  });

  it('says what it does not know', () => {
    expect(xenmem(['fixtures', 'list', '--requirement', 'isolatoin']).stderr).toContain('did you mean "isolation"?');
    expect(xenmem(['fixtures', 'chekc'])).toMatchObject({
      code: 2,
      stderr: 'xenmem: unknown word "chekc", did you mean "check"? (known: check, copy, generate, list, promote)\n',
    });
    expect(xenmem(['fixtures', 'check', 'twice'])).toMatchObject({ code: 2, stderr: 'xenmem: unexpected "twice"\n' });
  });
});

describe('fixtures copy', () => {
  const copy = ['fixtures', 'copy', '--struct', 'get_dma_buf', '--arch', 'arm32', '--to', 'vectors'];

  it('writes bytes and a table, and overwrites nothing unless told', () => {
    expect(xenmem(copy)).toMatchObject({ code: 0, stderr: '' });
    const [head = '', ...rows] = readFileSync(at('vectors/table.tsv'), 'utf8')
      .trim()
      .split('\n')
      .map((one) => one.split('\t'));
    expect(head.slice(0, 4)).toEqual(['file', 'bytes', 'expect', 'in.extent_start']);
    const truth = JSON.parse(readFileSync(join(root, 'fixtures/layout/arm32.json'), 'utf8')).values.xen_get_dma_buf;
    const measured = new Set([...truth.rows, ...truth.dirty_rows, ...truth.whole_handle_rows].map((row: string[]) => row.join()));
    for (const [file = '', bytes = '', expected = '', ...values] of rows) {
      const held = readFileSync(at('vectors', file));
      expect(held.length).toBe(Number(bytes));
      if (expected === 'ok') expect(measured).toContain([...values, held.toString('hex')].join());
      else expect(held.length).not.toBe(72);
    }
    expect(rows.length).toBe(filesIn(at('vectors')).length - 2);
    expect(xenmem(copy)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^xenmem: vectors\/.* exists already \(--force overwrites it\)\n$/),
    });
    expect(xenmem([...copy, '--force']).code).toBe(0);
  });

  it.skipIf(!has('gcc'))('writes a header that C compilers take, with the same bytes (skipped without gcc)', () => {
    writeFileSync(
      at('vectors/main.c'),
      `#include <stdio.h>
#include "xenmem_golden.h"
int main(void) {
  for (unsigned i = 0; i < sizeof xenmem_golden / sizeof *xenmem_golden; i++) {
    printf("%s %d ", xenmem_golden[i].name, xenmem_golden[i].ok);
    for (unsigned long j = 0; j < xenmem_golden[i].length; j++) printf("%02x", xenmem_golden[i].bytes[j]);
    putchar('\\n');
  }
  return 0;
}
`,
    );
    const built = spawnSync('gcc', ['-std=c99', '-Wall', '-Wextra', '-Werror', '-pedantic', '-o', 'main', 'main.c'], {
      cwd: at('vectors'),
      encoding: 'utf8',
    });
    expect(built.stderr).toBe('');
    const lines = spawnSync(at('vectors/main'), { encoding: 'utf8' }).stdout.trimEnd().split('\n');
    expect(lines.length).toBe(filesIn(at('vectors')).filter((file) => file.endsWith('.bin')).length);
    for (const one of lines) {
      const [name, ok, bytes] = one.split(' ');
      expect(readFileSync(at('vectors', `${name}.bin`)).toString('hex')).toBe(bytes);
      expect(ok).toBe(name!.includes('_ok_') ? '1' : '0');
    }
  });
});

describe('fixtures promote', () => {
  it('refuses what is no token, and what does not show the requirement', () => {
    expect(xenmem(['fixtures', 'promote', 'x1.bZBN'])).toMatchObject({
      code: 2,
      stderr: 'xenmem: promote: the replay token is damaged\n',
    });
    expect(xenmem(['fixtures', 'promote'])).toMatchObject({ code: 2, stderr: 'xenmem: promote wants a replay token\n' });
    expect(xenmem(['fixtures', 'generate', '--struct', 'put_dma_buf', '--arch', 'arm32', '--to', 'own']).code).toBe(0);
    const { code, stdout, stderr } = xenmem(['fixtures', 'promote', shownToken(), '--to', 'own', '--requirement', 'isolation']);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(/^xenmem: the last step does not show isolation; it shows /)]);
    expect(existsSync(at('own/calls'))).toBe(false);
  });

  it('makes a case in one step, which is checked, kept when cases are made again, and not made twice', () => {
    const tokens = `import { tokenOf, scenarioIn } from '${join(root, 'dist/conformance/scenario/scenario.js')}';
import { readFileSync } from 'node:fs';
console.log(tokenOf(scenarioIn(JSON.parse(readFileSync(process.argv[2], 'utf8')).scenario)));`;
    writeFileSync(at('token.mjs'), tokens);
    const folder = 'calls/put-works';
    const file = filesIn(join(golden, folder)).find((one) => one.startsWith('positive-')) as string;
    const replay = spawnSync(process.execPath, [at('token.mjs'), join(golden, folder, file)], { encoding: 'utf8' }).stdout.trim();
    const { code, stdout } = xenmem(['fixtures', 'promote', replay, '--to', 'own', '--requirement', 'put-works']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^calls\/put-works\/positive-/)]);
    const text = readFileSync(at('own', stdout.trim()), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ requirement: 'put-works', origin: { kind: 'promoted' } });
    expect(xenmem(['fixtures', 'check', '--from', 'own']).code).toBe(0);
    expect(xenmem(['fixtures', 'promote', replay, '--to', 'own', '--requirement', 'put-works']).stderr).toContain('it is a case already');
    expect(xenmem(['fixtures', 'generate', '--struct', 'put_dma_buf', '--arch', 'arm32', '--to', 'own']).code).toBe(0);
    expect(readFileSync(at('own', stdout.trim()), 'utf8')).toBe(text);
  });
});

describe('conform --fixtures', () => {
  it('is a gate that ends the same each time', () => {
    const first = xenmem(['conform', '--fixtures', '--json']);
    expect([first.code, first.stderr]).toEqual([0, '']);
    expect(JSON.parse(first.stdout)).toMatchObject({ verdict: 'conformant', fixtures: true, level: 2, reasons: [] });
    expect(xenmem(['conform', '--fixtures', '--json']).stdout).toBe(first.stdout);
    expect(xenmem(['merge', '--json'], first.stdout).stdout).toBe(first.stdout);
  });

  it('finds a faulty implementation, and says how to see it again', () => {
    writeFileSync(
      at('silent.mjs'),
      `import { referenceImplementation } from ${JSON.stringify(join(root, 'dist/conformance/protocol/reference.js'))};
const { hello, answer } = referenceImplementation();
export default { hello, answer: (requests) => answer(requests).map((a) => (a.rc === 0 ? { rc: 1 } : a)) };\n`,
    );
    const { code, stdout } = xenmem(['conform', '--fixtures', '--iut', `module:${at('silent.mjs')}`]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/ {2}level 2 {2}fixtures\n/);
    expect(stdout).toMatch(/violated get-rc-zero-or-negative.*\n.*\n {2}seen .*rc is 1: positive\n {2}again {5}xenmem conform --iut/);
  });

  it('is not divided', () => {
    expect(xenmem(['conform', '--fixtures', '--jobs', '2'])).toMatchObject({
      code: 2,
      stderr: 'xenmem: --fixtures is played in one go: no --jobs, no --shard\n',
    });
  });
});
