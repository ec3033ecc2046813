import { expect, it } from 'vitest';
import { referenceImplementation } from './protocol/reference.ts';
import { scenarioOf } from './scenario/scenario.ts';
import { checkHere } from './verdict/check.ts';

// Scenarios in which rules and model once disagreed, as `npm run agree` found them, each with its
// cause.
it.each([
  [
    'a populate read gfn 0 from a list of zeros, so address 0 was memory when a later list lay there',
    'x1.vVTLboMwEPyXPfuwNs7L935FhCIHL2CJQGSjNlLEv1cmiYOAKo9WvY3k2fXOzNpn-GpcZUCdQbusBAXaHRIBDExz0Lb2oLbngK0BxRkcnf20FRVkQOW68sTA6UNPKvIaFOBJIiICg6MuyIMSsksZlE1Ffkzj6zuNL7s0EHNHFKapmi9QS8mgtEUZUNcx8C0dbxOBgkxX1WXS63TZwYBaMtCuuI-S9NM48uQ-dWubqyY6tVS3O99q10ZykvXk2u0ux74_CXZc6Y0z5Pq7tDGOvN_tbWAlIs6RiNVCBCm1-zhlpa57swBPF1OMsXUBChlU1ofS7XbgxgVpSNOOvaJS8BdUcpxTmUxUindUapK4Efl-KJYvkqlceixSjLN8VuV78nCkjv3gn1jP-ZdNLsDxBVL-fktk3JK4LyghZdPzRUTLiFbTar4Z7N0N7Qe9byj2w9gPV49D5HwUIr6yqrNW82sb-fhhPp1pnq-nF60fZ_oHLx-z6CfFBDAicU93wDTTGsxnqvmgzw0lTzy91Tg18cI3OvvB8P8xUwZxafcN',
  ],
  [
    'the struct lay across the end of an exchanged page and could not be read back: nobody can say who changed it',
    'x1.pVPBjoMgFPyXd-YA6NqG-36FIYaVp5KgNmBak8Z_36BWu267sd0bgWHezDBc4dI6q0FcQbm8AgHK1UkMBHRbK9N4EOk1rI0GwQicnDkbiyVqEIWyHgk4VY-gsmhAAO1jSikFAidVogfB40ESqFqLfgtjxxXGkkEGYOEQgxrbXsImgcqUFQg6DAR8h6ebIBCQK2snobO4vNYgeEJAuXKVUuRhjEOP7qw6086esO-w6TLfKdctYFYUAdy4bDr24wkHcoO3TqMbhymtHXqffZmAYquOgTwh5w_J2S9yviWnd-QyEHz2eaWa8RGA9lPYWpumHLHW-HArTee5CGTOm4Ik6ZK9lEHqX1EeNlFSTndHGU0teN3tGmXEDx_8Dcd7vDH2wxs7TI-zsyYPvfHXvT2tyvHNAVH0__TipS_Hu77ky268I91NcSL6QnHyfd7Z82_ytvXk3roc5PAN',
  ],
])('%s', (_cause, token) => {
  const { given } = checkHere(scenarioOf(token), referenceImplementation());
  expect(given.filter((g) => g.answer.answer === 'violated')).toEqual([]);
  expect(given.length).toBeGreaterThan(0);
});
