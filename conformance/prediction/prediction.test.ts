import { describe, expect, it } from 'vitest';
import { errno } from '../../src/abi/constants.ts';
import { opNumber, XENMEM } from '../../src/abi/ops.ts';
import type { Decisions } from '../../src/model/decisions.ts';
import { type Checked, checkHere } from '../check.ts';
import { scenarioFrom } from '../generate.ts';
import { type Capability, capabilities, extras, type Hello, type Implementation } from '../implementation.ts';
import { faulty } from '../mutants/faulty.ts';
import { faultyHypervisor, samples } from '../mutants/kill.ts';
import { variants } from '../mutants/variants.ts';
import { referenceImplementation } from '../reference.ts';
import type { CallStep, Scenario } from '../scenario.ts';
import { disputeOf } from './dispute.ts';

const long = process.env['XENMEM_LONG'] !== undefined;

/** Plays scenarios of a run, each also predicted. */
function* predicted(implementation: Implementation, seed: number, scenarios: number): Generator<Checked> {
  for (const { numbers, arch } of samples(seed, scenarios)) {
    yield checkHere(scenarioFrom(numbers, arch, implementation.hello), implementation, true);
  }
}

function disputesOf(implementation: Implementation, seed: number, scenarios: number): string[] {
  return [...predicted(implementation, seed, scenarios)].flatMap((checked) => disputeOf(checked)?.message ?? []);
}

const without = (...hidden: readonly Capability[]): Partial<Hello> => ({
  capabilities: new Set(capabilities.filter((c) => !hidden.includes(c))),
});

describe('what the model predicts', () => {
  it('is how a right hypervisor ends its calls, most of them', () => {
    const all = [...predicted(referenceImplementation(), 6, 200)];
    expect(all.flatMap((checked) => disputeOf(checked)?.message ?? [])).toEqual([]);
    const calls = all.reduce((sum, checked) => sum + checked.calls.length, 0);
    const agreed = all.reduce((sum, checked) => sum + checked.agreed.size, 0);
    expect(agreed / calls).toBeGreaterThan(0.5);
  });

  it.each(variants.map((variant) => [variant.name, variant] as const))('leaves room for one that %s', (_, { patch, hello }) => {
    expect(disputesOf(referenceImplementation(patch, hello), 6, long ? 600 : 25)).toEqual([]);
  });

  it.each([
    ['memory and return codes alone', without('churn', 'translate')],
    ['these and nothing else', without('churn', 'translate', ...extras)],
    ['no pages that move', without('churn')],
  ])('is not more than can be seen: %s', (_, less) => {
    expect(disputesOf(referenceImplementation({ preemptsAfter: () => 1 }, less), 7, long ? 600 : 60)).toEqual([]);
  });
});

describe('of the faulty hypervisors the two oracles say the same', () => {
  const [seen, undue]: [Set<string>, string[]] = [new Set(), []];
  let both = 0;
  for (const mutant of faulty) {
    for (const checked of predicted(faultyHypervisor(mutant), 1, long ? 300 : 12)) {
      if (checked.disputes.length > 0) seen.add(mutant.name);
      const dispute = disputeOf(checked);
      if (dispute?.requirement !== undefined) undue.push(`${mutant.name}: ${dispute.message}`);
      if (checked.disputes[0] && checked.given.some((g) => g.answer.answer === 'violated' && g.step === checked.disputes[0]?.step)) both++;
    }
  }

  it('nothing that the rules blame of one call is what the model would have done', () => {
    expect(undue).toEqual([]);
    expect(both).toBeGreaterThan(long ? 5000 : 200);
  });

  it('most are found out by the model alone, as long as the callers keep their duties', () => {
    expect(seen.size).toBeGreaterThanOrEqual(long ? 120 : 80);
  });
});

describe('what no requirement speaks of is disputed', () => {
  const { get_dma_buf, decrease_reservation } = XENMEM['dma-buf'];
  const world = {
    arch: 'arm64',
    domains: [{ domid: 1, privileged: true, ram: [{ gfn: 0x40000n, pages: 32 }], holes: [{ gfn: 0x50000n, pages: 16 }] }],
    free: { low: 16, high: 16 },
  } as const;
  const reservation = (extent_start: bigint, domid: number) => ({ extent_start, nr_extents: 1n, extent_order: 0, address_bits: 0, domid });
  const call = (cmd: number, domid: number, lists: bigint[][]): CallStep => ({
    do: 'call',
    domid: 1,
    cmd,
    arg: 0x4000_0000n,
    reservations: lists.map((_, i) => reservation(0x4000_1000n + BigInt(i) * 0x1000n, domid)),
    nrExchanged: 0n,
    padding: 0,
    lists,
  });
  const play = (steps: CallStep[], patch: Partial<Decisions>, of = referenceImplementation(patch)): Checked =>
    checkHere({ world, steps } as Scenario, of, true);

  it('a get for a domain that does not exist, and done', () => {
    const get = call(get_dma_buf, 9, [[0x40008n], [0x50000n]]);
    const { given, disputes } = play([get], { unknownDomain: 0 });
    expect(given.filter((g) => g.answer.answer === 'violated').map((g) => g.id)).toEqual([]);
    expect(disputes.map((d) => d.message)).toEqual(['the model answers this with rc -ESRCH, nr_exchanged 0, and here it is done']);
    expect(play([get], {}).disputes).toEqual([]);
  });

  it('a decrease that is counted and not made', () => {
    const model = referenceImplementation();
    const lying: Implementation = {
      hello: model.hello,
      answer: (requests) =>
        requests.flatMap((r) => (r.op === 'call' && opNumber(r.cmd) === decrease_reservation ? [{ rc: 1 }] : model.answer([r]))),
    };
    const checked = play([call(decrease_reservation, 0x7ff0, [[0x40008n]])], {}, lying);
    expect(disputeOf(checked)).toEqual({
      message: expect.stringMatching(/^step 0: guest frame 0x40008 is a hole in the model, and here leads to 0x\w+, and no requirement/),
    });
  });

  it('not an errno of its own, and not a refusal that is free', () => {
    const misaligned = call(get_dma_buf, 0x7ff0, [[0x40009n], [0x50001n]]);
    const odd = { ...misaligned, reservations: misaligned.reservations.map((r) => ({ ...r, extent_order: 1 })) };
    expect(play([odd], { misaligned: errno.EXDEV }).disputes).toEqual([]);
    expect(play([odd], {}).disputes).toEqual([]);
    expect(play([misaligned], { inputUnmapped: errno.EXDEV, maxOrder: () => -1 }).disputes.map((d) => d.message)).toEqual([
      'the model does this, and here it ends with rc -EINVAL, nr_exchanged 0',
    ]);
  });
});
