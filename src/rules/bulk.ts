import { DOMID } from '../abi/constants.ts';
import type { StructLayout } from '../abi/layout.ts';
import { startExtent } from '../abi/ops.ts';
import { type ObservedCall, opOf } from '../trace/call.ts';
import { structDuties } from './duties/duties.ts';
import { type Claim, gt, ne, withParameter } from './duties/expression.ts';
import { type Scan, scanOf } from './duties/scan.ts';
import { type Judgement, judge } from './judge.ts';

/**
 * Judges an array of structs of which nothing else was captured. A compiled scan gives each struct a key: which duties it
 * breaks, and what else of it decides an answer. All structs of one key are judged alike, up to the values in messages, so one
 * of them is judged by the rules for all.
 */
export interface BulkJudge {
  readonly scan: Scan;
  /** What the rules say of a struct: `findings` are those of this very struct only where `isClean` is true of the key. */
  readonly ofKey: (key: number, bytes: Uint8Array) => Judgement;
  /** Does a struct of this key break no duty? */
  readonly isClean: (key: number) => boolean;
}

/** A judge of structs of one layout, each passed in the call that `callOf` makes of its bytes; `undefined` if the op is not judged. */
export function bulkJudge(layout: StructLayout, callOf: (argument: Uint8Array) => ObservedCall): BulkJudge | undefined {
  const sample = callOf(new Uint8Array(layout.size));
  const op = opOf(sample);
  if (op === undefined) return undefined;
  const breaches = Object.values(structDuties)
    .filter((duty) => [op, ...(sample.mayBe ?? [])].every((one) => duty.ops.includes(one)))
    .flatMap((duty) => duty.breaches(layout).map(({ broken }) => broken));
  const named = layout.fields.filter(({ path }) => /(^|\.)domid$/.test(path));
  const foreign = sample.privileged === false ? named.map(({ path }) => ne(path, DOMID.SELF)) : [];
  const broken = [...breaches, ...foreign].map((claim) => withParameter(claim, 'start_extent', startExtent(sample.cmd)));
  const scan = scanOf(layout, [...broken, ...shapesOf(layout)]);
  const dirty = 2 ** broken.length - 1;
  const judgements = new Map<number, Judgement>();
  return {
    scan,
    isClean: (key) => (key & dirty) === 0,
    ofKey(key, bytes) {
      let judgement = judgements.get(key);
      if (!judgement) {
        // The block is written over; what is kept must not be
        judgement = judge(callOf(bytes.slice())) as Judgement;
        judgements.set(key, judgement);
      }
      return judgement;
    },
  };
}

/** What decides an answer beside the duties: are there extents, and is there a limit? */
function shapesOf({ fields }: StructLayout): Claim[] {
  return fields.filter(({ path }) => /(^|\.)(nr_extents|address_bits)$/.test(path)).map(({ path }) => gt(path, 0));
}
