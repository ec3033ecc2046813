import type { BufferItem } from './buffers.ts';
import { defaultSetting, type Setting } from './call.ts';
import { callLog } from './calls/log.ts';
import { RecordError } from './fields.ts';
import { InputError } from './input-error.ts';
import type { CallItem, NoteItem, UnreadableItem } from './items.ts';
import { isComment, type JsonLine, parseJson } from './json-lines.ts';
import { linesOf } from './lines.ts';
import { type ReadRecord, readRecord } from './record.ts';
import { bare } from './row.ts';
import { spreadRecords } from './spread.ts';
import { decodeUtf8 } from './utf8.ts';

export type { CallItem, NoteItem, UnreadableItem } from './items.ts';

/**
 * The calls of a trace, each as soon as its line is complete: NDJSON, and what bpftrace, ftrace, strace and others print. Where the
 * first record goes on over lines, or an array of records begins, each is read to its end. Lines of a log that hold no call are
 * passed over where it is known to be one (`isLog`), and once one of a known tool was read; `InputError` if there was no call in any of them.
 */
export async function* readNdjson(
  source: AsyncIterable<Uint8Array>,
  flags: Partial<Setting> = {},
  isLog = false,
): AsyncGenerator<CallItem | UnreadableItem | NoteItem | BufferItem> {
  let setting: Setting = { ...defaultSetting, ...flags };
  /** Was there anything to read but a header? */
  let found = false;
  let headed = false;
  let broken = false;
  const log = callLog();
  const records = function* (read: JsonLine): Generator<CallItem | UnreadableItem | NoteItem | BufferItem> {
    headed = true;
    const { line } = read;
    const got = read.problem ?? recordOrProblem(read.json, setting, flags);
    found ||= typeof got === 'string' || got.call !== undefined;
    if (typeof got === 'string') {
      yield { kind: 'unreadable', line, message: got };
      return;
    }
    setting = got.setting;
    log.header(got.record['source']);
    if (got.call) yield { kind: 'call', line, call: got.call, record: got.record };
  };
  const lines = linesOf(source)[Symbol.asyncIterator]();
  try {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const { number: line, bytes } = next.value;
      if (!bytes) {
        yield* records({ line, problem: 'longer than 1 MiB' });
        continue;
      }
      const text = decodeUtf8(bytes);
      if (isComment(bytes)) {
        if (text?.startsWith('# tracer: ')) log.take(text.trimEnd(), line, setting);
        continue;
      }
      const begins = /^\s*(\{|\[(?=\s*(?:\{|$)))?/.exec(text ?? '')?.[1];
      if (text !== undefined && begins === undefined) {
        const items = log.take(text, line, setting) ?? (isLog ? log.take(bare(text), line, setting) : undefined);
        if (items) {
          for (const item of items) {
            found ||= item.kind !== 'note';
            yield item;
          }
          continue;
        }
        if (isLog || log.begun || broken) continue;
      }
      const read = parseJson(line, bytes);
      broken = read.problem !== undefined;
      if (!found && !headed && !log.begun && text !== undefined && (begins === '[' || read.endsEarly)) {
        for await (const each of spreadRecords({ line, text, problem: read.problem }, rest(lines))) yield* records(each);
        return;
      }
      const items =
        read.problem === undefined && typeof read.json === 'object' && read.json ? log.message(read.json, line, setting) : undefined;
      if (!items) yield* records(read);
      else {
        for (const item of items) {
          found ||= item.kind !== 'note';
          yield item;
        }
      }
    }
    for (const item of log.end()) {
      found ||= item.kind !== 'note';
      yield item;
    }
    if (!found && log.begun) throw new InputError(log.excuse ?? 'no line holds a call of memory_op');
  } finally {
    await lines.return?.(undefined);
  }
}

async function* rest<T>(iterator: AsyncIterator<T>): AsyncGenerator<T> {
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

function recordOrProblem(json: unknown, setting: Setting, flags: Partial<Setting>): ReadRecord | string {
  try {
    return readRecord(json, setting, flags);
  } catch (error) {
    if (error instanceof RecordError) return error.message;
    throw error;
  }
}
