import { hex64, toHex } from '../codec/hex.ts';
import { everywhere, type GuestMemory } from '../guest/memory.ts';
import { defaultSetting, type ObservedCall, type P2m, type Setting } from './call.ts';
import { type TraceRecord, traceVersion } from './record.ts';

/** The header of a trace whose records are in this setting. */
export function headerOf(setting: Setting, source?: string): TraceRecord {
  const { arch, profile, space, translated, privileged, fromStart } = setting;
  return present({ xenmem: traceVersion, arch, profile, space, translated, privileged, from_start: fromStart || undefined, source });
}

/**
 * A call as a record under a header of that setting; what the format has no place for (`argument`,
 * `changes`, `others`, `fromStart`) is left out. All memory that the call knows is written, so give
 * it what was seen, not all of a live guest.
 */
export function recordOf(call: Pick<ObservedCall, 'cmd'> & Partial<ObservedCall>, header: Setting = defaultSetting): TraceRecord {
  const own = (key: keyof Setting): unknown => (call[key] === header[key] ? undefined : call[key]);
  const takenBack = 'privileged' in call && call.privileged === undefined && header.privileged !== undefined;
  return present({
    seq: call.seq,
    arch: own('arch'),
    profile: own('profile'),
    space: own('space'),
    translated: own('translated'),
    privileged: takenBack ? null : own('privileged'),
    domid: call.domid,
    cmd: call.cmd,
    arg: call.arg === undefined ? undefined : hex64(call.arg),
    before: pieces(call.before),
    rc: call.rc,
    after: pieces(call.after),
    unmapped: some(call.unmapped?.map((range) => [hex64(range.address), lengthOf(range.length)])),
    p2m_before: frames(call.p2mBefore),
    p2m_after: frames(call.p2mAfter),
    pages_before: call.pagesBefore,
    pages_after: call.pagesAfter,
  });
}

/**
 * A record or header as a line of a trace, its line end included. A line that readers accept is at
 * most 1 MiB.
 */
export function writeRecord(record: TraceRecord): string {
  return `${JSON.stringify(record)}\n`;
}

function pieces(memory: GuestMemory | undefined): unknown[] | undefined {
  return some(memory?.known(everywhere).map(({ address, bytes }) => [hex64(address), toHex(bytes)]));
}

function frames(p2m: P2m | undefined): unknown[] | undefined {
  return some(p2m && [...p2m].map(([gfn, mfn]) => [hex64(gfn), mfn === null ? null : hex64(mfn)]));
}

function lengthOf(length: bigint): number | string {
  return length < 1n << 32n ? Number(length) : hex64(length);
}

function some(list: unknown[] | undefined): unknown[] | undefined {
  return list && list.length > 0 ? list : undefined;
}

function present(record: TraceRecord): TraceRecord {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
