import { describe, expect, it } from 'vitest';
import { judgedOp } from '../src/abi/ops.ts';
import type { Implementation } from './protocol/implementation.ts';
import { playerHere } from './protocol/player.ts';
import { referenceImplementation } from './protocol/reference.ts';
import { runSuite } from './run.ts';
import { scenarioFrom } from './scenario/generate.ts';
import { type Scenario, scenarioOf, tokenOf } from './scenario/scenario.ts';
import { exitOf } from './verdict/outcome.ts';
import type { ConformanceResult } from './verdict/result.ts';

const model = referenceImplementation();
const id = 'get-rc-zero-or-negative';

/** The model, but that it answers 1 to the gets that `breaks` names, counted from 1 on. */
function answersOne(breaks: (get: number) => boolean): Implementation {
  let gets = 0;
  return {
    hello: model.hello,
    answer: (requests) =>
      requests.flatMap((request) => {
        const isBroken = request.op === 'call' && judgedOp(request.cmd, 'dma-buf') === 'get_dma_buf' && breaks(++gets);
        return isBroken ? [{ rc: 1 }] : model.answer([request]);
      }),
  };
}

/** The simplest get, in worlds that are told from each other. */
const simplest = scenarioFrom([], 'arm64', model.hello);
const scenario = (n: number): Scenario => ({ ...simplest, world: { ...simplest.world, free: { low: 64 + n, high: 64 } } });
const play = (implementation: Implementation, runs: number): Promise<ConformanceResult> =>
  runSuite({
    player: playerHere(implementation),
    arch: ['arm64'],
    seed: 1,
    runs,
    scenarios: Array.from({ length: runs }, (_, n) => scenario(n)),
  });

describe('a requirement', () => {
  it('that is broken once, and not again when its scenario is, is flaky: no blame, and no pass', async () => {
    const result = await play(
      answersOne((get) => get === 1),
      1,
    );
    const requirement = result.requirements.find((r) => r.id === id);
    const message = 'rc is 1: positive (not each time it is played)';
    expect([requirement?.verdict, requirement?.violated]).toEqual(['unknown', 1]);
    expect(requirement?.counterexample).toMatchObject({ flaky: true, message, replay: tokenOf(scenario(0)) });
    expect(result.incidents).toContainEqual({ kind: 'flaky', found: 0, replay: tokenOf(scenario(0)), message: `${id}: ${message}` });
    expect([result.verdict, exitOf(result)]).toEqual(['inconclusive', 4]);
    expect(result.reasons[0]).toMatch(/^\d+ scenarios broke something once, and not again when it was played alone \(get-rc/);
  });

  it('that is broken now and then is violated by the play that shows it again', async () => {
    // The run plays gets 1 and 2; tried again, the first scenario breaks it in each fourth one.
    const result = await play(
      answersOne((get) => get % 4 === 1),
      2,
    );
    const requirement = result.requirements.find((r) => r.id === id);
    expect(requirement?.verdict).toBe('violated');
    expect(requirement?.counterexample).toMatchObject({ message: 'rc is 1: positive', replay: tokenOf(scenario(0)), found: 0 });
    expect(exitOf(result)).toBe(1);
  });

  it('that is broken only behind what was played before is flaky, since its token does not show it', async () => {
    // From the third world on something is left behind, until it is started anew.
    let worlds = 0;
    const left: Implementation = {
      hello: model.hello,
      answer: (requests) => {
        worlds += requests.filter(({ op }) => op === 'reset').length;
        return model.answer(requests).map((reply) => (worlds > 2 && reply.rc === 0 ? { ...reply, rc: 1 } : reply));
      },
    };
    const renew = async (): Promise<void> => {
      worlds = Number.NEGATIVE_INFINITY;
    };
    const player = { ...playerHere(left), renew };
    const result = await runSuite({ player, arch: ['arm64'], seed: 1, runs: 3, scenarios: [scenario(0), scenario(1), scenario(2)] });
    const requirement = result.requirements.find((r) => r.id === id);
    expect(requirement?.verdict).toBe('unknown');
    expect(requirement?.counterexample).toMatchObject({ flaky: true, message: 'rc is 1: positive (not when it is played alone)' });
    expect([result.verdict, exitOf(result)]).toEqual(['inconclusive', 4]);
  });

  it('that a first scenario breaks once and a second one always is violated, with the second', async () => {
    let low = 0;
    const breaking = answersOne((get) => get === 1 || low === 65);
    const watched: Implementation = {
      hello: breaking.hello,
      answer: (requests) => {
        for (const request of requests) if (request.op === 'reset') low = request.free.low;
        return breaking.answer(requests);
      },
    };
    const result = await play(watched, 2);
    const requirement = result.requirements.find((r) => r.id === id);
    expect(requirement?.verdict).toBe('violated');
    expect(requirement?.counterexample).not.toHaveProperty('flaky');
    expect(scenarioOf(requirement?.counterexample?.replay ?? '').world.free.low).toBe(65);
    expect(result.incidents).toEqual([]);
    expect(exitOf(result)).toBe(1);
  });
});
