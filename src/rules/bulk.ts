import { DOMID } from '../abi/constants.ts';
import type { StructLayout } from '../abi/layout.ts';
import { type JudgedOp, startExtent } from '../abi/ops.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { structDuties } from './duties/duties.ts';
import { type Claim, gt, ne, withParameter } from './duties/expression.ts';
import { type Scan, scanOf } from './duties/scan.ts';
import { type Judgement, judge, judgeLike } from './judge.ts';

/**
 * Judges an array of structs of which nothing else was captured. A compiled scan gives each struct
 * a key: which duties it breaks, and what else of it decides an answer. Structs of one key are
 * judged alike, up to the values in messages, so the rules need to judge one of them for all.
 */
export interface BulkJudge {
  /** Bytes of a struct. */
  readonly size: number;
  readonly op: JudgedOp;
  /** Who called, where that is known. */
  readonly caller: number | undefined;
  /** Its masks are the keys. */
  readonly scan: Scan;
  /** Does a struct of this key break no duty? */
  readonly isClean: (key: number) => boolean;
  /** What the rules say of one struct; the bytes may be written over afterwards. */
  readonly judge: (bytes: Uint8Array) => Judgement;
  /**
   * The same of a struct with the key of one that was judged: only the values in its findings are
   * its own.
   */
  readonly judgeLike: (judged: Judgement, bytes: Uint8Array) => Judgement;
}

/**
 * A judge of structs of one layout, each the argument of a call that is `sample` else; `undefined`
 * if its op is not judged.
 */
export function bulkJudge(layout: StructLayout, sample: ObservedCall): BulkJudge | undefined {
  const callOf = (argument: Uint8Array): ObservedCall => ({ ...sample, argument });
  const op = opOf(sample);
  if (op === undefined) return undefined;
  const asked = [op, ...(sample.mayBe ?? [])];
  const breaches = Object.values(structDuties)
    .filter((duty) => asked.every((one) => duty.ops.includes(one)))
    .flatMap((duty) => duty.breaches(layout).map(({ broken }) => broken));
  const domids = layout.fields.filter(({ path }) => /(^|\.)domid$/.test(path));
  // Of a caller known to be unprivileged caller-self-only speaks too.
  const foreign = sample.privileged === false ? domids.map(({ path }) => ne(path, DOMID.SELF)) : [];
  const start = startExtent(sample.cmd);
  const broken = [...breaches, ...foreign].map((one) => withParameter(one, 'start_extent', start));
  const dirty = 2 ** broken.length - 1;
  return {
    size: layout.size,
    op,
    caller: sample.domid,
    scan: scanOf(layout, [...broken, ...shapesOf(layout)], broken.length),
    isClean: (key) => (key & dirty) === 0,
    judge(bytes) {
      const judgement = judge(callOf(bytes.slice()));
      if (!judgement) throw new TypeError(`${op} is judged for one struct and not for another`);
      return judgement;
    },
    judgeLike: (judged, bytes) => judgeLike(judged, callOf(bytes)),
  };
}

/** What decides an answer beside the duties: are there extents, and is there a limit? */
function shapesOf({ fields }: StructLayout): Claim[] {
  const telling = fields.filter(({ path }) => /(^|\.)(nr_extents|address_bits)$/.test(path));
  return telling.map(({ path }) => gt(path, 0));
}
