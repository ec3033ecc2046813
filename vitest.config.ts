import { defineConfig } from 'vitest/config';

// What needs a compiler, a browser or a dissector; it is skipped where that is not installed.
const tools = ['conformance/examples/**/*.test.ts', 'conformance/tools/exports/**/*.test.ts', 'conformance/report/html/page.test.ts'];
// What only the mutation runner plays (vitest.mutation.config.ts).
const mutation = ['conformance/{loads,mutation}.test.ts'];
// What has a longer form.
const long = [
  'conformance/{suite,worlds}.test.ts',
  'conformance/{search,faults,golden,twin}/*.test.ts',
  'conformance/protocol/mutated.test.ts',
  'src/export/built/**/*.test.ts',
  'src/codec/memory-codec.test.ts',
  'src/rules/{alike,boundaries,bulk}.test.ts',
  'src/rules/duties/scan.test.ts',
  'src/text/block-counts.test.ts',
  'src/trace/printed.test.ts',
  'src/trace/calls/calls.test.ts',
];
// Modules are loaded once a worker: none of these tests changes what another one reads.
const together = { isolate: false };
// The command line and the implementations that it drives run as they were built.
const built = { globalSetup: ['vitest.global.ts'] };

export default defineConfig({
  test: {
    setupFiles: ['vitest.setup.ts'],
    testTimeout: 60_000,
    // More than two cores have: what drives a program mostly waits for it.
    maxWorkers: 3,
    coverage: {
      include: ['src/**/*.ts'],
      exclude: ['**/*.d.ts', '**/*.test.ts', '**/*.stage.ts'],
      reporter: ['text-summary', 'json-summary'],
    },
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'], exclude: tools, ...together } },
      {
        extends: true,
        test: { name: 'suite', include: ['conformance/**/*.test.ts'], exclude: [...tools, ...mutation], ...built, ...together },
      },
      { extends: true, test: { name: 'command', include: ['bin/**/*.test.ts'], ...built } },
      { extends: true, test: { name: 'tools', include: tools, ...built } },
      { extends: true, test: { name: 'long', include: long, env: { XENMEM_LONG: '1' }, testTimeout: 600_000, ...together } },
    ],
  },
});
