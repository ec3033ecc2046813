import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readers } from '../../conformance/readings.ts';
import { strict } from '../model/strict.ts';
import { ambiguities, ambiguityOf } from '../rules/ambiguities.ts';
import { pages, unknownIds } from './docs.ts';

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

  it('names a decision of the model, or says that there is none', () => {
    const decisions = Object.keys(strict);
    for (const { id, switch: how } of ambiguities) {
      const named = how.match(/[a-zA-Z]+/g) ?? [];
      expect([id, how.startsWith('none') || named.some((word) => decisions.includes(word))]).toEqual([id, true]);
    }
  });

  it('has two readings, unless the texts leave one that surprises', () => {
    for (const { readings } of ambiguities) expect(readings.length).toBeGreaterThan(0);
    expect(new Set(ambiguities.map(({ id }) => id)).size).toBe(ambiguities.length);
  });
});
