import { countFree, FRAMES_BELOW_4G } from '../../src/model/allocator.ts';
import type { Domain, State } from '../../src/model/state.ts';

/**
 * One string for all states that differ only in the names of frames within low and within high
 * memory: what each gfn maps to (frames numbered as they are met), what is pinned, how much is free
 * in either half. Content and the shape of the free blocks are left out: exact for calls of order
 * 0, a projection for others.
 */
export function canonicalKey(state: State): string {
  const names = new Map<number, number>();
  let key = '';
  for (const d of inOrder(state)) {
    key += `${d.domid}${d.dying ? '†' : ''}:`;
    for (const gfn of [...d.p2m.keys()].sort(ascending)) {
      const mfn = d.p2m.get(gfn) as number;
      const name = names.get(mfn) ?? names.size;
      names.set(mfn, name);
      key += `${gfn}${mfn < FRAMES_BELOW_4G ? 'l' : 'h'}${name}${d.pins.has(gfn) ? '!' : ' '}`;
    }
    if (d.unaddressed > 0) key += `+${d.unaddressed}`;
    for (const gfn of d.pins) if (!d.p2m.has(gfn)) key += `?${gfn}`;
    key += ';';
  }
  const { below, above } = countFree(state.free);
  return `${key}${below}/${above}`;
}

/** One string per state with its very frames and free blocks; content is left out. */
export function exactKey(state: State): string {
  let key = '';
  for (const d of inOrder(state)) {
    key += `${d.domid}${d.dying ? '†' : ''}:`;
    for (const gfn of [...d.p2m.keys()].sort(ascending)) key += `${gfn}=${d.p2m.get(gfn)}${d.pins.has(gfn) ? '!' : ' '}`;
    key += `+${[...d.owned].sort(ascending).join()};`;
  }
  return key + state.free.map((list) => list.join()).join('|');
}

function inOrder(state: State): Domain[] {
  return [...state.domains.values()].sort((a, b) => a.domid - b.domid);
}

function ascending(a: number, b: number): number {
  return a - b;
}
