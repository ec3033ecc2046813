import { type Layout, layoutOf } from '../abi/layout.ts';
import { isMemoryStruct, memoryArguments } from '../abi/memory-h.ts';
import { xenName } from '../abi/ops.ts';
import { readPrefix } from '../guest/memory.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { checkOf } from './duties/check.ts';
import { dutiesOf, structDuties } from './duties/duties.ts';
import type { Finding } from './judge.ts';

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
  const bytes = call.argument ?? (call.arg === undefined ? new Uint8Array(0) : readPrefix(call.before, call.arg, Number.MAX_SAFE_INTEGER));
  return bytes.length === 0 ? undefined : { layout: layoutOf(takes, call.arch), bytes };
}

/** What a call that is not judged shows of its caller's duties: nothing where it is not the struct. */
export function shownFindings(call: ObservedCall): Finding[] {
  const argument = shownArgument(call);
  return argument && argument.bytes.length === argument.layout.size ? findingsIn(argument) : [];
}

/** What a struct alone shows of its caller's duties, where its op is not judged. */
export function findingsIn({ layout, bytes }: ShownArgument): Finding[] {
  if (!isMemoryStruct(layout.struct)) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const known = { bytes, view, address: undefined, start_extent: undefined };
  return dutiesOf(layout).flatMap(({ id, severity }) => {
    const answer = checks.get(id)?.({ layout, known });
    return answer?.answer === 'violated' ? answer.violations.map((one): Finding => ({ id, blame: 'caller', severity, ...one })) : [];
  });
}

const checks = new Map(Object.values(structDuties).map((duty) => [duty.id, checkOf(duty)]));
