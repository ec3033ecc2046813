import type { ObservedCall, Setting } from './call.ts';
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

/** A header of a trace that is no call too: what holds from its line on. */
export interface HeaderItem {
  readonly kind: 'header';
  readonly line: number;
  readonly setting: Setting;
}

/** Records were taken by who asked for plain ones, and what it has to say may be said. */
export interface TakenItem {
  readonly kind: 'taken';
}

/** Structs of one size and name in a row, from packets of their own, without what stands between. */
export interface StructsItem {
  readonly kind: 'structs';
  readonly bytes: Uint8Array;
  readonly size: number;
  /** How many bytes of data came before them in the input. */
  readonly offset: number;
  /** The struct's name, where the packets say it. */
  readonly struct: string | undefined;
}
