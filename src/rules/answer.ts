import { errnoName, internalErrnos } from '../abi/constants.ts';

/**
 * What is wrong, and where: a field path and a half-open byte range of the struct, where the fault
 * is in the struct.
 */
export interface Violation {
  readonly message: string;
  readonly where?: string;
  readonly bytes?: readonly [number, number];
  /** Where it weighs other than its rule does on other ops. */
  readonly severity?: Severity;
}

/**
 * Three answers, never two. `unknown` covers what was not captured, what is not visible at this
 * level, what a caller's error suspends, and what the call did not exercise; it is never shown as
 * holding.
 */
export type Answer =
  | { readonly answer: 'holds' }
  | { readonly answer: 'violated'; readonly violations: readonly Violation[] }
  | { readonly answer: 'unknown'; readonly why: string; readonly lacks?: CapturePiece };

export type Severity = 'error' | 'warning' | 'note';

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
  domid: "the caller's domid",
  address: "the struct's address",
  memory: 'all that changed in memory',
} as const;

export type CapturePiece = keyof typeof pieces;

/** Every piece, in the table's order. */
export const pieceNames: readonly CapturePiece[] = Object.keys(pieces) as CapturePiece[];

export const holds: Answer = { answer: 'holds' };

export const notExercised: Answer = unknown('not exercised by this call');
/** An answer of `unknown`, with the reason. */
export function unknown(why: string): Answer {
  return { answer: 'unknown', why };
}

/** An answer of `violated` with one violation. */
export function violated(message: string, place: Omit<Violation, 'message'> = {}): Answer {
  return { answer: 'violated', violations: [{ message, ...place }] };
}

/** Returns `violated` if `violations` is not empty, otherwise `otherwise`. */
export function unless(violations: readonly Violation[], otherwise: Answer = holds): Answer {
  return violations.length > 0 ? { answer: 'violated', violations } : otherwise;
}

const forWantOf = Object.fromEntries(
  pieceNames.map((lacks) => [lacks, { answer: 'unknown', why: `not captured: ${pieces[lacks]}`, lacks }]),
) as { readonly [piece in CapturePiece]: Answer };

/** The answer `unknown` for want of a piece of the capture, which its reason names. */
export function missing(piece: CapturePiece): Answer {
  return forWantOf[piece];
}

/** `holds` if nothing that it takes was unseen, else the answer that names the piece. */
export function holdsUnless(unseen: CapturePiece | undefined): Answer {
  return unseen === undefined ? holds : forWantOf[unseen];
}

/**
 * What is wrong with a return value by the hypercall convention: zero, or the negative of a public
 * errno.
 */
export function wrongRc(rc: number): string | undefined {
  if (rc > 0) return `rc is ${rc}: positive`;
  if (rc === 0) return undefined;
  if (internalErrnos.has(-rc)) return `rc is ${rc} (${errnoName(rc)}): internal to the hypervisor`;
  return errnoName(rc) === undefined ? `rc is ${rc}: no errno of Xen's public errno.h` : undefined;
}
