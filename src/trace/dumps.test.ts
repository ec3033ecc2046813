import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { toHex } from '../codec/hex.ts';
import { readPrefix } from '../guest/memory.ts';
import { InputError, type ReadOptions, readTrace } from './read.ts';

/** What fixtures/dumps/README.md says the files hold, written down by hand. */
const get =
  '000034120080ffff04000000000000000000000000000000f07f000000000000' +
  '200034120080ffff01000000000000000200000020000000f07f0000000000000000000000000000';
const res = '0010a4090000ffff03000000000000000000000000000000f07f000000000000';

/** How an input is read and the buffers in it, or why it is not. */
async function read(input: string | Uint8Array, options: ReadOptions = {}): Promise<[string, ...string[]]> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield typeof input === 'string' ? new TextEncoder().encode(input) : input;
  };
  const found: [string, ...string[]] = [''];
  try {
    for await (const item of readTrace(source(), options)) {
      if (item.kind === 'format') found[0] = item.name;
      if (item.kind === 'buffer') found.push(toHex(item.bytes));
      if (item.kind === 'call') found.push(toHex(item.call.argument ?? readPrefix(item.call.before, item.call.arg ?? 0n, 1 << 12)));
    }
    return found;
  } catch (error) {
    if (error instanceof InputError) return [error.message];
    throw error;
  }
}

describe('the samples', () => {
  const folder = new URL('../../fixtures/dumps/', import.meta.url);
  const small = /-res$|^(?:bytes-0x-comma|hex-comment|ph-kernel|rust-bytes)$/;
  const cut = /^(?:bpf-rx-cut64|ph-xen)$/;
  const refused = /^strace-/;
  for (const name of readdirSync(folder).filter((file) => file !== 'README.md' && !refused.test(file))) {
    it(`${name} reads right with no flag`, async () => {
      const [, ...buffers] = await read(readFileSync(new URL(name, folder)));
      expect(buffers).toEqual([small.test(name) ? res : cut.test(name) ? get.slice(0, 128) : get]);
    });
  }
});

describe('the samples without memory', () => {
  it.each(['strace-old', 'strace-raw'])('%s is refused with its name and a way out', async (name) => {
    expect(await read(readFileSync(new URL(`../../fixtures/dumps/${name}`, import.meta.url)))).toEqual([
      'strace before 6.11, or without -v, does not show which hypercall it was; xenmem recipe bpftrace captures the memory too',
    ]);
  });
});

const gdb = (address: string, ...rows: string[]): string =>
  rows.map((row, i) => `0x${address}${i}0:\t${row.replaceAll(' ', '\t')}\n`).join('');
const resWords = gdb('ffff80001234a0', '0xffff000009a41000 0x0000000000000003', '0x0000000000000000 0x0000000000007ff0');

describe('several dumps in one paste', () => {
  it('are told apart by prompts, by far addresses and by blank lines', async () => {
    const next = resWords.replaceAll('a000', 'a020').replaceAll('a010', 'a030');
    expect((await read(`(gdb) x/4gx a\n${resWords}(gdb) x/4gx a+32\n${next}(gdb) `)).slice(1)).toEqual([res, res]);
    expect((await read(resWords + resWords.replaceAll('1234a', '56780'))).slice(1)).toEqual([res, res]);
    expect((await read(`${resWords}\n${resWords}`)).slice(1)).toEqual([res, res]);
  });

  it('may be of different kinds', async () => {
    const bytes = `0xffff80001234b000:\t0x00\t0x10\n`;
    expect((await read(`${resWords}\n${bytes}`)).slice(1)).toEqual([res, '0010']);
  });

  it('stand one a line where each line is a struct', async () => {
    expect((await read(`${res}\n${res}\n`)).slice(1)).toEqual([res, res]);
    const line = `[    1.5] balloon: ${res.replace(/..(?=.)/g, '$& ')}\n`;
    expect((await read(line + line.replace('1.5', '1.6'))).slice(1)).toEqual([res, res]);
  });

  it('keep a gap as a gap', async () => {
    const [first = '', second = ''] = resWords.split('\n');
    const far = second.replace('a010', 'a020');
    expect(await read(`${first}\n${far}\n`)).toEqual([
      'offset 0xffff80001234a020 where 0xffff80001234a010 was expected: 16 bytes are missing',
    ]);
    expect((await read(`${first}\n\n${far}\n`)).slice(1)).toEqual([res.slice(0, 32), res.slice(32)]);
  });

  it('go on behind another line of a log', async () => {
    const rows = [res.slice(0, 32), res.slice(32)].map((row, i) => `[ 1.5] get: 000000${i}0: ${row.replace(/..(?=.)/g, '$& ')}\n`);
    expect((await read(rows.join('[ 1.6] usb 1-1: new device\n'))).slice(1)).toEqual([res]);
  });
});

describe('two readings', () => {
  it('of groups of digits are asked about where both make sense, or neither, and the answer is taken', async () => {
    const both =
      '00000000: 00800000 00000000 00000000 00000000  ................\n00000010: 00000000 00000000 00000000 00000000  ................\n';
    expect((await read(both))[0]).toMatch(/--word-order big\) or .*--word-order little/);
    expect((await read(both, { wordOrder: 'big' }))[1]).toBe('0080'.padEnd(64, '0'));
    expect((await read(both, { wordOrder: 'little' }))[1]).toBe('00008000'.padEnd(64, '0'));
  });

  it('of offsets behind "*" are asked about, and the answer is taken', async () => {
    const zeros = `0000000${' 000000'.repeat(8)}\n*\n0000040\n`;
    expect(await read(zeros)).toEqual([
      'offset 0000040 after "*" may be read in two ways: --offset-radix hex: 64 bytes; --offset-radix octal: 32 bytes',
    ]);
    expect((await read(zeros, { offsetRadix: 'octal' }))[1]).toBe('00'.repeat(32));
    expect((await read(zeros, { offsetRadix: 'hex' }))[1]).toBe('00'.repeat(64));
  });

  it('of hex that objdump prints are decided by what makes sense', async () => {
    const text =
      ' 404020 0010a409 0000ffff 03000000 00000000  ................\n 404030 00000000 00000000 f07f0000 00000000  ................\n';
    expect((await read(text))[1]).toBe(res);
  });
});

describe('covers', () => {
  it('are taken off', async () => {
    expect(await read(gzipSync(resWords))).toEqual(['gzip of gdb x/, little-endian words of 8 bytes', res]);
    expect(await read(gzipSync(Buffer.from(res, 'hex')), { structSize: 32 })).toEqual(['gzip of raw bytes', res]);
    expect(await read(Buffer.from(`\ufeff${resWords}`, 'utf16le'))).toEqual(['UTF-16 of gdb x/, little-endian words of 8 bytes', res]);
    expect(await read(gzipSync(resWords).subarray(0, 20))).toEqual(['the gzip stream is damaged or cut']);
  });
});

describe('other files', () => {
  const elf = '7f454c46020101000000000000000000';
  it('are named, raw and in a dump, with a size too; only raw says that they are read all the same', async () => {
    const said = /ELF file.*xenmem layout check/;
    const raw = Buffer.from(elf.padEnd(64, '0'), 'hex');
    expect((await read(raw))[0]).toMatch(said);
    expect((await read(raw, { structSize: 32 }))[0]).toMatch(said);
    expect((await read(`00000000  ${elf.replace(/..(?=.)/g, '$& ')}  |.ELF............|\n`))[0]).toMatch(said);
    expect((await read(raw, { format: 'raw' }))[1]).toBe(elf.padEnd(64, '0'));
  });
});

describe('cuts', () => {
  it.each([
    ['a word of gdb', resWords.trimEnd().slice(0, -4), /half a word: 000000000000/],
    ['a list', '{ 0x00, 0x10, 0xa4, 0x09, 0x0', /the list does not end/],
    ['a string', '"\\x00\\x10\\xa4\\x09\\x00', /the string does not end/],
    ['a number of od', '0000000   0  16 164   9\n0000004   1  2', /the number 2 is cut/],
    ['a Buffer', '<Buffer 00 10 a4 09 00 00 ff ff 03 00 ... 22 more bytes>', /print all of it: buffer.toString/],
  ])('in %s are seen', async (_, text, message) => {
    expect((await read(text))[0]).toMatch(message);
  });
});

const scratch = mkdtempSync(join(tmpdir(), 'xenmem-dumps-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('what the tools print', () => {
  const structs = [get, res, '004023c1040000000000000000000000f07f0000'];
  for (const [i, hex] of structs.entries()) writeFileSync(join(scratch, `${i}.bin`), Buffer.from(hex, 'hex'));
  const all =
    'xxd;xxd -g1;xxd -g4;xxd -g8;xxd -c7;xxd -d;xxd -e;xxd -e -g2;xxd -i;xxd -p;xxd -u;xxd -E;hexdump;hexdump -C;hexdump -x;hexdump -o;hexdump -d;hexdump -b;hexdump -c;od;od -c;od -x;od -t x1z;od -Ax -t x8;od -Ad -t x4;od -An -t x1;od -An -t x4;od -t u1;od -t d8;od -t o4;od -t u4 -w8;base64';
  for (const line of all.split(';')) {
    const [tool = '', ...args] = line.split(' ');
    it.skipIf(spawnSync(tool, ['--version']).error !== undefined)(line, async () => {
      for (const [i, hex] of structs.entries()) {
        const [, ...buffers] = await read(execFileSync(tool, [...args, join(scratch, `${i}.bin`)]));
        expect(buffers).toEqual([hex]);
      }
    });
  }
});
