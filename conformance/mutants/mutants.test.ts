import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rules } from '../../src/rules/table.ts';
import { notAlone, onlyKillers } from './alone.ts';
import { testFaulty } from './caught.stage.ts';
import { faulty } from './faulty.ts';
import { type Strength, summary } from './strength.ts';

testFaulty(['progress accounting', 'list handling', 'validation', 'memory access', 'isolation', 'convention and neighbours']);

describe('the faulty hypervisors', () => {
  const required = rules.filter((rule) => rule.blame === 'hypervisor').map((rule) => rule.id);

  it('are many, each with a name of its own, and break nothing but requirements', () => {
    expect(faulty.length).toBeGreaterThanOrEqual(74);
    expect(new Set(faulty.map((mutant) => mutant.name)).size).toBe(faulty.length);
    for (const { breaks, also } of faulty) {
      expect(breaks.length).toBeGreaterThan(0);
      expect([...breaks, ...also].filter((id) => !required.includes(id))).toEqual([]);
      expect(also.filter((id) => breaks.includes(id))).toEqual([]);
    }
  });

  it('show of each requirement that without it one would not be found, or why that cannot be', () => {
    const alone = onlyKillers();
    expect(required.filter((id) => !alone.has(id)).sort()).toEqual(Object.keys(notAlone).sort());
  });

  it('break each requirement at least once', () => {
    const broken = new Set(faulty.flatMap((mutant) => mutant.breaks));
    expect(required.filter((id) => !broken.has(id))).toEqual([]);
  });
});

describe('the measured strength', () => {
  const strength = JSON.parse(readFileSync(new URL('strength.json', import.meta.url), 'utf8')) as Strength;

  it('is that of these faulty hypervisors', () => {
    expect(strength.mutants.map(({ name, family }) => `${family}: ${name}`)).toEqual(
      faulty.map(({ name, family }) => `${family}: ${name}`),
    );
  });

  it('names no requirement that the hypervisor does not break', () => {
    // At the highest level. Below it the mistake itself may be out of sight, and what shows is only what follows from it.
    for (const [i, { levels }] of strength.mutants.entries()) {
      const { breaks, also } = faulty[i] as (typeof faulty)[number];
      expect((levels[2]?.requirements ?? []).filter((id) => !breaks.includes(id) && !also.includes(id))).toEqual([]);
    }
  });

  it('is what it should be', () => {
    const { killed, total, medianScenarios, inFour } = summary(strength);
    expect(killed).toBe(total);
    expect(medianScenarios).toBeLessThan(50);
    expect(inFour).toBeGreaterThanOrEqual(0.95);
  });
});
