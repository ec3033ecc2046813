import { expect, it } from 'vitest';
import { decodeHandleArgument, encodeHandleArgument, pointerOf, strayBits } from './handle.ts';
import { toHex } from './hex.ts';

it('on arm32 the pointer is the low half of the word, and a dirty high half is seen', () => {
  expect(pointerOf(0xdeadbeef_40001000n, 'arm32')).toBe(0x4000_1000n);
  expect(strayBits(0xdeadbeef_40001000n, 'arm32')).toBe(0xdeadbeefn);
  expect(strayBits(0x4000_1000n, 'arm32')).toBe(0n);
});

it('on arm64 the whole word is the pointer', () => {
  expect(pointerOf(0xffff_8000_1234_0000n, 'arm64')).toBe(0xffff_8000_1234_0000n);
  expect(strayBits(0xffff_ffff_ffff_ffffn, 'arm64')).toBe(0n);
});

it('a handle in a register is 4 bytes on arm32 and 8 on arm64', () => {
  expect(toHex(encodeHandleArgument(0x4000_1000n, 'arm32'))).toBe('00100040');
  expect(toHex(encodeHandleArgument(0xffff_8000_1234_0000n, 'arm64'))).toBe('000034120080ffff');
  expect(decodeHandleArgument(Uint8Array.of(0, 0x10, 0, 0x40), 'arm32')).toBe(0x4000_1000n);
  expect(decodeHandleArgument(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0x80), 'arm64')).toBe(0x8000_0000_0000_0001n);
});

it('a pointer that does not fit the register is refused', () => {
  expect(() => encodeHandleArgument(1n << 32n, 'arm32')).toThrow('a handle argument on arm32 is 0..0xffffffff, got 4294967296');
  expect(() => encodeHandleArgument(-1n, 'arm64')).toThrow('a handle argument on arm64 is 0..0xffffffffffffffff, got -1');
  expect(() => decodeHandleArgument(new Uint8Array(8), 'arm32')).toThrow('a handle argument on arm32 is 4 bytes, got 8');
});
