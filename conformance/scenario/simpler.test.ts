import { describe, expect, it } from 'vitest';
import { XENMEM } from '../../src/abi/ops.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { scenarioFrom } from './generate.ts';
import { samples } from './numbers.ts';
import { type CallStep, type Scenario, scenarioIn, toJson } from './scenario.ts';
import { needed, simplest } from './simpler.ts';

const { hello } = referenceImplementation();
const { get_dma_buf } = XENMEM['dma-buf'];
const drawn = samples(3, 60, true).map(({ numbers, arch }) => scenarioFrom(numbers, arch, hello));
const isGet = (step: Scenario['steps'][number]): step is CallStep => step.do === 'call' && (step.cmd & 63) === get_dma_buf;

describe('a scenario made as simple as it goes', () => {
  it('is one plain get of one extent where any get is enough', async () => {
    let found = 0;
    for (const scenario of drawn.filter(({ steps }) => steps.some(isGet))) {
      found++;
      const { world, steps, pair } = await simplest(scenario, 2000, async (simpler) => simpler.steps.some(isGet));
      const [get, ...others] = steps as [CallStep];
      expect([others, pair, world.domains.length, world.domains[0]?.privileged]).toEqual([[], undefined, 1, false]);
      expect([get.inject, get.padding, get.nrExchanged, get.cmd, get.arg % 4096n]).toEqual([undefined, 0, 0n, get_dma_buf, 0n]);
      for (const r of get.reservations)
        expect([r.extent_order, r.address_bits, r.domid, r.extent_start % 4096n]).toEqual([0, 0, 0x7ff0, 0n]);
      const [ins, outs] = get.lists.map((list) => list?.length ?? 0);
      if (ins === outs) expect(ins).toBeLessThan(2);
    }
    expect(found).toBeGreaterThan(40);
  });

  it('keeps what is needed, can be played, and asks no more often than it may', async () => {
    for (const scenario of drawn) {
      const needed = scenario.steps.filter((step) => step.do === 'call' && step.inject).length;
      const count = ({ steps }: Scenario): number => steps.filter((step) => step.do === 'call' && step.inject).length;
      let asked = 0;
      const simpler = await simplest(scenario, 30, async (one) => {
        asked++;
        expect(scenarioIn(toJson(one))).toBeDefined();
        return count(one) === needed;
      });
      expect(count(simpler)).toBe(needed);
      expect(asked).toBeLessThanOrEqual(30);
    }
  });
});

describe('the steps that a scenario needs', () => {
  const [first] = drawn as [Scenario];
  const step = (arg: bigint): CallStep => ({ ...(drawn.flatMap(({ steps }) => steps).find(isGet) as CallStep), arg });
  const of = (...args: bigint[]): Scenario => ({ world: first.world, steps: args.map(step) });
  const args = ({ steps }: Scenario): bigint[] => steps.map((one) => (one as CallStep).arg);

  it('are those without any one of which it does not show', async () => {
    // 4 needs 2, and 5 is needed as long as 1 is there.
    const shows = async (one: Scenario): Promise<boolean> => {
      const all = args(one);
      return all.includes(4n) && all.includes(2n) && (!all.includes(1n) || all.includes(5n));
    };
    const { scenario, tight } = await needed(of(1n, 2n, 3n, 4n, 5n), shows);
    expect([args(scenario), tight]).toEqual([[2n, 4n], true]);
  });

  it('are not looked for in a long one', async () => {
    const long = of(...Array.from({ length: 13 }, (_, i) => BigInt(i)));
    expect(await needed(long, async () => true)).toEqual({ scenario: long, tight: false });
  });
});
