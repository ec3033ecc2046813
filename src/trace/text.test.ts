import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quoted } from './quoted.ts';
import { decodeUtf8, firstNotUtf8 } from './utf8.ts';

describe('quoted', () => {
  it.each([
    ['abc', '"abc"'],
    ['x'.repeat(40), `"${'x'.repeat(40)}"`],
    ['x'.repeat(41), `"${'x'.repeat(40)}…"`],
    ['a\nb\x1b[31m', '"a\\u{a}b\\u{1b}[31m"'],
    ['\u202eevil\u2028', '"\\u{202e}evil\\u{2028}"'],
    [`${'x'.repeat(39)}😀`, `"${'x'.repeat(39)}\\u{d83d}…"`],
    ['größe', '"größe"'],
  ])('%j', (text, shown) => {
    expect(quoted(text)).toBe(shown);
  });
});

describe('firstNotUtf8', () => {
  // The table of well-formed sequences: RFC 3629, section 4.
  it.each([
    [[0x61, 0xc3, 0xbc], undefined],
    [[0xf0, 0x9f, 0x98, 0x80], undefined],
    [[0x61, 0xff], 1],
    [[0x61, 0xc3], 1],
    [[0x61, 0xc3, 0x22], 1],
    [[0xc0, 0x80], 0],
    [[0xe0, 0x9f, 0xbf], 0],
    [[0xed, 0xa0, 0x80], 0],
    [[0xf4, 0x90, 0x80, 0x80], 0],
    [[0xf5, 0x80, 0x80, 0x80], 0],
    [[0xe2, 0x82, 0xac, 0x80], 3],
  ])('%j', (bytes, index) => {
    expect(firstNotUtf8(Uint8Array.from(bytes))).toBe(index);
  });

  it('agrees with the platform', () => {
    const byte = fc.constantFrom(
      0x41,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
      0xed,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 6 }), (list) => {
        const bytes = Uint8Array.from(list);
        const index = firstNotUtf8(bytes);
        expect(index === undefined).toBe(decodeUtf8(bytes) !== undefined);
        if (index !== undefined) expect(decodeUtf8(bytes.subarray(0, index))).toBeDefined();
      }),
      { numRuns: 5000 },
    );
  });
});
