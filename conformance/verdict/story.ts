import { hex64, toHex } from '../../src/codec/hex.ts';
import { defaultSetting, type P2m } from '../../src/trace/call.ts';
import { recordOf } from '../../src/trace/write.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Checked } from './check.ts';
import type { Broken, MemoryChange, P2mEntry, StoryStep } from './result.ts';

/**
 * Longest change that a story shows, in bytes: a page that an implementation filled says no more
 * with all of its bytes.
 */
const longestChange = 256n;

/**
 * What a scenario showed, told so that it needs neither the implementation nor the harness to be
 * read.
 */
export function storyOf(scenario: Scenario, { events, given, crash }: Checked): StoryStep[] {
  const brokenAt = (step: number): Broken[] =>
    given.flatMap((g) =>
      g.step === step && g.answer.answer === 'violated' ? [{ id: g.id, message: g.answer.violations[0]?.message ?? '' }] : [],
    );
  return scenario.steps.map((step, i): StoryStep => {
    const broken = brokenAt(i);
    const event = events.find((e) => e.step === i);
    if (event?.kind === 'churn') {
      const lost = event.lost.map(hex64);
      return { do: 'churn', domid: event.domid, p2m_before: entries(event.before), p2m_after: entries(event.after), lost, broken };
    }
    if (event?.kind === 'call') {
      const { call } = event;
      const changed = (call.changes ?? []).map(({ address, length }): MemoryChange => {
        const shown = Number(length < longestChange ? length : longestChange);
        const bytes = (of: Uint8Array | undefined): string => (of ? toHex(of) : '');
        return [hex64(address), bytes(call.before.read(address, shown)), bytes(call.after.read(address, shown))];
      });
      const inject = step.do === 'call' ? step.inject : undefined;
      return { do: 'call', record: recordOf(call, defaultSetting), ...(inject && { inject }), changed, broken };
    }
    const why = event?.why ?? (crash && i === events.length ? 'the implementation broke here' : 'not reached');
    return { do: 'nothing', why, broken };
  });
}

function entries(p2m: P2m): P2mEntry[] {
  return [...p2m].map(([gfn, mfn]) => [hex64(gfn), mfn === null ? null : hex64(mfn)]);
}
