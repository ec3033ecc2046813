import { layoutOf, type Member, type StructLayout } from '../abi/layout.ts';
import { argumentOf, type JudgedOp, opName, XENMEM } from '../abi/ops.ts';
import { structNames } from '../abi/structs.ts';

/**
 * A direct member of a struct, or the padding between two, which languages other than C must be
 * told.
 */
export interface Slot {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Absent for padding. */
  readonly member?: Member;
}

/** Members and padding of a struct itself, in memory order; nested structs have their own. */
export function slotsOf(layout: StructLayout): Slot[] {
  const gaps = layout.padding.filter((gap) => gap.owner === '');
  const padding = gaps.map(({ offset, size }, i) => ({ name: i === 0 ? 'padding' : `padding${i + 1}`, offset, size }));
  const members = layout.members.map((member) => ({ name: member.name, offset: member.offset, size: member.size, member }));
  return [...members, ...padding].sort((a, b) => a.offset - b.offset);
}

/**
 * The layouts with every struct they nest, in the table's order, so that each is declared before it
 * is used.
 */
export function withNested(layouts: readonly StructLayout[]): StructLayout[] {
  const arch = layouts[0]?.arch;
  if (arch === undefined) return [];
  const needed = new Set(layouts.flatMap((l) => [l.struct, ...l.members.flatMap((m) => (m.nested ? [m.nested.struct] : []))]));
  return structNames.filter((name) => needed.has(name)).map((name) => layoutOf(name, arch));
}

/** An op whose argument is one of the structs. */
export interface Op {
  readonly name: JudgedOp;
  readonly nr: number;
  /**
   * What its number means to a Xen of today, if that is something else: the op was proposed and
   * never merged.
   */
  readonly takenBy: string | undefined;
}

/** The ops that take these structs, by number. */
export function opsOf(layouts: readonly StructLayout[]): Op[] {
  const wanted = new Set<string>(layouts.map((layout) => layout.struct));
  return (Object.keys(argumentOf) as JudgedOp[])
    .filter((name) => wanted.has(argumentOf[name]))
    .map((name) => {
      const nr = XENMEM['dma-buf'][name];
      const today = opName(nr, 'upstream');
      return { name, nr, takenBy: today === name ? undefined : today };
    })
    .sort((a, b) => a.nr - b.nr);
}

/**
 * What whoever uses the numbers of a proposed op must read first; empty if there is none among
 * them.
 */
export function warningOf(ops: readonly Op[]): string[] {
  const proposed = ops.filter((op) => op.takenBy !== undefined);
  if (proposed.length === 0) return [];
  return [
    `NEVER ISSUE ${proposed.map((op) => op.nr).join(' OR ')} TO A XEN OF TODAY. The proposal of 2013 was not merged, and its numbers were given away:`,
    `${proposed.map((op) => `${op.nr} is now XENMEM_${op.takenBy}`).join(', ')}, which takes other bytes for pointers or writes into the struct.`,
  ];
}

/** The first line of every export. */
export function originOf(emitter: string, layouts: readonly StructLayout[], option = ''): string {
  return `Written by \`xenmem layout --emit ${emitter}${option} --arch ${layouts[0]?.arch}\` from its table of structs. Do not edit.`;
}
