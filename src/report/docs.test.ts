import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { legal } from '../../conformance/faults/faults.ts';
import { readers } from '../../conformance/readings.ts';
import { referenceFor } from '../../conformance/reference.ts';
import { readings } from '../model/freedoms.ts';
import { ambiguities, ambiguityOf } from '../rules/ambiguities.ts';
import { pages, unknownIds } from './docs.ts';

const isReference = (command: string): boolean => command.startsWith('--reference ');
const read = (file: string): string => readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');

describe('docs/', () => {
  it.each(Object.keys(pages))('%s says what the tables say (npm run docs writes it)', (file) => {
    expect(read(file)).toBe(pages[file]?.());
  });

  it.each(['implementers.md', 'xen-versions.md'])('%s names only what there is', (file) => {
    expect(unknownIds(read(file))).toEqual([]);
  });
});

describe('an open point', () => {
  it('is there for each reading that a run can see', () => {
    expect(readers.map(({ id }) => id).filter((id) => !ambiguityOf(id))).toEqual([]);
  });

  it('names each reading that can be chosen, and nothing that cannot', () => {
    for (const [id, [, ...others]] of Object.entries(readings)) {
      const typed = others.map((reading) => `--reference ${id}=${reading}`);
      expect(ambiguityOf(id)?.switch.toSorted()).toEqual(typed.sort());
    }
    const chosen = ambiguities.filter((entry) => entry.switch.some(isReference)).map(({ id }) => id);
    expect(chosen.sort()).toEqual([...Object.keys(readings), 'more-limits'].sort());
  });

  it.each(ambiguities.flatMap((entry) => entry.switch.filter(isReference)))('is chosen by what it says: %s', (command) => {
    const [, word, ...more] = command.split(' ');
    expect([referenceFor([word as string]).hello.name, more]).toEqual([`xenmem reference model, ${word}`, []]);
  });

  it('is otherwise shown by a hypervisor that is unusual and right, or by none', () => {
    const shown = (id: string) => legal.filter(({ freedom }) => freedom === id).map(({ name }) => `npm run faults -- show ${name}`);
    for (const { id, switch: commands } of ambiguities) {
      expect(shown(id)).toEqual(expect.arrayContaining(commands.filter((command) => !isReference(command))));
    }
  });

  it('has two readings, unless the texts leave one that surprises', () => {
    for (const { readings } of ambiguities) expect(readings.length).toBeGreaterThan(0);
    expect(new Set(ambiguities.map(({ id }) => id)).size).toBe(ambiguities.length);
  });
});
