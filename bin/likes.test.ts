import { describe, expect, it } from 'vitest';
import { traceLines } from '../src/rules/alike.stage.ts';
import { file, xenmem } from './shell.ts';

// A key that nobody knows is passed over, and keeps a record from being taken for a plain one: so
// the same trace is judged record by record.
const oneByOne = (text: string): string => text.replaceAll(/^\{/gm, '{"x":0,');

const seeds = [1, 2, 3];
const traces = [0, 8].map((dirt) => seeds.flatMap((seed) => [...traceLines(seed, 150, dirt)]).join('\n'));

describe('records that are judged like others are told as each would be by itself', () => {
  it.each([[[]], [['--json', '--verbose']], [['--summary']], [['--summary', '--json']]])('%j', (words) => {
    const [quick, single] = [traces, traces.map(oneByOne)].map((texts) => {
      const names = texts.map((text, i) => file(`trace${i}.ndjson`, text));
      const { code, stdout } = xenmem(['validate', ...words, ...names]);
      return { code, stdout };
    });
    expect(quick).toEqual(single);
    expect(quick?.stdout).not.toBe('');
  });
});
