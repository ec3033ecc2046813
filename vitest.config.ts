import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'bin/**/*.test.ts', 'conformance/**/*.test.ts'],
    globalSetup: ['vitest.global.ts'],
    testTimeout: 60_000,
    coverage: {
      include: ['src/**/*.ts'],
      exclude: ['**/*.d.ts', '**/*.test.ts', '**/*.stage.ts'],
      reporter: ['text-summary', 'json-summary'],
    },
  },
});
