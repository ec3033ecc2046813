import { MEMOP_MAX_EXTENTS } from '../../src/abi/constants.ts';
import { bitsBelow4G, framesInAll } from '../../src/abi/frames.ts';
import { type Answer, holds } from '../../src/rules/answer.ts';
import { type Judgement, judge, withWider } from '../../src/rules/judge.ts';
import { PinWatch } from '../../src/rules/pins.ts';
import { judgeWorks, type LiveContext } from '../../src/rules/works.ts';
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

/** Judges a scenario event by event, by every rule whose level the implementation reaches. */
export class ScenarioJudge {
  readonly #hello: Hello;
  readonly #pins = new PinWatch(true);
  readonly #free: Scenario['world']['free'];
  readonly #room: ReadonlyMap<number, bigint>;
  /**
   * Frames that nobody but the guests can have taken, on either side of 4 GiB, counted when the
   * world was new.
   */
  #ledger: { readonly low: number; readonly high: number } | undefined;

  constructor(scenario: Scenario, hello: Hello) {
    this.#hello = hello;
    this.#free = scenario.world.free;
    const room = scenario.world.domains.map(({ domid, ram, holes }) => [domid, [...ram, ...holes]] as const);
    this.#room = new Map(room.map(([domid, runs]) => [domid, BigInt(runs.reduce((sum, { pages }) => sum + pages, 0))]));
  }

  /** What one event says, by rule; for a call also its whole judgement. */
  take(event: Event): { given: Given[]; judgement?: Judgement } {
    if (event.kind === 'skipped') {
      if (event.half) this.#lostTrack();
      return { given: [] };
    }
    if (event.kind === 'churn') {
      const free = this.#freeOn(event);
      const roomy = new Set((['low', 'high'] as const).filter((side) => (free?.[side] ?? 0) > 0));
      const answers = this.#pins.churned(event.domid, event.before, event.after, event, roomy);
      return { given: [...answers].map(([id, answer]) => ({ step: event.step, id, answer })) };
    }
    const judged = judge(event.call, this.#pins.findings(event.call));
    if (!judged) return { given: [] };
    const live = this.#live(event);
    const works = judgeWorks(judged, live);
    const wider = new Map<string, Answer>([['survives', holds], ...works, ...this.#pins.called(judged)]);
    const judgement = withWider(judged, wider);
    return { judgement, given: [...judgement.requirements].map(([id, answer]) => ({ step: event.step, id, answer })) };
  }

  #live(event: Event & { kind: 'call' }): LiveContext {
    const { max_order, max_extents, max_gfn } = this.#hello.limits;
    const free = this.#freeOn(event);
    return {
      pins: this.#pins,
      failureInjected: event.inject?.fail_alloc !== undefined,
      isMapped: (_domid, gfn) => {
        const known = event.wasMapped(gfn);
        const { translated } = this.#hello;
        return known === undefined || !translated || levelOf(this.#hello) === 0 ? known : mappedIn(event, gfn);
      },
      freeFrames: (bits) => {
        if (!free) return undefined;
        if (bits === 0 || bits >= noLimitBits) return BigInt(Math.max(0, free.inAll));
        return bits >= bitsBelow4G ? BigInt(Math.max(0, free.low)) : undefined;
      },
      roomFor: (domid) => this.#room.get(domid) ?? 0n,
      maxOrder: max_order ?? presumedMaxOrder,
      maxExtents: max_extents ?? MEMOP_MAX_EXTENTS,
      maxGfn: max_gfn ?? framesInAll - 1n,
    };
  }

  /** Something was done that was not seen. */
  #lostTrack(): void {
    this.#pins.missed();
  }

  /**
   * Frames that are surely free before an event: those that were free in the new world and those
   * that guests had, less those that they have. Of pages that no guest frame leads to it is not
   * known where they lie. Only where `free` is exact, and all of the machine is seen.
   */
  #freeOn({ inUse }: Pick<Event & { kind: 'call' }, 'inUse'>): { low: number; high: number; inAll: number } | undefined {
    if (!inUse || !this.#hello.capabilities.has('free')) return undefined;
    this.#ledger ??= { low: this.#free.low + inUse.low, high: this.#free.high + inUse.high };
    const { low, high } = this.#ledger;
    const inAll = low + high - inUse.low - inUse.high - inUse.unmapped;
    return { low: low - inUse.low - inUse.unmapped, high: high - inUse.high - inUse.unmapped, inAll };
  }
}

function mappedIn(event: Event & { kind: 'call' }, gfn: bigint): boolean | undefined {
  const frame = event.call.p2mBefore.get(gfn);
  return frame === undefined ? undefined : frame !== null;
}
