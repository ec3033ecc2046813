import { describe, expect, it } from 'vitest';
import { legal } from './faults/faults.ts';
import { type Create, load } from './faults/load.ts';
import { type Unlikely, unlikely } from './faults/unlike.ts';
import type { Implementation } from './protocol/implementation.ts';
import { playerHere } from './protocol/player.ts';
import { implementationOf, referenceImplementation } from './protocol/reference.ts';
import { conformanceJson, conformanceText } from './report/conformance.ts';
import { runSuite } from './run.ts';
import { scenarioFrom } from './scenario/generate.ts';
import { samples } from './scenario/numbers.ts';
import { scenarioOf } from './scenario/scenario.ts';
import { checkHere } from './verdict/check.ts';
import { disputeOf } from './verdict/dispute.ts';
import { exitOf, otherLine } from './verdict/outcome.ts';
import { readResult } from './verdict/read-result.ts';
import type { Incident } from './verdict/result.ts';
import { inOtherWorld, inUndone, silently, type Unlike } from './worlds.ts';

const long = process.env['XENMEM_LONG'] !== undefined;
/** Hundreds of scenarios of each in the long form (npm run test:long). */
const seeds = long ? [1, 2, 3] : [1];
const most = { legal: long ? 40 : 12, faulty: 700 };
/** They show after hundreds of scenarios only. */
const rare = [
  'populates nothing below 1 GiB',
  'gives up nothing in the call behind a put',
  'gives up nothing of a guest with memory in two places',
  'gives up nothing of a struct with dirty padding',
];
const creates = await load([...legal, ...unlikely]);

function seen(implementation: Implementation, seed: number, scenarios: number) {
  const play = silently(async (scenario) => checkHere(scenario, implementation));
  const { hello } = implementation;
  return samples(seed, scenarios).map(({ numbers, arch }) => () => {
    const scenario = scenarioFrom(numbers, arch, hello);
    const checked = checkHere(scenario, implementation, true);
    return {
      checked,
      elsewhere: () => inOtherWorld({ scenario, checked, numbers }, hello, play),
      undone: () => inUndone({ scenario, checked }, hello, play),
    };
  });
}

describe('in other worlds, and with all undone, nothing ends otherwise', () => {
  const all: (readonly [string, () => Implementation])[] = [
    ['the reference', () => referenceImplementation()],
    ...legal.map(({ name, hello }) => [name, () => implementationOf((creates.get(name) as Create)(), hello)] as const),
  ];
  it.each(all)('%s', async (_, create) => {
    for (const seed of seeds) {
      for (const one of seen(create(), seed, most.legal)) {
        const { elsewhere, undone } = one();
        expect([await elsewhere(), await undone()]).toEqual([undefined, undefined]);
      }
    }
  });
});

describe('what no requirement speaks of is found by an oracle without a model', () => {
  const played = unlikely.filter(({ name }) => long || !rare.includes(name));
  it.each(played.map((fault) => [fault.name, fault] as const))('%s', async (name, { about }: Unlikely) => {
    const implementation = implementationOf((creates.get(name) as Create)());
    let found: Unlike | undefined;
    for (const one of seen(implementation, 1, most.faulty)) {
      const { checked, elsewhere, undone } = one();
      // Neither the rules nor the model do.
      expect([checked.given.filter((g) => g.answer.answer === 'violated'), disputeOf(checked)]).toEqual([[], undefined]);
      found ??= await (about === 'undoing' ? undone() : elsewhere());
      if (found && !long) break;
    }
    expect(found?.about).toBe(about);
    // Played again, the two scenarios show it.
    const [ends, others] = [found?.scenario, scenarioOf(found?.other ?? '')].map((scenario) =>
      scenario ? checkHere(scenario, implementation).calls.map(({ event }) => event.call.rc) : [],
    );
    expect(ends?.length).toBeGreaterThan(0);
    expect(others).not.toEqual(ends);
  });
});

describe('a run', () => {
  it('tells what ended otherwise, with both scenarios, and is not conclusive', async () => {
    const create = creates.get('refuses a put with dirty padding') as Create;
    const player = { ...playerHere(implementationOf(create())), iut: './toy' };
    const result = await runSuite({ player, arch: ['arm64'], seed: 1, runs: 500 });
    const [first] = result.incidents;
    expect(first).toMatchObject({ kind: 'unlike', iut: './toy' });
    expect(first?.message).toMatch(/^step \d+: put_dma_buf returned (0|-EINVAL), and it returned .* where the padding alone is another$/);
    expect(otherLine(first as Incident)).toEqual([`xenmem conform --iut './toy' --replay ${first?.other}`]);
    expect(result.requirements.filter(({ verdict }) => verdict === 'violated')).toEqual([]);
    expect([result.verdict, exitOf(result), result.played]).toEqual(['inconclusive', 4, 500]);
    expect(conformanceText(result).join('\n')).toContain(`  against   ${otherLine(first as Incident)[0]}`);
    expect(readResult(JSON.parse(JSON.stringify(conformanceJson(result)))).incidents).toEqual(result.incidents);
  });

  it('judges what it plays elsewhere like all else', async () => {
    // Such a domain there is only in a world with other numbers.
    const reference = referenceImplementation();
    let isOdd = false;
    const answer: Implementation['answer'] = (requests) => {
      for (const request of requests) if (request.op === 'reset') isOdd = request.domains.some(({ domid }) => domid > 2 && domid !== 0x101);
      return reference.answer(requests).map((reply) => (isOdd && reply.rc === 0 ? { ...reply, rc: 7 } : reply));
    };
    const result = await runSuite({ player: playerHere({ hello: reference.hello, answer }), arch: ['arm64'], seed: 1, runs: 400 });
    const broken = result.requirements.find(({ id }) => id === 'get-rc-zero-or-negative');
    expect([result.verdict, broken?.verdict, broken?.counterexample?.flaky]).toEqual(['nonconformant', 'violated', undefined]);
  });
});
