import { fileURLToPath } from 'node:url';

// What the package runs is bundled, because loading sixty small modules takes Node longer than what
// most commands do: the command, the library, what a module author imports, and what serves a
// module. What draws scenarios stays outside: only `conform` loads it.
export default {
  input: {
    xenmem: 'bin/xenmem.ts',
    library: 'src/index.ts',
    conformance: 'conformance/index.ts',
    host: 'conformance/protocol/host.ts',
    'array-thread': 'bin/array-thread.ts',
  },
  platform: 'node',
  external: ['fast-check'],
  resolve: { alias: { 'string-width': fileURLToPath(new URL('bin/text-width.ts', import.meta.url)) } },
  output: {
    dir: 'dist/bin',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    minify: true,
    // What most commands need is one file: thirty small ones take a tenth longer to start.
    codeSplitting: { groups: [{ name: 'shared', test: /[\\/](src|bin)[\\/]/, minShareCount: 7 }] },
  },
};
