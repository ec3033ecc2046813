import type { ObservedCall } from './call.ts';
import type { TraceRecord } from './record.ts';

/** A call of a trace; `record` is what was on the line, unknown keys included. */
export interface CallItem {
  readonly kind: 'call';
  readonly line: number;
  readonly call: ObservedCall;
  readonly record: TraceRecord;
  /** What else the input says of it, a sentence each. */
  readonly notes?: readonly string[];
}

/** A line of a trace that could not be read; `message` is one line, without file or line number. */
export interface UnreadableItem {
  readonly kind: 'unreadable';
  readonly line: number;
  readonly message: string;
}

/**
 * What is to be told of the input as a whole, or of what begins at a line; nothing is wrong with
 * it.
 */
export interface NoteItem {
  readonly kind: 'note';
  readonly line: number;
  readonly message: string;
}
