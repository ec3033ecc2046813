import { describe, expect, it } from 'vitest';
import type { DomainPlan } from '../../src/guest/world.ts';
import type { Domain, State } from '../../src/model/state.ts';
import { buildWorld } from '../../src/model/world.ts';
import { canonicalKey, exactKey } from './keys.ts';

const guest = (domid: number, pages: number): DomainPlan => ({ domid, privileged: false, ram: [{ gfn: 0x40n, pages }], holes: [] });
const domain = (state: State, domid: number): Domain => state.domains.get(domid) as Domain;

describe('the key of a state', () => {
  const built = () => buildWorld({ arch: 'arm64', domains: [guest(2, 2), guest(1, 1)], free: { low: 1, high: 2 } });

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
