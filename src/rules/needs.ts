import type { ByteRange, GuestMemory } from '../guest/memory.ts';
import type { Facts, Reservation } from './facts.ts';
import type { Judgement } from './judge.ts';
import { type Answer, noP2m, notCaptured, privilegeUnknown } from './rule.ts';

/** What a capture of a call may hold, and may lack, in plain words. */
export const pieces = {
  rc: 'rc',
  struct: 'the struct before the call',
  'struct after': 'the struct after the call',
  'in list': 'the in list before the call',
  'in list after': 'the in list after the call',
  'out list': 'the out list before the call',
  'out list after': 'the out list after the call',
  p2m: 'the p2m before the call',
  'p2m after': 'the p2m after the call',
  pages: "the domain's number of pages before and after",
  privileged: 'whether the caller is privileged',
} as const;

export type Piece = keyof typeof pieces;

const done: readonly Piece[] = ['struct', 'struct after'];
const counted: readonly Piece[] = ['rc', ...done];
const inLists: readonly Piece[] = [...done, 'in list', 'in list after'];

/** What each requirement that one call can show needs of its capture, whatever the call was. On ops with one list that is the in list. */
export const needs: { readonly [id: string]: readonly Piece[] } = {
  'get-rc-zero-or-negative': ['rc'],
  'get-complete-count': counted,
  'get-incomplete-nonzero': counted,
  'get-partial-count': counted,
  'get-mfns-returned': ['rc', 'struct', 'out list', 'out list after', 'p2m after'],
  'get-partial-mfns': [...counted, 'out list', 'out list after', 'p2m after'],
  'get-new-pages': [...done, 'in list', 'out list', 'p2m', 'p2m after'],
  'get-populates-gpfns': [...done, 'out list', 'p2m after'],
  'get-contiguous': [...done, 'out list', 'p2m after'],
  'get-aligned': [...done, 'out list after'],
  'get-address-limit': [...done, 'out list after'],
  'get-inputs-released': [...done, 'in list', 'p2m after'],
  'get-rest-untouched': [...done, 'out list', 'out list after'],
  'get-in-untouched': inLists,
  'get-refuses-domid-mismatch': ['rc', 'struct'],
  'get-refuses-size-mismatch': ['rc', 'struct'],
  'get-refuses-foreign-domid': ['rc', 'struct', 'privileged'],
  'put-keeps-pages': ['struct', 'in list', 'p2m', 'p2m after'],
  'put-rc-zero-or-negative': ['rc'],
  'put-in-untouched': inLists,
  'no-stray-writes': [...inLists, 'out list', 'out list after'],
  'frames-conserved': ['struct', 'in list', 'out list', 'p2m', 'p2m after', 'pages'],
  'reservation-count': ['rc', 'struct'],
  'reservation-list': ['rc', ...inLists],
};

/** The pieces that the capture of a call lacks. A list whose place is not known is not asked for before its struct. */
export function lacking(facts: Facts): Set<Piece> {
  const { call, layout, argument, argumentAfter } = facts;
  const [given, wanted] = facts.reservations;
  const without: { readonly [piece in Piece]: boolean } = {
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
  };
  return new Set((Object.keys(pieces) as Piece[]).filter((piece) => without[piece]));
}

function isWhole(memory: GuestMemory, reservation: Reservation | undefined): boolean {
  const range: ByteRange | undefined = reservation?.list?.range;
  if (range === undefined || range.length === 0n) return true;
  const known = memory.known(range).reduce((sum, { bytes }) => sum + bytes.length, 0);
  return BigInt(known) === range.length;
}

/** How many answers were unknown for want of just these pieces: sets by their names, joined. */
export type Lacks = Map<string, number>;

/** What is unknown for another reason, no capture can change. */
const forWantOfCapture: ReadonlySet<Answer> = new Set([notCaptured, noP2m, privilegeUnknown]);

/** Takes in what the capture of one call lacked. */
export function addLacks(lacks: Lacks, { facts, requirements }: Judgement): void {
  let missing: Set<Piece> | undefined;
  for (const [id, answer] of requirements) {
    if (!forWantOfCapture.has(answer)) continue;
    missing ??= lacking(facts);
    const wanted = (needs[id] ?? []).filter((piece) => missing?.has(piece));
    if (wanted.length > 0) lacks.set(wanted.join(), (lacks.get(wanted.join()) ?? 0) + 1);
  }
}

/** The pieces that would let most answers be given for what they cost to capture, and how many those are at most; `undefined` if nothing is lacking. */
export function nextCapture(lacks: Lacks): { readonly pieces: readonly Piece[]; readonly answers: number } | undefined {
  const sets = [...lacks].map(([key, answers]) => ({ set: key.split(',') as Piece[], answers }));
  const choices = sets.map(({ set }) => {
    const gained = sets.filter((other) => other.set.every((piece) => set.includes(piece)));
    return { pieces: set, answers: gained.reduce((sum, { answers }) => sum + answers, 0) };
  });
  const worth = ({ pieces: set, answers }: (typeof choices)[number]): number => answers / set.length;
  return choices.sort((a, b) => worth(b) - worth(a) || a.pieces.length - b.pieces.length)[0];
}
