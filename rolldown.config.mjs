// The command is bundled, because loading sixty small modules takes Node longer than what most commands do. The library is not.
export default {
  input: 'bin/xenmem.ts',
  platform: 'node',
  external: ['rolldown'],
  output: { dir: 'dist/bin', format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name].js' },
};
