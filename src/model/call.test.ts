import { describe, expect, it } from 'vitest';
import type { Arch } from '../abi/arch.ts';
import { errno } from '../abi/constants.ts';
import { type Call, frameLimit, isReadable, listOf, preemptedAfter, readEntries, readStruct, writeEntry } from './call.ts';
import { strict } from './freedoms.ts';
import { at, readBytes, writeBytes } from './p2m.ts';
import { ram, scene } from './scene.stage.ts';
import { domainOf } from './state.ts';
import { buildWorld } from './world.ts';

const lastPage = BigInt(ram + 3) << 12n;

/**
 * A call by a guest with four pages of RAM, the last page below 4 GiB, and the first one of all.
 */
function callOn(arch: Arch = 'arm64', arg = 0n): Call {
  const runs = [
    { gfn: BigInt(ram), pages: 4 },
    { gfn: 0xfffffn, pages: 1 },
    { gfn: 0n, pages: 1 },
  ];
  const state = buildWorld({ arch, domains: [{ domid: 1, privileged: false, ram: runs, holes: [] }], free: { low: 0, high: 0 } });
  return { state, caller: domainOf(state, 1), arg, inject: {}, freedoms: strict, allocations: 0 };
}
const behind = (call: Call, extent_start: bigint, nr_extents: number | bigint) =>
  listOf(call, { extent_start, nr_extents: BigInt(nr_extents), extent_order: 0, address_bits: 0, domid: 0x7ff0 });

describe('a list', () => {
  it('is readable where each of its entries lies in guest memory, an empty one anywhere', () => {
    const call = callOn();
    expect([0, 1, 512, 513].map((count) => isReadable(call, behind(call, lastPage, count)))).toEqual([true, true, true, false]);
    expect([0, 1].map((count) => isReadable(call, behind(call, lastPage + 4096n, count)))).toEqual([true, false]);
    expect([2, 3].map((count) => isReadable(call, behind(call, lastPage + 4080n, count)))).toEqual([true, false]);
  });

  it('has little-endian entries, also across pages; beyond 52 bits they name no page there is', () => {
    for (const handle of [lastPage - 16n, lastPage - 12n, lastPage + 3n]) {
      const call = callOn();
      const bytes = new Uint8Array(24);
      new DataView(bytes.buffer).setBigUint64(0, 0x8000_0001n, true);
      new DataView(bytes.buffer).setBigUint64(8, 0x0007_0605_0403_02ffn, true);
      new DataView(bytes.buffer).setBigUint64(16, 0x0010_0000_0000_0001n, true);
      expect(writeBytes(call.state, call.caller, at(handle), bytes)).toBe(true);
      const list = behind(call, handle, 3);
      expect(readEntries(call, list, 0, 3)).toEqual([0x8000_0001, 0x0007_0605_0403_02ff, 2 ** 52]);
      expect(readEntries(call, list, 1, 1)).toEqual([0x0007_0605_0403_02ff]);
    }
  });

  it('is written as it is read, in entries of four bytes on a 32-bit x86', () => {
    for (const arch of ['arm64', 'x86_32'] as const) {
      for (const handle of [lastPage - 20n, lastPage - 2n, lastPage]) {
        const call = callOn(arch);
        const list = behind(call, handle, 4);
        for (const [i, frame] of [0x1234_5678, 0xffff_ffff, 7].entries()) expect(writeEntry(call, list, i, frame)).toBe(true);
        expect(readEntries(call, list, 0, 4)).toEqual([0x1234_5678, 0xffff_ffff, 7, 0]);
        expect(readBytes(call.state, call.caller, at(handle), 4)).toEqual(Uint8Array.of(0x78, 0x56, 0x34, 0x12));
      }
    }
  });

  it('that is nowhere is a fault', () => {
    const call = callOn();
    for (const handle of [lastPage + 4096n, lastPage + 4092n]) {
      const list = behind(call, handle, 1);
      expect([readEntries(call, list, 0, 1), writeEntry(call, list, 0, 1), readEntries(call, list, 0, 0)]).toEqual([undefined, false, []]);
    }
  });

  it('does not go on at address 0 where the addresses end', () => {
    const call = callOn('arm32');
    const list = behind(call, 0xffff_fff0n, 3);
    expect([readEntries(call, list, 0, 2), readEntries(call, list, 1, 2), readEntries(call, list, 2, 1)]).toEqual([
      [0, 0],
      undefined,
      undefined,
    ]);
  });
});

describe('a struct', () => {
  it('is read where it lies wholly in guest memory and in the address space', () => {
    const read = (arch: Arch, arg: bigint) => readStruct(callOn(arch, arg), 'xen_put_dma_buf') !== undefined;
    expect([read('arm64', lastPage + 4064n), read('arm64', lastPage + 4065n), read('arm64', lastPage - 16n)]).toEqual([true, false, true]);
    expect([read('arm32', 0xffff_ffe0n), read('arm32', 0xffff_ffe1n), read('arm64', 0xffff_ffe1n)]).toEqual([true, false, false]);
    expect(read('arm32', 0x1_0000_0000n + lastPage)).toBe(false);
  });

  it('behind the last address is no continuation of it', () => {
    const top = [{ domid: 1, privileged: false, ram: [{ gfn: 0xfffffn, pages: 2 }] }];
    const { hypervisor } = scene({ arch: 'arm32', domains: top });
    // A struct of zeros names domain 0, which there is not.
    expect([72n, 71n, 64n].map((size) => hypervisor.call(1, 26, 0x1_0000_0000n - size))).toEqual([
      -errno.ESRCH,
      -errno.EFAULT,
      -errno.EFAULT,
    ]);
    expect([32n, 31n].map((size) => hypervisor.call(1, 27, 0x1_0000_0000n - size))).toEqual([-errno.ESRCH, -errno.EFAULT]);
  });
});

it('a limit is a number of frames, from the low byte of the word alone', () => {
  expect([0, 12, 13, 32, 0x120].map(frameLimit)).toEqual([Number.POSITIVE_INFINITY, 1, 2, 2 ** 20, 2 ** 20]);
  expect(frameLimit(0x100)).toBe(Number.POSITIVE_INFINITY);
});

it('a preemption is asked for in input extents, and comes after whole units', () => {
  const after = (preempt: number | undefined, unit = 1) =>
    preemptedAfter({ ...callOn(), inject: preempt === undefined ? {} : { preempt } }, unit);
  expect([after(1), after(3), after(3, 2), after(1, 8), after(1.5)]).toEqual([1, 3, 2, 1, 2]);
  expect([after(undefined), after(0), after(-1)]).toEqual(Array(3).fill(Number.POSITIVE_INFINITY));
});
