import type { JudgedOp } from '../abi/ops.ts';
import { type Answer, type CapturePiece, holdsUnless, type Severity, unless, type Violation } from './answer.ts';
import { type Facts, placeOf, type Reservation } from './facts.ts';
import type { Basis, Rule } from './rule.ts';

type Duty = Basis & Pick<Rule, 'reading'> & Partial<Pick<Rule, 'blame'>> & { readonly check: (facts: Facts) => Answer };

/**
 * A row of the duties: a finding blames the caller, and an error suspends what it makes
 * meaningless.
 */
export function duty(id: string, severity: Severity, ops: readonly JudgedOp[], rest: Duty): Rule {
  return { id, blame: 'caller', severity, level: 0, scope: 'call', ops, always: true, ...rest };
}

/**
 * Runs a check on each reservation: what is wrong with it, or the piece of the capture that is
 * missing to tell.
 */
export function eachReservation(facts: Facts, check: (reservation: Reservation) => Violation[] | CapturePiece): Answer {
  const answers = facts.reservations.map(check);
  return unless(
    answers.flatMap((found) => (typeof found === 'string' ? [] : found)),
    holdsUnless(answers.find((found) => typeof found === 'string')),
  );
}

/** A violation at a field of a reservation. */
export function at(facts: Facts, reservation: Pick<Reservation, 'path'>, name: string, message: string): Violation {
  return { message, ...placeOf(facts, reservation.path === '' ? name : `${reservation.path}.${name}`) };
}

/** A violation in a list entry: it is placed at the handle that leads there. */
export function entryAt(facts: Facts, reservation: Reservation, message: string): Violation {
  return at(facts, reservation, 'extent_start', message);
}
