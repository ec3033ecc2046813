import { defaultSetting, type ObservedCall, type Setting } from './call.ts';
import { callLog, type LogItem } from './calls/log.ts';
import { RecordError } from './fields.ts';
import { InputError } from './input-error.ts';
import type { CallItem, HeaderItem, TakenItem, UnreadableItem } from './items.ts';
import { type JsonLine, parseJson } from './json-lines.ts';
import { type LineTaker, linesOf } from './lines.ts';
import { PlainRecord, type PlainTaker } from './plain-record.ts';
import { type ReadRecord, readRecord } from './record.ts';
import { bare } from './row.ts';
import { spreadRecords } from './spread.ts';
import { decodeUtf8 } from './utf8.ts';

export type { CallItem, NoteItem, UnreadableItem } from './items.ts';

/** How a trace is read. */
export interface NdjsonOptions {
  readonly flags?: Partial<Setting> | undefined;
  /** Is shown each plain record first, and may take it. */
  readonly plain?: PlainTaker | undefined;
  /** Give an item for a header, too. */
  readonly headers?: boolean | undefined;
  /** Is it known to be a log? */
  readonly isLog?: boolean;
}

/**
 * The calls of a trace, each as soon as its line is complete: NDJSON, and what bpftrace, ftrace,
 * strace and others print. Where the first record goes on over lines, or an array of records
 * begins, each is read to its end. Lines of a log that hold no call are passed over where it is
 * known to be one (`isLog`), and once one of a known tool was read; `InputError` if there was no
 * call in any of them.
 */
export async function* readNdjson(
  source: AsyncIterable<Uint8Array>,
  { flags = {}, plain, headers = false, isLog = false }: NdjsonOptions = {},
): AsyncGenerator<LogItem | HeaderItem | TakenItem> {
  let setting: Setting = { ...defaultSetting, ...flags };
  /** Was there anything to read but a header? */
  let found = false;
  let headed = false;
  let broken = false;
  const log = callLog();
  const itemOf = (read: JsonLine): CallItem | HeaderItem | UnreadableItem | undefined => {
    headed = true;
    const { line } = read;
    const got = read.problem ?? recordOrProblem(read.json, setting, flags);
    found ||= typeof got === 'string' || got.call !== undefined;
    if (typeof got === 'string') return { kind: 'unreadable', line, message: got };
    setting = got.setting;
    log.header(got.record['source']);
    if (got.call) return { kind: 'call', line, call: got.call, record: got.record };
    return headers ? { kind: 'header', line, setting } : undefined;
  };
  const told = function* (items: readonly LogItem[]): Generator<LogItem> {
    for (const item of items) {
      found ||= item.kind !== 'note';
      yield item;
    }
  };
  const record = new PlainRecord();
  let hasTaken = false;
  const take: LineTaker = (bytes, from, to, line) => {
    if (!record.read(bytes, from, to)) return false;
    const exact = (): ObservedCall | undefined => {
      const { json } = parseJson(line, bytes.subarray(from, to)) as { readonly json?: unknown };
      const got = recordOrProblem(json, setting, flags);
      return typeof got === 'string' ? undefined : got.call;
    };
    if (!plain?.(record, line, setting, exact)) return false;
    hasTaken = true;
    found = true;
    headed = true;
    broken = false;
    return true;
  };
  const lines = linesOf(source, plain && take)[Symbol.asyncIterator]();
  try {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const { number: line, bytes } = next.value;
      if (hasTaken) yield { kind: 'taken' };
      hasTaken = false;
      const begins = bytes && firstOf(bytes);
      if (bytes && (begins === undefined || begins === hash)) continue;
      if (bytes && begins !== brace) {
        const text = decodeUtf8(bytes) ?? '';
        const items = log.take(text, line, setting) ?? (isLog ? log.take(bare(text), line, setting) : undefined);
        if (items) {
          yield* told(items);
          continue;
        }
        if (isLog || log.begun || broken) continue;
      }
      const read: JsonLine = bytes ? parseJson(line, bytes) : { line, problem: 'longer than 1 MiB' };
      broken = read.problem !== undefined;
      if (bytes && !found && !headed && !log.begun && (begins === bracket || read.endsEarly)) {
        const text = decodeUtf8(bytes) ?? '';
        for await (const each of spreadRecords({ line, text, problem: read.problem }, rest(lines))) {
          const item = itemOf(each);
          if (item) yield item;
        }
        return;
      }
      const items =
        read.problem === undefined && typeof read.json === 'object' && read.json ? log.message(read.json, line, setting) : undefined;
      if (items) yield* told(items);
      else {
        const item = itemOf(read);
        if (item) yield item;
      }
    }
    yield* told(log.end());
    if (!found && log.begun)
      throw new InputError(log.excuse ?? 'no line holds a call of memory_op; xenmem recipe prints scripts that capture some');
  } finally {
    await lines.return?.(undefined);
  }
}

const [brace, bracket, hash] = [0x7b, 0x5b, 0x23];

/** The first byte of a line that is not blank. */
function firstOf(line: Uint8Array): number | undefined {
  return line.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
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
