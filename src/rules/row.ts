import { errnoName } from '../abi/constants.ts';
import { type Answer, type CapturePiece, holds, holdsUnless, missing, notExercised, unless, violated, wrongRc } from './answer.ts';
import { anyChange } from './changes.ts';
import { type Asked, type Facts, placeOf } from './facts.ts';
import { type Rule, reservationOps } from './rule.ts';

/** One thing to see of a call: how it is read, and the piece of a capture that it stands in. */
interface Sight<T> {
  readonly piece: CapturePiece;
  readonly of: (facts: Facts) => T | undefined;
}

function sight<T>(piece: CapturePiece, of: (facts: Facts) => T | undefined): Sight<T> {
  return { piece, of };
}

/**
 * What a row may ask to see, by the words of docs/spec.md. `K` and `done` count what `N` covers.
 */
const sights = {
  rc: sight('rc', ({ call }) => call.rc),
  I: sight('struct', (facts) => facts.in.nr_extents),
  O: sight('struct', (facts) => facts.out.nr_extents),
  oo: sight('struct', (facts) => facts.out.extent_order),
  bits: sight('struct', (facts) => facts.out.address_bits),
  order: sight('struct', (facts) => facts.in.extent_order),
  'in.bits': sight('struct', (facts) => facts.in.address_bits),
  'in.domid': sight('struct', (facts) => facts.in.domid),
  'out.domid': sight('struct', (facts) => facts.out.domid),
  asked: sight<Asked>('struct', (facts) => facts.asked),
  N: sight('struct after', (facts) => facts.N),
  done: sight('struct after', (facts) => facts.done),
} as const;

type Name = keyof typeof sights;

/** What was seen, by name: none of it is missing. */
export type Seen<S extends Name> = {
  readonly [name in S]: NonNullable<ReturnType<(typeof sights)[name]['of']>>;
};

/** When a row speaks of a call at all, by what that takes to be seen. */
export interface When<W extends Name> {
  readonly has: readonly W[];
  readonly is: (seen: Seen<W>) => boolean;
}

/** A row speaks only of calls of which `is` is true; what `has` names must be seen to tell. */
export function when<W extends Name>(has: readonly W[], is: (seen: Seen<W>) => boolean): When<W> {
  return { has, is };
}

/**
 * A sentence about one call: what it needs to see, when it speaks, what must be, and what is said
 * otherwise.
 */
export interface Row<W extends Name, S extends Name> {
  readonly when?: When<W>;
  readonly needs: readonly S[];
  readonly must: (seen: Seen<W | S>) => boolean;
  readonly else: (seen: Seen<W | S>) => string;
  /** The field that is wrong then, by its path. */
  readonly at?: string;
}

/** A sentence about each of several things of one call: list entries, pages. */
export interface EachRow<W extends Name, S extends Name, T> {
  readonly when?: When<W>;
  readonly needs: readonly S[];
  /** Those that were seen, and in the place of what was not, the answer that says so. */
  readonly each: (facts: Facts, seen: Seen<W | S>) => Iterable<T | Answer>;
  /** The pieces of a capture that show them. */
  readonly shown: readonly CapturePiece[];
  readonly must: (one: T, seen: Seen<W | S>) => boolean;
  readonly else: (one: T, seen: Seen<W | S>) => string;
}

/** How a rule is judged, and what of a capture that takes. */
export type Check = Required<Pick<Rule, 'needs' | 'check'>>;

/** The judge of a row. */
export function one<W extends Name, S extends Name>(row: Row<W, S>): Check {
  return {
    needs: piecesOf(row),
    check: looking(row, (facts, seen) => {
      if (row.must(seen)) return holds;
      const place = row.at === undefined ? {} : placeOf(facts, row.at);
      return unless([{ message: row.else(seen), ...place }]);
    }),
  };
}

/**
 * The judge of a row about several things: it is not exercised where there are none, the first that
 * is wrong is told, and it holds only if all were seen.
 */
export function each<W extends Name, S extends Name, T extends object>(row: EachRow<W, S, T>): Check {
  return {
    needs: [...new Set([...piecesOf(row), ...row.shown])],
    check: looking(row, (facts, seen) => {
      let answer = notExercised;
      for (const item of row.each(facts, seen)) {
        if ('answer' in item) answer = answer.answer === 'unknown' && answer !== notExercised ? answer : item;
        else if (!row.must(item, seen)) return unless([{ message: row.else(item, seen) }]);
        else if (answer === notExercised) answer = holds;
      }
      return answer;
    }),
  };
}

/** The judge of what a call of ops 26, 11 and 27 returns. */
export const rcIsKnown: Check = one({
  needs: ['rc'],
  must: ({ rc }) => wrongRc(rc) === undefined,
  else: ({ rc }) => wrongRc(rc) ?? '',
});

/** The judge of a call that had to be refused, `because` of this: rc < 0 and no change. */
export function refusal<W extends Name>(on: When<W>, because: (seen: Seen<W>) => string): Check {
  const row = { when: on, needs: ['rc'] as const };
  return {
    needs: piecesOf(row),
    check: looking(row, (facts, seen) => refused(facts, seen.rc, because(seen))),
  };
}

type Needing<W extends Name, S extends Name> = Pick<Row<W, S>, 'when' | 'needs'>;

function piecesOf<W extends Name, S extends Name>({ when: on, needs }: Needing<W, S>): CapturePiece[] {
  const names: readonly Name[] = [...(on?.has ?? []), ...needs];
  const own = names.map((name) => sights[name].piece);
  // What an exchange has done is told by what it was asked.
  return [...new Set(names.includes('done') ? [...own, 'struct' as const] : own)];
}

/**
 * Looks first at what tells whether the row speaks, then at the rest; what is missing is the
 * answer.
 */
function looking<W extends Name, S extends Name>(
  { when: on, needs }: Needing<W, S>,
  judgeSeen: (facts: Facts, seen: Seen<W | S>) => Answer,
): (facts: Facts) => Answer {
  return (facts) => {
    const seen: { [name: string]: unknown } = {};
    const lacks = (names: readonly Name[]): CapturePiece | undefined => {
      for (const name of names) {
        const value = sights[name].of(facts);
        if (value === undefined) return name === 'done' && !facts.asked ? 'struct' : sights[name].piece;
        seen[name] = value;
      }
      return undefined;
    };
    const early = on && lacks(on.has);
    if (early !== undefined) return missing(early);
    if (on && !on.is(seen as Seen<W>)) return notExercised;
    const late = lacks(needs);
    return late === undefined ? judgeSeen(facts, seen as Seen<W | S>) : missing(late);
  };
}

/**
 * The answer for a call that had to be refused, with what was returned: rc < 0 and no change. Ops
 * 0, 1 and 6 refuse by a count that does not grow, and a negative errno of theirs is a reading
 * (`reservation-negative`).
 */
export function refused(facts: Facts, rc: number, because: string): Answer {
  const isCounted = reservationOps.includes(facts.op);
  if (rc >= 0 && !(isCounted && BigInt(rc) === facts.start)) return violated(`${because}, but rc is ${rc}`);
  const change = anyChange(facts);
  if (!change) return holdsUnless(facts.unseenAtAll);
  const said = `${because}; refused with ${rc < 0 ? (errnoName(rc) ?? rc) : rc}, but ${change.message}`;
  return unless([{ ...change, message: said }]);
}
