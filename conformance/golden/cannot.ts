import type { Role } from './case.ts';

/** Cases that each requirement has at least. */
export const least: { readonly [role in Role]: number } = { positive: 3, negative: 3, boundary: 1 };

/** Which cases a requirement cannot have, and why. */
export const cannot: { readonly [requirement: string]: { readonly [role in Role]?: string } } = {
  survives: {
    negative: 'a crash, a hang or a malformed answer leaves no record: there is nothing that could be written down and judged',
  },
};
