import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { archNames, handleArgumentSize, sizeOfType } from './arch.ts';
import { domidName, errno, errnoName, HYPERVISOR_memory_op, internalErrnos, XENMEMF } from './constants.ts';
import { compareLayouts, fieldOf, layoutOf } from './layout.ts';
import { betterFit, judgedOp, opName, startExtent, XENMEM } from './ops.ts';
import { type CType, structNames } from './structs.ts';

interface Measured {
  types: Record<string, { size: number; align?: number }>;
  structs: Record<string, { size: number; align: number; fields: Record<string, { offset: number; size: number }> }>;
  naive: Record<string, { size: number }>;
  constants: Record<string, number | string>;
}

/** What C compilers made of the real headers. */
function measured(arch: string): Measured {
  return JSON.parse(readFileSync(`fixtures/layout/${arch}.json`, 'utf8'));
}

describe.each(archNames)('layout on %s is what a C compiler makes of the headers', (arch) => {
  const truth = measured(arch);

  it.each(structNames)('%s', (name) => {
    const layout = layoutOf(name, arch);
    const expected = truth.structs[name]!;
    expect({ size: layout.size, align: layout.align }).toEqual({ size: expected.size, align: expected.align });
    const leaves = Object.entries(expected.fields).filter(([path]) => path !== 'in' && path !== 'out');
    expect(Object.fromEntries(layout.fields.map((f) => [f.path, { offset: f.offset, size: f.size }]))).toEqual(Object.fromEntries(leaves));
    const nested = Object.entries(expected.fields).filter(([path]) => path === 'in' || path === 'out');
    const members = layout.members.filter((m) => m.nested).map((m) => [m.name, { offset: m.offset, size: m.size }]);
    expect(Object.fromEntries(members)).toEqual(Object.fromEntries(nested));
  });

  it('accounts for every byte exactly once', () => {
    for (const name of structNames) {
      const layout = layoutOf(name, arch);
      const owner = new Uint8Array(layout.size);
      for (const part of [...layout.fields, ...layout.padding]) {
        for (let i = part.offset; i < part.offset + part.size; i++) owner[i]!++;
      }
      expect(owner.every((n) => n === 1)).toBe(true);
    }
  });

  it('type words have the measured sizes', () => {
    for (const type of ['xen_pfn_t', 'xen_ulong_t', 'unsigned int', 'domid_t', 'XEN_GUEST_HANDLE(xen_pfn_t)'] as CType[]) {
      expect(sizeOfType(type, arch), type).toBe(truth.types[type]!.size);
    }
    expect(handleArgumentSize(arch)).toBe(truth.types['XEN_GUEST_HANDLE_PARAM(xen_pfn_t)']!.size);
  });

  it('constants are the headers’ constants', () => {
    const known = { ...XENMEM.upstream, ...XENMEM['dma-buf'] } as Record<string, number>;
    let compared = 0;
    for (const [name, value] of Object.entries(truth.constants)) {
      const number = Number(value);
      if (name.startsWith('XENMEM_')) {
        const op = name.slice('XENMEM_'.length);
        if (op === 'add_to_physmap_range') continue; // the old name of 23
        expect([op, known[op] ?? (XENMEM.upstream as Record<string, number>)[op]]).toEqual([op, number]);
        compared++;
      } else if (name.startsWith('XEN_E')) {
        const own = name.slice('XEN_'.length);
        if (own === 'EWOULDBLOCK' || own === 'EDEADLOCK') continue; // aliases
        expect([own, (errno as Record<string, number>)[own]]).toEqual([own, number]);
        compared++;
      } else if (name.startsWith('DOMID_') && name !== 'DOMID_FIRST_RESERVED' && name !== 'DOMID_MASK') {
        expect(domidName(number)).toBe(name);
        compared++;
      } else if (name === '__HYPERVISOR_memory_op') {
        expect(HYPERVISOR_memory_op).toBe(number);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(70);
  });
});

it('a naive copy with native unsigned long and pointers is wrong on arm32 only', () => {
  expect(measured('arm32').naive['xen_get_dma_buf']!.size).toBe(44);
  expect(measured('arm64').naive['xen_get_dma_buf']!.size).toBe(72);
});

it('arm32 and arm64 are byte-identical, x86_32 is not', () => {
  for (const name of structNames) {
    expect(compareLayouts(layoutOf(name, 'arm32'), layoutOf(name, 'arm64'))).toEqual([]);
  }
  expect(compareLayouts(layoutOf('xen_put_dma_buf', 'arm64'), layoutOf('xen_put_dma_buf', 'x86_32'))).toContain(
    'size: 32 on arm64, 20 on x86_32',
  );
});

it('padding lies where SPEC says', () => {
  expect(layoutOf('xen_get_dma_buf', 'arm32').padding).toEqual([
    { path: 'in.padding', owner: 'in', offset: 26, size: 6, within: [] },
    { path: 'out.padding', owner: 'out', offset: 58, size: 6, within: [] },
  ]);
  expect(layoutOf('xen_memory_reservation', 'x86_32').padding).toEqual([{ path: 'padding', owner: '', offset: 18, size: 2, within: [] }]);
});

it('a field that is not in the table is a wrong program', () => {
  expect(() => fieldOf(layoutOf('xen_put_dma_buf', 'arm64'), 'out.domid')).toThrow(new TypeError('xen_put_dma_buf has no field out.domid'));
});

it('cmd is an op and a start_extent', () => {
  // A captured cmd of 90 is op 26 resumed at extent 1.
  expect([judgedOp(90, 'dma-buf'), startExtent(90)]).toEqual(['get_dma_buf', 1]);
  expect([startExtent(0xffff_ffff), judgedOp(0xffff_ffff, 'dma-buf')]).toEqual([0x3ff_ffff, undefined]);
  expect(judgedOp(26, 'upstream')).toBeUndefined();
  expect(opName(27, 'upstream')).toBe('reserved_device_memory_map');
});

it('a length tells the profile: 40 bytes are get_vnumainfo, 72 get_dma_buf', () => {
  expect(betterFit(26, 'dma-buf', 'arm64', 40)).toEqual({ profile: 'upstream', op: 'get_vnumainfo' });
  expect(betterFit(27, 'dma-buf', 'arm64', 24)).toEqual({ profile: 'upstream', op: 'reserved_device_memory_map' });
  expect(betterFit(26, 'upstream', 'arm64', 72)).toEqual({ profile: 'dma-buf', op: 'get_dma_buf' });
  expect(betterFit(26, 'dma-buf', 'arm64', 72)).toBeUndefined();
  expect(betterFit(26, 'dma-buf', 'arm64', 64)).toBeUndefined();
  expect(betterFit(1, 'dma-buf', 'arm64', 40)).toBeUndefined();
});

it('names return codes and domain ids', () => {
  expect([errnoName(-22), errnoName(22), errnoName(-85), errnoName(-200)]).toEqual(['-EINVAL', undefined, '-ERESTART', undefined]);
  expect([...internalErrnos]).toEqual([4, 85]);
  expect([domidName(0x7ff0), domidName(0x7ff4), domidName(3)]).toEqual(['DOMID_SELF', 'DOMID_INVALID', undefined]);
});

it('takes mem_flags apart as XENMEMF_* does', () => {
  // XENMEMF_node(x) is ((x) + 1) << 8.
  expect([XENMEMF.node(0), XENMEMF.node(0x100), XENMEMF.node(0x20200), XENMEMF.node(0xffffffff)]).toEqual([undefined, 0, 1, 254]);
  expect(XENMEMF.address_bits(0x20320)).toBe(0x20);
});
