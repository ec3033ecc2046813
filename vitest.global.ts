import { execFileSync } from 'node:child_process';

/**
 * The command line is tested by running it, so what runs must be built from the sources under test.
 */
export default function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
