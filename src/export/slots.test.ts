import { describe, expect, it } from 'vitest';
import { archNames } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { memoryStructNames } from '../abi/memory-h.ts';
import { structNames } from '../abi/structs.ts';
import { slotsOf } from './slots.ts';

describe('slots', () => {
  it('name the padding of a struct as its layout does', () => {
    const names = new Set<string>();
    for (const arch of archNames) {
      for (const struct of [...structNames, ...memoryStructNames]) {
        const layout = layoutOf(struct, arch);
        const gaps = slotsOf(layout).filter(({ member }) => member === undefined);
        const own = layout.padding.filter(({ owner }) => owner === '');
        expect(gaps).toEqual(own.map(({ path, offset, size }) => ({ name: path, offset, size })));
        for (const { name } of gaps) names.add(name);
      }
    }
    // xen_mem_paging_op has two.
    expect([...names].sort()).toEqual(['padding', 'padding2']);
  });
});
