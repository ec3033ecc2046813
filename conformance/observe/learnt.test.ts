import { describe, expect, it } from 'vitest';
import { DomainView } from './domain-view.ts';
import { inUseOf } from './in-use.ts';
import { Learnt } from './learnt.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const view = (): DomainView =>
  new DomainView({ domid: 1, privileged: false, ram: [{ gfn: 4n, pages: 2 }], holes: [{ gfn: 6n, pages: 1 }] });

describe('what is learnt after a call', () => {
  it('is what was read back, and of that what differs from what was known has changed', () => {
    const seen = view();
    const learnt = new Learnt(seen, { ranges: [] }, [{ address: 0x4000n, length: 4n }], [{ bytes: bytes(0, 7, 8, 0) }]);
    expect([learnt.missing, learnt.whole]).toEqual([[], true]);
    expect(learnt.settle()).toEqual([{ address: 0x4001n, length: 2n }]);
    expect(seen.memory.read(0x4000n, 4)).toEqual(bytes(0, 7, 8, 0));
  });

  it('lacks what is said to have changed and was not read back, until it is fetched', () => {
    const seen = view();
    const learnt = new Learnt(
      seen,
      { ranges: [{ address: 0x4ffen, length: 4 }] },
      [{ address: 0x4ffen, length: 2n }],
      [{ bytes: bytes(1, 2) }],
    );
    expect(learnt.missing).toContainEqual({ address: 0x5000n, length: 2n });
    for (const range of learnt.missing) learnt.fetched(range, { bytes: new Uint8Array(Number(range.length)).fill(3) });
    expect(learnt.settle()).toContainEqual({ address: 0x5000n, length: 2n });
  });

  it('may be all of RAM where there is no answer to what has changed', () => {
    expect(new Learnt(view(), {}).missing.reduce((sum, { length }) => sum + length, 0n)).toBe(0x2000n);
  });

  it('is not whole, and what was known is not known any more, where a read failed', () => {
    const seen = view();
    const failed = { error: { kind: 'unsupported' as const, message: 'not today' } };
    expect(new Learnt(seen, { ranges: [] }, [{ address: 0x4000n, length: 4n }], [failed]).whole).toBe(false);
    expect(seen.memory.read(0x4000n, 4)).toBeUndefined();
  });
});

it('what is in use is told by side of 4 GiB where every page has been looked at, and else not', () => {
  const seen = view();
  expect(inUseOf([seen])).toBeUndefined();
  const behind = new Map([
    [4n, 0x80n],
    [5n, 0x10_0000n],
  ]);
  const framesOf = (gfn: bigint, pages: number) => Array.from({ length: pages }, (_, i) => behind.get(gfn + BigInt(i)) ?? null);
  seen.looked(
    seen.runs.map(({ gfn, pages }) => framesOf(gfn, pages)),
    () => false,
  );
  seen.pages = 5;
  expect(inUseOf([seen])).toEqual({ low: 1, high: 1, unmapped: 3 });
});
