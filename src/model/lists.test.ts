import { describe, expect, it } from 'vitest';
import type { Arch } from '../abi/arch.ts';
import type { Decisions } from './decisions.ts';
import { isListMapped, type List, listBehind, readEntry, wraps, writeEntry } from './lists.ts';
import { readBytes, writeBytes } from './p2m.ts';
import { ram } from './scene.stage.ts';
import type { Domain, State } from './state.ts';
import { strict } from './strict.ts';
import { buildWorld } from './world.ts';

const lastPage = BigInt(ram + 3) << 12n;
const behind = (handle: bigint, arch: Arch = 'arm64', d: Decisions = strict): List => listBehind(handle, arch, d);
const fresh = (arch: Arch = 'arm64'): [State, Domain] => {
  const ramAt = [
    { gfn: BigInt(ram), pages: 4 },
    { gfn: 0xfffffn, pages: 1 },
    { gfn: 0n, pages: 1 },
  ];
  const state = buildWorld({ arch, domains: [{ domid: 1, privileged: false, ram: ramAt }], free: { low: 0, high: 0 } });
  return [state, state.domains.get(1) as Domain];
};

describe('the array behind a handle', () => {
  it('has entries of 8 bytes, of 4 on a 32-bit x86', () => {
    expect(behind(0x40001008n)).toMatchObject({ page: 0x40001, offset: 8, stride: 8, reach: 2 ** 52, dirty: false });
    expect(behind(0x40001008n, 'arm32')).toMatchObject({ stride: 8, reach: 2 ** 20 });
    expect(behind(0x40001008n, 'x86_32')).toMatchObject({ stride: 4, reach: 2 ** 20 });
  });

  it('is where the low half of a handle points on arm32, which may have more', () => {
    expect(behind(0x7_4000_1008n, 'arm32')).toMatchObject({ page: 0x40001, offset: 8, dirty: true });
    expect(behind(0x7_4000_1008n)).toMatchObject({ page: 0x740001, dirty: false });
  });

  it('wraps where it runs past the end of the address space, an empty one never', () => {
    const last = 0xffff_fff0n;
    expect([2, 3, 0].map((count) => wraps(behind(last, 'arm32'), count))).toEqual([false, true, false]);
    expect([2, 3].map((count) => wraps(behind(2n ** 64n - 16n), count))).toEqual([false, true]);
    expect([4, 5].map((count) => wraps(behind(last, 'x86_32'), count))).toEqual([false, true]);
    expect([0, 1].map((count) => wraps({ ...behind(0n, 'arm32'), page: 2 ** 20, offset: 0 }, count))).toEqual([false, true]);
    expect([512, 513].map((count) => wraps(behind(0xffff_f000n, 'arm32'), count))).toEqual([false, true]);
  });

  it('is mapped as far as its pages are', () => {
    const [, domain] = fresh();
    expect([0, 1, 512, 513].map((count) => isListMapped(domain, behind(lastPage), count))).toEqual([true, true, true, false]);
    expect([0, 1].map((count) => isListMapped(domain, behind(lastPage + 4096n), count))).toEqual([true, false]);
    expect([2, 3].map((count) => isListMapped(domain, behind(lastPage + 4080n), count))).toEqual([true, false]);
    // An unchecked list goes on at 0.
    const [, arm32] = fresh('arm32');
    expect([2, 514, 515].map((count) => isListMapped(arm32, behind(0xffff_fff0n, 'arm32'), count))).toEqual([true, true, false]);
  });
});

describe('an entry', () => {
  it('is a little-endian number, also across pages, and beyond 52 bits no page there is', () => {
    for (const handle of [lastPage - 16n, lastPage - 12n, lastPage + 3n]) {
      const [state, domain] = fresh();
      const list = behind(handle);
      const bytes = new Uint8Array(24);
      new DataView(bytes.buffer).setBigUint64(0, 0x8000_0001n, true);
      new DataView(bytes.buffer).setBigUint64(8, 0x0007_0605_0403_02ffn, true);
      new DataView(bytes.buffer).setBigUint64(16, 0x0010_0000_0000_0001n, true);
      expect(writeBytes(state, domain, { page: list.page, offset: list.offset }, bytes)).toBe(true);
      expect([0, 1, 2].map((i) => readEntry(state, domain, list, i, strict))).toEqual([0x8000_0001, 0x0007_0605_0403_02ff, 2 ** 52]);
    }
  });

  it('is written as it is read', () => {
    for (const arch of ['arm64', 'x86_32'] as const) {
      for (const handle of [lastPage - 20n, lastPage - 2n, lastPage]) {
        const [state, domain] = fresh(arch);
        const list = behind(handle, arch);
        for (const [i, frame] of [0x1234_5678, 0xffff_ffff, 7].entries())
          expect(writeEntry(state, domain, list, i, frame, strict)).toBe(true);
        expect([0, 1, 2, 3].map((i) => readEntry(state, domain, list, i, strict))).toEqual([0x1234_5678, 0xffff_ffff, 7, 0]);
        expect(readBytes(state, domain, { page: list.page, offset: list.offset }, 4)).toEqual(Uint8Array.of(0x78, 0x56, 0x34, 0x12));
      }
    }
    const [state, domain] = fresh();
    expect(writeEntry(state, domain, behind(lastPage), 0, 2 ** 40 + 5, strict)).toBe(true);
    expect(readEntry(state, domain, behind(lastPage), 0, strict)).toBe(2 ** 40 + 5);
  });

  it('that is nowhere is a fault, or is taken for 0', () => {
    const [state, domain] = fresh();
    const pretends: Decisions = { ...strict, badEntry: 'pretends' };
    for (const handle of [lastPage + 4096n, lastPage + 4092n]) {
      const list = behind(handle);
      expect([readEntry(state, domain, list, 0, strict), readEntry(state, domain, list, 0, pretends)]).toEqual([undefined, 0]);
      expect([writeEntry(state, domain, list, 0, 1, strict), writeEntry(state, domain, list, 0, 1, pretends)]).toEqual([false, true]);
    }
  });

  it('beyond the last address lies at the first ones', () => {
    const [state, domain] = fresh('arm32');
    const list = behind(0xffff_fff8n, 'arm32');
    expect([writeEntry(state, domain, list, 0, 5, strict), writeEntry(state, domain, list, 1, 6, strict)]).toEqual([true, true]);
    expect(readBytes(state, domain, { page: 0, offset: 0 }, 1)).toEqual(Uint8Array.of(6));
    expect(readEntry(state, domain, list, 1, strict)).toBe(6);
  });
});
