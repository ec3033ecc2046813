import { describe, expect, it } from 'vitest';
import { scenarioFrom } from '../conformance/generate.ts';
import { referenceImplementation } from '../conformance/reference.ts';
import { tokenOf } from '../conformance/scenario.ts';
import { xenmem } from './shell.ts';

describe('conform', () => {
  it('too few scenarios are inconclusive, exit 4, and say what was missed', () => {
    const { code, stdout } = xenmem(['conform', '--runs', '20', '--arch', 'arm32']);
    expect(code).toBe(4);
    expect(stdout).toContain('\n? inconclusive\n');
    expect(stdout).toMatch(/ {2}put-unpins was exercised \d+ times, fewer than 30\n/);
  });

  it('the JSON names schema, verdict, level, seed and strength, and is the same bytes for the same seed', () => {
    const [a, b, c] = [1, 1, 2].map((seed) => xenmem(['conform', '--json', '--runs', '60', '--seed', String(seed)]).stdout);
    expect(a).toBe(b);
    expect(a).not.toBe(c);
    const { schema, verdict, level, seed, runs, partial, strength, requirements } = JSON.parse(a ?? '');
    expect({ schema, verdict, level, seed, runs, partial }).toEqual({
      schema: 'xenmem/conformance@1',
      verdict: 'inconclusive',
      level: 2,
      seed: '1',
      runs: 60,
      partial: false,
    });
    expect(strength.killed.length + strength.survivors.length).toBe(strength.mutants);
    expect(requirements[0]).toMatchObject({ id: 'get-rc-zero-or-negative', verdict: 'holds' });
  });

  it('tells one scenario step by step', () => {
    const { hello } = referenceImplementation();
    const { code, stdout } = xenmem(['conform', '--replay', tokenOf(scenarioFrom([], 'arm64', hello))]);
    expect(code).toBe(0);
    expect(stdout).toContain('step 0  domain 1: get_dma_buf  rc 0\n');
    expect(stdout).toContain('nothing is violated');
  });

  it('searches a small scope completely', () => {
    const { code, stdout } = xenmem(['conform', '--exhaustive', '--scope', 'slice']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/288 distinct states found/);
  });

  it.each([
    [['--replay', 'x1.zzz'], '--replay: the replay token is damaged'],
    [['--replay', 'seed'], '--replay: a replay token looks like x1.…'],
    [['--runs', 'many'], '--runs "many": expected a whole number, 0..10000000'],
    [['--seed', '-1'], '--seed "-1": expected a whole number, 0..2147483647'],
    [['--arch', 'x86_32'], 'unknown --arch "x86_32" (known: all, arm32, arm64)'],
    [['extra'], 'unexpected "extra"'],
  ])('refuses %j', (words, message) => {
    const { code, stdout, stderr } = xenmem(['conform', ...words]);
    expect([code, stdout, stderr]).toEqual([2, '', `xenmem: ${message}\n`]);
  });
});
