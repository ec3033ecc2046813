import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { file, root, scratch } from './shell.ts';

/** What action.yml runs, with the inputs as the action hands them on. */
function action(env: { XENMEM_IUT?: string; XENMEM_ARGS?: string; XENMEM_REPORT?: string; GITHUB_STEP_SUMMARY?: string }) {
  const { PATH, HOME } = process.env;
  const { status, stdout, stderr } = spawnSync(join(root, '.ci/action'), { cwd: scratch, env: { PATH, HOME, ...env }, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

const silent = 'export default { ...iut, answer: (all) => iut.answer(all).map((a) => (a.rc === 0 ? { rc: 1 } : a)) };\n';
const iut = `module:${join(root, 'dist/conformance/examples/typescript/iut.js')}`;

describe('the action', () => {
  it('plays the suite, writes the reports it is asked for and a step summary, and ends as conform does', () => {
    const summary = join(scratch, file('summary.md', 'before\n'));
    const inputs = { XENMEM_IUT: iut, XENMEM_ARGS: ' --fixtures\n--level 2 ', XENMEM_REPORT: 'json=out.json\njunit=two words.xml\n' };
    expect(action({ ...inputs, GITHUB_STEP_SUMMARY: summary })).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(readFileSync(join(scratch, 'out.json'), 'utf8'))).toMatchObject({ verdict: 'conformant', fixtures: true });
    expect(existsSync(join(scratch, 'two words.xml'))).toBe(true);
    expect(readFileSync(summary, 'utf8')).toMatch(/^before\n[\s\S]*conformant/);
  });

  it('fails where the implementation does, and says so as annotations', () => {
    file('silent.mjs', `import iut from '${iut.slice('module:'.length)}';\n${silent}`);
    const { code, stdout } = action({ XENMEM_IUT: 'module:silent.mjs', XENMEM_ARGS: '--fixtures' });
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^::error .*get-rc-zero-or-negative/m)]);
  });

  it('runs no part of an input as shell, and takes none for an option', () => {
    const XENMEM_ARGS = '$(touch ran) `touch ran` ; touch ran *';
    expect(action({ XENMEM_IUT: iut, XENMEM_ARGS })).toMatchObject({ code: 2, stdout: '' });
    expect(action({ XENMEM_IUT: '$(touch ran); touch ran', XENMEM_ARGS: '--fixtures' }).code).toBe(5);
    expect(action({ XENMEM_IUT: '--check', XENMEM_ARGS: '--fixtures' }).code).toBe(5);
    expect(action({ XENMEM_ARGS: '--fixtures' })).toMatchObject({ code: 2, stdout: '' });
    expect(existsSync(join(scratch, 'ran'))).toBe(false);
  });
});
