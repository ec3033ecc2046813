import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'bin/**/*.test.ts', 'conformance/**/*.test.ts'],
    globalSetup: ['vitest.global.ts'],
    testTimeout: 60_000,
    // By itself vitest leaves one of two cores idle.
    maxWorkers: 2,
    coverage: {
      include: ['src/**/*.ts'],
      exclude: ['**/*.d.ts', '**/*.test.ts', '**/*.stage.ts'],
      reporter: ['text-summary', 'json-summary'],
    },
  },
});
