import { arches } from '../../abi/arch.ts';
import { judgedOp } from '../../abi/ops.ts';
import { type Piece, sparseMemory } from '../../guest/memory.ts';
import type { BufferItem } from '../buffers.ts';
import { defaultSetting, type ObservedCall, observedCall, type Setting } from '../call.ts';
import type { CallItem, NoteItem, UnreadableItem } from '../items.ts';
import { recordOf } from '../write.ts';
import { type LogLine, logLine, printedByBpftrace, type SeenCall } from './call-line.ts';
import { type Tool, tools } from './tools.ts';

/** What a line of a log may turn out to be. */
export type LogItem = CallItem | UnreadableItem | BufferItem | NoteItem;

/**
 * The lines of logs among those of a trace: what they hold becomes calls, what they lack is said
 * once.
 */
export interface CallLog {
  /**
   * What is to be yielded for a line, which may be of an earlier one; `undefined` if no tool is
   * known to print it.
   */
  take(text: string, line: number, setting: Setting): readonly LogItem[] | undefined;
  /** The same for a message of `bpftrace -f json`; `undefined` if the object is none. */
  message(json: unknown, line: number, setting: Setting): readonly LogItem[] | undefined;
  /** What is left at the end. */
  end(): readonly LogItem[];
  /** Why there was no call in the lines that were read, if one of them says so. */
  readonly excuse: string | undefined;
  /** A header was read; one of a capture by a recipe says that lines of its tool follow. */
  header(source: unknown): void;
  /** Has a line of a tool been read? Then others may be of it too, and are passed over. */
  readonly begun: boolean;
}

interface Open {
  readonly line: number;
  readonly setting: Setting;
  readonly seen: SeenCall;
  readonly before: Piece[];
  readonly after: Piece[];
}

/**
 * Most calls that may be under way at once; a thread that never comes back must not cost memory for
 * ever.
 */
const mostOpen = 256;
/** Most pieces of memory in one call, as a recipe writes a few. */
const mostPieces = 64;

/** What a line shows of memory: bytes, at an address that it says or that was said before. */
function piecesOf({ bytes, arg }: SeenCall, address = arg): Piece[] {
  return bytes && address !== undefined ? [{ address, bytes }] : [];
}

/** The calls that have begun and not ended, one for each thread. */
class UnderWay {
  readonly #open = new Map<string, Open>();

  /** Takes a line in; answers the calls that end with it. */
  take(seen: SeenCall, { stage, thread }: NonNullable<SeenCall['part']>, line: number, setting: Setting): Open[] {
    const under = this.#open.get(thread);
    if (stage === 'in') {
      this.#open.delete(thread);
      const dropped = this.#oldestOfTooMany();
      this.#open.set(thread, { line, setting, seen, before: [...(seen.pieces ?? []), ...piecesOf(seen)], after: [] });
      return [under, dropped].filter((call) => call !== undefined);
    }
    // What belongs to a call that began before the capture did is no call.
    if (!under) return [];
    if (stage === 'list') {
      if (under.before.length < mostPieces) under.before.push(...piecesOf(seen));
      return [];
    }
    if (under.after.length < mostPieces) under.after.push(...piecesOf(seen, seen.arg ?? under.seen.arg));
    if (stage === 'after') return [];
    this.#open.delete(thread);
    return [seen.rc === undefined ? under : { ...under, seen: { ...under.seen, rc: seen.rc } }];
  }

  all(): Open[] {
    return [...this.#open.values()];
  }

  /** Makes room for one more. */
  #oldestOfTooMany(): Open | undefined {
    const [oldest] = this.#open.size >= mostOpen ? this.#open : [];
    if (!oldest) return undefined;
    this.#open.delete(oldest[0]);
    return oldest[1];
  }
}

/** A log of calls, from its first line on. */
export function callLog(): CallLog {
  const underWay = new UnderWay();
  const said = new Set<Tool>();
  let begunBy: Tool | undefined;
  let excuse: string | undefined;
  let offset = 0;

  /** Once for each tool. */
  const note = (line: number, seen: SeenCall, setting: Setting): LogItem[] => {
    if (said.has(seen.tool)) return [];
    said.add(seen.tool);
    return [{ kind: 'note', line, message: wayOut(seen, setting) }];
  };
  const finished = ({ seen, before, after, line, setting }: Open): LogItem[] => {
    const call = callOf(seen, before, after, setting);
    const item: CallItem = {
      kind: 'call',
      line,
      call,
      record: recordOf(call, setting),
      ...(seen.note !== undefined && { notes: [seen.note] }),
    };
    const holdsMemory = before.length + after.length > 0 || call.argument !== undefined;
    return holdsMemory ? [item] : [...note(line, seen, setting), item];
  };
  const items = (read: LogLine, line: number, setting: Setting): LogItem[] => {
    begunBy ??= read.tool;
    if (read.kind === 'problem') return [{ kind: 'unreadable', line, message: read.message }];
    if (read.kind === 'other') {
      excuse ??= read.says;
      return [];
    }
    if (read.part) return underWay.take(read, read.part, line, setting).flatMap(finished);
    if (read.cmd !== undefined) return finished({ line, setting, seen: read, before: piecesOf(read), after: [] });
    if (!read.bytes) return [];
    offset += read.bytes.length;
    return [{ kind: 'buffer', bytes: read.bytes, offset: offset - read.bytes.length, line, whole: true }];
  };
  const take = (text: string, line: number, setting: Setting): LogItem[] | undefined => {
    // At its end bpftrace prints its maps, of which one may hold bytes.
    const map = begunBy === 'bpftrace' ? /^@\w*(?:\[.*\])?: /.exec(text)?.[0] : undefined;
    if (map !== undefined)
      return items(printedByBpftrace(text.slice(map.length), setting) ?? { kind: 'other', tool: 'bpftrace' }, line, setting);
    const read = logLine(text, setting) ?? (begunBy === 'bpftrace' ? printedByBpftrace(text, setting) : undefined);
    return read && items(read, line, setting);
  };
  return {
    take,
    message(json, line, setting) {
      const { type, data } = json as { readonly type?: unknown; readonly data?: unknown };
      if (typeof type !== 'string' || data === undefined || Object.hasOwn(json as object, 'cmd')) return undefined;
      begunBy ??= 'bpftrace';
      if (type === 'lost_events') return [{ kind: 'unreadable', line, message: 'bpftrace lost events here' }];
      if (type === 'map' && typeof data === 'object' && data !== null) {
        const values = Object.entries(data).flatMap(([name, value]) =>
          [value, ...Object.values(value ?? {})].map((one) => `${name}: ${one}`),
        );
        return values.flatMap((text) => take(text, line, setting) ?? []);
      }
      if (type !== 'printf' || typeof data !== 'string') return [];
      return data.split('\n').flatMap((text) => take(text, line, setting) ?? []);
    },
    header(source) {
      if (typeof source === 'string' && source.startsWith('xenmem recipe ')) begunBy ??= 'recipe';
    },
    end: () => underWay.all().flatMap(finished),
    get excuse() {
      return excuse && `${excuse}; ${recipeFor('bpftrace', defaultSetting.arch)} captures the memory too`;
    },
    get begun() {
      return begunBy !== undefined;
    },
  };
}

function callOf(seen: SeenCall, before: readonly Piece[], after: readonly Piece[], setting: Setting): ObservedCall {
  const { cmd = 0, arg, rc, bytes, domid, mayBe } = seen;
  return observedCall(cmd, {
    ...setting,
    arg,
    domid,
    rc: rc === undefined ? undefined : asSigned(rc, setting),
    ...(mayBe && { mayBe }),
    ...(bytes && arg === undefined && { argument: bytes }),
    ...(before.length > 0 && { before: sparseMemory(before) }),
    ...(after.length > 0 && { after: sparseMemory(after) }),
  });
}

/** A 32-bit register that was printed without a sign. */
function asSigned(rc: number, { arch }: Setting): number {
  return arches[arch].pointer === 4 && rc >= 2 ** 31 && rc < 2 ** 32 ? rc - 2 ** 32 : rc;
}

/** The sentence for lines that hold no memory: what they are, and what captures it. */
function wayOut({ tool, cmd }: SeenCall, { profile, arch }: Setting): string {
  const { lacks, recipe } = tools[tool];
  const op = cmd === undefined ? undefined : judgedOp(cmd, profile);
  const words = recipeFor(arch === 'x86_32' && recipe === 'bpftrace' ? 'ftrace' : recipe, arch);
  return `${lacks}, so little can be judged; ${words}${op === undefined ? '' : ` --op ${op}`} captures it`;
}

function recipeFor(recipe: string, arch: Setting['arch']): string {
  const said = recipe.includes('--arch') || arch === defaultSetting.arch;
  return `xenmem recipe ${recipe}${said ? '' : ` --arch ${arch}`}`;
}
