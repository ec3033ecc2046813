import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Ran, root, scratch, xenmem } from './shell.ts';

const get = Buffer.from(readFileSync(join(root, 'fixtures/structs/get-dma-buf.hex'), 'utf8').replace(/\s/g, ''), 'hex');
const clean = Buffer.from(get);
clean.fill(0, 0x1a, 0x20).fill(0, 0x40);

/**
 * An array of structs: every third has nr_exchanged set, the padding of every fifth is not cleared.
 */
function array(structs: number): Buffer {
  const bytes = Buffer.concat(Array.from({ length: structs }, () => clean));
  for (let i = 0; i < structs; i += 3) bytes.writeUInt8(1 + (i % 5), 72 * i + 0x40);
  for (let i = 0; i < structs; i += 5) bytes.writeUInt8(0x5c, 72 * i + 0x1b);
  return bytes;
}

// More than one part of 4 MiB, and a piece of a struct at the end.
const many = join(scratch, 'many.bin');
writeFileSync(many, Buffer.concat([array(60_000), get.subarray(0, 50)]));
const ways = [[], ['--quiet'], ['--verbose'], ['--summary'], ['--summary', '--json'], ['--json']];
const validate = (...words: string[]) => xenmem(['validate', '--struct', 'get_dma_buf', ...words]);

describe('an array of structs', () => {
  it.each([[['--summary']], [['--quiet']]])('that was compressed is judged as what it holds, by one thread or two: %j', (words) => {
    const path = join(scratch, 'many.bin.gz');
    writeFileSync(path, gzipSync(readFileSync(many), { level: 1 }));
    for (const jobs of ['1', '2']) {
      const [packed, plain] = [path, many].map((one) => validate('--jobs', jobs, ...words, one)) as [Ran, Ran];
      expect([packed.code, packed.stdout.replaceAll('many.bin.gz', 'many.bin')]).toEqual([plain.code, plain.stdout]);
    }
  });

  it('is judged as each of them is by itself', () => {
    const few = array(16);
    const path = join(scratch, 'few.bin');
    writeFileSync(path, few);
    const single = Array.from({ length: 16 }, (_, i) => {
      const { stdout } = xenmem(
        ['validate', '--struct', 'get_dma_buf', '--verbose', '--input-format', 'raw', '-'],
        few.subarray(72 * i, 72 * (i + 1)),
      );
      const lines = stdout.split('\n').slice(0, -1);
      const end = lines.indexOf('');
      return lines.slice(0, end).map((text) => text.replace(/^@0 {4}/, `@${72 * i}`.padEnd(6)));
    });
    const { stdout } = validate('--verbose', '--input-format', 'raw', path);
    expect(stdout.split('\n').slice(0, single.flat().length)).toEqual(single.flat());
    expect(stdout).toContain('findings: caller-nr-exchanged-zero 6, caller-padding-zero 4\n');
    expect(stdout).toContain('✗ 6 errors of the caller; no requirement on the hypervisor violated\n');
  });

  it('that comes through a pipe is judged as the file is', () => {
    const bytes = readFileSync(many).subarray(0, 72 * 9000 + 10);
    const path = join(scratch, 'part.bin');
    writeFileSync(path, bytes);
    const file = validate('--quiet', path);
    const piped = xenmem(['validate', '--struct', 'get_dma_buf', '--quiet', '-'], bytes);
    expect(piped.stdout).toBe(file.stdout);
    expect([piped.code, file.code]).toEqual([1, 1]);
    expect(piped.stderr.replaceAll('stdin', path)).toBe(file.stderr);
  });

  it.each(ways.map((words) => [words.join(' '), words]))('is told by two threads as by one (%s)', (_name, words) => {
    const [one, two] = [validate(...words, many), validate('--jobs', '2', ...words, many)];
    expect(two.stdout === one.stdout).toBe(true);
    expect([two.code, two.stderr]).toEqual([one.code, one.stderr]);
    expect(one.code).toBe(1);
  });

  it('fails by a note where notes fail it, told or not', () => {
    const path = join(scratch, 'noted.bin');
    writeFileSync(path, array(11).subarray(72 * 10));
    const codes = [['--quiet'], ['--quiet', '--fail-on', 'note'], ['--summary', '--fail-on', 'note']];
    expect(codes.map((words) => validate(...words, path).code)).toEqual([0, 1, 1]);
  });

  it('takes a whole number of threads', () => {
    expect(validate('--jobs', 'two', many)).toEqual({
      code: 2,
      stdout: '',
      stderr: 'xenmem: --jobs "two": expected a whole number, 1..256\n',
    });
  });
});
