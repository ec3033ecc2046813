// The command is bundled, because loading sixty small modules takes Node longer than what most commands do. The library is not.
// What draws scenarios stays outside: only `conform` loads it.
export default {
  input: 'bin/xenmem.ts',
  platform: 'node',
  external: ['fast-check'],
  output: { dir: 'dist/bin', format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name].js', minify: true },
};
