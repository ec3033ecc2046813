import { describe, expect, it } from 'vitest';
import { XENMEM } from '../../src/abi/ops.ts';
import { referenceImplementation } from '../protocol/reference.ts';
import { checkHere } from '../verdict/check.ts';
import { historyFrom } from './history.ts';
import { samples } from './numbers.ts';
import { type CallStep, type Scenario, scenarioIn, toJson } from './scenario.ts';

const implementation = referenceImplementation();
const { hello } = implementation;
const ops = XENMEM['dma-buf'];
const histories = samples(11, 40, false).flatMap(({ numbers, arch }) => historyFrom(numbers, arch, hello) ?? []);
const calls = ({ steps }: Scenario): CallStep[] => steps.filter((step) => step.do === 'call');

describe('long histories', () => {
  it('can be played again, and are long', () => {
    expect(histories.length).toBe(40);
    for (const history of histories) {
      expect(scenarioIn(toJson(history))).toEqual(history);
      expect(calls(history).length).toBeGreaterThanOrEqual(8);
    }
  });

  it('have what few calls in little memory do not have', () => {
    const share = (has: (history: Scenario) => boolean): number => histories.filter(has).length / histories.length;
    const any = (has: (call: CallStep) => boolean) => (history: Scenario) => calls(history).some(has);
    expect(share(any(({ domid }) => domid === 2))).toBeGreaterThan(0.8);
    expect(share(any(({ lists }) => lists.some((list) => (list?.length ?? 0) > 64)))).toBeGreaterThan(0.2);
    expect(share(any(({ reservations }) => reservations.some((r) => r.extent_order >= 4)))).toBeGreaterThan(0.3);
    expect(share(({ world }) => (world.domains[0]?.ram[0]?.pages ?? 0) >= 600)).toBeGreaterThan(0.2);
    expect(share((history) => calls(history).filter(({ cmd }) => cmd === ops.get_dma_buf).length > 6)).toBeGreaterThan(0.3);
  });

  it('are of calls that mostly work, and end with all memory taken', () => {
    const [worked, asked, left] = [new Map<number, number>(), new Map<number, number>(), { held: 0 }];
    for (const history of histories.slice(0, 12)) {
      const { events, given } = checkHere(history, implementation);
      for (const event of events) {
        const step = history.steps[event.step];
        if (event.kind !== 'call' || step?.do !== 'call') continue;
        asked.set(step.cmd, (asked.get(step.cmd) ?? 0) + 1);
        if (event.call.rc === 0) worked.set(step.cmd, (worked.get(step.cmd) ?? 0) + 1);
      }
      for (const { id, answer, step } of given) {
        expect(answer.answer, `${id} in step ${step}`).not.toBe('violated');
        const call = history.steps[step];
        if (id === 'frames-conserved' && answer.answer === 'holds' && call?.do === 'call' && call.cmd === ops.populate_physmap) left.held++;
      }
    }
    for (const op of [ops.get_dma_buf, ops.put_dma_buf]) expect((worked.get(op) ?? 0) / (asked.get(op) ?? 1)).toBeGreaterThan(0.6);
    expect(left.held).toBeGreaterThan(6);
  });

  it('are not asked of an implementation without room for them', () => {
    expect(historyFrom([1], 'arm64', { ...hello, limits: { ram_pages: 64 } })).toBeUndefined();
    expect(historyFrom([1], 'arm64', { ...hello, limits: { domains: 1 } })).toBeUndefined();
    const few = { ...hello, limits: { max_order: 1, max_extents: 8n } };
    for (const { numbers, arch } of samples(2, 12, false)) {
      for (const { reservations } of calls(historyFrom(numbers, arch, few) as Scenario)) {
        for (const r of reservations) expect([r.extent_order <= 1, r.nr_extents <= 8n]).toEqual([true, true]);
      }
    }
  });
});
