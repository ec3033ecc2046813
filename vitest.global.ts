import { execFileSync } from 'node:child_process';

/** The command line is tested by running it, so what runs must be built from the sources under test. */
export default function setup(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck'], { stdio: 'inherit' });
  execFileSync('npm', ['run', '--silent', 'bundle'], { stdio: 'inherit' });
}
