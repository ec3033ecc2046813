import { errnoName, MEMOP_MAX_EXTENTS } from '../../src/abi/constants.ts';
import { framesInAll } from '../../src/abi/frames.ts';
import { isExchangeOp } from '../../src/abi/ops.ts';
import type { Answer } from '../../src/rules/answer.ts';
import { Facts } from '../../src/rules/facts.ts';
import { findingOf, type Judgement, judge } from '../../src/rules/judge.ts';
import { ruleOf } from '../../src/rules/table.ts';
import { type CallEnd, judgePair, judgeWorks, type LiveContext, pairRequirement } from '../../src/rules/works.ts';
import type { ObservedCall } from '../../src/trace/call.ts';
import type { CallMove, ChurnMove, Ending, Move } from './move.ts';
import { caller, firstGfn } from './scope.ts';
import type { MovePlayer, Seen, Sight } from './stage.ts';

/**
 * What is wrong with a move: a requirement, or after `model:` something that no requirement has a
 * name for.
 */
export interface Breach {
  readonly id: string;
  readonly message: string;
}

/** A move that was made and judged. */
export interface Judged {
  readonly ending: Ending;
  readonly seen: Seen;
  readonly breaches: readonly Breach[];
  readonly call?: ObservedCall;
}

const maxOrder = 9;
const strangerListed = findingOf(mustHave('caller-put-after-get'), { message: 'a page is listed that no get has pinned' });

/**
 * Makes moves and judges each by the rules, which know nothing of the model; of its state they are
 * told what is visible from outside.
 */
export class Judge {
  readonly #stage: MovePlayer;
  /** How often each requirement was found to hold. */
  readonly held: Map<string, number> = new Map();
  #sight: Sight | undefined;
  readonly #live: LiveContext;
  #failureInjected = false;

  constructor(stage: MovePlayer) {
    this.#stage = stage;
    const judge = this;
    this.#live = {
      // The pin bits are part of the state, and `checkPins` holds them to the rules in every
      // transition.
      pins: { isPinned: (domid, gfn) => domid === caller && isIn(judge.#sight?.pins ?? 0, gfn) },
      get failureInjected() {
        return judge.#failureInjected;
      },
      isMapped: (domid, gfn) => (domid === caller ? isIn(judge.#sight?.mapped ?? 0, gfn) : undefined),
      freeFrames: (bits) => {
        const { below, above } = judge.#sight?.free ?? { below: 0, above: 0 };
        return bits === 0 ? BigInt(below + above) : bits === 32 ? BigInt(below) : undefined;
      },
      // The guest is full in every state: its allowance is all of its frames
      roomFor: () => 0n,
      maxOrder,
      maxExtents: MEMOP_MAX_EXTENTS,
      maxGfn: framesInAll - 1n,
    };
  }

  make(sight: Sight, move: Move): Judged {
    this.#sight = sight;
    return move.do === 'call' ? this.#call(sight, move) : this.#churn(sight, move);
  }

  #call(sight: Sight, move: CallMove): Judged {
    const { call, seen } = this.#stage.call(sight, move);
    const strangers = move.strangers || (move.named & ~sight.pins) !== 0;
    const judged = judge(call, strangers && (move.cmd & 0x3f) === 27 ? [strangerListed] : []);
    if (!judged) throw new TypeError(`cmd ${move.cmd} is not judged`);
    const breaches: Breach[] = [];
    for (const [id, answer] of judged.requirements) this.#note(id, answer, breaches);
    this.#failureInjected = move.inject.fail_alloc !== undefined;
    for (const [id, answer] of judgeWorks(judged, this.#live)) this.#note(id, answer, breaches);
    this.#pins(sight, move, judged, seen, breaches);
    const outcome = { rc: call.rc, N: judged.facts.N };
    const ending = endingOf(judged, outcome);
    if (move.varied) {
      // The state just seen is a copy of its own, which another call from the same sight does not
      // touch
      const { call: other } = this.#stage.call(sight, move.varied);
      const { N } = new Facts(other, judged.op);
      this.#note(pairRequirement(judged.op) as string, judgePair(outcome, outcome, { rc: other.rc, N }), breaches);
    }
    return { ending, seen, breaches, call };
  }

  #held(id: string): void {
    this.held.set(id, (this.held.get(id) ?? 0) + 1);
  }

  #note(id: string, answer: Answer, breaches: Breach[]): void {
    if (answer.answer === 'holds') this.#held(id);
    else if (answer.answer === 'violated') for (const { message } of answer.violations) breaches.push({ id, message });
  }

  /**
   * What became of the pins, and of the pages that the call did not name. `PinWatch` asks the same
   * of a sequence, by four churns after a put; here there is no sequence but a state, whose pins
   * can be read.
   */
  #pins(sight: Sight, { named, mustRefuse, outputs, twice }: CallMove, judged: Judgement, seen: Seen, breaches: Breach[]): void {
    const { op, callerErred, facts } = judged;
    const before = sight.pins;
    const rc = facts.call.rc ?? 0;
    let must = before & ~named;
    let mustNot = ~before & ~named;
    /** Named pages that are to be as they were. */
    let same = 0;
    if (mustRefuse) {
      same = named;
    } else if (callerErred) {
      // What becomes of the pages that a mistaken call names is a reading
    } else if (op === 'put_dma_buf') {
      if (rc === 0) mustNot |= named;
      else if (!twice) same = named;
    } else if (op === 'get_dma_buf') {
      const K = Number(facts.K ?? 0n);
      if (facts.extents(facts.out).length >= K) {
        const committed = outputs.slice(0, K).reduce((all, mask) => all | mask, 0);
        must |= committed;
        same = named & ~committed & ~seen.moved;
        mustNot |= named & ~committed & seen.moved;
      }
    } else {
      // A guest may have changed a page of its own that was pinned: whether the pin survives that
      // is a reading
      same = named & ~seen.moved;
      mustNot |= named & seen.moved & ~before;
    }
    must |= before & same;
    mustNot |= (~before & same) | ~seen.mapped;
    const scope = (1 << sight.frames.length) - 1;
    const lost = must & ~seen.pins & scope;
    const gained = mustNot & seen.pins & scope;
    if (lost) breaches.push({ id: op === 'put_dma_buf' ? 'put-only-listed' : 'get-pinned', message: `${gfns(lost)} not pinned any more` });
    if (gained & before) breaches.push({ id: 'put-unpins', message: `${gfns(gained & before)} still pinned` });
    if (gained & ~before) breaches.push({ id: 'model: a pin without a get', message: `${gfns(gained & ~before)} pinned` });
    const moved = seen.moved & before & ~named;
    if (!lost && !gained && !moved && op === 'put_dma_buf' && rc === 0) {
      if (mustNot & before) this.#held('put-unpins');
      if (must) this.#held('put-only-listed');
    }
    if (moved) breaches.push({ id: 'get-pinned', message: `${gfns(moved)} pinned, not named, and yet moved` });
  }

  #churn(sight: Sight, move: ChurnMove): Judged {
    const seen = this.#stage.churn(sight, move);
    const breaches: Breach[] = [];
    const at = ((1 << move.pages) - 1) << (move.gfn - firstGfn);
    const pinned = seen.moved & sight.pins;
    const stuck = at & sight.mapped & ~sight.pins & ~seen.moved;
    if (pinned) breaches.push({ id: 'get-pinned', message: `${gfns(pinned)} pinned, and yet moved` });
    else if (sight.pins & at && seen.moved) this.#held('get-pinned');
    if (stuck && seen.moved) breaches.push({ id: 'put-unpins', message: `${gfns(stuck)} not pinned, and stayed where others moved` });
    if (seen.lost) breaches.push({ id: 'put-keeps-pages', message: `${gfns(seen.lost)} moved, and lost its content` });
    if (seen.pins !== sight.pins) breaches.push({ id: 'model: churn changes pins', message: `pins ${sight.pins} became ${seen.pins}` });
    if (seen.mapped !== sight.mapped) breaches.push({ id: 'model: churn maps or unmaps', message: `${gfns(seen.mapped ^ sight.mapped)}` });
    return { ending: seen.moved === 0 ? 'refused' : 'done', seen, breaches };
  }
}

/** A return code with its name, for a person. */
export function rcText(rc: number | undefined): string {
  return rc === undefined ? '-' : (errnoName(rc) ?? String(rc));
}

function endingOf({ op, facts }: Judgement, { rc = 0, N = 0n }: CallEnd): Ending {
  if (isExchangeOp(op)) return rc >= 0 ? 'done' : N > (facts.nrExchangedBefore ?? 0n) ? 'partly' : 'refused';
  if (op === 'put_dma_buf') return rc >= 0 ? 'done' : 'refused';
  return rc > 0 ? 'done' : 'refused';
}

function isIn(set: number, gfn: bigint): boolean {
  const i = Number(gfn) - firstGfn;
  return i >= 0 && i < 8 && (set & (1 << i)) !== 0;
}

function gfns(set: number): string {
  const names = Array.from({ length: 8 }, (_, i) => i).filter((i) => set & (1 << i));
  return `guest frame${names.length > 1 ? 's' : ''} ${names.join(', ')}:`;
}

function mustHave(id: string): Parameters<typeof findingOf>[0] {
  const rule = ruleOf(id);
  if (!rule) throw new TypeError(`no rule ${id}`);
  return rule;
}
