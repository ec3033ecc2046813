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

/** What xz 5.4.1 and zstd 1.5.4 of Debian 12 made of it, in base64. */
const made: readonly (readonly [string, string])[] = [
  [
    'xz --x86 --lzma2 --check=crc32',
    '/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4AIHAB5dAHP//fAMpIGTdkvFJq6Hb0k8ST9Ins5gGdEkmoAAAAAAAGW/CVsAATaIBAAAAGlcgh8+MA2LAgAAAAABWVo=',
  ],
  [
    'xz',
    '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4AIHAJJdAHQ+vdELyhAbQqz0Gu1amiRZLUqCVM6uQqHzYdDmTHuRmFUhx7mM+1eKOAiXxlgD6uykTiDXsFC3cV5ZrFlt0/+JeVyYIBFr2zZvFMmiV/ze3kJFG2ZeMJuKHGS2cDbwq3EVn6ClI1aai54u0WqwGjjlzG7vbGsiWzhrPth9CoSX8Uu908gKJ8Xggtau4Kg6swAAAAAAmbjtkXVNmrkAAa4BiAQAAPu7x/KxxGf7AgAAAAAEWVo=',
  ],
  [
    'zstd -19',
    'KLUv/QRoVQUAYggcIIC9G7BjYNH/GJti35E5lnufCe8I5vFIeoxdk0CgG1O3gMXGx0hJpWbnZ6iI9DR1tdUFOyuoFdwKcoIBAMGuwBcwcJBQaHiImKhgdISctMxseoKOlppQVVlfY7IAwICWYnvBxehSeDkAwKAXABj8BjmoEDC6jc3QQ4sBEWA1xrz//58BQiHo2Dt5bfKrB7SgMCHhL8r1xKyfqGuTzxymhTK3r/YOu1PqRiEV',
  ],
  [
    'zstd -1 --no-check',
    'KLUv/QBITQYAYgkiLlDlJB2A8hYUi37xU6nLgSi0YxUCS+I4lsSCEaPijVMaJMJWLhtjc8zWw4crTAEzHBDJpI+VzKbzAfVRVDqlVqw+umI4wxoG9D22jwNoMCEL/TQcEAnFop+NR4RiwfRTw/GERqR+mlCqVt37fPV9wvopq6P1srn3CdDNvU+BuvdJ0PdZ0M+DBiwg4IXGQiTvHnOCt5U+wmSZe6scYVnmulVuxoPdT5CwLObeKkdYlrm3lCMsy9xb5QjLYu6tcoiwMOVbZpIM',
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

  it('a check sum of 64 bits that is wrong is found', () => {
    const bytes = Buffer.from(made.find(([one]) => one === 'xz')?.[1] ?? '', 'base64');
    // It is before the index, of 8 bytes and a CRC of 4, and the footer of 12.
    const at = bytes.length - 12 - 12 - 1;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    expect(() => unpack(new Bytes(bytes, 'the kernel'), unpackers)).toThrow('xz: the check sum is wrong');
  });

  it('what is packed in another way is named, with the way out', () => {
    const lzma = Buffer.from('5d00008000ffffffffffffffff00', 'hex');
    expect(() => unpack(new Bytes(lzma, 'a bzImage'), unpackers)).toThrow(
      'a bzImage: packed with LZMA: unpack it first (scripts/extract-vmlinux of Linux), or take /sys/kernel/btf/vmlinux of the running kernel',
    );
  });
});

describe('what zstd packs, by hand', () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  const read = (bytes: readonly number[], most = 1 << 20): string =>
    Buffer.from(unpack(new Bytes(Uint8Array.from(bytes), 'a kernel'), unpackers, most).made).toString('latin1');
  /** What zstd 1.5.4 makes of "abc": one segment of 3 bytes, in a block that is not packed. */
  const abc = [...magic, 0x24, 3, 0x19, 0, 0, 0x61, 0x62, 0x63, 0x99, 0x09, 0x77, 0xad];
  /** A run of 5 "z" in a frame that does not say how long it is. */
  const run = [...magic, 0x00, 0x58, 0x2b, 0, 0, 0x7a];

  it('frames follow each other, and some are to be skipped', () => {
    expect(read([...abc, 0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7, ...run])).toBe('abczzzzz');
  });

  it('a length that is appended is that of all', () => {
    expect(read([...abc, ...run, 8, 0, 0, 0])).toBe('abczzzzz');
    expect(() => read([...abc, ...run, 9, 0, 0, 0])).toThrow(
      'zstd: 4 bytes at the end are neither a frame nor how long the 8 unpacked are',
    );
    expect(() => read([...abc, 1])).toThrow('zstd: 1 bytes at the end');
  });

  it('a bomb ends where no kernel is so dense', () => {
    // Runs of 128 KiB, 4 bytes each, of which 2 GB would come.
    const block = [0x02, 0x00, 0x10, 0];
    const bomb = Uint8Array.from([...magic, 0x00, 0x58, ...Array(16_000).fill(block).flat(), 0x03, 0x00, 0x10, 0]);
    expect(() => unpack(new Bytes(bomb, 'a kernel'), unpackers)).toThrow(`zstd: more than ${1100 * bomb.length} bytes`);
  });

  it.each<[string, number[], string]>([
    ['a check sum', abc.with(-1, 0xac), 'zstd: the check sum is wrong: the file is damaged'],
    ['a dictionary', [...magic, 0x21, 0x07, 3, 0x19, 0, 0, 0x61, 0x62, 0x63], 'zstd: packed with a dictionary, which is not in the file'],
    [
      'a length beyond its blocks',
      [...magic, 0xa0, 0, 0, 0, 0x30, 0x19, 0, 0, 0x61, 0x62, 0x63],
      'zstd: 805306368 bytes do not come of 11',
    ],
    ['a frame that is shorter than it says', abc.with(5, 2), 'zstd: a block of a kind or length that there is not'],
    ['a frame that ends early', abc.slice(0, 10), 'a block of zstd: bytes 9..12 lie outside the 10 of a kernel'],
    ['too much', run, 'zstd: more than 4 bytes'],
  ])('%s is told', (_, bytes, said) => {
    expect(() => read(bytes, 4)).toThrow(said);
  });
});
