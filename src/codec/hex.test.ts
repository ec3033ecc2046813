import { describe, expect, it } from 'vitest';
import { fromHex, hex64, toHex } from './hex.ts';

describe('hex', () => {
  it('of bytes is lower case, in pairs, with what stands between them', () => {
    expect(toHex(Uint8Array.of(0, 9, 0x0a, 0xff))).toBe('00090aff');
    expect(toHex(Uint8Array.of(1, 2, 3), ' ')).toBe('01 02 03');
    expect(toHex(new Uint8Array(0), ' ')).toBe('');
  });

  it('is read in either case', () => {
    expect(fromHex('00090aAfFF')).toEqual(Uint8Array.of(0, 9, 0x0a, 0xaf, 0xff));
    expect(fromHex('')).toEqual(new Uint8Array(0));
  });

  // The neighbours of the digits in ASCII: / : @ G ` g, and what `| 0x20` turns into a digit.
  it.each(['0', '000', '/0', '0/', ':0', '0:', '@0', '0@', 'G0', '0G', '`0', '0`', 'g0', '0g', ' 0', '\x100', '0\x19', 'ö0', '0x'])(
    'is not %j',
    (text) => {
      expect(fromHex(text)).toBeUndefined();
    },
  );

  it('of a 64-bit number has no leading zeros', () => {
    expect([0n, 0x1fn, (1n << 64n) - 1n].map(hex64)).toEqual(['0x0', '0x1f', '0xffffffffffffffff']);
  });
});
