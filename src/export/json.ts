import type { Layout } from '../abi/layout.ts';
import { layoutJson } from '../text/layout-text.ts';
import { opsOf } from './slots.ts';

/**
 * The layouts as data: sizes and offsets in bytes, ops by number, and what a number of the proposal
 * means to a Xen of today.
 */
export function emitJson(layouts: readonly Layout[]): string {
  const ops = opsOf(layouts).map(({ name, nr, takenBy }) => ({
    name: `XENMEM_${name}`,
    nr,
    merged: takenBy === undefined,
    ...(takenBy === undefined ? {} : { today: `XENMEM_${takenBy}` }),
  }));
  const made = { xenmem_layout: 1, arch: layouts[0]?.arch, byte_order: 'little', ops, structs: layouts.map(layoutJson) };
  return `${JSON.stringify(made, null, 2)}\n`;
}
