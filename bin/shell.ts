import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';

/** The root of the package, and the command as it was built. Only tests use this file. */
export const root: string = fileURLToPath(new URL('..', import.meta.url));
export const command: string = join(root, 'dist/bin/xenmem.js');
export const captures: string = join(root, 'fixtures/captures');

/** A place for the files of one test file, and the directory that the command runs in. */
export const scratch: string = mkdtempSync(join(tmpdir(), 'xenmem-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** What a run of the command left. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the built command to its end, `input` on its stdin (else it is empty), with no colour but
 * what `env` asks for.
 */
export function xenmem(args: readonly string[], input: string | Uint8Array = '', env: NodeJS.ProcessEnv = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], options(env, input));
  return { code: status, stdout, stderr };
}

/** Runs a line of shell in which `xenmem` is the built command. */
export function shell(line: string, env: NodeJS.ProcessEnv = {}): Ran {
  const script = `xenmem() { '${process.execPath}' '${command}' "$@"; }; ${line}`;
  // What bash reads before a script has things of its own to say.
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], options({ BASH_ENV: '', ...env }, ''));
  return { code: status, stdout, stderr };
}

/** Writes a file in the scratch directory and gives back its name. */
export function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(scratch, name), content);
  return name;
}

/** Is a tool there to be used? */
export function has(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
}

/** One output that a page shows, under `$ xenmem WORDS`; `head` is what stands before it. */
export interface Pasted {
  readonly page: string;
  readonly words: string;
  readonly head: string;
  readonly output: string;
}

/** The outputs that a page of the package shows. */
export function pastedIn(page: string): Pasted[] {
  const found = readFileSync(join(root, page), 'utf8').matchAll(/(```\n\$ xenmem ([^\n]+)\n)([^`]*)```\n/g);
  return [...found].map(([, head, words, output]) => ({ page, words, head, output }) as Pasted);
}

/** What a terminal would show of a run of Node, in this directory. */
export function terminal(cwd: string, ...args: string[]): string {
  return spawnSync('bash', ['-c', '"$@" 2>&1', 'bash', process.execPath, ...args], { cwd, encoding: 'utf8' }).stdout.trimEnd();
}

/**
 * Fails unless `output` is what was printed; a line that is `…` stands for lines that are left out.
 */
export function shows(output: string, printed: string): void {
  const parts = `\n${output.trimEnd()}\n`.split('\n…\n');
  if (parts.length === 1) expect(output.trimEnd()).toBe(printed);
  let rest = `\n${printed}\n`;
  for (const [i, part] of parts.entries()) {
    const lines = `\n${part.replace(/^\n|\n$/g, '')}\n`;
    const at = i === parts.length - 1 ? rest.lastIndexOf(lines) : rest.indexOf(lines);
    expect(at === -1 ? `not printed: ${lines}` : '').toBe('');
    if (i === 0) expect(at).toBe(0);
    if (i === parts.length - 1) expect(rest.slice(at)).toBe(lines);
    rest = rest.slice(at + lines.length - 1);
  }
}

/** The replay token that the documents show. */
export function shownToken(): string {
  const [token] = /x1\.[\w-]+/.exec(readFileSync(join(root, 'docs/cli.md'), 'utf8')) ?? [];
  if (token === undefined) throw new Error('no replay token is shown');
  return token;
}

/** Bytes from hex, white space ignored. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s+/g, ''), 'hex');
}

function options(env: NodeJS.ProcessEnv, input: string | Uint8Array) {
  const { PATH, HOME } = process.env;
  return { cwd: scratch, env: { PATH, HOME, LANG: 'de_DE.UTF-8', ...env }, input, encoding: 'utf8', maxBuffer: 1 << 28 } as const;
}
