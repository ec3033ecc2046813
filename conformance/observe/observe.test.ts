import { describe, expect, it } from 'vitest';
import { XENMEM } from '../../src/abi/ops.ts';
import type { Implementation, Reply, Request } from '../protocol/implementation.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { scenarioFrom } from '../scenario/generate.ts';
import { samples } from '../scenario/numbers.ts';
import type { CallStep, ChurnStep, Scenario } from '../scenario/scenario.ts';
import { checkHere } from '../verdict/check.ts';
import { DomainView } from './domain-view.ts';
import { SetupError } from './observe.ts';

const unsupported: Reply = { error: { kind: 'unsupported', message: 'not today' } };

/**
 * The reference hypervisor, which does not do some of what it is asked; `asks` are the ops that
 * went out together.
 */
function refusing(refuses: (request: Request) => boolean, error: Reply = unsupported): Implementation & { asks: string[][] } {
  const model = referenceImplementation();
  const asks: string[][] = [];
  return {
    asks,
    hello: model.hello,
    answer(requests) {
      asks.push(requests.map((request) => request.op));
      return requests.map((request) => (refuses(request) ? error : (model.answer([request])[0] as Reply)));
    },
  };
}

/** Refuses one kind of request from the n-th on, counted from 0. */
function from(op: Request['op'], first = 0): (request: Request) => boolean {
  let seen = 0;
  return (request) => request.op === op && seen++ >= first;
}

const [ram, hole] = [0x40000n, 0x40010n];

function call(op: 'get_dma_buf' | 'put_dma_buf', inList: bigint[], outList: bigint[] = [], more: Partial<CallStep> = {}): CallStep {
  const reservation = (at: bigint, list: bigint[]) => ({
    extent_start: at,
    nr_extents: BigInt(list.length),
    extent_order: 0,
    address_bits: 0,
    domid: 0x7ff0,
  });
  const get = op === 'get_dma_buf';
  return {
    do: 'call',
    domid: 1,
    cmd: XENMEM['dma-buf'][op],
    arg: (ram << 12n) + 0x100n,
    reservations: [reservation((ram + 1n) << 12n, inList), ...(get ? [reservation((ram + 2n) << 12n, outList)] : [])],
    nrExchanged: 0n,
    padding: 0,
    lists: get ? [inList, outList] : [inList],
    ...more,
  };
}

const get = call('get_dma_buf', [ram + 8n], [hole]);
const churn: ChurnStep = { do: 'churn', domid: 1, gfn: ram, pages: 32 };
const second = { domid: 2, privileged: false, ram: [{ gfn: ram, pages: 16 }], holes: [] };

function scenario(...steps: Scenario['steps']): Scenario {
  const first = { domid: 1, privileged: false, ram: [{ gfn: ram, pages: 16 }], holes: [{ gfn: hole, pages: 16 }] };
  return { world: { arch: 'arm64', domains: [first, second], free: { low: 16, high: 16 } }, steps };
}

/** How often each answer to a requirement was given, such as `holds`. */
function answers(implementation: Implementation, played: Scenario, id: string): string[] {
  return checkHere(played, implementation)
    .given.filter((g) => g.id === id)
    .map((g) => g.answer.answer);
}

const kinds = (implementation: Implementation, played: Scenario): string[] =>
  checkHere(played, implementation).events.map((event) => (event.kind === 'skipped' ? `skipped: ${event.why}` : event.kind));

describe('what goes out together', () => {
  it('the world and a look at it, then a refused call with all that is asked about it', () => {
    const model = refusing(() => false);
    checkHere(scenario({ ...get, nrExchanged: 1n }), model);
    expect(model.asks.map((ops) => [...new Set(ops)])).toEqual([
      ['reset', 'write', 'translate', 'pages'],
      ['write', 'call', 'changes', 'read', 'translate', 'pages'],
    ]);
  });

  it('a move of pages is one go, too', () => {
    const model = refusing(() => false);
    checkHere(scenario(churn, churn), model);
    expect(model.asks.length).toBe(3);
  });
});

describe('an implementation that does not do what it is asked', () => {
  it('is asked to do nothing in a world that it did not build', () => {
    const model = refusing(from('reset', 1));
    expect(kinds(model, scenario(get))).toEqual(['call']);
    expect(kinds(model, scenario(churn, get))).toEqual(['skipped: not today', 'skipped: not today']);
    expect(model.asks.slice(-1)[0]?.[0]).toBe('reset');
  });

  it('is not judged by a call whose struct or list was not written, and what that call did is not known', () => {
    const own = (step: CallStep) => refusing((request) => request.op === 'write' && request.addr === step.arg);
    expect(kinds(own(get), scenario(get))).toEqual(['skipped: not today']);
    // The second struct stays the first one: put as get has left it in memory, or a get once more.
    const again = { ...get, arg: get.arg + 0x80n };
    const stale = refusing((request) => request.op === 'write' && request.addr === again.arg);
    const checked = checkHere(scenario(get, again, call('put_dma_buf', [hole])), stale);
    expect(checked.events.map((event) => event.kind)).toEqual(['call', 'skipped', 'call']);
    expect(checked.given.find((g) => g.step === 2 && g.id === 'put-works')?.answer.answer).toBe('unknown');
  });

  it('is not judged by a call or a move that it does not make', () => {
    expect(kinds(refusing(from('call')), scenario(get, churn))).toEqual(['skipped: not today', 'churn']);
    expect(kinds(refusing(from('churn')), scenario(get, churn))).toEqual(['call', 'skipped: not today']);
  });

  it('without a word on changes all of memory is read back', () => {
    const model = refusing(from('changes'));
    expect(answers(model, scenario(get), 'no-stray-writes')).toEqual(['holds']);
    const scribbling: Implementation = {
      ...model,
      answer: (requests) =>
        requests.flatMap((request) => {
          const told = model.answer([request]);
          if (request.op === 'call') model.answer([{ op: 'write', domid: 1, addr: 0x4000_f123n, bytes: Uint8Array.of(7) }]);
          return told;
        }),
    };
    expect(answers(scribbling, scenario(get), 'no-stray-writes')).toEqual(['violated']);
  });

  it('what cannot be read is unknown, and stays so', () => {
    expect(answers(refusing(from('read')), scenario(get), 'get-in-untouched')).toEqual(['unknown']);
    expect(answers(refusing(from('read')), scenario(get), 'no-stray-writes')).toEqual(['unknown']);
    const late = refusing((request) => request.op === 'read' && request.addr === (ram + 2n) << 12n);
    expect(answers(late, scenario(get, churn, call('put_dma_buf', [hole])), 'no-stray-writes')).toEqual(['unknown', 'holds']);
  });

  it('what cannot be looked up is unknown', () => {
    const unseen = (op: 'translate' | 'pages', id: string): string[] => answers(refusing(from(op)), scenario(get), id);
    expect(unseen('translate', 'get-populates-gpfns')).toEqual(['unknown']);
    expect(unseen('translate', 'get-inputs-released')).toEqual(['unknown']);
    expect(unseen('translate', 'isolation')).toEqual(['unknown']);
    expect(unseen('pages', 'frames-conserved')).toEqual(['unknown']);
  });

  it('is stopped where it says that it cannot be driven', () => {
    const broken = refusing(from('read'), { error: { kind: 'setup', message: 'out of order' } });
    expect(() => checkHere(scenario(get), broken)).toThrow(new SetupError('read: out of order'));
  });

  it.each(['write', 'read', 'call', 'translate', 'churn', 'pages', 'changes'] as const)(
    'now and then, to %s, is never blamed for it',
    (op) => {
      for (const { numbers, arch } of samples(5, 60)) {
        for (const every of [2, 7]) {
          let seen = 0;
          const model = refusing((request) => request.op === op && ++seen % every === 0);
          const { world, steps } = scenarioFrom(numbers, arch, model.hello);
          const { given } = checkHere({ world, steps }, model);
          expect(given.filter((g) => g.answer.answer === 'violated')).toEqual([]);
        }
      }
    },
  );
});

describe('changes that are reported', () => {
  it.each<[string, readonly { address: bigint; length: number }[]]>([
    ['as all of memory and more', [{ address: 0n, length: Number.MAX_SAFE_INTEGER }]],
    ['as the same byte ten thousand times', Array.from({ length: 10_000 }, () => ({ address: ram << 12n, length: 1 }))],
    ['byte by byte', Array.from({ length: 10_000 }, (_, i) => ({ address: (ram << 12n) + BigInt(2 * i), length: 1 }))],
  ])('%s make no more work than all of RAM does', (_, ranges) => {
    const model = referenceImplementation();
    let reads = 0;
    const generous: Implementation = {
      hello: model.hello,
      answer: (requests) => {
        reads += requests.filter((request) => request.op === 'read').length;
        return requests.map((request) => (request.op === 'changes' ? { ranges } : (model.answer([request])[0] as Reply)));
      },
    };
    const scenario = scenarioFrom([], 'arm64', model.hello);
    const { given } = checkHere(scenario, generous);
    expect(given.filter((g) => g.answer.answer === 'violated')).toEqual([]);
    expect(reads).toBeLessThan(400);
  });

  it('leave as much to read as is known of them, however many they are', () => {
    const gfn = 0x40000n;
    const view = new DomainView({ domid: 1, privileged: false, ram: [{ gfn, pages: 4096 }], holes: [] });
    const page = (i: number): bigint => (gfn + BigInt(i)) << 12n;
    const some = [
      { address: page(2) + 16n, length: 8 },
      { address: page(0) - 8n, length: 16 },
      { address: page(2) + 20n, length: 0x1000 },
      { address: page(4095) + 0xfffn, length: 2 },
      { address: page(7), length: 0 },
    ];
    expect(view.knownParts(some)).toEqual([
      { address: page(0), length: 8n },
      { address: page(2) + 16n, length: 0xff0n },
      { address: page(3), length: 0x14n },
      { address: page(4095) + 0xfffn, length: 1n },
    ]);
    // As many as a line of the protocol has room for; looking for each page in all of them took a quarter of a minute.
    const many = Array.from({ length: 60_000 }, (_, i) => ({ address: page(0) + BigInt(2 * i), length: 1 }));
    const pages = Array.from({ length: 30 }, (_, i) => page(i));
    expect(view.knownParts(many).map(({ address }) => address)).toEqual(pages.slice(0, Math.ceil(120_000 / 4096)));
  });
});
