import { family, type Mutant } from '../mutant.ts';

/** What happens where an address is bad. */
export const access: readonly Mutant[] = family('memory access', [
  ['returns 0 for a struct it cannot read', ['bad-address-fails'], { structUnreadable: 0 }, ['get-refuses-size-mismatch']],
  ['goes on at 0 where a list runs past the end of the address space', ['bad-address-fails'], { listWraps: 0 }],
  ['takes a bad list entry for zero', ['bad-address-fails'], { badEntry: 'pretends', listUnmapped: 0 }],
  [
    'does not count a chunk whose list faults late',
    ['get-rest-untouched', 'bad-address-fails'],
    { lateFault: 'does not count', readsGpfns: 'after', listUnmapped: 0 },
    ['frames-conserved', 'no-stray-writes'],
  ],
]);
