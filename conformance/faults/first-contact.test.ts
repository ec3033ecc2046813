import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isRequirement } from '../../src/rules/rule.ts';
import { rules } from '../../src/rules/table.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { kindsFor } from '../scenario/kinds.ts';
import { samples } from '../scenario/numbers.ts';
import { checkHere } from '../verdict/check.ts';
import { faults, legal } from './faults.ts';
import { firstContact } from './first-contact/first-contact.ts';
import { type Create, editedFiles, load } from './load.ts';
import { seenAt, violatedIn } from './play.ts';

/** What one of them was at first contact. */
interface Met {
  readonly name: string;
  /** Scenarios until it was found, for each seed; `null` where it was not. */
  readonly first: readonly (number | null)[];
  /** Why it breaks nothing, as was seen when it was missed; such a one is in the list no more. */
  readonly legal?: string;
  /** Did the texts forbid it when it was played, so that it counts as missed? */
  readonly counted?: boolean;
}

interface Measured {
  readonly seeds: readonly number[];
  readonly scenarios: number;
  readonly faults: readonly Met[];
}

const long = process.env['XENMEM_LONG'] !== undefined;
const measured = JSON.parse(readFileSync(new URL('first-contact/measured.json', import.meta.url), 'utf8')) as Measured;

describe('the faults that were written before they were played', () => {
  it('apply to the model as it is, each with a name of its own, and break requirements', () => {
    const required = rules.filter(isRequirement).map(({ id }) => id);
    for (const fault of firstContact) expect(editedFiles(fault).size).toBeGreaterThan(0);
    expect(new Set([...faults, ...legal, ...firstContact].map(({ name }) => name)).size).toBe(
      faults.length + legal.length + firstContact.length,
    );
    for (const { name, breaks } of firstContact) {
      expect([name, breaks.filter((id) => !required.includes(id))]).toEqual([name, []]);
    }
  });

  it('are those that were measured, less those that turned out to break nothing', () => {
    const observable = measured.faults.filter((met) => met.legal === undefined);
    expect(firstContact.map(({ name }) => name)).toEqual(observable.map(({ name }) => name));
    for (const { first } of measured.faults) expect(first.length).toBe(measured.seeds.length);
  });

  it('were found as often as the evidence says', () => {
    const counted = measured.faults.filter((met) => met.legal === undefined || met.counted === true);
    const found = measured.seeds.map((_, i) => counted.filter(({ first }) => first[i] !== null).length);
    const evidence = readFileSync(new URL('../../docs/evidence.md', import.meta.url), 'utf8').replace(/\s+/g, ' ');
    expect(evidence).toContain(`Of the other ${counted.length} a default run`);
    expect(evidence).toContain(`found ${found[0]} with seed 1, ${found[1]} with seed 2, ${found[2]} with seed 3`);
  });
});

/** What only a world shows in which memory lies elsewhere: that oracle is not played here. */
const elsewhere: readonly string[] = ['a populate reads frames as 32 bits'];
const missed = measured.faults.filter((met) => met.legal === undefined && met.first.includes(null)).map(({ name }) => name);
const creates = await load(firstContact.filter(({ name }) => long || missed.includes(name)));

describe('what was missed then', () => {
  it.each(missed)('is shown by a kind of meeting: %s', (name) => {
    const implementation = seenAt(creates.get(name) as Create);
    const kinds = (['arm32', 'arm64'] as const).flatMap((arch) => kindsFor(arch, implementation.hello));
    // The youngest kinds are the last, and were made of these.
    expect(kinds.reverse().some((make) => violatedIn(checkHere(make(), implementation)).size > 0)).toBe(true);
  });
});

describe.runIf(long)('each of them is found by a run of today:', () => {
  it.each(firstContact.map(({ name }) => name).filter((name) => !elsewhere.includes(name)))('%s', (name) => {
    const implementation = seenAt(creates.get(name) as Create);
    const isFound = samples(measured.seeds[0] ?? 1, measured.scenarios).some(
      ({ numbers, arch }) => violatedIn(checkHere(scenarioFrom(numbers, arch, implementation.hello), implementation)).size > 0,
    );
    expect(isFound).toBe(true);
  });
});
