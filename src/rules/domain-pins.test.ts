import { describe, expect, it } from 'vitest';
import { DomainPins } from './domain-pins.ts';

describe('the pages that a refused put may have unpinned', () => {
  it('are unpinned up to the last of them that moves', () => {
    const pins = new DomainPins();
    pins.refused([1n, 2n, 3n, 4n]);
    pins.unpinnedTo(3n);
    expect([...pins.released.keys()]).toEqual([1n, 2n]);
    expect([...pins.prefixes.keys()]).toEqual([4n]);
    pins.unpinnedTo(4n);
    expect([...pins.released.keys()]).toEqual([1n, 2n]);
  });

  it('are not those that were pinned again before it moved, and put in vain again', () => {
    const pins = new DomainPins();
    pins.refused([1n, 2n]);
    pins.renamed(1n);
    pins.pin(1n);
    pins.forget(1n);
    pins.refused([1n]);
    pins.unpinnedTo(2n);
    expect([...pins.released.keys()]).toEqual([]);
    expect([...pins.prefixes.keys()]).toEqual([1n]);
  });

  it('are not known to be by a page that moves after another put of it', () => {
    const pins = new DomainPins();
    pins.refused([1n, 2n]);
    pins.unpin(2n);
    pins.unpinnedTo(2n);
    expect([...pins.released.keys()]).toEqual([]);
  });

  it('may be as many as a watch follows', { timeout: 3000 }, () => {
    const pins = new DomainPins();
    const pages = Array.from({ length: 1 << 14 }, (_, i) => BigInt(i));
    for (let put = 0; put < 10; put++) {
      pins.refused(pages);
      for (const gfn of pages) pins.unpinnedTo(gfn);
    }
    expect([pins.prefixes.size, pins.released.size]).toEqual([0, 0]);
  });
});

it('a page beside one that is pinned, or may be, may stay where it is', () => {
  const pins = new DomainPins();
  pins.pin(10n);
  pins.doubt(20n);
  expect([9n, 10n, 11n, 12n, 19n, 21n, 22n].filter((gfn) => pins.isBesidePinned(gfn))).toEqual([9n, 11n, 19n, 21n]);
});
