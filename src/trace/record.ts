import { arches, archNames } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { argumentOf, judgedOp, opNamed, type Profile, profileNames } from '../abi/ops.ts';
import { type ByteRange, type GuestMemory, readPrefix, sparseMemory, unknownMemory } from '../guest/memory.ts';
import { defaultSetting, type ObservedCall, type P2m, type Setting } from './call.ts';
import { bytesOf, count, flag, oneOf, pairs, RecordError, returnCode, shown, u64, word } from './fields.ts';
import { profileOf } from './sane.ts';

/** The version of the trace format. */
export const traceVersion = 1;

/** The values of `space`. */
export const spaces: readonly Setting['space'][] = ['virtual', 'physical'];

/** A record as it was parsed, with the keys nobody knows: what is passed on. */
export type TraceRecord = { readonly [key: string]: unknown };

/**
 * What a record says: the setting for what follows, and the call if it holds one (a bare header
 * does not).
 */
export interface ReadRecord {
  readonly setting: Setting;
  readonly call: ObservedCall | undefined;
  readonly record: TraceRecord;
}

const deepest = 64;

const noFrames: P2m = new Map();

const settingKeys = ['arch', 'profile', 'space', 'translated', 'privileged'];

/**
 * One line of a trace, already parsed. `setting` is what held so far; a header replaces it (what it
 * does not say is the default again), a record's own keys hold for that record, and `flags` beat
 * both. A key that is absent or null was not captured; a null `privileged` takes back what a header
 * said. Throws `RecordError` at the first field that is wrong.
 */
export function readRecord(json: unknown, setting: Setting, flags: Partial<Setting> = {}): ReadRecord {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new RecordError('record', `${shown(json)} is not an object`);
  const record = json as TraceRecord;
  const isHeader = Object.hasOwn(record, 'xenmem');
  if (isHeader) {
    const version = record['xenmem'];
    if (version !== traceVersion) throw new RecordError('xenmem', `trace format ${shown(version)} is not known, only ${traceVersion}`);
  }
  if (!shallow(record, deepest)) throw new RecordError('record', `nested more than ${deepest} deep`);
  const fromStart = isHeader && read(record, 'from_start', flag);
  const lasting = isHeader ? { ...defaultSetting, ...settingOf(record), fromStart: fromStart === true, ...flags } : setting;
  if (isHeader && !Object.hasOwn(record, 'cmd')) return { setting: lasting, call: undefined, record };
  const saysMore = !isHeader && settingKeys.some((key) => record[key] !== undefined);
  const own = saysMore ? { ...setting, ...settingOf(record), ...flags } : lasting;
  return { setting: lasting, call: withProfile(callOf(record, own), own.profileSaid === true || flags.profile !== undefined), record };
}

function callOf(record: TraceRecord, setting: Setting): ObservedCall {
  const cmd = read(record, 'cmd', (value, where) => command(value, where, setting.profile));
  if (cmd === undefined) {
    const near = ['op', 'command', 'hypercall', 'nr'].find((key) => record[key] !== undefined && record[key] !== null);
    throw new RecordError('cmd', near === undefined ? 'missing' : `missing: "${near}" is no key of a record, "cmd" is`);
  }
  read(record, 'ts', time);
  // Spelled out, not spread over `observedCall`: many times as fast, and a long trace is made of
  // these.
  return {
    arch: setting.arch,
    profile: setting.profile,
    space: setting.space,
    translated: setting.translated,
    privileged: setting.privileged,
    fromStart: setting.fromStart,
    cmd,
    seq: read(record, 'seq', safeCount),
    domid: read(record, 'domid', domid),
    arg: read(record, 'arg', word),
    argument: undefined,
    rc: read(record, 'rc', (value, where) => returnCode(value, where, 8 * arches[setting.arch].pointer)),
    before: read(record, 'before', memory) ?? unknownMemory,
    after: read(record, 'after', memory) ?? unknownMemory,
    changes: undefined,
    unmapped: read(record, 'unmapped', ranges) ?? [],
    p2mBefore: read(record, 'p2m_before', p2m) ?? noFrames,
    p2mAfter: read(record, 'p2m_after', p2m) ?? noFrames,
    pagesBefore: read(record, 'pages_before', safeCount),
    pagesAfter: read(record, 'pages_after', safeCount),
    others: undefined,
  };
}

/** A call whose op 26 or 27 has the profile that its bytes tell, where nobody said it. */
function withProfile(call: ObservedCall, said: boolean): ObservedCall {
  const op = judgedOp(call.cmd, call.profile);
  if (said || call.arg === undefined || (op !== 'get_dma_buf' && op !== 'put_dma_buf')) return call;
  const bytes = readPrefix(call.before, call.arg, layoutOf(argumentOf.get_dma_buf, call.arch).size);
  const profile = profileOf(call.cmd, call.arch, bytes);
  if (profile === undefined || profile === call.profile) return call;
  return { ...call, profile: 'upstream', ...(profile === 'unsure' && { profileUnsure: true }) };
}

function settingOf(record: TraceRecord): Partial<Setting> {
  const own: { -readonly [K in keyof Setting]?: Setting[K] } = {};
  const arch = read(record, 'arch', (value, where) => oneOf(value, where, archNames));
  const profile = read(record, 'profile', (value, where) => oneOf(value, where, profileNames));
  const space = read(record, 'space', (value, where) => oneOf(value, where, spaces));
  const translated = read(record, 'translated', flag);
  if (arch !== undefined) own.arch = arch;
  if (profile !== undefined) [own.profile, own.profileSaid] = [profile, true];
  if (space !== undefined) own.space = space;
  if (translated !== undefined) own.translated = translated;
  if (record['privileged'] !== undefined) own.privileged = read(record, 'privileged', flag);
  return own;
}

function read<T>(record: TraceRecord, key: string, field: (value: unknown, where: string) => T): T | undefined {
  const value = record[key];
  return value === undefined || value === null ? undefined : field(value, key);
}

/** A number, or an op by its name in the profile (`exchange`, `XENMEM_exchange`). */
function command(value: unknown, where: string, profile: Profile): number {
  if (typeof value === 'string' && /^[a-z]/i.test(value)) {
    const nr = opNamed(value, profile);
    if (nr === undefined) throw new RecordError(where, `${shown(value)} is no op of profile ${profile}`);
    return nr;
  }
  return count(value, where, 0xffffffff, '2^32 - 1');
}

function domid(value: unknown, where: string): number {
  return count(value, where, 0xffff, '65535');
}

function safeCount(value: unknown, where: string): number {
  return count(value, where, Number.MAX_SAFE_INTEGER, '2^53 - 1');
}

/**
 * Only passed on, so any clock will do; but a number that has lost digits would be passed on wrong.
 */
function time(value: unknown, where: string): void {
  if (typeof value !== 'number' && typeof value !== 'string') throw new RecordError(where, `${shown(value)} is not a time`);
  if (typeof value === 'number' && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) word(value, where);
}

function memory(value: unknown, where: string): GuestMemory {
  return sparseMemory(
    pairs(value, where, '[address, hex]', (first, second, at) => {
      const address = word(first, `${at}[0]`);
      const bytes = bytesOf(second, `${at}[1]`);
      within64(address, BigInt(bytes.length), at);
      return { address, bytes };
    }),
  );
}

function ranges(value: unknown, where: string): readonly ByteRange[] {
  return pairs(value, where, '[address, length]', (first, second, at) => {
    const address = word(first, `${at}[0]`);
    const length = word(second, `${at}[1]`);
    within64(address, length, at);
    return { address, length };
  });
}

function p2m(value: unknown, where: string): P2m {
  return new Map(
    pairs(value, where, '[gfn, mfn or null]', (gfn, mfn, at) => {
      return [word(gfn, `${at}[0]`), mfn === null ? null : word(mfn, `${at}[1]`)] as const;
    }),
  );
}

function within64(address: bigint, length: bigint, where: string): void {
  if (address + length - 1n > u64) throw new RecordError(where, `${length} bytes from 0x${address.toString(16)} run past 2^64`);
}

/** What is passed on is written by recursion, which a hostile depth would break. */
function shallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  const inner: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const one of inner) if (!shallow(one, levels - 1)) return false;
  return true;
}
