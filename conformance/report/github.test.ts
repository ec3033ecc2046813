import { describe, expect, it } from 'vitest';
import { githubForm } from './github.ts';
import * as samples from './sample.stage.ts';

const { nonconformant, inconclusive, crashed, hostile, only, getStory } = samples;

/** A workflow command as the runner reads it: properties first, then the escapes of each. */
function commandOf(line: string): { level: string; title: string; message: string } {
  const [, level = '', properties = '', message = ''] = /^::(\w+) (.*?)::(.*)$/.exec(line) ?? [];
  const unescaped = (text: string): string => text.replace(/%0D/g, '\r').replace(/%0A/g, '\n').replace(/%25/g, '%');
  const title = unescaped((properties.split('title=')[1] ?? '').replace(/%3A/g, ':').replace(/%2C/g, ','));
  return { level, title, message: unescaped(message) };
}

describe('annotations of GitHub Actions', () => {
  it('are these, byte for byte', () => {
    expect(githubForm(only(nonconformant, 'get-aligned', 'get-pinned', 'get-rest-untouched'))).toBe(
      [
        '::error title=get-pinned::says: guaranteed that their p2m mapping won\'t be changed until explicitly "unpinned"%0Aseen: step 1: pinned guest frame 0x40007 had frame 0x10003f behind it and now has frame 0x10003d%0Aagain: xenmem conform --replay x1.rZHBaoQwEIbf5T_nkKi1kHufQkRSM6uBGGXi7griu5eou6ULe-ttYL5kvvlnxX1kb6FXGG57aBge8gw',
        '::error title=get-rest-untouched::says: All other input and output extents are untouched%0Aseen: step 0: entry 0 of the out list changed%0Aagain: xenmem conform --replay x1.pZLNbsMgEITfZc4cwCFOxL1PEVkRNWubCv8IrMRS5HevsB23ctM2Uk6sYGC',
        '::error title=expectations::get-pinned is violated, and no entry expects it',
        '::notice title=get-aligned is expected to be violated::the allocator of the old branch (until 2027-03-31) https://example.org/issues/7',
        '::notice title=xenmem conform::nonconformant: 3 requirements violated, 1 of them expected',
        '',
      ].join('\n'),
    );
  });

  it('put a crash first, and warn of what could not be judged', () => {
    const both = { ...crashed, requirements: [...nonconformant.requirements.slice(0, 20), ...crashed.requirements] };
    const first = commandOf(githubForm(both).split('\n')[0]!);
    expect(first.title).toBe('survives');
    const said = githubForm(inconclusive).trimEnd().split('\n').map(commandOf);
    expect(said.map(({ level, title }) => `${level} ${title}`)).toEqual([
      'error conclusive',
      'warning no-flaky-scenarios',
      'warning no-setup-scenarios',
      'notice xenmem conform',
    ]);
    expect(said[1]?.message).toBe(
      'scenario 77: in step 1: it ended with signal SIGSEGV\nagain: xenmem conform --replay x1.flaky\nstderr: mm.c:77: BUG_ON',
    );
  });

  it('are ten of a level at most, and the tenth says how many more', () => {
    const requirements = nonconformant.requirements.map((r, i) => ({
      ...r,
      verdict: 'violated' as const,
      violated: i + 1,
      counterexample: getStory,
    }));
    const said = githubForm({ ...nonconformant, requirements })
      .trimEnd()
      .split('\n')
      .map(commandOf);
    const errors = said.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(10);
    expect(errors.at(-1)?.message).toBe('…and 33 more');
  });

  it('survive hostile text: one command a line, and what was said comes out', () => {
    const lines = githubForm(hostile).trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^::(error|warning|notice) title=[^:,]*::/);
    expect(commandOf(lines[0]!).message).toContain('\\x0d\\x0a::error title=x::y %0A # SKIP');
    expect(lines.join('')).not.toContain('\r');
  });
});
