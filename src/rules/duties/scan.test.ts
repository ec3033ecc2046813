import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { archNames } from '../../abi/arch.ts';
import { layoutOf, type StructLayout } from '../../abi/layout.ts';
import { opsTaking } from '../../abi/ops.ts';
import { structNames } from '../../abi/structs.ts';
import { structDuties } from './duties.ts';
import type { Claim } from './expression.ts';
import { plainScan, scanOf } from './scan.ts';
import { moduleOf } from './wasm.ts';

const layouts = structNames.flatMap((struct) => archNames.map((arch) => layoutOf(struct, arch)));
const claimsOn = (layout: StructLayout): Claim[] =>
  Object.values(structDuties)
    .filter(({ ops }) => opsTaking(layout.struct).some((op) => ops.includes(op)))
    .flatMap((duty) => duty.breaches(layout).map(({ broken }) => broken));
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 12n, 18n, 63n, 64n, 65n, 0x7ff0n, 0xffff_ffffn, 1n << 32n, 1n << 63n, ~0n),
  fc.bigInt(0n, (1n << 64n) - 1n),
);

/**
 * Bytes of a struct: 64-bit words, boundary values among them, one of its bytes changed now and
 * then.
 */
function structBytes({ size }: StructLayout): fc.Arbitrary<Uint8Array> {
  const words = fc.array(word, { minLength: Math.ceil(size / 8), maxLength: Math.ceil(size / 8) });
  return words.map((of) => new Uint8Array(BigUint64Array.from(of).buffer).slice(0, size));
}

describe('the compiled scan', () => {
  it.each(layouts.map((layout) => [`${layout.struct} ${layout.arch}`, layout] as const))(
    'of %s says what the expressions say, of every byte pattern',
    (_name, layout) => {
      const claims = claimsOn(layout);
      const scans = [scanOf(layout, claims), scanOf(layout, claims, 0), scanOf(layout, claims, claims.length - 2)];
      const plain = plainScan(layout, claims);
      const blocks = fc.array(structBytes(layout), { minLength: 1, maxLength: 40 });
      fc.assert(
        fc.property(blocks, (block) => {
          for (const scan of [...scans, plain]) {
            for (const [i, bytes] of block.entries()) scan.input.set(bytes, i * layout.size);
            scan.run(block.length);
          }
          const said = [...plain.masks.subarray(0, block.length)];
          expect(scans.map(({ masks }) => [...masks.subarray(0, block.length)])).toEqual(scans.map(() => said));
        }),
        { numRuns: process.env['XENMEM_LONG'] ? 5000 : 60 },
      );
    },
  );

  it('is compiled, and takes a whole block', () => {
    const layout = layoutOf('xen_get_dma_buf', 'arm64');
    const scan = scanOf(layout, claimsOn(layout));
    expect(scan.input.buffer).not.toBe(plainScan(layout, []).input.buffer);
    expect(scan.capacity).toBe(3640); // 256 KiB of 72 bytes
    scan.input.fill(0xff);
    scan.run(scan.capacity);
    expect(new Set(scan.masks).size).toBe(1);
    expect(scan.masks[scan.capacity - 1]).not.toBe(0);
  });

  it('knows no parameter, and no more claims than a mask has bits', () => {
    const layout = layoutOf('xen_memory_reservation', 'arm64');
    const on: Claim = { is: 'equal', a: { is: 'parameter', name: 'address' }, b: { is: 'number', value: 0n } };
    const scan = scanOf(layout, [on]);
    scan.run(1);
    expect(scan.masks[0]).toBe(0);
    expect(() =>
      moduleOf(
        layout,
        Array.from({ length: 33 }, () => on),
        33,
        1 << 18,
      ),
    ).toThrow('33 claims are more than a mask has bits');
  });
});
