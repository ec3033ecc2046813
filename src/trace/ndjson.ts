import { defaultSetting, type ObservedCall, type Setting } from './call.ts';
import { RecordError } from './fields.ts';
import { jsonFault } from './json-fault.ts';
import { linesOf } from './lines.ts';
import { readRecord, type TraceRecord } from './record.ts';

/** A call of a trace; `record` is what was on the line, unknown keys included. */
export interface CallItem {
  readonly kind: 'call';
  readonly line: number;
  readonly call: ObservedCall;
  readonly record: TraceRecord;
}

/** A line of a trace that could not be read; `message` is one line, without file or line number. */
export interface UnreadableItem {
  readonly kind: 'unreadable';
  readonly line: number;
  readonly message: string;
}

const passedOver = /^\s*(?:#|$)/;

/** The records of an NDJSON trace, each as soon as its line is complete. Blank lines and `#` lines are passed over. */
export async function* readNdjson(
  source: AsyncIterable<Uint8Array>,
  flags: Partial<Setting> = {},
): AsyncGenerator<CallItem | UnreadableItem> {
  let setting: Setting = { ...defaultSetting, ...flags };
  for await (const { line, text, problem } of linesOf(source)) {
    if (problem !== undefined) {
      yield { kind: 'unreadable', line, message: problem };
      continue;
    }
    if (passedOver.test(text)) continue;
    try {
      const found = readRecord(parse(text), setting, flags);
      setting = found.setting;
      if (found.call) yield { kind: 'call', line, call: found.call, record: found.record };
    } catch (error) {
      if (!(error instanceof RecordError || error instanceof LineError)) throw error;
      yield { kind: 'unreadable', line, message: error.message };
    }
  }
}

class LineError extends Error {}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const fault = jsonFault(text);
    throw new LineError(fault ? `not JSON at column ${fault.column}: ${fault.reason}` : 'not JSON');
  }
}
