import { describe, expect, it } from 'vitest';
import { blocksOf } from './allocator.ts';
import { createHypervisor } from './hypervisor.ts';
import { canonicalKey, type Domain, exactKey, typeInvariant } from './state.ts';
import { buildWorld, type DomainWish, type World } from './world.ts';

const world = (domains: DomainWish[], free = { low: 0, high: 0 }): World => ({ arch: 'arm64', domains, free });
const guest = (domid: number, gfn: bigint, pages: number, holes?: DomainWish['holes']): DomainWish => ({
  domid,
  privileged: false,
  ram: [{ gfn, pages }],
  ...(holes && { holes }),
});
const domain = (built: ReturnType<typeof buildWorld>, domid: number): Domain => built.domains.get(domid) as Domain;

describe('a world', () => {
  it('has its RAM in high and low frames by turns, descending, one domain after another', () => {
    const built = buildWorld(world([guest(1, 0x40n, 3), guest(2, 0x80n, 2)]));
    // 5 pages: 2 low ones from 0xa0000, 3 high ones from 0x800000.
    expect([...domain(built, 1).p2m]).toEqual([
      [0x40, 0x800002],
      [0x41, 0xa0001],
      [0x42, 0x800001],
    ]);
    expect([...domain(built, 2).p2m]).toEqual([
      [0x80, 0xa0000],
      [0x81, 0x800000],
    ]);
    expect([built.frames, typeInvariant(built)]).toEqual([5, []]);
  });

  it('has its free memory on both sides of 2 GiB and from 4 GiB on', () => {
    const frames = (low: number, high: number): number[] =>
      [...blocksOf(buildWorld(world([], { low, high })).free)]
        .flatMap(([base, order]) => Array.from({ length: 2 ** order }, (_, i) => base + i))
        .sort((a, b) => a - b);
    expect(frames(3, 2)).toEqual([0x7ffff, 0x80000, 0x80001, 0x100000, 0x100001]);
    expect(frames(4, 0)).toEqual([0x7fffe, 0x7ffff, 0x80000, 0x80001]);
    expect(frames(1, 1)).toEqual([0x80000, 0x100000]);
  });

  it('allows a domain as many pages as its RAM and its holes', () => {
    const built = buildWorld(
      world([
        guest(1, 0n, 3, [
          { gfn: 10n, pages: 4 },
          { gfn: 20n, pages: 1 },
        ]),
        guest(2, 0n, 3),
      ]),
    );
    expect([domain(built, 1).allowance, domain(built, 2).allowance]).toEqual([8, 3]);
  });

  it('is refused a step beyond each of its limits, and not before', () => {
    const builds = (wish: World): boolean => {
      try {
        buildWorld(wish);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return false;
      }
    };
    expect([
      builds(world([], { low: 0x40000, high: 0x400000 })),
      builds(world([], { low: 0x40001, high: 0 })),
      builds(world([], { low: 0, high: 0x400001 })),
    ]).toEqual([true, false, false]);
    expect([
      builds(world([guest(1, 0n, 0x400001)])),
      builds(world([], { low: 1.5, high: 0 })),
      builds(world([], { low: 0, high: -1 })),
    ]).toEqual([false, false, false]);
    const ids = [0, 0x7fef, 0x7ff0, 0xffff, -1, 1.5];
    expect(ids.map((domid) => builds(world([guest(domid, 0n, 1)])))).toEqual([true, true, false, false, false, false]);
    const last = 1n << 52n;
    expect([builds(world([guest(1, last - 2n, 2)])), builds(world([guest(1, last - 1n, 2)])), builds(world([guest(1, -1n, 2)]))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(builds(world([guest(1, 0n, 1, [{ gfn: 0n, pages: -1 }])]))).toBe(false);
    expect(builds(world([guest(1, 0n, 1), guest(1, 9n, 1)]))).toBe(false);
  });
});

describe('a hypervisor', () => {
  it('reports what changed once, in the order of addresses', () => {
    const h = createHypervisor();
    h.reset(world([guest(1, 0x40n, 8)], { low: 1, high: 1 }));
    const { changed } = domain(h.state, 1);
    changed.pages.add(0x45).add(0x41);
    changed.pieces = [0x44, 8, 16, 0x40, 4088, 8, 0x44, 0, 8];
    expect(h.changes(1)).toEqual([
      { address: 0x40ff8n, length: 8 },
      { address: 0x41000n, length: 4096 },
      { address: 0x44000n, length: 8 },
      { address: 0x44008n, length: 16 },
      { address: 0x45000n, length: 4096 },
    ]);
    expect(h.changes(1)).toEqual([]);
  });

  it('may lose the pins of pages that the guest writes, those that it touches', () => {
    const pins = (address: bigint, length: number, keeps = false): number[] => {
      const h = createHypervisor({ keepsPins: (event) => keeps || event !== 'write' });
      h.reset(world([guest(1, 0x40n, 8)]));
      for (let gfn = 0x40; gfn < 0x48; gfn++) domain(h.state, 1).pins.add(gfn);
      h.write(1, address, new Uint8Array(length));
      return [...domain(h.state, 1).pins].map((gfn) => gfn - 0x40);
    };
    expect(pins(0x41000n, 4096)).toEqual([0, 2, 3, 4, 5, 6, 7]);
    expect(pins(0x41000n, 4097)).toEqual([0, 3, 4, 5, 6, 7]);
    expect(pins(0x41fffn, 2)).toEqual([0, 3, 4, 5, 6, 7]);
    expect(pins(0x41ffen, 2)).toEqual([0, 2, 3, 4, 5, 6, 7]);
    expect(pins(0x47fffn, 2)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]); // a fault: nothing was written
    expect(pins(0x41000n, 1, true)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('gives copies of what it is asked to read, and translates page by page', () => {
    const h = createHypervisor();
    h.reset(world([guest(1, 0x40n, 2)]));
    const read = h.read(1, 0x40000n, 2) as Uint8Array;
    read[0] = 9;
    expect(h.read(1, 0x40000n, 1)).toEqual(Uint8Array.of(0));
    expect(h.translate(1, 0x3fn, 4)).toEqual([null, 0x800000n, 0xa0000n, null]);
    expect([h.translate(1, 0x40n, 0), h.pages(1)]).toEqual([[], 2]);
  });
});

describe('the key of a state', () => {
  const built = () => buildWorld(world([guest(2, 0x40n, 2), guest(1, 0x40n, 1)], { low: 1, high: 2 }));

  it('names domains, pages in order, frames by half and as they are met, pins, and what is free', () => {
    const state = built();
    // Two of the three pages are high: 0x40 of domain 2, and domain 1's.
    expect(canonicalKey(state)).toBe('1:64h0 ;2:64h1 65l2 ;1/2');
    domain(state, 2).pins.add(0x41);
    domain(state, 1).pins.add(0x99);
    domain(state, 1).unaddressed = 3;
    domain(state, 2).dying = true;
    expect(canonicalKey(state)).toBe('1:64h0 +3?153;2†:64h1 65l2!;1/2');
    const [gfn, mfn] = [...domain(state, 2).p2m][0] as [number, number];
    domain(state, 2).p2m.delete(gfn);
    domain(state, 2).p2m.set(gfn, mfn); // the order in which pages came does not matter
    domain(state, 1).p2m.set(0x41, mfn);
    expect(canonicalKey(state)).toBe('1:64h0 65h1 +3?153;2†:64h1 65l2!;1/2');
  });

  it('with its very frames has owners and free blocks too', () => {
    const state = built();
    expect(exactKey(state)).toBe(`1:64=8388608 +8388608;2:64=8388609 65=655360 +655360,8388609;524288|1048576${'|'.repeat(17)}`);
    domain(state, 2).pins.add(0x41);
    domain(state, 1).dying = true;
    expect(exactKey(state)).toBe(`1†:64=8388608 +8388608;2:64=8388609 65=655360!+655360,8388609;524288|1048576${'|'.repeat(17)}`);
  });
});
