import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { natureOf } from './detect.ts';
import { InputError } from './input-error.ts';
import { readTrace } from './read.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** What an input is read as, or why it is not. */
async function readAs(text: string | Uint8Array): Promise<string> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield typeof text === 'string' ? bytesOf(text) : text;
  };
  try {
    for await (const item of readTrace(source())) if (item.kind === 'format') return item.name;
    return 'nothing';
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
}

describe('an input', () => {
  it.each([
    ['an NDJSON trace', '{"cmd":26}\n'],
    ['an NDJSON trace', '\n  \t{"cmd":26}'],
    ['an NDJSON trace', '\xef\xbb\xbf{"cmd":26}'],
    ['an NDJSON trace', '{"note":"\xff"}\n'],
    ['an NDJSON trace', '# nothing but a comment\n'],
    ['raw bytes', '\0\0\x34\x12\0\x80\xff\xff'],
    ['raw bytes', '{"note":"\0"}\n'],
    ['raw bytes', '@\n\xa3\x10\0\x80\xff\xff\x04\0\0\0\0\0\0\0'],
    ['raw bytes', '\xe4bc\n'],
    ['raw bytes', '\x7fabc\n'],
    ['xxd', '# a comment\n00000000: 0000  ..\n'],
    ['xxd', '0000000: 00 00 34 12 00 80 ff ff  ..4.....\n'],
    ['xxd', '00000000: 000034120080ffff040000000000000000000000  ..4.................\n'],
    ['xxd -p', '000034120080ffff04000000000000000000000000000000f07f00000000\n0000\n'],
    ['plain hex', '000034120080ffff04000000000000000000000000000000f07f0000'],
    ['plain hex', '000034120080ffff0400000000000000\n0000\n'],
    ['plain hex', '00 00 34 12\n'],
    ['plain hex', '00003412 00 00'],
    ['hexdump -C', '00000000  00 00 34 12 00 80 FF FF                           |..4.....|\r\n'],
    ['bytes with offsets', '\n00000000  00\n'],
    ['UTF-16 of plain hex', '\xff\xfe0\x000\x00 \x000\x000\x00\r\x00\n\x00'],
    ['it prints bits: run xxd without -b', '00000000: 00000000 00000000 00110100 00010010 00000000 10000000  ..4...\n'],
    ['the input is empty', ''],
    ['the input is blank', ' \n\r\n\t'],
    ['the input is blank', ' '.repeat(70000)],
    ['"hello" begins no trace and no dump', 'hello\n'],
    ['"\xfc" begins no trace and no dump', '\xc3\xbc\n              '],
    ['this is an ELF file: name the file to `xenmem layout check`', '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0'],
    ['pcapng', '\n\r\r\n\x1c\0\0\0M<+\x1a\x01\0\0\0\xff'],
    ['run crash vmlinux FILE, then rd -64 ADDR 9', 'KDUMP   \x06\0\0\0\0\0\0\0\0\0\0\0'],
  ])('is %s: %j', async (said, text) => {
    expect(await readAs(text)).toContain(said);
  });

  it('has the nature of the whole or none, however little of it is seen', () => {
    const whole = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .string({
          unit: fc.constantFrom('{', '#', '\n', '\0', '\xff', '\xfe', '\xc3', '\xbc', '0', 'a', ' ', ':', '\r', '\xef', '\xbb', '\xbf'),
        })
        .map(bytesOf),
    );
    const outcome = (bytes: Uint8Array, atEnd: boolean): unknown => {
      try {
        return natureOf(bytes, atEnd);
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
