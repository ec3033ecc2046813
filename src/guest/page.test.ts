import { expect, it } from 'vitest';
import { newPage } from './page.ts';

it('every page is zero and shares no byte with another', () => {
  const pages = Array.from({ length: 40 }, newPage);
  for (const [i, page] of pages.entries()) page.fill(i + 1);
  expect(pages.map((page) => [page.length, new Set(page)])).toEqual(pages.map((_, i) => [4096, new Set([i + 1])]));
  expect(newPage().every((byte) => byte === 0)).toBe(true);
});
