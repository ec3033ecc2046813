import type { ByteRange, GuestMemory } from '../guest/memory.ts';
import { type CapturePiece, pieceNames } from './answer.ts';
import type { Facts, Reservation } from './facts.ts';
import type { Judgement } from './judge.ts';
import { ruleOf } from './table.ts';

/**
 * The pieces that the capture of a call lacks. A list whose place is not known is not asked for
 * before its struct.
 */
export function lacking(facts: Facts): Set<CapturePiece> {
  const { call, layout, argument, argumentAfter } = facts;
  const [given, wanted] = facts.reservations;
  const without: { readonly [piece in CapturePiece]: boolean } = {
    rc: call.rc === undefined,
    struct: argument.length < layout.size,
    'struct after': argumentAfter.length < layout.size,
    'in list': !isWhole(call.before, given),
    'in list after': !isWhole(call.after, given),
    'out list': !isWhole(call.before, wanted),
    'out list after': !isWhole(call.after, wanted),
    p2m: call.p2mBefore.size === 0,
    'p2m after': call.p2mAfter.size === 0,
    pages: call.pagesBefore === undefined || call.pagesAfter === undefined,
    privileged: call.privileged === undefined,
    domid: call.domid === undefined,
    address: call.arg === undefined,
    memory: call.changes === undefined,
  };
  return new Set(pieceNames.filter((piece) => without[piece]));
}

function isWhole(memory: GuestMemory, reservation: Reservation | undefined): boolean {
  const range: ByteRange | undefined = reservation?.list?.range;
  if (range === undefined || range.length === 0n) return true;
  const known = memory.known(range).reduce((sum, { bytes }) => sum + bytes.length, 0);
  return BigInt(known) === range.length;
}

/** How many answers were unknown for want of just these pieces: sets by their names, joined. */
export type Lacks = Map<string, number>;

/** Takes in what the capture of a call lacked, or of several that are judged alike. */
export function addLacks(lacks: Lacks, { facts, requirements }: Judgement, calls = 1): void {
  let missing: Set<CapturePiece> | undefined;
  for (const [id, answer] of requirements) {
    if (answer.answer !== 'unknown' || answer.lacks === undefined) continue;
    missing ??= lacking(facts);
    const wanted = (ruleOf(id)?.needs ?? []).filter((piece) => missing?.has(piece));
    if (wanted.length > 0) lacks.set(wanted.join(), (lacks.get(wanted.join()) ?? 0) + calls);
  }
}

/**
 * The pieces that would let most answers be given for what they cost to capture, and how many those
 * are at most; `undefined` if nothing is lacking.
 */
export function nextCapture(lacks: Lacks): { readonly pieces: readonly CapturePiece[]; readonly answers: number } | undefined {
  const sets = [...lacks].map(([key, answers]) => ({ set: key.split(',') as CapturePiece[], answers }));
  const choices = sets.map(({ set }) => {
    const gained = sets.filter((other) => other.set.every((piece) => set.includes(piece)));
    return { pieces: set, answers: gained.reduce((sum, { answers }) => sum + answers, 0) };
  });
  const worth = ({ pieces: set, answers }: (typeof choices)[number]): number => answers / set.length;
  return choices.sort((a, b) => worth(b) - worth(a) || a.pieces.length - b.pieces.length)[0];
}
