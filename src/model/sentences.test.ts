import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ambiguityOf } from '../rules/ambiguities.ts';
import { ruleOf } from '../rules/table.ts';

// The model is read beside the header: each numbered sentence is found in it by its words, and each
// guard names what it stands on.

const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.ts') && !/\.(test|stage)\.ts$/.test(name));
const text = files.map((name) => readFileSync(new URL(name, import.meta.url), 'utf8')).join('\n');

/** Words alone: how a comment is set does not matter. */
const words = (prose: string): string => prose.replace(/^\s*(\/\/|\*|\/\*\*?)/gm, ' ').replace(/\s+/g, ' ');

const header = readFileSync(new URL('../rules/law/dma-buf.h', import.meta.url), 'utf8');
const comments = [...header.matchAll(/\/\*(.*?)\*\//gs)].map(([, comment = '']) => words(comment));
const sentences = comments.flatMap((comment) =>
  comment
    .split(/ (?=\d\. )/)
    .filter((part) => /^\d\. /.test(part))
    .map((part) => part.trim()),
);

it('the header has ten numbered sentences', () => {
  expect(sentences.map((sentence) => sentence.slice(0, 12))).toEqual([
    '1. @in.domid',
    '2. @in.nr_ex',
    '3. @in.exten',
    '4. @out.exte',
    '5. @out.exte',
    '1. The first',
    '2. The corre',
    '3. All other',
    '4. If not al',
    '5. THIS FIEL',
  ]);
});

it.each(sentences)('the model has, by its words: %s', (sentence) => {
  expect(words(text).includes(sentence)).toBe(true);
});

describe('each guard of an op', () => {
  const guards = ['call.ts', 'get-dma-buf.ts', 'put-dma-buf.ts'].flatMap((name) => {
    const lines = readFileSync(new URL(name, import.meta.url), 'utf8').split('\n');
    return lines.filter((line) => /return -?E[A-Z]+;/.test(line)).map((line) => [name, line.trim()] as const);
  });

  it.each(guards)('%s: %s', (_, line) => {
    const ids = line.match(/\/\/.*$/)?.[0].match(/[a-z]+(-[a-z]+)+/g) ?? [];
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.filter((id) => !ruleOf(id) && !ambiguityOf(id))).toEqual([]);
  });
});
