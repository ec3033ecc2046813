import { describe, expect, it } from 'vitest';
import { named } from '../faults/named.stage.ts';
import type { Implementation } from '../protocol/implementation.ts';
import { playerHere } from '../protocol/player.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { conformanceJson } from '../report/conformance.ts';
import { runSuite } from '../run.ts';
import { mergeResults } from './merge.ts';
import { readResult } from './read-result.ts';
import type { ConformanceResult } from './result.ts';

const run = (on: Implementation, shard?: { index: number; of: number }): Promise<ConformanceResult> =>
  runSuite({ player: { ...playerHere(on), predicted: true }, arch: ['arm64', 'arm32'], seed: 3, runs: 32, ...(shard && { shard }) });
const json = (result: ConformanceResult): string => JSON.stringify(conformanceJson(result));
/** On its way through a file. */
const read = (result: ConformanceResult): ReturnType<typeof readResult> => readResult(JSON.parse(json(result)));

/** Of what op 1 is said to have done no requirement asks whether it was. */
function countsWhatItDoesNotDo(): Implementation {
  const model = referenceImplementation();
  return {
    hello: model.hello,
    answer: (requests) => requests.flatMap((r) => (r.op === 'call' && r.cmd === 1 ? [{ rc: 1 }] : model.answer([r]))),
  };
}

const backwards = 'maps the pages behind the first one backwards';
const known = await named(backwards);

describe('four shards', () => {
  it.each<[string, Implementation]>([
    ['the reference model', referenceImplementation()],
    ['one that the two oracles disagree about', countsWhatItDoesNotDo()],
    ['a faulty one', known.of(backwards)],
  ])('of %s merge to the bytes of one run', async (_name, implementation) => {
    const whole = await run(implementation);
    const shards = await Promise.all([3, 1, 4, 2].map((index) => run(implementation, { index, of: 4 })));
    expect(shards.map((s) => s.played).every((n) => n > 4)).toBe(true);
    expect(json(mergeResults(shards.map(read)))).toBe(json(whole));
  });

  it('of which one is missing are partial, and never conformant', async () => {
    const shards = await Promise.all([1, 2].map((index) => run(referenceImplementation(), { index, of: 3 })));
    const { verdict, partial, reasons } = mergeResults(shards.map(read));
    expect([verdict, partial]).toEqual(['inconclusive', true]);
    expect(reasons).toContain('of 3 shards this is missing: 3');
  });

  it('with a reading of a strange name change nothing else', async () => {
    const one = JSON.parse(json(await run(referenceImplementation(), { index: 1, of: 1 })));
    const hostile = JSON.stringify(one).replace('"readings":{', '"readings":{"__proto__":{"expected":1},');
    mergeResults([readResult(JSON.parse(hostile))]);
    expect(({} as { expected?: number }).expected).toBeUndefined();
  });

  it('that do not belong together are told apart', async () => {
    const one = read(await run(referenceImplementation(), { index: 1, of: 2 }));
    expect(() => mergeResults([one, one])).toThrow('shard 1/2 is there twice');
    expect(() => mergeResults([one, { ...one, seed: 4 }])).toThrow('these are not shards of one run: seed differs (3, 4)');
    expect(() => mergeResults([one, { ...one, shard: { index: 2, of: 3 } }])).toThrow('these are not shards of one division: 1/2 and 1/3');
  });
});

describe('a result from outside', () => {
  it.each<[string, object]>([
    ['schema: "xenmem/conformance@2" is not "xenmem/conformance@1"', { schema: 'xenmem/conformance@2' }],
    ['seed: "one" is neither a 0x-hex nor a decimal number', { seed: 'one' }],
    ['level: 3 is over 2', { level: 3 }],
    ['requirements: an object is not a list', { requirements: {} }],
    ['requirements[0].id: "x" is not one of', { requirements: [{ id: 'x' }] }],
    ['incidents[0].kind: "x" is not one of', { incidents: [{ kind: 'x' }] }],
    ['implementation: null is not an object', { implementation: null }],
  ])('%s', async (message, change) => {
    const result = await runSuite({ player: playerHere(referenceImplementation()), arch: ['arm64'], seed: 1, runs: 1 });
    expect(() => readResult({ ...JSON.parse(json(result)), ...change })).toThrow(message);
  });
});
