import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bytes, FileError } from './bytes.ts';
import { unpack } from './unpack.ts';

// conformance/tools/exports/packed.test.ts has what the programs of Debian pack now.

/** Calls of one function from many places, words between them, and a run: what was packed. */
let code = Buffer.alloc(0);
for (let i = 0; i < 60; i++) {
  const call = Buffer.from([0xe8, 0, 0, 0, 0]);
  call.writeInt32LE(0x1000 - (code.length + 5), 1);
  code = Buffer.concat([code, call, Buffer.from('xenmem'.slice(0, i % 6))]);
}
code = Buffer.concat([code, Buffer.alloc(70)]);

const unpackers = { gzip: nothing, zlib: nothing };
function nothing(): never {
  throw new Error('is not asked');
}

/** What xz 5.4.1 of Debian 12 made of it, in base64. */
const made: readonly (readonly [string, string])[] = [
  [
    'xz --x86 --lzma2 --check=crc32',
    '/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4AIHAB5dAHP//fAMpIGTdkvFJq6Hb0k8ST9Ins5gGdEkmoAAAAAAAGW/CVsAATaIBAAAAGlcgh8+MA2LAgAAAAABWVo=',
  ],
  [
    'xz',
    '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4AIHAJJdAHQ+vdELyhAbQqz0Gu1amiRZLUqCVM6uQqHzYdDmTHuRmFUhx7mM+1eKOAiXxlgD6uykTiDXsFC3cV5ZrFlt0/+JeVyYIBFr2zZvFMmiV/ze3kJFG2ZeMJuKHGS2cDbwq3EVn6ClI1aai54u0WqwGjjlzG7vbGsiWzhrPth9CoSX8Uu908gKJ8Xggtau4Kg6swAAAAAAmbjtkXVNmrkAAa4BiAQAAPu7x/KxxGf7AgAAAAAEWVo=',
  ],
];

describe('what Node does not unpack', () => {
  it.each(made)('%s', (_, text) => {
    const packed = new Bytes(Buffer.from(text, 'base64'), 'the kernel');
    expect(Buffer.from(unpack(packed, unpackers).made).equals(code)).toBe(true);
    expect(() => unpack(packed, unpackers, code.length - 1)).toThrow(`more than ${code.length - 1} bytes`);
  });

  it('a file that is damaged is said to be, or is what it was', () => {
    const runs = process.env['XENMEM_LONG'] ? 20_000 : 500;
    const edits = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...made), edits, fc.nat(40), ([, text], changes, cut) => {
        const bytes = Buffer.from(text, 'base64');
        for (const [at, byte] of changes) bytes[6 + (at % (bytes.length - 6))] = byte;
        try {
          const out = unpack(new Bytes(bytes.subarray(0, bytes.length - (cut > 20 ? cut : 0)), 'the kernel'), unpackers, 1 << 20).made;
          expect(out.length).toBeLessThanOrEqual(1 << 20);
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
      }),
      { numRuns: runs },
    );
  });

  it('a check sum that is wrong is found', () => {
    const damaged = (name: string, at: number): Bytes => {
      const bytes = Buffer.from(made.find(([one]) => one === name)?.[1] ?? '', 'base64');
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return new Bytes(bytes, 'the kernel');
    };
    // It is before the index and the footer, 12 bytes each.
    const { length } = Buffer.from(made[0]?.[1] ?? '', 'base64');
    expect(() => unpack(damaged('xz --x86 --lzma2 --check=crc32', length - 28), unpackers)).toThrow('xz: the check sum is wrong');
  });

  it('what is packed in another way is named, with the way out', () => {
    const lzma = Buffer.from('5d00008000ffffffffffffffff00', 'hex');
    expect(() => unpack(new Bytes(lzma, 'a bzImage'), unpackers)).toThrow(
      'a bzImage: packed with LZMA: unpack it first (scripts/extract-vmlinux of Linux), or take /sys/kernel/btf/vmlinux of the running kernel',
    );
  });
});
