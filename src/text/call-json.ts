import type { StructLayout } from '../abi/layout.ts';
import { xenName } from '../abi/ops.ts';
import type { CutValue, PaddingBytes } from '../codec/codec.ts';
import { toHex } from '../codec/hex.ts';
import { valueJson } from '../codec/json.ts';
import { likelyCause } from '../rules/cause.ts';
import type { Finding } from '../rules/judge.ts';
import type { Told } from '../rules/shown.ts';
import { memoryCallJson } from './memory-text.ts';

/** One object of `xenmem decode --json`. */
export function structJson(
  layout: StructLayout,
  captured: number,
  value: CutValue<object>,
  padding: PaddingBytes,
  findings: readonly Finding[],
): { readonly struct: string; readonly [key: string]: unknown } {
  const held = Object.entries(padding);
  return {
    struct: layout.struct,
    arch: layout.arch,
    size: layout.size,
    ...(captured < layout.size && { cut: captured }),
    value: valueJson(value),
    ...(held.length > 0 && { padding: Object.fromEntries(held.map(([owner, bytes]) => [owner, toHex(bytes)])) }),
    findings: findings.map(findingJson),
  };
}

/** One object of `xenmem validate --json`. */
export function callJson({ call, judgement, findings }: Told, notes: readonly string[]): object {
  const why = judgement && likelyCause(judgement);
  const argument = judgement ? undefined : memoryCallJson(call);
  return {
    ...(call.seq !== undefined && { seq: call.seq }),
    op: judgement?.op ?? xenName(call.cmd, call.profile),
    ...(argument !== undefined && { argument }),
    findings: findings.map(findingJson),
    requirements: judgement ? Object.fromEntries([...judgement.requirements].map(([id, { answer }]) => [id, answer])) : {},
    ...(why !== undefined && { why }),
    ...(notes.length > 0 && { notes }),
  };
}

/** A finding as it is told in JSON. */
export function findingJson({ id, blame, severity, message, where, bytes }: Finding): object {
  return { id, blame, severity, message, ...(where !== undefined && { where }), ...(bytes !== undefined && { bytes }) };
}
