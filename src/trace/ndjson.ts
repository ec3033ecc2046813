import { defaultSetting, type ObservedCall, type Setting } from './call.ts';
import { RecordError } from './fields.ts';
import { jsonLinesOf } from './json-lines.ts';
import { type ReadRecord, readRecord, type TraceRecord } from './record.ts';

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

/** The calls of an NDJSON trace, each as soon as its line is complete. */
export async function* readNdjson(
  source: AsyncIterable<Uint8Array>,
  flags: Partial<Setting> = {},
): AsyncGenerator<CallItem | UnreadableItem> {
  let setting: Setting = { ...defaultSetting, ...flags };
  for await (const read of jsonLinesOf(source)) {
    const { line } = read;
    const found = read.problem ?? recordOrProblem(read.json, setting, flags);
    if (typeof found === 'string') {
      yield { kind: 'unreadable', line, message: found };
      continue;
    }
    setting = found.setting;
    if (found.call) yield { kind: 'call', line, call: found.call, record: found.record };
  }
}

function recordOrProblem(json: unknown, setting: Setting, flags: Partial<Setting>): ReadRecord | string {
  try {
    return readRecord(json, setting, flags);
  } catch (error) {
    if (error instanceof RecordError) return error.message;
    throw error;
  }
}
