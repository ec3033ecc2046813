import { settle } from '../src/rules/piece.ts';
import { type Partial, partialJson } from '../src/text/partial.ts';
import { addJudgement, addTally, newTally, tallyJson, tallyText } from '../src/text/tally.ts';
import { exit, UsageError } from './exit.ts';
import { line, note, outcome, styleFor } from './io.ts';
import { failsAny, type GateOptions } from './options.ts';

/** Says of pieces what one run over them all says at its end. */
export async function tellPartials(partials: readonly Partial[], options: GateOptions & { readonly json?: boolean }): Promise<void> {
  const pieces = inOrder(partials);
  const gaps = missing(pieces);
  for (const text of gaps) note(text);
  const tally = newTally();
  for (const piece of pieces) addTally(tally, piece.tally);
  settle(pieces, (judgement) => addJudgement(tally, judgement));
  if (failsAny(tally.weights, options)) outcome.codes.add(exit.failed);
  if (tally.unreadable > 0 || gaps.length > 0) outcome.codes.add(exit.unreadable);
  if (tally.failed > 0) outcome.codes.add(exit.internal);
  if (!tally.evaluated) outcome.codes.add(exit.inconclusive);
  for (const text of options.json ? [JSON.stringify(tallyJson(tally))] : tallyText(tally, styleFor(), gaps.length === 0)) await line(text);
}

/** Writes pieces, those that are neighbours as one. */
export async function joinPartials(partials: readonly Partial[]): Promise<void> {
  const joined: Partial[] = [];
  for (const piece of inOrder(partials)) {
    const last = joined.at(-1);
    if (last?.to === piece.from) joined[joined.length - 1] = join(last, piece);
    else joined.push(piece);
  }
  for (const piece of joined) await line(JSON.stringify(partialJson(piece)));
}

function join(a: Partial, b: Partial): Partial {
  const tally = newTally();
  addTally(tally, a.tally);
  addTally(tally, b.tally);
  // What was missed before its first call was before the first call of both.
  const fromStart = a.fromStart ?? (a.steps.length > 0 && b.fromStart !== undefined ? false : b.fromStart);
  return { from: a.from, to: b.to, whole: a.whole ?? b.whole, fromStart, tally, steps: [...a.steps, ...b.steps] };
}

/** Pieces by where they lie; none may lie in another. */
function inOrder(partials: readonly Partial[]): readonly Partial[] {
  const pieces = partials.toSorted((a, b) => a.from - b.from || a.to - b.to);
  for (const [i, { from, to, whole }] of pieces.entries()) {
    const next = pieces[i + 1];
    if (next && next.from < to)
      throw new UsageError(`bytes ${from}..${to} and ${next.from}..${next.to} overlap: say with --piece or --at where each piece lies`);
    if (next?.whole !== undefined && whole !== undefined && next.whole !== whole)
      throw new UsageError(`these are not pieces of one input: one has ${whole} bytes, another ${next.whole}`);
  }
  return pieces;
}

/** What of the whole is in no piece, a sentence each. */
function missing(pieces: readonly Partial[]): string[] {
  const whole = pieces.find((piece) => piece.whole !== undefined)?.whole;
  const ends = [0, ...pieces.map(({ to }) => to)];
  const starts = [...pieces.map(({ from }) => from), ...(whole === undefined ? [] : [whole])];
  return starts.flatMap((start, i) => ((ends[i] ?? 0) < start ? [`bytes ${ends[i]}..${start} are in no piece`] : []));
}
