import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { archNames } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { memoryArguments, memoryStructNames } from '../abi/memory-h.ts';
import { XENMEM } from '../abi/ops.ts';
import { AbiError } from './errors.ts';
import { fromHex, toHex } from './hex.ts';
import { memoryFromJson, memoryJson } from './memory-json.ts';

// conformance/tools/exports/memory-h.test.ts holds layouts and values against C compilers.

describe("the other structs of Xen's memory.h", () => {
  it('are those of ops that a Xen has, each op once', () => {
    const ops = Object.keys(XENMEM.upstream);
    for (const op of Object.keys(memoryArguments)) expect(ops).toContain(op);
    const judged = ['increase_reservation', 'decrease_reservation', 'populate_physmap', 'exchange'];
    const withdrawn = ['translate_gpfn_list'];
    expect(ops.filter((op) => memoryArguments[op] === undefined).sort()).toEqual([...judged, ...withdrawn].sort());
  });

  it.each([
    ['xen_add_to_physmap', [24, 24, 24, 16]],
    ['xen_mem_sharing_op', [48, 48, 48, 48]],
    ['xen_pod_target', [40, 40, 40, 36]],
    ['xen_vnuma_topology_info', [40, 40, 40, 40]],
    ['xen_reserved_device_memory_map', [24, 24, 24, 16]],
  ] as const)('%s has the size that gcc gives it', (struct, sizes) => {
    expect(archNames.map((arch) => layoutOf(struct, arch).size)).toEqual(sizes);
  });

  it('decode and encode are inverse, padding and what is not meant included', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...memoryStructNames),
        fc.constantFrom(...archNames),
        fc.infiniteStream(fc.nat(255)),
        (struct, arch, stream) => {
          const layout = layoutOf(struct, arch);
          const bytes = Uint8Array.from({ length: layout.size }, () => Number(stream.next().value));
          const { value, rest } = JSON.parse(JSON.stringify(memoryJson(layout, bytes)));
          expect(toHex(memoryFromJson(layout, value, rest))).toBe(toHex(bytes));
        },
      ),
      { numRuns: process.env['XENMEM_LONG'] ? 10_000 : 300 },
    );
  });

  it('a union shows the member that the struct says is meant', () => {
    const layout = layoutOf('xen_mem_sharing_op', 'x86_64');
    const of = (op: number): object =>
      memoryJson(layout, fromHex(`0${op.toString(16)}000100${'0'.repeat(8)}${'1100000000000000'.repeat(5)}`) as Uint8Array).value;
    expect(of(1)).toEqual({ op: 1, domain: 1, u: { nominate: { u: { grant_ref: 0x11 }, handle: '0x11' } } });
    expect(of(4)).toEqual({ op: 4, domain: 1, u: { debug: { u: { mfn: '0x11' } } } });
    expect(of(9)).toEqual({ op: 9, domain: 1, u: { fork: { parent_domain: 0x11, flags: 0, pad: 0 } } });
    // Nothing says which member an audit means: all are shown.
    expect(Object.keys((of(7) as { u: object }).u)).toEqual(['nominate', 'share', 'range', 'debug', 'fork']);
  });

  it.each([
    [{ domid: 70_000 }, 'xen_add_to_physmap.domid @0: range: 70000 does not fit in 2 bytes'],
    [{ gmfn: 1 }, 'xen_add_to_physmap.gmfn @0: extra: the struct has no such field'],
    [{ idx: 1.5 }, 'xen_add_to_physmap.idx @0: type: expected a whole number, above 2^53 as a string, "0x…"'],
    [{ idx: [1, 2] }, 'xen_add_to_physmap.idx @8: size: 2 values, not 1'],
    ['x', 'xen_add_to_physmap: type: expected an object'],
  ])('%j is refused: %s', (json, message) => {
    const encode = (): Uint8Array => memoryFromJson(layoutOf('xen_add_to_physmap', 'arm64'), json);
    expect(encode).toThrow(AbiError);
    expect(encode).toThrow(message);
  });

  it('members of a union that contradict each other are refused', () => {
    const layout = layoutOf('xen_vnuma_topology_info', 'arm64');
    expect(() => memoryFromJson(layout, { vdistance: { h: '0x1', pad: '0x2' } })).toThrow('another member of the union says otherwise');
  });
});
