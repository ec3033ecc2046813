import { defineConfig } from 'vitest/config';

// What kills mutants of the library: its unit tests and the suite's own, without those that run the built command.
export default defineConfig({
  test: {
    include: ['src/{abi,codec,guest,rules,model}/**/*.test.ts', 'conformance/mutation.test.ts', 'conformance/golden/judged.test.ts'],
    testTimeout: 60_000,
  },
});
