import { DOMID } from '../abi/constants.ts';
import type { Layout } from '../abi/layout.ts';
import { isMemoryStruct } from '../abi/memory-h.ts';
import { startExtent, xenName } from '../abi/ops.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { dutiesOf, structDuties } from './duties/duties.ts';
import { type Claim, gt, ne, withParameter } from './duties/expression.ts';
import { type Scan, scanOf } from './duties/scan.ts';
import { judge, judgeLike } from './judge.ts';
import { type Told, toldOf } from './shown.ts';

/**
 * Judges an array of structs of which nothing else was captured. A compiled scan gives each struct
 * a key: which duties it breaks, and what else of it decides an answer. Structs of one key are
 * judged alike, up to the values in messages, so the rules need to judge one of them for all.
 */
export interface BulkJudge {
  /** Bytes of a struct. */
  readonly size: number;
  readonly op: string;
  /** Who called, where that is known. */
  readonly caller: number | undefined;
  /** Its masks are the keys. */
  readonly scan: Scan;
  /** Does a struct of this key break no duty? */
  readonly isClean: (key: number) => boolean;
  /** What is said of one struct; the bytes may be written over afterwards. */
  readonly judge: (bytes: Uint8Array) => Told;
  /**
   * The same of a struct with the key of one that was judged: only the values in its findings are
   * its own.
   */
  readonly judgeLike: (told: Told, bytes: Uint8Array) => Told;
}

/**
 * A judge of structs of one layout, each the argument of a call that is `sample` else; `undefined`
 * if neither its op is judged nor its struct alone.
 */
export function bulkJudge(layout: Layout, sample: ObservedCall): BulkJudge | undefined {
  const callOf = (argument: Uint8Array): ObservedCall => ({ ...sample, argument });
  const op = opOf(sample);
  if (op === undefined && !isMemoryStruct(layout.struct)) return undefined;
  const asked = op && [op, ...(sample.mayBe ?? [])];
  const duties = asked ? Object.values(structDuties).filter((duty) => asked.every((one) => duty.ops.includes(one))) : dutiesOf(layout);
  const breaches = duties.flatMap((duty) => duty.breaches(layout).map(({ broken }) => broken));
  const domids = layout.fields.filter(({ path }) => /(^|\.)domid$/.test(path));
  // Of a caller known to be unprivileged caller-self-only speaks too.
  const foreign = op && sample.privileged === false ? domids.map(({ path }) => ne(path, DOMID.SELF)) : [];
  const start = startExtent(sample.cmd);
  const broken = [...breaches, ...foreign].map((one) => withParameter(one, 'start_extent', start));
  const dirty = 2 ** broken.length - 1;
  return {
    size: layout.size,
    op: op ?? xenName(sample.cmd, sample.profile),
    caller: sample.domid,
    scan: scanOf(layout, [...broken, ...(op ? shapesOf(layout) : [])], broken.length),
    isClean: (key) => (key & dirty) === 0,
    judge(bytes) {
      const call = callOf(bytes.slice());
      return toldOf(call, judge(call));
    },
    judgeLike({ judgement }, bytes) {
      const call = callOf(bytes);
      return toldOf(call, judgement && judgeLike(judgement, call));
    },
  };
}

/** What decides an answer beside the duties: are there extents, and is there a limit? */
function shapesOf({ fields }: Layout): Claim[] {
  const telling = fields.filter(({ path }) => /(^|\.)(nr_extents|address_bits)$/.test(path));
  return telling.map(({ path }) => gt(path, 0));
}
