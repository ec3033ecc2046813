import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command, root } from './shell.ts';

const path = join(root, 'README.md');
const text = readFileSync(path, 'utf8');

/** What a terminal would show, run at the root of the package. */
function run(...args: string[]): string {
  const { stdout } = spawnSync('bash', ['-c', '"$@" 2>&1', 'bash', process.execPath, ...args], { cwd: root, encoding: 'utf8' });
  return stdout.trimEnd();
}

/** Compares a pasted output with the real one, or with UPDATE_README set pastes it anew. */
function pasted(found: RegExpMatchArray, output: string): void {
  if (process.env['UPDATE_README'])
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(found[0], () => `${found[1]}${output}\n\`\`\`\n`),
    );
  else expect(found[2]?.trimEnd()).toBe(output);
}

describe('what the README shows is what the commands print', () => {
  const commands = [...text.matchAll(/(```\n\$ xenmem ([^\n]+)\n)([^`]*)```\n/g)];

  it('for five commands', () => expect(commands.length).toBe(5));

  it.each(commands.map((found) => [found[2] as string, found] as const))('xenmem %s', (words, found) => {
    const output = run(command, ...words.split(' '));
    expect(output.split('\n').filter((row) => [...row].length > 100)).toEqual([]);
    pasted([found[0], found[1] as string, found[3] as string], output);
  });

  it('and the library', () => {
    const found = /(```js\n([^`]*(?:`[^`\n]*`[^`]*)*?)```\n\n```output\n)([^`]*)```\n/.exec(text) as RegExpExecArray;
    pasted([found[0], found[1] as string, found[3] as string], run('--input-type=module', '-e', found[2] as string));
  });
});

describe('the two commands', () => {
  it('stand each on a line of its own, and the first has a clean verdict', () => {
    const first = 'npx xenmem validate fixtures/captures/xen-4.17-arm64-balloon.ndjson';
    expect(text).toContain(`\`\`\`\nnpm ci && ${first}\n\`\`\`\n\n\`\`\`\nnpm test\n\`\`\`\n`);
    const { status, stdout } = spawnSync(process.execPath, [command, ...first.split(' ').slice(2)], { cwd: root, encoding: 'utf8' });
    expect([status, stdout.split('\n').at(-2)]).toEqual([0, '✓ nothing wrong (0 warnings, 9 notes)']);
  });
});
