import { describe, expect, it } from 'vitest';
import { at, churn, mappableGfns, readBytes, releaseFrame, storeBytes, unmapPage, writeBytes } from './p2m.ts';
import { data, ram, scene } from './scene.stage.ts';
import type { Domain, State } from './state.ts';
import { buildWorld } from './world.ts';

const end = ram + 64;
const fresh = (free = { low: 8, high: 8 }): [State, Domain] => {
  const ramAt = [{ gfn: BigInt(ram), pages: 64 }];
  const state = buildWorld({ arch: 'arm64', domains: [{ domid: 1, privileged: false, ram: ramAt, holes: [] }], free });
  return [state, state.domains.get(1) as Domain];
};
const bytesOf = (length: number, first = 1): Uint8Array => Uint8Array.from({ length }, (_, i) => first + i);

describe('an address', () => {
  it('is a page and an offset, modulo 2^64', () => {
    expect(at(0x40001234n)).toEqual({ page: 0x40001, offset: 0x234 });
    expect(at(0xffff_ffff_ffff_ffffn)).toEqual({ page: 2 ** 52 - 1, offset: 0xfff });
    expect(at(0x1_0000_0000n)).toEqual({ page: 0x100000, offset: 0 });
    expect(at(0xffff_f000n)).toEqual({ page: 0xfffff, offset: 0 });
    expect(at(2n ** 64n + 5n)).toEqual({ page: 0, offset: 5 });
  });

  it('is of 40 bits at most on arm32, of 36 on x86_32, and of 64 elsewhere', () => {
    expect((['arm32', 'x86_32', 'arm64', 'x86_64'] as const).map(mappableGfns)).toEqual([2 ** 28, 2 ** 24, 2 ** 52, 2 ** 52]);
  });
});

describe('guest memory', () => {
  it.each([1, 2, 63, 64, 65, 100])('of %i bytes is read as it was written, also across pages', (length) => {
    for (const offset of [0, 1, 4096 - length, 4096 - length + 1, 4095]) {
      const [state, domain] = fresh();
      const to = { page: data, offset };
      expect(writeBytes(state, domain, to, bytesOf(length))).toBe(true);
      expect(readBytes(state, domain, to, length)).toEqual(bytesOf(length));
      const around = readBytes(state, domain, { page: data - 1, offset: 0 }, 3 * 4096) as Uint8Array;
      const expected = new Uint8Array(3 * 4096);
      expected.set(bytesOf(length), 4096 + offset);
      expect(Buffer.compare(around, expected)).toBe(0);
    }
  });

  it('of several pages is written as a whole or not at all', () => {
    const [state, domain] = fresh();
    expect(writeBytes(state, domain, { page: end - 2, offset: 4000 }, bytesOf(4096 + 96))).toBe(true);
    expect(writeBytes(state, domain, { page: end - 2, offset: 4000 }, new Uint8Array(4096 + 97))).toBe(false);
    expect(writeBytes(state, domain, { page: end, offset: 0 }, bytesOf(1))).toBe(false);
    expect(readBytes(state, domain, { page: end - 2, offset: 4000 }, 4096 + 96)).toEqual(bytesOf(4096 + 96));
    expect(readBytes(state, domain, { page: end - 2, offset: 4000 }, 4096 + 97)).toBeUndefined();
    expect(readBytes(state, domain, { page: end, offset: 0 }, 1)).toBeUndefined();
  });

  it('that the hypervisor writes is noted piece by piece, of many pieces the pages', () => {
    const [state, domain] = fresh();
    const store = (page: number, offset: number, length = 8): boolean => storeBytes(state, domain, { page, offset }, bytesOf(length));
    expect([store(data, 16), store(data + 1, 4092), store(end, 0)]).toEqual([true, true, false]);
    expect([domain.changed.pieces, [...domain.changed.pages]]).toEqual([[data, 16, 8, data + 1, 4092, 8], []]);
    domain.changed.pages.add(data + 1);
    // Noted already, but for what reaches the next page.
    expect([store(data + 1, 0), store(data + 1, 4096 - 8), store(data + 1, 4090)]).toEqual([true, true, true]);
    expect(domain.changed.pieces.slice(6)).toEqual([data + 1, 4090, 8]);
    domain.changed.pages.clear();
    domain.changed.pieces = [];
    for (let i = 0; i < 1024; i++) store(data, 0);
    expect([domain.changed.pieces.length, domain.changed.pages.size]).toEqual([3 * 1024, 0]);
    domain.changed.pieces.splice(0, 3, data + 8, 4088, 8);
    store(data + 4, 4092);
    expect([domain.changed.pieces, [...domain.changed.pages]]).toEqual([[], [data + 8, data, data + 4, data + 5]]);
  });

  it('is cleared when its frame is given back', () => {
    const [state, domain] = fresh({ low: 0, high: 0 });
    writeBytes(state, domain, { page: data, offset: 0 }, bytesOf(4));
    const frame = domain.p2m.get(data) as number;
    unmapPage(domain, data);
    releaseFrame(state, frame);
    expect([state.content.has(frame), domain.p2m.has(data), [...domain.changed.pages]]).toEqual([false, false, [data]]);
  });
});

describe('churn', () => {
  const moved = (gfn: number, pages: number, free = { low: 64, high: 64 }): number[] => {
    const [state, domain] = fresh(free);
    domain.pins.add(ram + 5);
    const before = new Map(domain.p2m);
    churn(state, domain, gfn, pages);
    return [...before].filter(([page, frame]) => domain.p2m.get(page) !== frame).map(([page]) => page - ram);
  };

  it('moves the mapped pages of its range, but for pinned ones', () => {
    expect(moved(ram + 3, 4)).toEqual([3, 4, 6]);
    expect(moved(ram + 5, 1)).toEqual([]);
    expect(moved(ram - 2, 3)).toEqual([0]);
    expect(moved(end - 1, 3)).toEqual([63]);
    expect(moved(ram + 62, 65)).toEqual([62, 63]); // more pages than there are
    expect(moved(ram - 64, 65)).toEqual([0]);
    expect(moved(0, 2 ** 40).length).toBe(63);
    expect(moved(ram, 64).length).toBe(63);
  });

  it('moves a page to the frame that the one before gave up, if it must', () => {
    expect(moved(ram, 3, { low: 0, high: 1 })).toEqual([0, 1, 2]);
    expect(moved(ram, 3, { low: 0, high: 0 })).toEqual([]);
  });

  it('takes the content along, and is no change of it', () => {
    const s = scene();
    s.mark(data, 7);
    s.hypervisor.changes(1);
    s.hypervisor.churn(1, BigInt(data), 2);
    expect([s.marked(data), s.marked(data + 1), s.hypervisor.changes(1)]).toEqual([7, 0, []]);
    s.hypervisor.churn(1, BigInt(data), 2);
    s.mark(data, 8);
    s.hypervisor.churn(1, BigInt(data), 2);
    expect([s.marked(data), s.marked(data + 1)]).toEqual([8, 0]);
  });
});
