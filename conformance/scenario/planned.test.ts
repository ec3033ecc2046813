import { describe, expect, it } from 'vitest';
import { referenceHello, referenceImplementation } from '../protocol/reference.ts';
import { checkHere } from '../verdict/check.ts';
import { canMeet, dimensionNames, dimensions, pairsFor, pairsOf, rowsFor, triplesFor, triplesOf } from './dimensions.ts';
import { scenarioFrom } from './generate.ts';
import { mostNumbers, samples } from './numbers.ts';

describe('the plan', () => {
  it.each(['arm64', 'arm32'] as const)('has every pair and every chosen triple of values that can meet in few rows, on %s', (arch) => {
    const rows = rowsFor(arch, referenceHello);
    const shown = new Set(rows.flatMap(pairsOf));
    expect(pairsFor(arch, referenceHello).filter((pair) => !shown.has(pair))).toEqual([]);
    const three = new Set(rows.flatMap(triplesOf));
    expect(triplesFor(arch, referenceHello).filter((triple) => !three.has(triple))).toEqual([]);
    // Of 6 ops, 7 histories and 4 churns all but put as a first call; of 6 ops, 6 domains and 4 churns
    // all; of orders and failures 20 for an exchange, 9 for a put, 12 for ops 0, 1 and 6 each.
    expect(6 * 7 * 4 - 4 + 6 * 6 * 4 + 2 * 20 + 9 + 3 * 12).toBe(393);
    expect([triplesFor(arch, referenceHello).length, three.size]).toEqual([393, 393]);
    // As many as there are triples of the three dimensions that have most of them, and some more.
    expect(rows.length).toBeLessThan(200);
    for (const row of rows) {
      for (const a of dimensionNames) for (const b of dimensionNames) expect(a === b || canMeet(a, row[a], b, row[b])).toBe(true);
    }
  });

  it('leaves out what an implementation has no room for', () => {
    const small = { ...referenceHello, limits: { max_extents: 8n, max_order: 0, domains: 1 }, capabilities: new Set<never>() };
    const pairs = pairsFor('arm64', small).join();
    expect(pairs).not.toMatch(/extents: 64|4 to 9|who: the other|failure: p|churn: b/);
    expect(pairsFor('arm64', { ...small, commands: { populate_physmap: 6 } }).join()).not.toMatch(/op: get|one get/);
    expect(dimensions.extents).toContain('513');
  });

  it('is played by the model as the rules ask, each row a call that was made', () => {
    const model = referenceImplementation();
    const planned = samples(3, 240).filter(({ numbers }) => numbers.length > mostNumbers);
    expect(planned.length).toBe(80);
    for (const { numbers, arch } of planned) {
      const { given, events, disputes } = checkHere(scenarioFrom(numbers, arch, model.hello), model, true);
      expect(given.filter((g) => g.answer.answer === 'violated')).toEqual([]);
      expect([events.filter((e) => e.kind === 'skipped'), disputes]).toEqual([[], []]);
    }
  });
});
