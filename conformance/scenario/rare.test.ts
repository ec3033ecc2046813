import { describe, expect, it } from 'vitest';
import { errno } from '../../src/abi/constants.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { checkHere } from '../verdict/check.ts';
import { rareFor } from './rare.ts';
import { type Scenario, scenarioOf, tokenOf } from './scenario.ts';

const model = referenceImplementation();

/** All that fit, by how the model ends their calls. */
function raresOf(arch: 'arm32' | 'arm64', hello = model.hello): Scenario[] {
  const numbers = Array.from({ length: 3 }, (_, i) => 31 + 32 * i);
  return numbers.flatMap((number) => rareFor(number, arch, hello) ?? []);
}

describe('the scenarios that chance would not make', () => {
  it.each([
    [
      'arm64' as const,
      [
        [-errno.ENOMEM, -errno.ENOMEM, 0],
        [0, 0],
        [0, 0],
      ],
    ],
    [
      'arm32' as const,
      [
        [-errno.ENOMEM, -errno.ENOMEM, 0],
        [0, 0, -errno.EFAULT],
        [0, 0],
      ],
    ],
  ])('on %s end so, by the rules and by the model', (arch, codes) => {
    const all = raresOf(arch).map((scenario) => checkHere(scenario, model, true));
    expect(all.map(({ calls }) => calls.map(({ event }) => event.call.rc))).toEqual(codes);
    expect(all.flatMap(({ given }) => given.filter((g) => g.answer.answer === 'violated'))).toEqual([]);
    expect(all.flatMap(({ disputes }) => disputes)).toEqual([]);
  });

  it('fit in a token', () => {
    const all = [...raresOf('arm32'), ...raresOf('arm64')];
    expect(all.map((scenario) => scenarioOf(tokenOf(scenario)))).toEqual(all);
  });

  it('are not asked of one that has no room for them', () => {
    const small = { ...model.hello, limits: { max_gfn: 0x1000n }, capabilities: new Set<never>() };
    expect(rareFor(31, 'arm32', small)?.world.domains[0]?.ram[0]?.gfn).toBe(0n);
    expect(rareFor(31, 'arm64', { ...model.hello, commands: { exchange: 11 } })).toBeUndefined();
    expect(rareFor(30, 'arm64', model.hello)).toBeUndefined();
  });
});
