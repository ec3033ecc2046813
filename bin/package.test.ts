import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pastedIn, root, scratch, shownToken, shows, terminal } from './shell.ts';

/** One packed file, as npm tells of it. */
interface Packed {
  readonly path: string;
  readonly size: number;
}

// Packed and unpacked as npm would install it, in a folder where nothing else is but what it
// depends on.
const [{ filename, files }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', scratch])) as [
  { filename: string; files: readonly Packed[] },
];
const empty = join(scratch, 'empty');
const installed = join(empty, 'node_modules/xenmem');
mkdirSync(installed, { recursive: true });
spawnSync('tar', ['-xzf', join(scratch, filename), '--strip-components=1', '-C', installed]);
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
for (const name of Object.keys(dependencies)) symlinkSync(join(root, 'node_modules', name), join(empty, 'node_modules', name));

function npm(args: readonly string[]): string {
  return spawnSync('npm', args, { cwd: root, encoding: 'utf8' }).stdout;
}

function run(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: empty, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

const xenmem = (...args: string[]) => run(join(installed, 'dist/bin/xenmem.js'), ...args);

describe('the package', () => {
  const paths = files.map(({ path }) => path);

  it('has what a user runs, and no tests, programs of developers or faults', () => {
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md', 'docs/implementers.md']));
    const odd = /\.test\.|\.stage\.|\.map$|^src\/|bench|agree|layout\/.*\.mjs|faults\/(?!(?:strength|only)\.json$)/;
    expect(paths.filter((path) => odd.test(path))).toEqual([]);
  });

  it('is smaller than 1.2 MB, but for the fixtures', () => {
    const size = files.filter(({ path }) => !path.startsWith('fixtures/')).reduce((sum, file) => sum + file.size, 0);
    expect(size).toBeLessThan(1_200_000);
  });

  it('has every file that a file of it imports', () => {
    const missing = paths
      .filter((path) => /^dist\/.*\.(js|d\.ts)$/.test(path))
      .flatMap((path) => {
        const text = readFileSync(join(installed, path), 'utf8');
        return [...text.matchAll(/(?:from|import)\s*\(?\s*["'`](\.[^"'`]*)["'`]/g)].flatMap(([, to]) => {
          const target = join(dirname(path), to as string).replace(/\.ts$/, '.js');
          const wanted = path.endsWith('.d.ts') ? target.replace(/\.js$/, '.d.ts') : target;
          return paths.includes(wanted) ? [] : [`${path}: ${wanted}`];
        });
      });
    expect(missing).toEqual([]);
  });
});

describe('installed from it', () => {
  it.each(pastedIn('README.md').map(({ words, output }) => [words, output]))('xenmem %s prints what the README shows', (words, output) => {
    shows(output, terminal(installed, join(installed, 'dist/bin/xenmem.js'), ...words.split(' ')));
  });

  it('the suite is played: against the reference, and against a module that imports the package', () => {
    const words = ['conform', '--runs', '8', '--seed', '1', '--arch', 'arm64'];
    const own = xenmem(...words);
    expect([own.code, own.stderr]).toEqual([4, '']);
    expect(own.stdout).toContain('strength: at level 2 the suite finds ');
    cpSync(join(installed, 'dist/conformance/examples/typescript/iut.js'), join(empty, 'iut.mjs'));
    const module = xenmem(...words, '--iut', 'module:./iut.mjs');
    expect([module.code, module.stderr]).toEqual([4, '']);
    expect(module.stdout).toMatch(/^the TypeScript example 1 {2}arm64/);
  });

  it('a module is served by hand too, with what the package exports for it', () => {
    const program = `import { capabilities, levelOf, serve } from 'xenmem/conformance';
import { PassThrough } from 'node:stream';
const hello = { name: 'mute', version: '1', arch: ['arm64'], commands: {}, capabilities: new Set(capabilities), limits: {}, translated: true };
console.log(levelOf(hello));
const input = new PassThrough();
input.end('{"id":7,"op":"call","domid":1,"cmd":26,"arg":"0x0"}\\n');
await serve({ hello, answer: () => [{ rc: -38 }] }, input, process.stdout);`;
    expect(run('--input-type=module', '-e', program)).toEqual({ code: 0, stdout: '2\n{"id":7,"rc":-38}\n', stderr: '' });
  });

  it('the golden cases are checked, copied, listed and promoted', () => {
    expect(xenmem('fixtures', 'check')).toMatchObject({ code: 0, stderr: '' });
    const copied = xenmem('fixtures', 'copy', '--struct', 'get_dma_buf', '--arch', 'arm32', '--to', 'vectors');
    expect([copied.code, copied.stdout]).toEqual([0, expect.stringMatching(/^vectors: \d+ files\n$/)]);
    cpSync(join(installed, 'fixtures/golden'), join(empty, 'own'), { recursive: true });
    const promoted = xenmem('fixtures', 'promote', shownToken(), '--to', 'own');
    expect([promoted.code, promoted.stderr]).toEqual([0, '']);
    const { stdout } = xenmem('fixtures', 'list', '--from', 'own');
    expect(stdout.split('\n').filter((row) => row.startsWith(promoted.stdout.trimEnd()))).toHaveLength(1);
    expect(xenmem('fixtures', 'check', '--from', 'own')).toMatchObject({ code: 0, stderr: '' });
  });

  it('making the golden cases anew is refused in one sentence', () => {
    expect(xenmem('fixtures', 'generate', '--to', 'made')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'xenmem: this needs a clone of the repository after npm ci: faulty hypervisors are edits of the sources\n',
    });
  });
});
