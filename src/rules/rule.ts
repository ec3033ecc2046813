import { errnoName, internalErrnos } from '../abi/constants.ts';
import { argumentOf, type JudgedOp } from '../abi/ops.ts';
import type { Facts } from './facts.ts';

/** What is wrong, and where: a field path and a half-open byte range of the struct, where the fault is in the struct. */
export interface Violation {
  readonly message: string;
  readonly where?: string;
  readonly bytes?: readonly [number, number];
  /** Where it weighs other than its rule does on other ops. */
  readonly severity?: Severity;
}

/**
 * Three answers, never two. `unknown` covers what was not captured, what is not visible at this level, what a caller's
 * error suspends, and what the call did not exercise; it is never shown as holding.
 */
export type Answer =
  | { readonly answer: 'holds' }
  | { readonly answer: 'violated'; readonly violations: readonly Violation[] }
  | { readonly answer: 'unknown'; readonly why: string };

export type Blame = 'hypervisor' | 'caller';
export type Severity = 'error' | 'warning' | 'note';

/** A text whose sentences are quoted; src/rules/law keeps each. The first two are the halves of the patch. */
export type LawText = 'xen_get_dma_buf' | 'xen_put_dma_buf' | 'memory.h' | 'arch-arm.h';

/** A sentence, or a part of one, letter for letter but for how its lines are broken. */
export interface Sentence {
  readonly source: LawText;
  readonly quote: string;
}

/** What a rule stands on: a sentence of a text, or where no text says it, the convention of all hypercalls, or safety. */
export type Basis = (Sentence & { readonly also?: readonly Sentence[] } & Remark) | ({ readonly source: 'convention' | 'safety' } & Remark);

interface Remark {
  /** What has to be said of the sentence, or of its absence. */
  readonly remark?: string;
}

/** One documented sentence, as a pure function from an observed call to an answer. */
export interface Rule {
  readonly id: string;
  readonly blame: Blame;
  readonly severity: Severity;
  /** What must be visible to judge it: 0 memory and return codes, 1 also the p2m, 2 also a hypervisor that moves pages. */
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
  /** Judges one call. Absent where one call cannot show the answer. */
  readonly check?: (facts: Facts) => Answer;
}

/** What a rule stands on, in words: the sentence, and its text if it is not the patch; else, in brackets, why there is none. */
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

export const holds: Answer = { answer: 'holds' };

export const notExercised: Answer = unknown('not exercised by this call');
export const notCaptured: Answer = unknown('not captured');
/** The answer where no mapping was seen. */
export const noP2m: Answer = unknown('the p2m was not observed');

/** The answer where a mapping was not seen. */
export function mappingUnseen({ call }: Facts): Answer {
  return call.p2mAfter.size === 0 ? noP2m : notCaptured;
}

/** The answer where it depends on who calls. */
export const privilegeUnknown: Answer = unknown('it is not known whether the caller is privileged');

/** An answer of `unknown`, with the reason. */
export function unknown(why: string): Answer {
  return { answer: 'unknown', why };
}

/** An answer of `violated` with one violation. */
export function violated(message: string, place: Omit<Violation, 'message'> = {}): Answer {
  return { answer: 'violated', violations: [{ message, ...place }] };
}

/** `violated` if there is any violation, else what the caller says the absence means. */
export function unless(violations: readonly Violation[], otherwise: Answer = holds): Answer {
  return violations.length > 0 ? { answer: 'violated', violations } : otherwise;
}

/** Is this return value one that the hypercall convention knows: zero, or the negative of a public errno? */
export function checkRc(rc: number): Answer {
  if (rc > 0) return violated(`rc is ${rc}: positive`);
  if (rc === 0) return holds;
  if (internalErrnos.has(-rc)) return violated(`rc is ${rc} (${errnoName(rc)}): internal to the hypervisor`);
  return errnoName(rc) === undefined ? violated(`rc is ${rc}: no errno of Xen's public errno.h`) : holds;
}
