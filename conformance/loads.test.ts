import { expect, it } from 'vitest';

// A test file that cannot be loaded has no tests that fail, and the mutation runner counts only
// those; it counts this.
it('the library and the reference hypervisor can be loaded', async () => {
  const [{ judge }, { referenceImplementation }] = await Promise.all([import('../src/index.ts'), import('./protocol/reference.ts')]);
  expect([judge, referenceImplementation].map((f) => typeof f)).toEqual(['function', 'function']);
});
