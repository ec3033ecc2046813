import { type Finding, type Judgement, judgeLike } from '../src/rules/judge.ts';
import { type Told, toldOf } from '../src/rules/shown.ts';
import { callJson } from '../src/text/call-json.ts';
import { callText, placeWidth } from '../src/text/call-text.ts';
import type { Style } from '../src/text/style.ts';
import type { ObservedCall } from '../src/trace/call.ts';

/** How `validate` tells calls. */
export interface Telling {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly summary?: boolean;
}

/** What is said of the calls of one input. */
export interface CallLines {
  /** The lines of one call; none where nothing is said of it. */
  readonly linesOf: (told: Told, place: string, notes: readonly string[]) => readonly string[];
  /** Do its lines hold values of this very call, and not only its place? */
  readonly isOwn: (told: Told) => boolean;
}

/**
 * The lines, ended, of a call that is told like another one: by its number, or that of its line;
 * `exact` makes a call of it.
 */
export type LikeLines = ((seq: number | undefined, line: number, exact: () => ObservedCall | undefined) => string) | undefined;

/**
 * How all calls that are judged like one are told; nothing where nothing is said of them. What they
 * hold of its own values each is asked for.
 */
export function linesLike(
  { linesOf, isOwn }: CallLines,
  judgement: Judgement,
  notesOf: (call: ObservedCall) => readonly string[],
): LikeLines {
  const { call } = judgement.facts;
  const lines = linesOf(toldOf({ ...call, seq: undefined }, judgement), '', notesOf(call));
  if (lines.length === 0) return undefined;
  if (isOwn(toldOf(call, judgement))) {
    return (seq, line, exact) => {
      const own = exact();
      if (!own) throw new TypeError(`line ${line} was read, and is no call`);
      return `${linesOf(toldOf(own, judgeLike(judgement, own)), `#${seq ?? line}`, notesOf(own)).join('\n')}\n`;
    };
  }
  const text = `${lines.join('\n')}\n`;
  // An object begins with its number, if it has one, and a line with its place.
  if (text.startsWith('{')) return (seq) => (seq === undefined ? text : `{"seq":${seq},${text.slice(1)}`);
  const rest = text.slice(placeWidth);
  return (seq, line) => `${`#${seq ?? line}`.padEnd(placeWidth)}${rest}`;
}

/** Tells calls as the options ask; `input` is named where there are several. */
export function callLines(options: Telling, input: string | undefined, style: Style): CallLines {
  const isShown = ({ severity }: Finding): boolean => options.verbose === true || severity !== 'note';
  return {
    linesOf(told, place, notes) {
      if (options.summary) return [];
      if (options.json) {
        const json = callJson(told, notes);
        return [JSON.stringify({ ...json, ...(input !== undefined && { input }) })];
      }
      if (options.quiet && !told.findings.some((f) => f.severity !== 'note')) return [];
      const said = notes.map((text) => `       note ${text}`);
      return [...callText(told, place, isShown, style), ...said];
    },
    // Of a call that is not judged the fields are told.
    isOwn: ({ findings, judgement }) => !judgement || findings.some((f) => options.json || isShown(f)),
  };
}
