import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { archNames } from '../abi/arch.ts';
import { profileNames } from '../abi/ops.ts';
import { everywhere, sparseMemory } from '../guest/memory.ts';
import { defaultSetting, type ObservedCall, observedCall, type Setting } from './call.ts';
import { readTrace } from './read.ts';
import { spaces } from './record.ts';
import { headerOf, recordOf, writeRecord } from './write.ts';

describe('writeRecord', () => {
  it('writes the keys in the order of the format', () => {
    const memory = sparseMemory([
      { address: 0x40000200n, bytes: Uint8Array.of(1, 2) },
      { address: 0x40000100n, bytes: Uint8Array.of(0xff) },
    ]);
    const call = observedCall(26, {
      seq: 0,
      domid: 1,
      arg: 0x40000100n,
      rc: 0,
      before: memory,
      after: memory,
      unmapped: [
        { address: 0x62000000n, length: 4096n },
        { address: 0n, length: 1n << 40n },
      ],
      p2mBefore: new Map([
        [0x40000n, 0x80000n],
        [0x40001n, null],
      ]),
      pagesBefore: 64,
      arch: 'arm32',
    });
    expect(writeRecord(recordOf(call))).toBe(
      '{"seq":0,"arch":"arm32","domid":1,"cmd":26,"arg":"0x40000100","before":[["0x40000100","ff"],["0x40000200","0102"]],"rc":0,' +
        '"after":[["0x40000100","ff"],["0x40000200","0102"]],"unmapped":[["0x62000000",4096],["0x0","0x10000000000"]],' +
        '"p2m_before":[["0x40000","0x80000"],["0x40001",null]],"pages_before":64}\n',
    );
  });

  it('writes no more than is known', () => {
    expect(writeRecord(recordOf({ cmd: 26 }))).toBe('{"cmd":26}\n');
    expect(writeRecord(recordOf(observedCall(26)))).toBe('{"cmd":26}\n');
    expect(writeRecord(recordOf(observedCall(26), { ...defaultSetting, privileged: true }))).toBe('{"privileged":null,"cmd":26}\n');
  });

  it('writes a header', () => {
    expect(writeRecord(headerOf(defaultSetting))).toBe(
      '{"xenmem":1,"arch":"arm64","profile":"dma-buf","space":"virtual","translated":true}\n',
    );
    expect(writeRecord(headerOf({ ...defaultSetting, privileged: false, fromStart: true }, 'a test'))).toBe(
      '{"xenmem":1,"arch":"arm64","profile":"dma-buf","space":"virtual","translated":true,"privileged":false,"from_start":true,"source":"a test"}\n',
    );
  });
});

it('what was written reads back as the same call', async () => {
  const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
  const memory = fc
    .array(fc.record({ address: fc.bigInt({ min: 0n, max: (1n << 64n) - 9n }), bytes: fc.uint8Array({ maxLength: 8 }) }), { maxLength: 4 })
    .map(sparseMemory);
  const p2m = fc.array(fc.tuple(u64, fc.option(u64)), { maxLength: 3 }).map((pairs) => new Map(pairs));
  const ranges = fc.array(
    u64.chain((address) =>
      fc.bigInt({ min: 0n, max: (1n << 64n) - address }).map((length) => ({ address, length: length > 1n ? length - 1n : length })),
    ),
    { maxLength: 3 },
  );
  const setting: fc.Arbitrary<Setting> = fc.record({
    arch: fc.constantFrom(...archNames),
    profile: fc.constantFrom(...profileNames),
    space: fc.constantFrom(...spaces),
    translated: fc.boolean(),
    privileged: maybe(fc.boolean()),
    fromStart: fc.boolean(),
  });
  const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const call = fc.record({
    cmd: fc.integer({ min: 0, max: 0xffffffff }),
    seq: maybe(count),
    domid: maybe(fc.integer({ min: 0, max: 0xffff })),
    arg: maybe(u64),
    argument: fc.constant(undefined),
    rc: maybe(fc.maxSafeInteger()),
    before: memory,
    after: memory,
    changes: fc.constant(undefined),
    others: fc.constant(undefined),
    unmapped: ranges,
    p2mBefore: p2m,
    p2mAfter: p2m,
    pagesBefore: maybe(count),
    pagesAfter: maybe(count),
  });
  const plain = (c: ObservedCall): object => ({ ...c, before: c.before.known(everywhere), after: c.after.known(everywhere) });
  await fc.assert(
    fc.asyncProperty(setting, setting, call, async (header, own, parts) => {
      const whole: ObservedCall = { ...parts, ...own, fromStart: header.fromStart };
      const text = writeRecord(headerOf(header)) + writeRecord(recordOf(whole, header));
      const source = async function* (): AsyncGenerator<Uint8Array> {
        yield new TextEncoder().encode(text);
      };
      const items = [];
      for await (const item of readTrace(source())) items.push(item);
      expect(items).toHaveLength(2);
      const read = items[1];
      expect(read?.kind === 'call' && plain(read.call)).toEqual(plain(whole));
      expect(read?.kind === 'call' && writeRecord(recordOf(read.call, header))).toBe(writeRecord(recordOf(whole, header)));
    }),
  );
});
