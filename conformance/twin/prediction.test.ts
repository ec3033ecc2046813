import { describe, expect, it } from 'vitest';
import { opNumber, XENMEM } from '../../src/abi/ops.ts';
import { strict } from '../../src/model/freedoms.ts';
import type { Edited } from '../faults/fault.ts';
import { legal } from '../faults/faults.ts';
import { type Create, load } from '../faults/load.ts';
import {
  type Capability,
  capabilities,
  extras,
  type Hello,
  type Implementation,
  type Reply,
  type Request,
} from '../protocol/implementation.ts';
import { implementationOf, referenceImplementation } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import type { CallStep, Scenario } from '../scenario/scenario.ts';
import { type Checked, checkHere } from '../verdict/check.ts';
import { disputeOf } from '../verdict/dispute.ts';

const own: readonly Edited[] = [
  { name: 'limits nothing', edits: [['get-dma-buf.ts', 'frameLimit(address_bits)', 'frameLimit(0 * address_bits)']] },
  {
    name: 'limits nothing, from below',
    edits: [
      ['get-dma-buf.ts', 'frameLimit(address_bits)', 'frameLimit(0 * address_bits)'],
      ...(legal.find(({ name }) => name === 'takes memory from the bottom') as Edited).edits,
    ],
  },
  {
    name: 'calls a limit invalid',
    edits: [
      ['get-dma-buf.ts', 'frames } : ENOMEM;', 'frames } : EINVAL;'],
      ['get-dma-buf.ts', 'EINVAL, ENOMEM, EPERM', 'EINVAL, EPERM'],
    ],
  },
  {
    name: 'takes an unknown domain',
    edits: [['exchange.ts', 'domainNamed(call, given.domid)', 'domainNamed(call, given.domid) ?? call.caller']],
  },
  {
    name: 'has an errno for misaligned frames',
    edits: [
      [
        'get-dma-buf.ts',
        'if (isMisaligned(call, bases, inPages)) return EINVAL;',
        'if (bases.some((base) => base % inPages !== 0)) return 18;',
      ],
      ['get-dma-buf.ts', '  isMisaligned,\n', '  isMisaligned as isRefused,\n'],
      ['get-dma-buf.ts', 'if (isMisaligned(call, gpfns, outPages))', 'if (isRefused(call, gpfns, outPages))'],
    ],
  },
];
const creates = await load([...legal, ...own]);
const edited = (name: string) => (creates.get(name) as Create)();

const long = process.env['XENMEM_LONG'] !== undefined;

/** Plays scenarios of a run, each also predicted. */
function* predicted(implementation: Implementation, seed: number, scenarios: number): Generator<Checked> {
  for (const { numbers, arch } of samples(seed, scenarios)) {
    yield checkHere(scenarioFrom(numbers, arch, implementation.hello), implementation, true);
  }
}

/** What the two oracles disagree about, and what either of them blames. */
function wrongOf(implementation: Implementation, seed: number, scenarios: number): string[] {
  return [...predicted(implementation, seed, scenarios)].flatMap((checked) => {
    const dispute = disputeOf(checked);
    const blamed = checked.given.flatMap(({ id, answer }) => (answer.answer === 'violated' ? [id] : []));
    return dispute ? [...blamed, dispute.message] : blamed;
  });
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

  it.each([
    ['memory and return codes alone', without('churn', 'translate')],
    ['these and nothing else', without('churn', 'translate', ...extras)],
    ['no pages that move', without('churn')],
  ])('is not more than can be seen: %s', (_, less) => {
    expect(wrongOf(implementationOf(edited('is preempted after every chunk'), less), 7, long ? 300 : 40)).toEqual([]);
  });
});

const { get_dma_buf, put_dma_buf, populate_physmap, decrease_reservation } = XENMEM['dma-buf'];
const ram = 0x40000n;
const hole = 0x50000n;
const world = {
  arch: 'arm64',
  domains: [{ domid: 1, privileged: true, ram: [{ gfn: ram, pages: 32 }], holes: [{ gfn: hole, pages: 16 }] }],
  free: { low: 16, high: 16 },
} as const;

/** A call on one extent of each list. */
function call(cmd: number, lists: bigint[][], { domid = 0x7ff0, order = 0, bits = 0 } = {}): CallStep {
  const reservation = (i: number) => {
    return { extent_start: 0x4000_1000n + BigInt(i) * 0x1000n, nr_extents: 1n, extent_order: order, address_bits: i * bits, domid };
  };
  const reservations = lists.map((_, i) => reservation(i));
  return { do: 'call', domid: 1, cmd, arg: 0x4000_0000n, reservations, nrExchanged: 0n, padding: 0, lists };
}

const churn = { do: 'churn', domid: 1, gfn: ram, pages: 32 } as const;
const get = call(get_dma_buf, [[ram + 8n], [hole]]);
const { 'more-limits': limits } = strict;

function play(steps: Scenario['steps'], of: Implementation): Checked {
  return checkHere({ world, steps } as Scenario, of, true);
}

/** The model, with some calls answered otherwise. */
function but(model: Implementation, answer: (request: Request, rest: () => Reply) => Reply): Implementation {
  return { hello: model.hello, answer: (requests) => requests.map((r) => answer(r, () => model.answer([r])[0] as Reply)) };
}

describe('what is left open is not disputed, however it is done', () => {
  it.each<[string, Scenario['steps'], Implementation]>([
    [
      'address_bits above 255, by a machine that reads the whole number',
      [call(get_dma_buf, [[ram + 8n], [hole]], { bits: 0x120 })],
      implementationOf(edited('limits nothing')),
    ],
    [
      'and by one that leaves it unread',
      [call(get_dma_buf, [[ram + 8n], [hole]], { bits: 0x220 })],
      implementationOf(edited('limits nothing, from below')),
    ],
    [
      'a limit under which only this machine has memory',
      [call(get_dma_buf, [[ram + 8n], [hole]], { bits: 20 })],
      implementationOf(edited('calls a limit invalid')),
    ],
    [
      'a put of an order above MAX_ORDER, where such are welcome',
      [get, call(put_dma_buf, [[ram]], { order: 19 })],
      referenceImplementation({ 'more-limits': { ...limits, max_order: 20 }, 'put-not-pinned': 'accepted' }),
    ],
    [
      'a put of more pages than are followed',
      [get, call(put_dma_buf, [[hole]], { order: 13 }), churn],
      referenceImplementation({ 'put-partly-pinned': 'prefix' }),
    ],
    [
      'a pinned page that its guest populates anew',
      [get, call(populate_physmap, [[hole]]), churn],
      referenceImplementation({ 'guest-changes-pinned': 'accepted', 'populated-output': 'overwritten' }),
    ],
  ])('%s', (_, steps, implementation) => {
    const { max_order: __, ...rest } = implementation.hello.limits;
    expect(disputeOf(play(steps, { ...implementation, hello: { ...implementation.hello, limits: rest } }))).toBeUndefined();
  });

  it('a page that no call names, and that is moved during one', () => {
    const model = referenceImplementation();
    const restless = but(model, (request, rest) => {
      const answer = rest();
      if (request.op === 'call') model.answer([{ ...churn, op: 'churn', gfn: ram + 20n, pages: 2 }]);
      return answer;
    });
    expect(disputeOf(play([get, call(put_dma_buf, [[hole]])], restless))).toBeUndefined();
  });

  it('a world that the model cannot build', () => {
    const none: Implementation = {
      hello: referenceImplementation().hello,
      answer: () => [{ error: { kind: 'unsupported', message: 'no such world' } }],
    };
    const far = { ...world, domains: [{ ...world.domains[0], ram: [{ gfn: 1n << 60n, pages: 1 }] }] };
    expect(disputeOf(checkHere({ world: far, steps: [get] } as Scenario, none, true))).toBeUndefined();
  });
});

describe('what the model would not have done is seen without the rules', () => {
  it('a get for a domain that does not exist, and done', () => {
    const foreign = call(get_dma_buf, [[ram + 8n], [hole]], { domid: 9 });
    const { given, disputes } = play([foreign], implementationOf(edited('takes an unknown domain')));
    expect(given.filter((g) => g.answer.answer === 'violated').map((g) => g.id)).toEqual(['refuses-unknown-domid']);
    expect(disputes.map((d) => d.message)).toEqual(['the model answers this with rc -ESRCH, nr_exchanged 0, and here it is done']);
    expect(play([foreign], referenceImplementation()).disputes).toEqual([]);
  });

  it('a decrease that is counted and not made', () => {
    const lying = but(referenceImplementation(), (r, rest) =>
      r.op === 'call' && opNumber(r.cmd) === decrease_reservation ? { rc: 1 } : rest(),
    );
    const checked = play([call(decrease_reservation, [[ram + 8n]])], lying);
    expect(checked.disputes[0]?.message).toMatch(/^guest frame 0x40008 is a hole in the model, and here leads to 0x\w+$/);
    expect(checked.given.filter((g) => g.answer.answer === 'violated').map((g) => g.id)).toEqual(['reservation-effects']);
  });

  it('not an errno of its own, and not a refusal that is free', () => {
    const odd = call(get_dma_buf, [[ram + 9n], [hole + 1n]], { order: 1 });
    expect(play([odd], implementationOf(edited('has an errno for misaligned frames'))).disputes).toEqual([]);
    expect(play([odd], referenceImplementation()).disputes).toEqual([]);
    expect(play([get], referenceImplementation({ 'more-limits': { ...limits, max_order: -1 } })).disputes.map((d) => d.message)).toEqual([
      'the model does this, and here it ends with rc -EINVAL, nr_exchanged 0',
    ]);
  });
});
