import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { safetyItems } from '../../src/export/requirements.ts';
import { onlyKillers } from '../faults/indispensable.ts';
import { conformant, hostile, inconclusive, nonconformant } from './sample.stage.ts';
import { type Evidence, traceCsv, traceXml } from './trace.ts';

const evidence: Evidence = {
  fixtures: { 'get-aligned': { positive: 3, negative: 2, boundary: 1 } },
  onlyCatches: { 'get-aligned': ['lets extents lie one page off', 'lets "half"'] },
};

describe('the traceability of a run', () => {
  it('as a table: requirement, rule, fixtures, scenarios, verdict, faults', () => {
    const rows = traceCsv(nonconformant, evidence).split('\r\n');
    expect(rows[0]?.split(',').slice(0, 6)).toEqual([
      'requirement',
      'rule',
      'description',
      'fixtures positive',
      'fixtures negative',
      'fixtures boundary',
    ]);
    expect(rows.length).toBe(nonconformant.requirements.length + 2);
    const row = rows.find((one) => one.startsWith('XenSwdgn~memory_op_get_aligned~1,'));
    expect(row).toContain(',3,2,1,');
    expect(row).toContain('"lets extents lie one page off; lets ""half"""');
    const broken = nonconformant.requirements.filter(({ verdict }) => verdict === 'violated').map(({ id }) => id);
    expect(broken.length).toBeGreaterThan(0);
    for (const id of broken) expect(rows.find((one) => one.split(',')[1] === id)).toMatch(/,(violated|broke|expected),/);
  });

  it('as OpenFastTrace imports it: a test for what holds, none for what does not', () => {
    const xml = traceXml(nonconformant, evidence);
    const tests = xml.slice(xml.indexOf('<specobjects doctype="itest">'));
    for (const { id, verdict } of nonconformant.requirements) {
      const link = `<linksto>XenSwdgn:memory_op_${id.replaceAll('-', '_')}</linksto>`;
      expect([id, tests.includes(link)]).toEqual([id, verdict === 'holds']);
    }
    expect(xml.match(/<specobject>/g)).toHaveLength(
      safetyItems.length + nonconformant.requirements.filter(({ verdict }) => verdict === 'holds').length,
    );
  });

  it('is well-formed, whatever the implementation says of itself', () => {
    for (const result of [conformant, nonconformant, inconclusive, hostile]) {
      const xml = traceXml(result, evidence);
      const open: string[] = [];
      for (const [, end, name] of xml.replace(/<\?xml[^>]*\?>/, '').matchAll(/<(\/?)([a-z]+)(?: [^<>]*)?>/g)) {
        if (end === '') open.push(name ?? '');
        else expect(open.pop()).toBe(name);
      }
      expect(open).toEqual([]);
      expect(xml.replaceAll(/<\/?[a-z]+( doctype="\w+")?>|<\?xml[^>]*\?>/g, '')).not.toMatch(/[<>]/);
      expect(xml).not.toMatch(/&(?!amp;|lt;|gt;)|undefined/);
      expect(traceCsv(result, evidence)).not.toContain('undefined');
    }
  });
});

it('only.json has the faults that each requirement alone catches, as they are declared (UPDATE_DOCS=1 writes it)', () => {
  const file = new URL('../faults/only.json', import.meta.url);
  if (process.env['UPDATE_DOCS']) writeFileSync(file, `${JSON.stringify(Object.fromEntries(onlyKillers()), null, 2)}\n`);
  const stored: unknown = JSON.parse(readFileSync(file, 'utf8'));
  expect(stored).toEqual(Object.fromEntries(onlyKillers()));
});
