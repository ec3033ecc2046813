import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { has } from '../../../bin/shell.ts';
import { Bytes } from '../../../src/export/built/bytes.ts';
import { unpack } from '../../../src/export/built/unpack.ts';
import { numbers } from './memory.stage.ts';

const unpackers = { gzip: nothing, zlib: nothing };
function nothing(): never {
  throw new Error('is not asked');
}

/** Words that the filters of xz change, for each kind of code, among others. */
function code(): Uint8Array {
  const next = numbers(3);
  const words = Uint32Array.from({ length: 100_000 }, () => {
    const marks = [0x94000000, 0x90000000, 0xeb000000, 0xf800f000, 0x000000e8, 0xffffffe8];
    return ((next() & 0xffff) | (marks[next() % marks.length] ?? 0)) >>> 0;
  });
  return new Uint8Array(words.buffer);
}

/** Real machine code, and all kinds of other bytes. */
const real = readFileSync(process.execPath).subarray(1 << 20, 2 << 20);

const ways = [
  [],
  ['-0'],
  ['-9e', '--check=sha256'],
  ['-T2', '--block-size=300KiB'],
  ['--lzma2=lc=0,lp=2,pb=0', '--check=none'],
  ['--check=crc32', '--x86', '--lzma2=dict=32MiB'],
  ['--check=crc32', '--arm', '--lzma2'],
  ['--armthumb', '--lzma2'],
  ['--arm64', '--lzma2'],
  ['--x86', '--arm', '--lzma2'],
] as const;

describe('what xz packs', () => {
  for (const options of ways) {
    const title = ['xz', ...options, 'is unpacked'].join(' ');
    it.skipIf(!has('xz'))(has('xz') ? title : `${title} (skipped: there is no xz)`, () => {
      for (const bytes of [real, code(), new Uint8Array(1 << 20), Uint8Array.of(1)]) {
        const packed = execFileSync('xz', [...options, '-c'], { input: bytes, maxBuffer: 1 << 28 });
        // A kernel's build appends its length.
        const { made, container } = unpack(new Bytes(Buffer.concat([packed, Buffer.alloc(4, 0x7f)]), 'a kernel'), unpackers);
        expect([container, Buffer.compare(made, bytes)]).toEqual(['xz', 0]);
      }
    });
  }

  it.skipIf(!has('xz'))('a filter that no kernel is packed with is named', () => {
    const packed = execFileSync('xz', ['--delta=dist=4', '--lzma2', '-c'], { input: real, maxBuffer: 1 << 28 });
    expect(() => unpack(new Bytes(packed, 'a kernel'), unpackers)).toThrow(
      'xz: a filter that no kernel is packed with: unpack it first (xz -d)',
    );
  });
});

describe('what zstd packs', () => {
  /** Text, as real as it comes: each kind of literals and of tables is in one of these. */
  const inputs = [
    real,
    code(),
    Buffer.from('xenmem'.repeat(70_000)),
    Buffer.from(real.toString('hex')),
    Uint8Array.of(1),
    new Uint8Array(0),
  ];
  const options = [['-1'], ['-3', '--no-check'], ['-9'], ['-19', '--long=27'], ['--ultra', '-22'], ['--fast=9', '-T2', '-B1MiB']];
  const pack = (given: readonly string[], input: Uint8Array): Buffer =>
    execFileSync('zstd', ['-qc', ...given], { input, maxBuffer: 1 << 28 });
  for (const given of options) {
    const title = ['zstd', ...given, 'is unpacked'].join(' ');
    it.skipIf(!has('zstd'))(has('zstd') ? title : `${title} (skipped: there is no zstd)`, () => {
      for (const bytes of inputs) {
        const size = Buffer.alloc(4);
        size.writeUInt32LE(bytes.length);
        const packed = pack(given, bytes);
        const { made, container } = unpack(new Bytes(Buffer.concat([packed, size]), 'a kernel'), unpackers);
        expect([container, Buffer.compare(made, bytes)]).toEqual(['zstd', 0]);
      }
    });
  }
});
