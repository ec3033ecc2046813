import { type Layout, layoutOf } from '../abi/layout.ts';
import { isMemoryStruct, memoryArguments } from '../abi/memory-h.ts';
import { xenName } from '../abi/ops.ts';
import { listsNamed } from '../codec/memory-codec.ts';
import { readPrefix } from '../guest/memory.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { checkOf } from './duties/check.ts';
import { dutiesOf, structDuties } from './duties/duties.ts';
import type { Finding, Judgement } from './judge.ts';

/** The argument of a call that is not judged: the struct that its op takes, and what was captured. */
export interface ShownArgument {
  readonly layout: Layout;
  /** From its first byte on; the struct's own number of them where they are the struct. */
  readonly bytes: Uint8Array;
}

/**
 * The argument of a call that is named and not judged, where its op takes a struct and any byte of
 * it was captured.
 */
export function shownArgument(call: ObservedCall): ShownArgument | undefined {
  const takes = memoryArguments[xenName(call.cmd, call.profile)];
  if (opOf(call) !== undefined || takes === undefined || takes === 'nothing' || takes === 'domid') return undefined;
  const layout = layoutOf(takes, call.arch);
  const bytes = call.argument ?? (call.arg === undefined ? new Uint8Array(0) : readPrefix(call.before, call.arg, Number.MAX_SAFE_INTEGER));
  if (bytes.length === 0) return undefined;
  const isFollowed = call.argument === undefined && call.arg !== undefined && areLists(layout, bytes, call.arg);
  return { layout, bytes: isFollowed ? bytes.subarray(0, layout.size) : bytes };
}

/**
 * Are the bytes behind the struct at an address the lists that it names itself, each where the one
 * before ends? Then they tell that it is this struct as well as its length would.
 */
function areLists(layout: Layout, bytes: Uint8Array, address: bigint): boolean {
  const end = address + BigInt(bytes.length);
  let at = address + BigInt(layout.size);
  if (at >= end) return false;
  const lists = listsNamed(layout, bytes).map((list) => ({ from: list.address, to: list.address + list.count * BigInt(list.entry.size) }));
  for (const { from, to } of lists.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) if (from === at) at = to;
  return at >= end;
}

/** What is said of a call, whether its op is judged or not. */
export interface Told {
  readonly call: ObservedCall;
  readonly judgement: Judgement | undefined;
  /** Of a call that is not judged, what its struct alone shows of its caller's duties. */
  readonly findings: readonly Finding[];
  /** Could any duty be judged of the struct alone, where the call is not judged? */
  readonly byStruct: boolean;
}

/** What is said of a call that is judged so, or not at all. */
export function toldOf(call: ObservedCall, judgement: Judgement | undefined): Told {
  if (judgement) return { call, judgement, findings: judgement.findings, byStruct: false };
  const argument = shownArgument(call);
  const isWhole = argument && argument.bytes.length === argument.layout.size;
  return { call, judgement, ...(isWhole ? dutiesIn(argument) : { findings: [], byStruct: false }) };
}

/** What a struct alone shows of its caller's duties, where its op is not judged. */
export function findingsIn(argument: ShownArgument): readonly Finding[] {
  return dutiesIn(argument).findings;
}

function dutiesIn({ layout, bytes }: ShownArgument): Pick<Told, 'findings' | 'byStruct'> {
  const findings: Finding[] = [];
  let byStruct = false;
  if (!isMemoryStruct(layout.struct)) return { findings, byStruct };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const known = { bytes, view, address: undefined, start_extent: undefined };
  for (const { id, severity } of dutiesOf(layout)) {
    const answer = checks.get(id)?.({ layout, known });
    byStruct ||= answer !== undefined && answer.answer !== 'unknown';
    if (answer?.answer !== 'violated') continue;
    findings.push(...answer.violations.map((one): Finding => ({ id, blame: 'caller', severity, ...one })));
  }
  return { findings, byStruct };
}

const checks = new Map(Object.values(structDuties).map((duty) => [duty.id, checkOf(duty)]));
