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

  it('of structs that are not judged is told by two threads as by one, and as each is by itself', () => {
    // arm64, in the order of their lists: null, not aligned, and a struct with nothing wrong.
    const batch = (idxs: number, gpfns: number): Buffer => {
      const bytes = Buffer.from('f07f020003000000'.padEnd(64, '0'), 'hex');
      for (const [at, list] of [idxs, gpfns, 0x5000].entries()) bytes.writeUInt32LE(list, 8 + 8 * at);
      return bytes;
    };
    const [none, skewed, clean] = [batch(0, 0x4000), batch(0x3000, 0x4001), batch(0x3000, 0x4000)];
    const path = join(scratch, 'batches.bin');
    const row = Buffer.concat([none, ...Array(600).fill(clean), skewed]);
    writeFileSync(path, Buffer.concat([...Array(220).fill(row), clean.subarray(0, 20)]));
    const batches = (...words: string[]) => xenmem(['validate', '--struct', 'add_to_physmap_batch', '--input-format', 'raw', ...words]);
    for (const words of [['--quiet', '--fail-on', 'warning'], ['--summary'], ['--summary', '--json']]) {
      const [one, two] = [batches(...words, path), batches('--jobs', '2', ...words, path)];
      expect(two).toEqual(one);
      // What is cut at the end is not read.
      expect([words, one.code]).toEqual([words, words.includes('--fail-on') ? 1 : 3]);
    }
    const quiet = batches('--quiet', path).stdout.trimEnd().split('\n');
    const single = (bytes: Buffer, at: number): string[] => {
      const lines = xenmem(['validate', '--struct', 'add_to_physmap_batch', '--quiet', '-'], bytes).stdout.split('\n');
      return lines.slice(0, lines.indexOf('')).map((text) => text.replace(/^@0 {4}/, `@${at}`.padEnd(6)));
    };
    const last = 219 * row.length;
    expect(quiet.slice(0, 10)).toEqual([...single(none, 0), ...single(skewed, row.length - 32), ...single(none, row.length)].slice(0, 10));
    expect(quiet.slice(-9, -5)).toEqual(single(skewed, last + row.length - 32));
    const pieces = ['1/2', '2/2'].map((piece) => batches('--partial', '--piece', piece, path).stdout);
    expect(xenmem(['merge'], pieces.join('')).stdout.trimEnd().split('\n').slice(-4)).toEqual(quiet.slice(-4));
    expect(quiet.slice(-4)).toEqual([
      '132441 calls: 0 judged, 132441 of ops that xenmem does not judge (132440 by the struct alone)',
      'requirements: 0 hold, 0 violated, 0 unknown',
      'findings: caller-list-aligned 220, caller-list-null 220',
      '✓ nothing wrong in the structs alone (440 warnings, 0 notes)',
    ]);
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
