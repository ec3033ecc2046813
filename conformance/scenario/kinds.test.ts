import { describe, expect, it } from 'vitest';
import type { Edited } from '../faults/fault.ts';
import { type Create, load } from '../faults/load.ts';
import { violatedIn } from '../faults/play.ts';
import type { Hello } from '../protocol/implementation.ts';
import { implementationOf, referenceImplementation } from '../protocol/reference.ts';
import { checkHere } from '../verdict/check.ts';
import { rowsFor } from './dimensions.ts';
import { scenarioFrom } from './generate.ts';
import { kindsFor } from './kinds.ts';
import { samples } from './numbers.ts';
import { scenarioIn, toJson } from './scenario.ts';

/** What only some of these meetings show. */
const shown: readonly (Edited & { readonly breaks: string })[] = [
  {
    name: 'unpins the extents behind one of which a page is not pinned',
    breaks: 'put-refused-prefix',
    edits: [
      [
        'put-dma-buf.ts',
        'if (isPartly && isAllOrNothing)',
        `if (isPartly && isAllOrNothing)
      for (const base of bases.slice(extents.length)) for (let j = 0; j < 2 ** asked.extent_order; j++) pins.delete(base + j);
    if (isPartly && isAllOrNothing)`,
      ],
    ],
  },
  {
    name: 'tells frames at address 0 where op 0 has no list',
    breaks: 'no-stray-writes',
    edits: [
      ['reservation-ops.ts', 'readEntries, readStruct }', 'readEntries, readStruct, writeEntry }'],
      [
        'reservation-ops.ts',
        'if (newExtent(work) === undefined) return false;',
        `const mfn = newExtent(work);
  if (mfn === undefined) return false;
  if (work.extent_start === 0n) writeEntry(work.call, work.list, 0, mfn);`,
      ],
    ],
  },
];
const creates = await load(shown);

const implementation = referenceImplementation();
const { hello } = implementation;
const arches = ['arm64', 'arm32'] as const;
const made = (one: Hello) => arches.flatMap((arch) => kindsFor(arch, one).map((make) => make()));

describe('kinds of scenarios that chance makes too seldom', () => {
  it('can be played again, and a right hypervisor is not blamed for them', () => {
    const all = made(hello);
    expect(all.length).toBeGreaterThan(90);
    for (const scenario of all) {
      expect(scenarioIn(toJson(scenario))).toEqual(scenario);
      const { given } = checkHere(scenario, implementation);
      expect(given.filter(({ answer }) => answer.answer === 'violated')).toEqual([]);
    }
  });

  it.each(shown)('show one that $name', ({ name, breaks }) => {
    const faulty = implementationOf((creates.get(name) as Create)());
    const broken = arches.flatMap((arch) => kindsFor(arch, hello).flatMap((make) => [...violatedIn(checkHere(make(), faulty))]));
    expect(broken).toContain(breaks);
  });

  it('come behind all rows, each once on each architecture, whatever the seed', () => {
    for (const arch of arches) {
      const rows = rowsFor(arch, hello).length;
      const all = kindsFor(arch, hello).map((make) => make());
      const numbers = samples(7, 1, false)[0]?.numbers ?? [];
      expect(all.map((_, i) => scenarioFrom([...numbers, rows + i], arch, hello))).toEqual(all);
      // Every third scenario is planned, and the two architectures come by turns
      expect(3 * 2 * (rows + all.length)).toBeLessThan(5000);
    }
  });

  it('keep within what an implementation says of itself', () => {
    const small = { ...hello, limits: { max_order: 0, max_extents: 8n, domains: 1, max_gfn: 0x800n, ram_pages: 32 } };
    for (const { world } of made(small)) {
      expect(world.domains.length).toBe(1);
      for (const { gfn, pages } of world.domains.flatMap(({ ram, holes }) => [...ram, ...holes])) {
        expect(gfn + BigInt(pages) <= 0x801n, `${gfn} ${pages}`).toBe(true);
      }
    }
    expect(made(small).length).toBeGreaterThan(10);
    expect(made({ ...hello, commands: {} })).toEqual([]);
  });
});
