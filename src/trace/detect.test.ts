import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detect } from './detect.ts';
import { InputError } from './input-error.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const formatOf = (text: string): string | undefined => detect(bytesOf(text));
const refusal = (text: string): string => {
  try {
    return `read as ${formatOf(text)}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
};

describe('detect', () => {
  it.each([
    ['ndjson', '{"cmd":26}\n'],
    ['ndjson', '\n  \t{"cmd":26}'],
    ['ndjson', '# a comment\n00000000: 0000  ..\n'],
    ['ndjson', '\xef\xbb\xbf{"cmd":26}'],
    ['ndjson', '{"note":"\xff"}\n'],
    ['raw', '\0\0\x34\x12\0\x80\xff\xff'],
    ['raw', '{"note":"\0"}\n'],
    ['raw', '@\n\xa3\x10\0\x80\xff\xff\x04\0\0\0\0\0\0\0'],
    ['raw', '\xe4bc\n'],
    ['raw', '\x7fabc\n'],
    ['xxd', '00000000: 0000 3412 0080 ffff 0400 0000 0000 0000  ..4.............\n'],
    ['xxd', '00000000: 0000 3412 0080 FFFF\r\n'],
    ['xxd', '0000000: 00 00 34 12 00 80 ff ff  ..4.....\n'],
    ['xxd', '00000000: 000034120080ffff040000000000000000000000  ..4.................\n'],
    ['xxd', '00000040: 0000 0000 0000 0000                      ........\n'],
    ['xxd-p', '000034120080ffff04000000000000000000000000000000f07f00000000\n0000\n'],
    ['hex', '000034120080ffff04000000000000000000000000000000f07f00000000'],
    ['hex', '000034120080ffff0400000000000000\n0000\n'],
    ['hex', '00 00 34 12\n'],
    ['hex', '00003412 00 00'],
    ['hexdump', '00000000  00 00 34 12 00 80 ff ff  04 00 00 00 00 00 00 00  |..4.............|\n'],
    ['hexdump', '00000000  00 00 34 12 00 80 FF FF                           |..4.....|\r\n'],
    ['hexdump', '\n00000000  00\n'],
  ])('takes for %s: %j', (format, text) => {
    expect(formatOf(text)).toBe(format);
  });

  const words = 'this looks like hexdump without -C or od, which print words, not bytes: run hexdump -C or xxd instead';
  const octal = 'this looks like od -t x1, whose offsets may be octal: run hexdump -C or xxd instead';
  const debuggers = "this looks like a debugger's view of memory: dump the memory to a file, or run xxd on it";
  const source = 'this looks like C source (xxd -i): run xxd without -i';
  const known = 'an NDJSON trace, a log with calls in it, pcapng, pcap, raw bytes, xxd, xxd -p, hexdump -C, plain hex';
  it.each([
    [words, '0000000 0000 1234 8000 ffff 0004 0000 0000 0000\n'],
    [words, '0000000    0000    1234    8000    ffff\n'],
    [words, '0000000 12340000 ffff8000 00000004 00000000\n'],
    [words, '0000000 ffff800012340000 0000000000000004\n'],
    [words, '0000000 000000 011064 100000 177777 000004\n'],
    [words, '0000040 0000 0000 0000 0000                    \n'],
    [octal, '000000 00 00 34 12 00 80 ff ff 04 00 00 00 00 00 00 00  >..4.............<\n'],
    [octal, '0000000 00 00 34 12 00 80 ff ff 04 00 00 00 00 00 00 00\n'],
    [
      'this looks like xxd -b, which prints bits: run xxd without -b',
      '00000000: 00000000 00000000 00110100 00010010 00000000 10000000  ..4...\n',
    ],
    [debuggers, '0x555555558060 <b.0>:\t0x12340000\t0xffff8000\n'],
    [debuggers, '0x80001000: 12340000 ffff8000 00000004 00000000\n'],
    [source, 'unsigned char get_bin[] = {\n'],
    [source, '0x00, 0x00, 0x34, 0x12\n'],
    [`"hello" begins none of the formats that are understood: ${known}`, 'hello\n'],
    [`"ü" begins none of the formats that are understood: ${known}`, '\xc3\xbc\n              '],
    ['the input is empty', ''],
    ['the input is blank', ' \n\r\n\t'],
    ['the input is blank', ' '.repeat(70000)],
  ])('refuses with %j', (message, text) => {
    expect(refusal(text)).toBe(message);
  });

  it('asks for more only as long as the first line can still change the answer', () => {
    const early = (text: string): string | undefined => detect(bytesOf(text), false);
    expect(early('{"cmd":2')).toBeUndefined();
    expect(early('{"cmd":26}\n')).toBe('ndjson');
    expect(early('# comment\n')).toBe('ndjson');
    expect(early('00000000: 0000 3412')).toBeUndefined();
    expect(early('00000000: 0000 3412\n')).toBe('xxd');
    expect(early('\n\n')).toBeUndefined();
    expect(early('00 00\n')).toBeUndefined();
    expect(early('00 00\n00 00 00 00')).toBe('hex');
    expect(early('ab\0')).toBe('raw');
    expect(early('ab'.repeat(32768))).toBe('hex');
  });

  it('gives the answer of the whole input or none, however little it sees', () => {
    const whole = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .string({ unit: fc.constantFrom('{', '#', '\n', '\0', '\xff', '\xc3', '\xbc', '0', 'a', ' ', ':', '\r', '\xef', '\xbb', '\xbf') })
        .map(bytesOf),
    );
    const outcome = (bytes: Uint8Array, atEnd: boolean): string | undefined => {
      try {
        return detect(bytes, atEnd);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return error.message;
      }
    };
    fc.assert(
      fc.property(whole, (bytes) => {
        const last = outcome(bytes, true);
        for (let n = 0; n <= bytes.length; n++) expect([undefined, last]).toContain(outcome(bytes.subarray(0, n), false));
      }),
      { numRuns: 2000 },
    );
  });
});
