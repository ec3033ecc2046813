import { argumentOf, type JudgedOp } from '../abi/ops.ts';
import type { Answer, CapturePiece, Severity } from './answer.ts';
import type { Facts } from './facts.ts';

/** Whose fault it is; `capture` is what wrote the record down. */
export type Blame = 'hypervisor' | 'caller' | 'capture';
/**
 * A text whose sentences are quoted; src/rules/law keeps each. The first two are the halves of the
 * patch.
 */
export type LawText = 'xen_get_dma_buf' | 'xen_put_dma_buf' | 'memory.h' | 'arch-arm.h';

/** A sentence, or a part of one, letter for letter but for how its lines are broken. */
export interface Sentence {
  readonly source: LawText;
  readonly quote: string;
}

/**
 * What a rule stands on: a sentence of a text, or where no text says it, the convention of all
 * hypercalls, or safety.
 */
export type Basis = (Sentence & { readonly also?: readonly Sentence[] } & Remark) | ({ readonly source: 'convention' | 'safety' } & Remark);

interface Remark {
  /** What has to be said of the sentence, or of its absence. */
  readonly remark?: string;
}

/** Who judges what more than one call must show. */
export const judges = {
  pins: 'the watch that follows pins from call to call and through moves (pins.ts)',
  pair: 'runs of one call from one world, which differ in one field (works.ts)',
  works: 'what a live run knows of its world: free frames, plain memory, limits (works.ts)',
  play: 'playing at all: an answer of the protocol came in time',
} as const;

export type JudgeName = keyof typeof judges;

/** One documented sentence, as a pure function from an observed call to an answer. */
export interface Rule {
  readonly id: string;
  readonly blame: Blame;
  readonly severity: Severity;
  /**
   * What must be visible to judge it: 0 memory and return codes, 1 also the p2m, 2 also a
   * hypervisor that moves pages.
   */
  readonly level: 0 | 1 | 2;
  /** Over what it is judged: one call, a pair of runs, a trace, or a live run. */
  readonly scope: 'call' | 'pair' | 'trace' | 'run';
  readonly ops: readonly JudgedOp[];
  /** Does it bind even after an error of the caller? */
  readonly always: boolean;
  /** Where the sentence that it stands on is found. */
  readonly source: Basis['source'];
  /** That sentence, letter for letter; absent where no text says it. */
  readonly quote?: string;
  /** Further sentences that it stands on. */
  readonly also?: readonly Sentence[];
  /** What has to be said of the sentence, or of its absence. */
  readonly remark?: string;
  /** Our reading of it, in plain words. */
  readonly reading: string;
  /**
   * The pieces of a capture that judging one call takes, whatever the call was; absent where no
   * capture shows it.
   */
  readonly needs?: readonly CapturePiece[];
  /** Judges one call. Absent where one call cannot show the answer. */
  readonly check?: (facts: Facts) => Answer;
  /** Who judges what one call cannot show, or not all of it. */
  readonly judgedBy?: JudgeName;
}

/** Is it a requirement on the hypervisor, answered for every call, and no note or duty? */
export function isRequirement({ blame, severity }: Pick<Rule, 'blame' | 'severity'>): boolean {
  return blame === 'hypervisor' && severity === 'error';
}

/**
 * What a rule stands on, in words: the sentence, and its text if it is not the patch; else, in
 * brackets, why there is none.
 */
export function saying({ source, quote, remark }: Pick<Rule, 'source' | 'quote' | 'remark'>): string {
  if (quote === undefined) return remark === undefined ? `(${source})` : `(${source}; ${remark})`;
  return source.endsWith('.h') ? `${quote} (${source})` : quote;
}

/** Every sentence that a rule stands on. */
export function sentencesOf({ source, quote, also = [] }: Pick<Rule, 'source' | 'quote' | 'also'>): readonly Sentence[] {
  return quote === undefined ? [] : [{ source: source as LawText, quote }, ...also];
}

/** Every op that is judged. */
export const everyOp: readonly JudgedOp[] = Object.keys(argumentOf) as JudgedOp[];
/** The ops that exchange pages: 26 and its parent, 11. */
export const exchanges: readonly JudgedOp[] = ['get_dma_buf', 'exchange'];
/** The neighbours that every ballooning guest calls with the same struct: 0, 1 and 6. */
export const reservationOps: readonly JudgedOp[] = ['increase_reservation', 'decrease_reservation', 'populate_physmap'];
