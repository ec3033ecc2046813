import { describe, expect, it } from 'vitest';
import { everywhere } from '../guest/memory.ts';
import { defaultSetting, type Setting } from './call.ts';
import { RecordError } from './fields.ts';
import { readRecord } from './record.ts';

const read = (record: object, setting: Setting = defaultSetting, flags: Partial<Setting> = {}) => readRecord(record, setting, flags);

function refusal(record: unknown): string {
  try {
    readRecord(record, defaultSetting);
    return 'read';
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return error.message;
  }
}

describe('a record', () => {
  it('needs only cmd, and says nothing of what it lacks', () => {
    const { call, setting } = read({ cmd: 26 });
    expect(setting).toBe(defaultSetting);
    expect(call).toMatchObject({
      ...defaultSetting,
      cmd: 26,
      seq: undefined,
      domid: undefined,
      arg: undefined,
      argument: undefined,
      rc: undefined,
    });
    expect(call).toMatchObject({ changes: undefined, unmapped: [], pagesBefore: undefined, pagesAfter: undefined });
    expect(call?.p2mBefore.size).toBe(0);
    expect(call?.p2mAfter.get(1n)).toBeUndefined();
    expect(call?.before.known(everywhere)).toEqual([]);
    expect(call?.after.read(0n, 1)).toBeUndefined();
  });

  it('is read key by key', () => {
    const record = {
      seq: '7',
      ts: '1795327973000001000',
      domid: '0x7ff0',
      cmd: 90,
      arg: '0xFFFF800010a3bd40',
      rc: -22,
      before: [
        ['0x10', '00FF'],
        ['18', '01'],
        ['0xffffffffffffffff', 'aa'],
      ],
      after: [],
      unmapped: [
        ['0x62000000', 4096],
        ['0', '0x10000000000000000'.slice(0, 18)],
      ],
      p2m_before: [
        ['0x40000', '0x80000'],
        ['0x40001', null],
        [3, 4],
      ],
      p2m_after: [],
      pages_before: 64,
      pages_after: '0x40',
      'x-mine': { kept: true },
    };
    const { call, record: kept } = read(record);
    expect(kept).toBe(record);
    expect(call).toMatchObject({ seq: 7, domid: 0x7ff0, cmd: 90, arg: 0xffff800010a3bd40n, rc: -22, pagesBefore: 64, pagesAfter: 64 });
    expect(call?.before.read(0x10n, 2)).toEqual(Uint8Array.of(0, 0xff));
    expect(call?.before.read(18n, 1)).toEqual(Uint8Array.of(1));
    expect(call?.before.read(2n ** 64n - 1n, 1)).toEqual(Uint8Array.of(0xaa));
    expect(call?.unmapped).toEqual([
      { address: 0x62000000n, length: 4096n },
      { address: 0n, length: 0x1000000000000000n },
    ]);
    expect([...(call?.p2mBefore ?? [])]).toEqual([
      [0x40000n, 0x80000n],
      [0x40001n, null],
      [3n, 4n],
    ]);
  });

  it('takes null for what was not captured', () => {
    expect(read({ cmd: 26, rc: null, arg: null, before: null, p2m_before: null, seq: null, arch: null }).call).toEqual(
      read({ cmd: 26 }).call,
    );
  });

  it.each([
    [0, 0],
    [-0, 0],
    [-4095, -4095],
    ['-22', -22],
    ['-0x16', -22],
    ['0x10', 16],
    [9007199254740991, 9007199254740991],
    ['-9007199254740991', -9007199254740991],
  ])('reads rc %j', (rc, value) => {
    expect(read({ cmd: 26, rc }).call?.rc).toBe(value);
  });
});

describe('what people write by hand', () => {
  it('is an op by its name', () => {
    expect(read({ cmd: 'exchange' }).call?.cmd).toBe(11);
    expect(read({ cmd: 'XENMEM_populate_physmap' }).call?.cmd).toBe(6);
    expect(read({ cmd: 'acquire_resource', profile: 'upstream' }).call?.cmd).toBe(28);
  });

  it('is the register that held the result', () => {
    expect(read({ cmd: 11, rc: '0xffffffffffffffea' }).call?.rc).toBe(-22);
    expect(read({ cmd: 11, rc: '18446744073709551594' }).call?.rc).toBe(-22);
    expect(read({ cmd: 11, rc: '0xffffffea', arch: 'arm32' }).call?.rc).toBe(-22);
    expect(read({ cmd: 11, rc: '0xffffffea' }).call?.rc).toBe(4294967274);
  });
});

describe('what a record may not hold', () => {
  const lost = 'a JSON number beyond 2^53 - 1 has lost digits: 64-bit numbers are written as strings, "0x…"';
  it.each([
    [{}, 'cmd: missing'],
    [{ cmd: null }, 'cmd: missing'],
    [{ cmd: true }, 'cmd: true is not a number'],
    [{ cmd: [26] }, 'cmd: a list of 1 is not a number'],
    [{ cmd: {} }, 'cmd: an object is not a number'],
    [{ cmd: -1 }, 'cmd: -1 is negative'],
    [{ cmd: 26.5 }, 'cmd: 26.5 is not a whole number'],
    [{ cmd: 4294967296 }, 'cmd: 4294967296 is over 2^32 - 1'],
    [{ cmd: 'get_dma' }, 'cmd: "get_dma" is no op of profile dma-buf'],
    [{ cmd: 'XENMEM_' }, 'cmd: "XENMEM_" is no op of profile dma-buf'],
    [{ op: 11, rc: 0 }, 'cmd: missing: "op" is no key of a record, "cmd" is'],
    [{ cmd: '' }, 'cmd: "" is neither a 0x-hex nor a decimal number'],
    [{ cmd: '1a' }, 'cmd: "1a" is neither a 0x-hex nor a decimal number'],
    [{ cmd: '26\n' }, 'cmd: "26\\u{a}" is neither a 0x-hex nor a decimal number'],
    [{ cmd: 26, arg: 9007199254740992 }, `arg: ${lost}`],
    [{ cmd: 26, arg: -9007199254740992 }, `arg: ${lost}`],
    [{ cmd: 26, arg: 1e300 }, `arg: ${lost}`],
    [{ cmd: 26, arg: Number.POSITIVE_INFINITY }, `arg: ${lost}`],
    [{ cmd: 26, arg: '0x10000000000000000' }, 'arg: "0x10000000000000000" is over 2^64 - 1'],
    [{ cmd: 26, arg: '18446744073709551616' }, 'arg: "18446744073709551616" is over 2^64 - 1'],
    [{ cmd: 26, arg: '1'.repeat(21) }, 'arg: "111111111111111111111" is over 2^64 - 1'],
    [{ cmd: 26, arg: '9'.repeat(1_000_000) }, `arg: "${'9'.repeat(40)}…" is over 2^64 - 1`],
    [{ cmd: 26, arg: '-1' }, 'arg: "-1" is negative'],
    [{ cmd: 26, domid: 65536 }, 'domid: 65536 is over 65535'],
    [{ cmd: 26, seq: -1 }, 'seq: -1 is negative'],
    [{ cmd: 26, seq: '9007199254740992' }, 'seq: "9007199254740992" is over 2^53 - 1'],
    [{ cmd: 26, pages_after: 0.5 }, 'pages_after: 0.5 is not a whole number'],
    [{ cmd: 26, rc: -22.5 }, 'rc: -22.5 is not a whole number'],
    [{ cmd: 26, rc: '0x7fffffffffffffff' }, 'rc: "0x7fffffffffffffff" is beyond 2^53 - 1; a refusal is written as a negative number, -22'],
    [{ cmd: 26, ts: {} }, 'ts: an object is not a time'],
    [{ cmd: 26, ts: 1795327973000001000 }, `ts: ${lost}`],
    [{ cmd: 26, arch: 'arm' }, 'arch: "arm" is not one of arm32, arm64, x86_64, x86_32'],
    [{ cmd: 26, arch: 64 }, 'arch: 64 is not one of arm32, arm64, x86_64, x86_32'],
    [{ cmd: 26, profile: 'xen' }, 'profile: "xen" is not one of dma-buf, upstream'],
    [{ cmd: 26, space: 'guest' }, 'space: "guest" is not one of virtual, physical'],
    [{ cmd: 26, translated: 1 }, 'translated: 1 is neither true nor false'],
    [{ cmd: 26, privileged: 'no' }, 'privileged: "no" is neither true nor false'],
    [{ cmd: 26, before: {} }, 'before: an object is not a list of [address, hex]'],
    [{ cmd: 26, before: ['0x10', '00'] }, 'before[0]: "0x10" is not [address, hex]'],
    [{ cmd: 26, before: [['0x10', '00', 1]] }, 'before[0]: a list of 3 is not [address, hex]'],
    [
      {
        cmd: 26,
        before: [
          ['0x10', '00'],
          ['ten', '00'],
        ],
      },
      'before[1][0]: "ten" is neither a 0x-hex nor a decimal number',
    ],
    [{ cmd: 26, after: [['0x10', '000']] }, 'after[0][1]: an odd number of hex digits (3)'],
    [{ cmd: 26, after: [['0x10', '0x00']] }, 'after[0][1]: "x" at digit 2 is not a hex digit'],
    [{ cmd: 26, after: [['0x10', '00 1']] }, 'after[0][1]: " " at digit 3 is not a hex digit'],
    [{ cmd: 26, after: [['0x10', '00😀']] }, 'after[0][1]: "😀" at digit 3 is not a hex digit'],
    [{ cmd: 26, after: [['0x10', 0]] }, 'after[0][1]: 0 is not a string of hex digits'],
    [{ cmd: 26, before: [['0xffffffffffffffff', '0000']] }, 'before[0]: 2 bytes from 0xffffffffffffffff run past 2^64'],
    [{ cmd: 26, unmapped: [['0xfffffffffffff000', 4097]] }, 'unmapped[0]: 4097 bytes from 0xfffffffffffff000 run past 2^64'],
    [{ cmd: 26, unmapped: [['0x1000', -1]] }, 'unmapped[0][1]: -1 is negative'],
    [{ cmd: 26, unmapped: ['0x1000'] }, 'unmapped[0]: "0x1000" is not [address, length]'],
    [{ cmd: 26, p2m_before: [['0x1', 'none']] }, 'p2m_before[0][1]: "none" is neither a 0x-hex nor a decimal number'],
    [{ cmd: 26, p2m_after: [[null, '0x1']] }, 'p2m_after[0][0]: null is not a number'],
    [{ cmd: 26, p2m_after: [['0x1']] }, 'p2m_after[0]: a list of 1 is not [gfn, mfn or null]'],
    [{ xenmem: 2 }, 'xenmem: trace format 2 is not known, only 1'],
    [{ xenmem: '1' }, 'xenmem: trace format "1" is not known, only 1'],
    [{ xenmem: 1, from_start: 'yes' }, 'from_start: "yes" is neither true nor false'],
    [[1, 2], 'record: a list of 2 is not an object'],
    [null, 'record: null is not an object'],
    ['x', 'record: "x" is not an object'],
    [{ cmd: 26, 'x-deep': JSON.parse('['.repeat(64) + ']'.repeat(64)) }, 'record: nested more than 64 deep'],
    [{ cmd: 26, 'x-deep': JSON.parse('['.repeat(63) + ']'.repeat(63)) }, 'read'],
    [{ cmd: 26, 'x-deep': JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) }, 'record: nested more than 64 deep'],
  ])('%#', (record, message) => {
    expect(refusal(record)).toBe(message);
  });
});

describe('the setting', () => {
  const pv = { xenmem: 1, arch: 'x86_64', profile: 'upstream', space: 'physical', translated: false, privileged: true, from_start: true };
  const said = { arch: 'x86_64', profile: 'upstream', space: 'physical', translated: false, privileged: true, fromStart: true };

  it('is what the header says, from there on', () => {
    const header = read(pv);
    expect(header.call).toBeUndefined();
    expect(header.setting).toEqual({ ...said, profileSaid: true });
    expect(read({ cmd: 26 }, header.setting).call).toMatchObject(said);
  });

  it('is the default again where another header is silent', () => {
    expect(read({ xenmem: 1, arch: 'arm32' }, read(pv).setting).setting).toEqual({ ...defaultSetting, arch: 'arm32' });
  });

  it('may be said by a record, for itself', () => {
    const { setting } = read(pv);
    const own = read({ cmd: 26, arch: 'arm64', translated: true, privileged: null }, setting);
    expect(own.call).toMatchObject({ ...said, arch: 'arm64', translated: true, privileged: undefined });
    expect(own.setting).toBe(setting);
  });

  it('is beaten by flags', () => {
    const flags = { arch: 'arm32', privileged: false, fromStart: false } as const;
    expect(read(pv, defaultSetting, flags).setting).toEqual({ ...said, ...flags, profileSaid: true });
    expect(read({ cmd: 26, arch: 'x86_32', privileged: true, space: 'physical' }, defaultSetting, flags).call).toMatchObject({
      ...flags,
      space: 'physical',
    });
  });

  it('and a call may stand on one line', () => {
    const { call, setting } = read({ ...pv, cmd: 27, rc: 0 });
    expect(call).toMatchObject({ ...said, cmd: 27, rc: 0 });
    expect(setting).toEqual({ ...said, profileSaid: true });
  });
});
