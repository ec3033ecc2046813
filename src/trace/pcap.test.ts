import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../codec/hex.ts';
import { InputError } from './input-error.ts';
import { packetFormat } from './packet-format.ts';
import { pcapngHead, pcapngPacket } from './pcap.ts';
import { readTrace } from './read.ts';

const bytes = (hex: string): Uint8Array => {
  const found = fromHex(hex.replace(/\s+/g, ''));
  if (!found) throw new TypeError(`not hex: ${hex}`);
  return found;
};

async function* chunks(all: Uint8Array, size = all.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

/** The format, then each struct with its name, then why it could not be read further. */
async function read(all: Uint8Array, options: { structSize?: number; size?: number } = {}): Promise<string[]> {
  const { structSize, size } = options;
  const found: string[] = [];
  try {
    for await (const item of readTrace(chunks(all, size), structSize === undefined ? {} : { structSize })) {
      if (item.kind === 'format') found.push(item.format);
      if (item.kind === 'buffer') found.push(`${item.struct ?? '?'} @${item.offset} ${toHex(item.bytes)}${item.whole ? '' : ' cut'}`);
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    found.push(`refused: ${error.message}`);
  }
  return found;
}

// The head of what text2pcap 4.0 writes, little-endian: a section and one interface; then packets
// by hand.
const section = '0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000';
const link = (type: string): string => `01000000 14000000 ${type} 0000 00000400 14000000`;
const packet = (data: string, id = '00000000'): string => {
  const length = data.replace(/\s/g, '').length / 2;
  const padded = Math.ceil(length / 4) * 4;
  const total = word(32 + padded);
  return `06000000 ${total} ${id} 0000000000000000 ${word(length)} ${word(length)} ${data} ${'00'.repeat(padded - length)} ${total}`;
};
const word = (value: number): string => toHex(Uint8Array.of(value & 0xff, value >> 8, 0, 0));
const put = '0010a4090000ffff03000000000000000000000000000000f07f000000000000';
const named = '000c0010 78656e5f7075745f646d615f62756600 00000000';

describe('pcapng', () => {
  it('has packets of USER0, whose length tells the struct', async () => {
    expect(await read(bytes(`${section} ${link('9300')} ${packet(put)} ${packet('0102')}`))).toEqual([
      'pcapng',
      `? @0 ${put}`,
      '? @32 0102',
    ]);
  });

  it('has packets that name their dissector', async () => {
    expect(await read(bytes(`${section} ${link('fc00')} ${packet(named + put)}`))).toEqual(['pcapng', `xen_put_dma_buf @0 ${put}`]);
    const xenmem = '000c0008 78656e6d656d0000 00000000';
    expect(await read(bytes(`${section} ${link('fc00')} ${packet(xenmem + put)}`))).toEqual(['pcapng', `? @0 ${put}`]);
  });

  it('has more interfaces, other blocks, the older packet blocks, and sections in either byte order', async () => {
    const big = '0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c 00000001 00000014 00930000 00000000 00000014';
    const simple = '03000000 14000000 02000000 0a0b0000 14000000';
    const obsolete = '02000000 24000000 0100 0000 0000000000000000 02000000 02000000 0c0d0000 24000000';
    const statistics = '05000000 10000000 00000000 10000000';
    const text = [section, link('9300'), link('9300'), packet('01', '01000000'), statistics, simple, obsolete, big];
    const last = '00000006 00000024 00000000 0000000000000000 00000001 00000001 0e000000 00000024';
    expect(await read(bytes([...text, last].join('')))).toEqual(['pcapng', '? @0 01', '? @1 0a0b', '? @3 0c0d', '? @5 0e']);
  });

  it('may hold an array of structs in a packet', async () => {
    expect(await read(bytes(`${section} ${link('9300')} ${packet(put + put)} ${packet('01')}`), { structSize: 32 })).toEqual([
      'pcapng',
      `? @0 ${put}`,
      `? @32 ${put}`,
      '? @64 01 cut',
    ]);
  });

  it.each([
    [
      `${section} ${link('0100')} ${packet('01')}`,
      'packet 1 has link type 1 (Ethernet), which holds no struct: text2pcap -P xen_get_dma_buf, or -l 147, makes packets of a dump that do',
    ],
    [
      `${section} ${link('9400')} ${packet('01')}`,
      'packet 1 has link type 148 (USER1), which holds no struct: text2pcap -P xen_get_dma_buf, or -l 147, makes packets of a dump that do',
    ],
    [
      `${section} ${link('fc00')} ${packet('000c0004 68747470 00000000 01')}`,
      'packet 1 is for the dissector "http", not for one of layout --emit lua',
    ],
    [`${section} ${link('fc00')} ${packet('000c0100 78')}`, 'the tags of packet 1 do not end'],
    [`${section} ${packet('01')}`, 'a packet of interface 0, which the file does not describe'],
    [`${section} ${link('9300')}`, 'there are no packets in it'],
    [`${section} 01000000 0b000000`, 'a block of 11 bytes'],
    [`${section} 01000000 0c000000 0d000000`, 'the lengths before and behind a block differ'],
    [`${section} 01000000 0c000000 0c000000`, 'a block of 12 bytes is too short'],
    [`${section} 06000000 fcffff7c`, '2097151996 bytes in a piece: more than 1 MiB is no struct'],
    ['0a0d0d0a 1c000000 00000000 01000000 ffffffffffffffff 1c000000', 'the section has no byte order'],
  ])('is refused by name: %#', async (text, message) => {
    expect((await read(bytes(text))).at(-1)).toBe(`refused: ${message}`);
  });

  it('says at which end it is cut, and what stands before is read', async () => {
    const all = bytes(`${section} ${link('9300')} ${packet(put)} ${packet(put)}`);
    const whole = await read(all);
    expect(await read(all, { size: 1 })).toEqual(whole);
    expect(await read(all, { size: 7 })).toEqual(whole);
    for (let length = 5; length < all.length; length++) {
      const found = await read(all.subarray(0, length));
      const structs = Math.floor(Math.max(0, length - 48) / 64);
      expect(found.slice(1, 1 + structs)).toEqual(whole.slice(1, 1 + structs));
      if (length !== 112) expect(found.at(-1)).toMatch(/^refused: (?:the file ends inside|there are no packets)/);
    }
  });

  it('is written so that it is read again', async () => {
    const parts = [pcapngHead(), pcapngPacket('xen_put_dma_buf', bytes(put), 32), pcapngPacket('xen_get_dma_buf', bytes(`${put}0102`), 72)];
    expect(await read(bytes(parts.map((part) => toHex(part)).join('')))).toEqual([
      'pcapng',
      `xen_put_dma_buf @0 ${put}`,
      `xen_get_dma_buf @32 ${put}0102`,
    ]);
  });
});

describe('pcap', () => {
  it.each([
    ['little-endian', 'd4c3b2a1 0200 0400 00000000 00000000 ffff0000 93000000', '00000000 00000000 20000000 20000000'],
    ['little-endian, in nanoseconds', '4d3cb2a1 0200 0400 00000000 00000000 ffff0000 93000000', '00000000 00000000 20000000 20000000'],
    ['big-endian', 'a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000093', '00000000 00000000 00000020 00000020'],
  ])('is read %s', async (_, head, packetHead) => {
    expect(await read(bytes(head + packetHead + put + packetHead + put))).toEqual(['pcap', `? @0 ${put}`, `? @32 ${put}`]);
    expect((await read(bytes(head + packetHead + put.slice(2)))).at(-1)).toBe('refused: the file ends inside a packet or its header');
  });

  it('begins with bytes of its own', () => {
    expect(packetFormat(Uint8Array.of(0xd4, 0xc3, 0xb2))).toBe(undefined);
    expect(packetFormat(bytes('d4c3b2a1'))).toBe('pcap');
    expect(packetFormat(bytes('0a0d0d0a'))).toBe('pcapng');
    expect(packetFormat(bytes('0a0d0d0b'))).toBe(undefined);
  });
});

it('throws nothing but InputError on a capture that was damaged', async () => {
  const whole = bytes(`${section} ${link('fc00')} ${packet(named + put)} ${packet(named + put)}`);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(3), async (at, byte, more) => {
      const damaged = whole.slice();
      for (let i = 0; i <= more; i++) damaged[(at + 5 * i) % whole.length] = byte;
      damaged.set(whole.subarray(0, 4));
      await read(damaged);
    }),
    { numRuns: 500 },
  );
});
