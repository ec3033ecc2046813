import { describe, expect, it } from 'vitest';
import type { Arch } from '../src/abi/arch.ts';
import { layoutOf } from '../src/abi/layout.ts';
import { argumentOf, judgedOp, XENMEM } from '../src/abi/ops.ts';
import type { Implementation, Request } from './protocol/implementation.ts';
import { playerHere } from './protocol/player.ts';
import { referenceImplementation } from './protocol/reference.ts';
import { runSuite } from './run.ts';
import { scenarioFrom } from './scenario/generate.ts';
import type { CallStep, Scenario } from './scenario/scenario.ts';
import { exitOf } from './verdict/outcome.ts';

const model = referenceImplementation();

/** The model, which is shown the orders of each call modulo so many bits, as a shift takes them. */
function shiftingBy(bits: 32 | 64): Implementation {
  let arch: Arch = 'arm64';
  const answer = (request: Request): ReturnType<Implementation['answer']> => {
    if (request.op === 'reset') arch = request.arch;
    const op = request.op === 'call' ? judgedOp(request.cmd, 'dma-buf') : undefined;
    if (request.op !== 'call' || op === undefined) return model.answer([request]);
    const { domid, arg } = request;
    const orders = layoutOf(argumentOf[op], arch).fields.filter(({ name }) => name === 'extent_order');
    const held = orders.map(({ offset, size }) => {
      const addr = arg + BigInt(offset);
      return { addr, bytes: model.answer([{ op: 'read', domid, addr, length: size }])[0]?.bytes ?? new Uint8Array(0) };
    });
    const write = (of: (order: Uint8Array) => Uint8Array): void => {
      for (const { addr, bytes } of held) if (bytes.length > 0) model.answer([{ op: 'write', domid, addr, bytes: of(bytes) }]);
    };
    write(([low = 0]) => Uint8Array.of(low % bits, 0, 0, 0));
    const answers = model.answer([request]);
    write((order) => order);
    return answers;
  };
  return { hello: model.hello, answer: (requests) => requests.flatMap(answer) };
}

describe.each([
  [64, 64],
  [32, 0x8000_0000],
  [64, 0xffff_ffc0],
] as const)('an implementation that takes orders modulo %i is found by order %i, and breaks nothing here', (bits, order) => {
  const ofGet = (...orders: readonly number[]): Scenario => {
    const simplest = scenarioFrom([], 'arm64', model.hello);
    const [get] = simplest.steps as readonly [CallStep];
    return {
      ...simplest,
      steps: [{ ...get, reservations: get.reservations.map((r, i) => ({ ...r, extent_order: orders[i] ?? 0 })) }],
    };
  };
  const ofList = (cmd: number): Scenario => {
    const { world, steps } = ofGet(order);
    const [get] = steps as readonly [CallStep];
    const from = cmd === XENMEM['dma-buf'].populate_physmap ? 1 : 0;
    const [reservation] = get.reservations as readonly [CallStep['reservations'][0]];
    return { world, steps: [{ ...get, cmd, reservations: [reservation], lists: [get.lists[from]] }] };
  };
  const { increase_reservation: increase, decrease_reservation: decrease, populate_physmap: populate } = XENMEM['dma-buf'];

  it.each<[string, Scenario]>([
    ['get, both orders', ofGet(order, order)],
    ['get, the order of in', ofGet(order, 0)],
    ['get, the order of out', ofGet(0, order)],
    ['increase_reservation', ofList(increase)],
    ['decrease_reservation', ofList(decrease)],
    ['populate_physmap', ofList(populate)],
  ])('%s', async (_, scenario) => {
    const run = (implementation: Implementation): ReturnType<typeof runSuite> =>
      runSuite({ player: playerHere(implementation), arch: ['arm64'], seed: 1, runs: 1, scenarios: [scenario] });
    const found = await run(shiftingBy(bits));
    expect([exitOf(found), found.incidents]).toEqual([1, []]);
    const right = await run(model);
    expect([right.requirements.filter(({ violated }) => violated > 0), right.incidents]).toEqual([[], []]);
  });
});
