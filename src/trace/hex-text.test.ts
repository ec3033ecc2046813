import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../codec/hex.ts';
import { InputError, type ReadOptions, readTrace, type TraceItem } from './read.ts';

/**
 * A get_dma_buf argument; the dumps below are what xxd 2022-01-14 and hexdump (util-linux 2.38)
 * print of it.
 */
const get =
  '000034120080ffff04000000000000000000000000000000f07f5c783031000000003512' +
  '0080ffff04000000000000000000000020000000f07f0000000000000000000000000000';

const hexdump = `00000000  00 00 34 12 00 80 ff ff  04 00 00 00 00 00 00 00  |..4.............|
00000010  00 00 00 00 00 00 00 00  f0 7f 5c 78 30 31 00 00  |..........\\x01..|
00000020  00 00 35 12 00 80 ff ff  04 00 00 00 00 00 00 00  |..5.............|
00000030  00 00 00 00 20 00 00 00  f0 7f 00 00 00 00 00 00  |.... ...........|
00000040  00 00 00 00 00 00 00 00                           |........|
00000048
`;

const dumps: { readonly [name: string]: string } = {
  xxd: `00000000: 0000 3412 0080 ffff 0400 0000 0000 0000  ..4.............
00000010: 0000 0000 0000 0000 f07f 5c78 3031 0000  ..........\\x01..
00000020: 0000 3512 0080 ffff 0400 0000 0000 0000  ..5.............
00000030: 0000 0000 2000 0000 f07f 0000 0000 0000  .... ...........
00000040: 0000 0000 0000 0000                      ........
`,
  'xxd -g1 -c8 -u': `00000000: 00 00 34 12 00 80 FF FF  ..4.....
00000008: 04 00 00 00 00 00 00 00  ........
00000010: 00 00 00 00 00 00 00 00  ........
00000018: F0 7F 5C 78 30 31 00 00  ..\\x01..
00000020: 00 00 35 12 00 80 FF FF  ..5.....
00000028: 04 00 00 00 00 00 00 00  ........
00000030: 00 00 00 00 20 00 00 00  .... ...
00000038: F0 7F 00 00 00 00 00 00  ........
00000040: 00 00 00 00 00 00 00 00  ........
`,
  'xxd -p': `000034120080ffff04000000000000000000000000000000f07f5c783031
0000000035120080ffff04000000000000000000000020000000f07f0000
000000000000000000000000
`,
  'hexdump -C': hexdump,
  'plain hex': get,
  'bytes apart': get.replace(/../g, '$& '),
};

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function* chunks(input: Uint8Array, ...cuts: number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, input.length]) {
    yield input.subarray(from, cut);
    from = cut;
  }
}

/** What a reader yields, buffers shown as hex, and what it throws. */
async function outcome(input: Uint8Array, options: ReadOptions = {}, ...cuts: number[]): Promise<unknown[]> {
  const seen: unknown[] = [];
  try {
    for await (const item of readTrace(chunks(input, ...cuts), options)) seen.push(plain(item));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    seen.push({ error: error.message, line: error.line });
  }
  return seen;
}

function plain(item: TraceItem): unknown {
  return item.kind === 'buffer' ? { ...item, bytes: toHex(item.bytes) } : item;
}

async function buffers(text: string, options: ReadOptions = {}): Promise<unknown[]> {
  return (await outcome(bytesOf(text), options)).slice(1);
}

async function refusal(text: string, options: ReadOptions = {}): Promise<unknown> {
  return (await outcome(bytesOf(text), options)).at(-1);
}

describe('dumps', () => {
  describe.each(Object.entries(dumps))('%s', (name, dump) => {
    const line = 1;
    const whole = [{ kind: 'buffer', bytes: get, offset: 0, line, whole: true }];

    it('reads as printed', async () => {
      const [format, ...rest] = await outcome(bytesOf(dump));
      expect(rest).toEqual(whole);
      const spoken = name === 'xxd -p' ? 'xxd -p' : name.startsWith('xxd') ? 'xxd' : name === 'hexdump -C' ? name : 'plain hex';
      expect(format).toMatchObject({ kind: 'format', detected: true, name: spoken });
    });

    it('reads with CRLF, a byte order mark, upper case digits, a blank line, no last line end', async () => {
      for (const variant of [dump.replaceAll('\n', '\r\n'), `\ufeff${dump}`, `${dump}\n\n`, dump.trimEnd()]) {
        expect(await buffers(variant)).toEqual(whole);
      }
      const upper = dump.replace(
        /^(.*?)( {2}[^ ].*|\|.*)?$/gm,
        (_, digits: string, rest: string | undefined) => digits.toUpperCase() + (rest ?? ''),
      );
      expect(await buffers(upper)).toEqual(whole);
    });

    it('gives the same however the stream is cut', async () => {
      const input = bytesOf(dump);
      for (const options of [{}, { structSize: 32 }]) {
        const all = await outcome(input, options);
        for (let cut = 0; cut <= input.length; cut++) expect(await outcome(input, options, cut)).toEqual(all);
      }
    });

    it('gives structs of a size', async () => {
      const got = await buffers(dump, { structSize: 32 });
      expect(got).toMatchObject([
        { bytes: get.slice(0, 64), offset: 0, line: 1, whole: true },
        { bytes: get.slice(64, 128), offset: 32, whole: true },
        { bytes: get.slice(128), offset: 64, whole: false },
      ]);
    });
  });

  it('tells the line of each struct in an array', async () => {
    const lines = (await buffers(dumps['xxd -g1 -c8 -u'] as string, { structSize: 32 })) as { line: number }[];
    expect(lines.map((item) => item.line)).toEqual([1, 5, 9]);
    const two = (await buffers('0011\n22\n3344 5566\n', { structSize: 2 })) as { line: number; bytes: string }[];
    expect(two.map((item) => [item.bytes, item.line])).toEqual([
      ['0011', 1],
      ['2233', 2],
      ['4455', 3],
      ['66', 3],
    ]);
  });

  it('reads a dump of a part of a file', async () => {
    expect(await buffers('00000040: 0000 0000 0000 0000                      ........\n')).toMatchObject([{ bytes: '00'.repeat(8) }]);
    expect(await buffers('00000040  00 00 00 00 00 00 00 01                           |........|\n00000048\n')).toMatchObject([
      { bytes: `${'00'.repeat(7)}01`, offset: 0 },
    ]);
    expect(await buffers('ffffffff00000040  01\nffffffff00000041\n')).toMatchObject([{ bytes: '01' }]);
  });

  it('reads what a truncated capture left', async () => {
    expect(await buffers(hexdump.split('\n').slice(0, 2).join('\n'))).toMatchObject([{ bytes: get.slice(0, 64), whole: true }]);
  });

  it('reads digits that were edited without their characters', async () => {
    expect(await buffers('00000000: 31 32 33 34 42 42 42 42  abcdEFGH\n')).toMatchObject([{ bytes: '3132333442424242' }]);
  });

  it('begins a new buffer where the offset is 0 again', async () => {
    const dump = `${hexdump}${dumps['hexdump -C']}`;
    expect(await buffers(dump)).toEqual([
      { kind: 'buffer', bytes: get, offset: 0, line: 1, whole: true },
      { kind: 'buffer', bytes: get, offset: 72, line: 7, whole: true },
    ]);
    const sizes = ((await buffers(dump, { structSize: 32 })) as { bytes: string; offset: number }[]).map((b) => [
      b.offset,
      b.bytes.length / 2,
    ]);
    expect(sizes).toEqual([
      [0, 32],
      [32, 32],
      [64, 8],
      [72, 32],
      [104, 32],
      [136, 8],
    ]);
  });
});

describe('squeezed lines', () => {
  const zeros = '00'.repeat(16);

  it('are repeated up to the next offset', async () => {
    // 100 zeros, 8 ones, 64 zeros.
    const squeezed = `00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000060  00 00 00 00 01 01 01 01  01 01 01 01 00 00 00 00  |................|
00000070  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
000000a0  00 00 00 00 00 00 00 00  00 00 00 00              |............|
000000ac
`;
    const bytes = '00'.repeat(100) + '01'.repeat(8) + '00'.repeat(64);
    expect(await buffers(squeezed)).toMatchObject([{ bytes }]);
    const autoskip = `00000000: 0000 0000 0000 0000 0000 0000 0000 0000  ................
*
00000060: 0000 0000 0101 0101 0101 0101 0000 0000  ................
00000070: 0000 0000 0000 0000 0000 0000 0000 0000  ................
*
000000a0: 0000 0000 0000 0000 0000 0000            ............
`;
    expect(await buffers(autoskip)).toMatchObject([{ bytes }]);
  });

  it('may be the last of a dump', async () => {
    const dump = '00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n00000040\n';
    expect(await buffers(dump)).toMatchObject([{ bytes: zeros.repeat(4) }]);
  });

  const line = '00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00\n';
  it.each([
    [`${line}*\n`, 2, 'the dump ends in "*": the offset that says how far it goes is missing'],
    [`${line}*\n*\n00000040\n`, 3, '"*" follows no line that it could repeat'],
    [`${line}*\n00000010\n`, 3, 'offset 0x10 after "*" at 0x10 is not whole lines of 16 bytes later'],
    [`${line}*\n00000028\n`, 3, 'offset 0x28 after "*" at 0x10 is not whole lines of 16 bytes later'],
    [`${line}*\n${line}`, 3, 'offset 0x0 after "*" at 0x10 is not whole lines of 16 bytes later'],
    [`${line}*\nfffffffffffffff0\n`, 2, '"*" stands for more than 64 MiB'],
    [`${line}*\n04000020\n`, 2, '"*" stands for more than 64 MiB'],
    [`${line}*\n00200000\n`, undefined, 'more than 1 MiB is no single struct: name the struct (--struct) to read an array of them'],
  ])('%j are refused', async (text, at, error) => {
    expect(await refusal(text)).toEqual({ error, line: at });
  });

  it('may not begin a dump', async () => {
    expect(await refusal(`*\n${line}`, { format: 'hexdump' })).toEqual({ error: '"*" follows no line that it could repeat', line: 1 });
  });

  it('stand for 64 MiB at most in one input, and cost no memory', async () => {
    const half = `${line}*\n02000000\n`;
    let bytes = 0;
    const reading = (async () => {
      for await (const item of readTrace(chunks(bytesOf(half.repeat(3))), { structSize: 65536 }))
        if (item.kind === 'buffer') bytes += item.bytes.length;
    })();
    await expect(reading).rejects.toMatchObject({ message: '"*" stands for more than 64 MiB', line: 8 });
    expect(bytes).toBe(64 << 20);
  });
});

describe('what is no dump', () => {
  const line = (offset: string): string => `${offset}  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n`;
  it.each([
    ['a gap', `${line('00000000')}${line('00000020')}`, 2, 'offset 0x20 where 0x10 was expected: 16 bytes are missing'],
    [
      'a step back',
      `${line('00000000')}${line('00000010')}${line('00000010')}`,
      3,
      'offset 0x10 where 0x20 was expected: the dump goes back',
    ],
    ['a wrong end', `${line('00000000')}00000018\n`, 2, 'offset 0x18 where 0x10 was expected: 8 bytes are missing'],
    ['half a byte', '00000000  00 00\n00000002  00 0\n', 2, 'half a hex digit at 0: two make a byte'],
    ['a word', '00000000  00 00\n00000002  0000\n', 2, 'not a line of bytes with offsets: "00000002  0000"'],
    ['a letter', '00000000  00 00\n00000002  00 0g\n', 2, 'not a line of bytes with offsets: "00000002  00 0g"'],
    ['half a byte for xxd', '00000000: 0000 000\n', 1, 'half a hex digit at 000: two make a byte'],
    ['a letter for xxd', '00000000: 0000\n00000002: 0x00  ....\n', 2, 'not a line of xxd: "00000002: 0x00  ...."'],
    ['no bytes for xxd', '00000000: 0000\n00000002:\n', 2, 'not a line of xxd: "00000002:"'],
    ['another line for xxd', '00000000: 0000\n{"cmd":26}\n', 2, 'a record stands in the dump: give the two apart'],
    ['half a byte in a line', '0000\n000\n', 2, 'half a hex digit at column 3: two make a byte'],
    ['half a byte in a group', '00 000 0\n', 1, 'half a hex digit at column 6: two make a byte'],
    ['half a byte at the end', '0000 0', 1, 'half a hex digit at column 6: two make a byte'],
    ['a letter in hex', '0000 00\n00 zz\n', 2, '"z" at column 4 is not a hex digit'],
    ['a byte in hex', '0000 00 00 00 00 00\n00 \ufffd\n', 2, 'byte 0xef at column 4 is not a hex digit'],
  ])('%s', async (_, text, at, error) => {
    expect(await refusal(text)).toEqual({ error, line: at });
  });

  it('a line that does not end', async () => {
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield bytesOf('00000000: 00');
      for (let i = 0; i < 1024; i++) yield new Uint8Array(1 << 20).fill(0x20);
    };
    const reading = (async () => {
      for await (const _ of readTrace(endless(), { format: 'xxd' }));
    })();
    await expect(reading).rejects.toMatchObject({ message: 'the line is longer than 1 MiB', line: 1 });
  });
});

it('hex of any bytes, with any white space, reads back', async () => {
  const space = fc.constantFrom('', '', ' ', '\n', '\r\n', '\t', '  ');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), space, fc.boolean()), { minLength: 1 }),
      fc.nat(),
      async (parts, cut) => {
        const hex = parts.map(([byte]) => byte.toString(16).padStart(2, '0')).join('');
        const text = parts
          .map(([byte, gap, up]) => [byte.toString(16).padStart(2, '0'), gap, up] as const)
          .map(([h, gap, up]) => (up ? h.toUpperCase() : h) + gap)
          .join('');
        const input = bytesOf(text);
        const [, ...rest] = await outcome(input, { format: 'hex' }, cut % (input.length + 1));
        expect(rest).toMatchObject([{ bytes: hex, offset: 0, whole: true }]);
      },
    ),
  );
});
