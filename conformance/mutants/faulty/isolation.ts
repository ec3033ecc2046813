import { family, type Mutant } from '../mutant.ts';

/** What other domains feel of a call. */
export const isolation: readonly Mutant[] = family('isolation', [
  [
    'takes the frames of another domain',
    ['get-new-pages', 'get-address-limit', 'frames-conserved'],
    { takesForeignFrames: true },
    ['put-keeps-pages', 'no-stray-writes', 'bad-address-fails', 'get-refuses-foreign-domid'],
  ],
  [
    'writes the lists into the other domains',
    ['get-mfns-returned', 'get-partial-mfns', 'isolation'],
    { writesInto: 'others' },
    ['get-aligned', 'get-address-limit'],
  ],
  ['writes the lists into the other domains too', ['isolation'], { writesInto: 'all' }],
]);
