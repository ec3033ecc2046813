import { fieldOf, type Layout } from '../../abi/layout.ts';
import type { JudgedOp } from '../../abi/ops.ts';
import { type Answer, holds, missing, unknown, unless, type Violation } from '../answer.ts';
import type { Facts } from '../facts.ts';
import type { Breach, StructDuty } from './duties.ts';
import { decider, type Reader, worded } from './expression.ts';

interface Compiled {
  readonly isBroken: Reader<boolean | undefined>;
  readonly text: Reader<string>;
  readonly place: Omit<Violation, 'message'>;
}

/** How a duty is judged of one call. */
export function checkOf(duty: StructDuty): (facts: Pick<Facts, 'known'> & { readonly layout: Layout; readonly op?: JudgedOp }) => Answer {
  const compiled = new Map<Layout, readonly Compiled[]>();
  return ({ layout, op, known }) => {
    let ways = compiled.get(layout);
    if (!ways) {
      ways = duty.breaches(layout).map((breach) => compile(breach, layout));
      compiled.set(layout, ways);
    }
    if (ways.length === 0) return unknown(duty.elsewhere ?? 'nothing to check here');
    const lighter = op !== undefined && duty.noteOn?.includes(op) ? { severity: 'note' as const } : {};
    const found: Violation[] = [];
    let unseen = false;
    for (const { isBroken, text, place } of ways) {
      const answer = isBroken(known);
      if (answer === undefined) unseen = true;
      else if (answer) found.push({ ...lighter, message: text(known), ...place });
    }
    return unless(found, unseen ? missing('struct') : holds);
  };
}

function compile({ broken, message, where }: Breach, layout: Layout): Compiled {
  const { offset, size } = layout.padding.find((gap) => gap.path === where) ?? fieldOf(layout, where);
  return { isBroken: decider(broken, layout), text: worded(message, layout), place: { where, bytes: [offset, offset + size] } };
}
