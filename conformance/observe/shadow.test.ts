import { describe, expect, it } from 'vitest';
import { DomainView } from './domain-view.ts';
import { Shadow } from './shadow.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('what a guest holds, as far as it is known', () => {
  it('RAM is zero until it is written, and one page of zeros does not leak into another', () => {
    const shadow = new Shadow();
    shadow.zero(1n);
    shadow.zero(2n);
    shadow.learn(0x1ffen, bytes(7, 8, 9));
    expect(shadow.read(0x1ffdn, 5)).toEqual(bytes(0, 7, 8, 9, 0));
    expect(shadow.read(0x2001n, 2)).toEqual(bytes(0, 0));
    expect(shadow.read(0x2fffn, 2)).toBeUndefined();
  });

  it('of a page of unknown content only what was written last is known', () => {
    const shadow = new Shadow();
    shadow.learn(0x3000n, bytes(1, 2, 3, 4));
    expect(shadow.read(0x3001n, 2)).toEqual(bytes(2, 3));
    expect(shadow.read(0x3000n, 5)).toBeUndefined();
    expect(shadow.known({ address: 0x3000n, length: 0x1000n })).toEqual([{ address: 0x3000n, bytes: bytes(1, 2, 3, 4) }]);
    shadow.forget(3n);
    expect(shadow.read(0x3000n, 1)).toBeUndefined();
  });

  it('knows of a page of unknown content each piece that was written, the last ones of many', () => {
    const shadow = new Shadow();
    shadow.learn(0x5000n, bytes(1, 2, 3, 4));
    shadow.learn(0x5800n, bytes(5, 6));
    shadow.learn(0x5002n, bytes(9));
    expect([shadow.read(0x5000n, 4), shadow.read(0x5801n, 1), shadow.read(0x5004n, 1)]).toEqual([bytes(1, 2, 9, 4), bytes(6), undefined]);
    shadow.learn(0x5003n, bytes(7, 8));
    expect([shadow.read(0x5000n, 1), shadow.read(0x5003n, 2), shadow.read(0x5800n, 2)]).toEqual([undefined, bytes(7, 8), bytes(5, 6)]);
    expect(shadow.known({ address: 0x5004n, length: 0x7fdn })).toEqual([
      { address: 0x5004n, bytes: bytes(8) },
      { address: 0x5800n, bytes: bytes(5) },
    ]);
    for (let i = 0; i < 9; i++) shadow.learn(0x5100n + BigInt(16 * i), bytes(i));
    expect([shadow.read(0x5800n, 1), shadow.read(0x5180n, 1)]).toEqual([undefined, bytes(8)]);
  });

  it('a page that was read back whole is known whole', () => {
    const shadow = new Shadow();
    shadow.learn(0x5000n, new Uint8Array(4096).fill(9));
    expect(shadow.knownRanges()).toContainEqual({ address: 0x5000n, length: 4096n });
  });
});

describe('a domain as the harness knows it', () => {
  const view = (): DomainView =>
    new DomainView({ domid: 1, privileged: false, ram: [{ gfn: 4n, pages: 2 }], holes: [{ gfn: 6n, pages: 1 }] });

  it('knows RAM, holes and nothing else', () => {
    expect([3n, 4n, 5n, 6n, 7n].map((gfn) => view().mapped(gfn))).toEqual([undefined, true, true, false, undefined]);
    expect(view().holes).toEqual([
      { address: 0n, length: 0x4000n },
      { address: 0x6000n, length: (1n << 64n) - 0x6000n },
    ]);
  });

  it('a page with another frame behind it has unknown content, unless it was only moved', () => {
    const seen = view();
    seen.looked([[10n, 11n], [null]], () => false);
    seen.wrote(0x4000n, bytes(1));
    seen.wrote(0x5000n, bytes(2));
    seen.looked([[20n, 11n], [null]], () => false);
    expect([seen.memory.read(0x4000n, 1), seen.memory.read(0x5000n, 1)]).toEqual([undefined, bytes(2)]);
    seen.looked([[20n, 21n], [null]], () => true);
    expect(seen.memory.read(0x5000n, 1)).toEqual(bytes(2));
  });

  it('a frame that no 64-bit address leads to is not believed to be there', () => {
    const seen = view();
    seen.believe(2n ** 52n - 1n, true);
    seen.believe(2n ** 52n, true);
    expect([seen.mapped(2n ** 52n - 1n), seen.mapped(2n ** 52n)]).toEqual([true, undefined]);
  });

  it('holes are those of the moment they were asked for', () => {
    const seen = view();
    const before = seen.holes;
    seen.believe(4n, false);
    expect(before[0]).toEqual({ address: 0n, length: 0x4000n });
    expect(seen.holes[0]).toEqual({ address: 0n, length: 0x5000n });
  });
});
