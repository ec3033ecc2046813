import { type Answer, holds } from '../../src/rules/answer.ts';
import { type Judgement, judge, withWider } from '../../src/rules/judge.ts';
import { PinWatch } from '../../src/rules/pins.ts';
import { judgeBoundedWork, judgeGetWorks, judgePutWorks, type LiveContext } from '../../src/rules/works.ts';
import type { Event } from '../observe/observe.ts';
import { type Hello, levelOf, presumedMaxOrder } from '../protocol/implementation.ts';
import type { Scenario } from '../scenario/scenario.ts';

/** An answer, and the step that gave it. */
export interface Given {
  readonly step: number;
  readonly id: string;
  readonly answer: Answer;
}

/** Frames above which an address limit limits nothing. */
const noLimitBits = 52;
const below4G = 32;

/** Judges a scenario event by event, by every rule whose level the implementation reaches. */
export class ScenarioJudge {
  readonly #hello: Hello;
  readonly #pins = new PinWatch(true);
  #total: bigint;
  #low: bigint;

  constructor(scenario: Scenario, hello: Hello) {
    this.#hello = hello;
    this.#total = BigInt(scenario.world.free.low + scenario.world.free.high);
    this.#low = BigInt(scenario.world.free.low);
  }

  /** What one event says, by rule; for a call also its whole judgement. */
  take(event: Event): { given: Given[]; judgement?: Judgement } {
    if (event.kind === 'skipped') {
      if (event.half) this.#lostTrack();
      return { given: [] };
    }
    if (event.kind === 'churn') {
      // Which frames the pages moved to is the allocator's choice: it may have been all the low ones.
      this.#low = 0n;
      const answers = this.#pins.churned(event.domid, event.before, event.after, event);
      return { given: [...answers].map(([id, answer]) => ({ step: event.step, id, answer })) };
    }
    const judged = judge(event.call, this.#pins.findings(event.call));
    if (!judged) return { given: [] };
    const live = this.#live(event);
    const wider = new Map<string, Answer>([['survives', holds]]);
    if (judged.op === 'get_dma_buf' || judged.op === 'exchange') {
      for (const [id, answer] of judgeGetWorks(judged, live)) wider.set(id, answer);
    }
    if (judged.op === 'put_dma_buf') wider.set('put-works', judgePutWorks(judged, live));
    if (judged.op === 'get_dma_buf' || judged.op === 'exchange' || judged.op === 'put_dma_buf') {
      wider.set('bounded-work', judgeBoundedWork(judged.facts, live.maxOrder));
    }
    for (const [id, answer] of this.#pins.called(judged)) wider.set(id, answer);
    this.#account(judged);
    const judgement = withWider(judged, wider);
    return { judgement, given: [...judgement.requirements].map(([id, answer]) => ({ step: event.step, id, answer })) };
  }

  #live(event: Event & { kind: 'call' }): LiveContext {
    const { max_order, max_extents, max_gfn } = this.#hello.limits;
    const exact = this.#hello.capabilities.has('free');
    return {
      pins: this.#pins,
      failureInjected: event.inject?.fail_alloc !== undefined,
      isMapped: (_domid, gfn) => (levelOf(this.#hello) > 0 ? mappedIn(event, gfn) : event.wasMapped(gfn)),
      freeFrames: (bits) => {
        if (!exact) return undefined;
        if (bits === 0 || bits >= noLimitBits) return this.#total;
        return bits >= below4G ? this.#low : undefined;
      },
      maxOrder: max_order ?? presumedMaxOrder,
      maxExtents: max_extents ?? 0x3ff_ffffn,
      maxGfn: max_gfn ?? (1n << 52n) - 1n,
    };
  }

  /** Something was done that was not seen. */
  #lostTrack(): void {
    this.#pins.missed();
    this.#total = 0n;
    this.#low = 0n;
  }

  /** Frames that are surely still free: an exchange keeps the total, but may use up low frames and give back high ones. */
  #account({ op, facts }: Judgement): void {
    if (facts.unreadable && (facts.call.rc ?? 0) < 0) return;
    if (op === 'increase_reservation' || op === 'populate_physmap') this.#total = 0n;
    if (op === 'increase_reservation' || op === 'populate_physmap') this.#low = 0n;
    if ((op === 'get_dma_buf' || op === 'exchange') && facts.N !== 0n) this.#low = 0n;
  }
}

function mappedIn(event: Event & { kind: 'call' }, gfn: bigint): boolean | undefined {
  const frame = event.call.p2mBefore.get(gfn);
  return frame === undefined ? undefined : frame !== null;
}
