import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readings } from '../../../src/model/freedoms.ts';
import { ambiguities, ambiguityOf } from '../../../src/rules/ambiguities.ts';
import { rules } from '../../../src/rules/table.ts';
import { legal } from '../../faults/faults.ts';
import { referenceFor } from '../../protocol/reference.ts';
import { readers } from '../../verdict/readings.ts';
import { pages, tables, unknownIds, withTables } from './pages.ts';

const isReference = (command: string): boolean => command.startsWith('--reference ');
const read = (file: string): string => readFileSync(new URL(`../../../docs/${file}`, import.meta.url), 'utf8');
const patch = readFileSync(new URL('../../../src/rules/law/dma-buf.h', import.meta.url), 'utf8');

describe('docs/', () => {
  it.each(Object.keys(pages))('%s says what the tables say (npm run docs writes it)', (file) => {
    expect(read(file)).toBe(pages[file]?.(patch));
  });

  it.each(Object.keys(tables))('%s has tables that say what the tables say (npm run docs writes them)', (file) => {
    expect(withTables(file, read(file))).toBe(read(file));
    expect(() => withTables(file, read(file).replace('end of get', 'end of it'))).toThrow('docs/spec.md has no place for the table "get"');
  });

  it('spec.md has each rule and each open point once in its tables', () => {
    const rows = [...read('spec.md').matchAll(/^\| \[([a-z-]+)\]\((?:requirements|ambiguities)\.md#\1\)/gm)].map(([, id = '']) => id);
    expect(rows.sort()).toEqual([...rules, ...ambiguities].map(({ id }) => id).sort());
  });

  it('spec.md names no rule and no open point that there is not', () => {
    expect(unknownIds(read('spec.md'))).toEqual([]);
  });

  it('glossary.md has one sentence for each word', () => {
    const [, ...entries] = read('glossary.md').split(/^### /m);
    const words = entries.map((entry) => entry.split('\n')[0]);
    expect(words).toEqual([...new Set(words)]);
    const told = entries.map((entry) =>
      entry
        .replace(/\n## .*/s, '')
        .split('\n')
        .slice(1)
        .join('\n')
        .trim(),
    );
    expect(told.filter((sentence) => !/^[A-Z0-9][^\n]*\.$/.test(sentence) || /\. [A-Z]/.test(sentence))).toEqual([]);
  });

  it.each(['implementers.md', 'xen-versions.md', 'cli.md', 'traces.md', 'evidence.md'])('%s names only what there is', (file) => {
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
