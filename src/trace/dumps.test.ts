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

it('a number of od -t u8 behind a gap is no character beside the digits', async () => {
  const row = (offset: string, ...numbers: string[]): string => `${offset}${numbers.map((text) => text.padStart(21)).join('')}\n`;
  const text =
    row('0000000', '67481899462712', '597') +
    row('0000016', '137438953474', '5') +
    row('0000032', '17199214042080', '1') +
    row('0000048', '137438953481', '0') +
    row('0000064', '0') +
    '0000072\n';
  // Packed with Python's struct.pack('<9Q', …).
  const bytes =
    '3870a5da5f3d00005502000000000000020000002000000005000000000000' +
    '00e01b0b81a40f00000100000000000000090000002000000000000000000000000000000000000000';
  expect(await read(text)).toEqual(['hexdump or od', bytes]);
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
  it('a row of words that a foreign line parts from rows of bytes is not read together with them', async () => {
    const rows = [
      '00000000  0000 0000 0000 0000 7f01 0000 0000 0000  ................',
      '- offset -   0 1  2 3  4 5  6 7  8 9  A B  C D  E F  0123456789ABCDEF',
      '0x00000010  0000 0000 0000 0000 f07f 0000 0000 0000  ................',
      '0x00000020  0000 2bc8 0a00 0000 0100 0000 0000 0000  ..+.............',
      '0x00000030  0000 0000 0000 0000 f07f 0000 0000 0000  ................',
      '0x00000040  0000 0000 0000 0000                      ........',
    ];
    const quoted = '"0x00000010  0000 0000 0000 0000 f07f 000…"';
    expect(await read(rows.join('\n'))).toEqual([`not a line of hexdump or od, little-endian words of 2 bytes: ${quoted}`]);
  });

  it("text of xxd that begins with spaces makes no words of U-Boot's of its row", async () => {
    const rows = [
      "00000000: 2020 2727 0000 0000 0100 0000 0000 0000    ''............",
      '00000010: 0000 0000 0000 0000 f07f 0000 0000 0000  ................',
    ];
    expect((await read(rows.join('\n')))[1]).toBe('20202727000000000100000000000000' + '0000000000000000f07f000000000000');
    const words = "40001000: 2020 2727 0001 0000 0000 0000 0000 0000      ''............";
    expect((await read(words))[1]).toBe('20202727010000000000000000000000');
  });

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
    ['a word of WinDbg', '00000000`00000000  12340', /half a hex digit at 12340/],
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
    'xxd;xxd -g1;xxd -g4;xxd -g8;xxd -c7;xxd -g0 -c20;xxd -p -c16;xxd -d;xxd -e;xxd -e -g2;xxd -i;xxd -p;xxd -u;xxd -E;hexdump;hexdump -C;hexdump -x;hexdump -o;hexdump -d;hexdump -b;hexdump -c;od;od -c;od -x;od -t x1z;od -Ax -t x8;od -Ad -t x4;od -An -t x1;od -An -t x4;od -t u1;od -t d8;od -t o4;od -t u4 -w8;base64';
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

describe('what stands on screens', () => {
  const words = ['ffff000009a41000', '0000000000000003', '0000000000000000', '0000000000007ff0'];
  const pairs = [res.slice(0, 32), res.slice(32)].map((row) => row.replace(/..(?=.)/g, '$& '));
  it.each([
    ['words with blanks behind them', `${words.join(' ')}   \n`],
    ['words in quotes', `> ${words.join(' ')}\n`],
    ['pairs, and what was said of them', `${pairs.join('\n')}\nThanks\n`],
    ['a table of markdown', pairs.map((row, i) => `| 000000${i}0: ${row} |\n`).join('')],
    ['a dump below an address', `0xffff80001234a000\n${pairs.map((row, i) => `000000${i}0: ${row}\n`).join('')}`],
    ['/dev/kmsg', pairs.map((row, i) => `7,12${i},345678,-;get: 000000${i}0: ${row}\n`).join('')],
    ['a patch', pairs.map((row) => `+${row}\n`).join('')],
    [
      "pwndbg's telescope",
      `00:0000│ rdi 0x7ffe1234a000 ◂— 0x${words[0]}\n01:0008│+008 0x7ffe1234a008 ◂— 3\n02:0010│+010 0x7ffe1234a010 ◂— 0\n03:0018│+018 0x7ffe1234a018 ◂— 0x7ff0\n`,
    ],
    [
      "gef's telescope",
      words
        .map(
          (word, i) =>
            `0x00007ffe1234a0${i < 2 ? '0' : '1'}${i % 2 ? '8' : '0'}│+0x00${i < 2 ? '0' : '1'}${i % 2 ? '8' : '0'}│+00${i}: 0x${word}\n`,
        )
        .join(''),
    ],
    [
      'TRACE32',
      `     address|________0________4________8________C_0123456789ABCDEF\n NSD:40001000|>09A41000 FFFF0000 00000003 00000000  ................\n NSD:40001010| 00000000 00000000 00007FF0 00000000  ................\n`,
    ],
    [
      "radare2's columns",
      `- offset -  0001 0203 0405 0607 0809 0A0B 0C0D 0E0F  0123456789ABCDEF\n0x40001000  0010 a409 0000 ffff 0300 0000 0000 0000  ................\n0x40001010  0000 0000 0000 0000 f07f 0000 0000 0000  ................\n`,
    ],
    [
      'PowerShell',
      `\n   Label: C:\\t.bin\n\n          Offset Bytes\n                 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F\n${pairs.map((row, i) => `00000000000000${i}0 ${row} ${'  ¤   ÿÿ'.padEnd(16)}\n`).join('')}`,
    ],
    ["UEFI's DumpHex", pairs.map((row, i) => `  000000${i}0: ${row.slice(0, 23)}-${row.slice(24)} *................*\n`).join('')],
    [
      'dtrace',
      `             0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f  0123456789abcdef\n${pairs.map((row, i) => `${i ? '        10' : '         0'}: ${row}  ................\n`).join('')}`,
    ],
    ['a macro of Jira', `{noformat}\n${pairs.join('\n')}\n{noformat}\n`],
    [
      'a declaration with a name that is a type',
      `uint32_t buffer[] = { ${['0x09a41000', '0xffff0000', '3', '0', '0', '0', '0x7ff0', '0'].join(', ')} };\n`,
    ],
  ])('%s reads right', async (_, text) => {
    expect((await read(text)).slice(1)).toEqual([res]);
  });

  it.each([
    ['a string that strace cut', `write(1, "${'\\0'.repeat(32)}"..., 72) = 72\n`, /the string is cut at its "..."/],
    ["gdb's p of a string", `$1 = "\\000\\020\\244\\t", '\\000' <repeats 15 times>, "\\360\\177"\n`, /string of gdb's print.*p\/x req/],
    ['rows whose line ends were lost', pairs.map((row, i) => `000000${i}0: ${row}  ................`).join(' '), /rows stand in one line/],
    [
      'a last word that is cut',
      words
        .map((word, i) => `0x7ffe1234a0${i}0: 0x${word}`)
        .join('\n')
        .slice(0, -4),
      /half a word|bytes are missing/,
    ],
    [
      'a last number that is cut',
      words
        .map((word) => `0x${word}`)
        .join(' ')
        .slice(0, -4),
      /the number 0x000000000000 is cut/,
    ],
    ['a minus in a group of digits', '00000000: 08 00 00 -f 00 00 00 00\n', /a minus stands in the digits/],
    ['small numbers of no width', '[1, 0, 4, 1]', /4 numbers may be/],
    ['a row among others that is damaged', `${pairs[0]} zz\n${pairs[1]}\n`, /not a line of|not a hex digit/],
  ])('%s is refused', async (_, text, message) => {
    expect((await read(text))[0]).toMatch(message);
  });

  it('a string of Python may begin with a brace', async () => {
    expect(await read("b' {//\\x01\\x00\\x00\\x00\\x00'")).toEqual(['a string with escapes', '207b2f2f0100000000']);
  });

  it('rows that pwndbg skips are those before them', async () => {
    const row = (at: string, bytes: string): string => `+00${at} 0x7ffe1234a0${at}  ${bytes}  │................│\n`;
    const skipped = '... ↓            skipped 1 identical lines (16 bytes)\n';
    const [, ...found] = await read(row('00', pairs[1] ?? '') + skipped + row('20', pairs[0] ?? ''));
    expect(found).toEqual([`${res.slice(32)}${res.slice(32)}${res.slice(0, 32)}`]);
  });

  it('two blocks of base64, and text around them, are two buffers', async () => {
    const block = Buffer.from(res, 'hex').toString('base64');
    expect((await read(`-----BEGIN A-----\n${block}\n-----END A-----\n\n-----BEGIN B-----\n${block}\n-----END B-----\n`)).slice(1)).toEqual(
      [res, res],
    );
    expect(
      (await read('+00-10-A4-09-00-00-FF-FF-03-00-00-00-00-00-00-00-00-00-00-00-00-00-00-00-F0-7F-00-00-00-00-00-00')).slice(1),
    ).toEqual([res]);
  });
});
