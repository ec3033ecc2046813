import { describe, expect, it } from 'vitest';
import type { DomainPlan, World } from '../guest/world.ts';
import { blocksOf } from './allocator.ts';
import { createHypervisor } from './hypervisor.ts';
import { type Domain, typeInvariant } from './state.ts';
import { buildWorld } from './world.ts';

const world = (domains: DomainPlan[], free = { low: 0, high: 0 }): World => ({ arch: 'arm64', domains, free });
const guest = (domid: number, gfn: bigint, pages: number, holes: DomainPlan['holes'] = []): DomainPlan => ({
  domid,
  privileged: false,
  ram: [{ gfn, pages }],
  holes,
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
