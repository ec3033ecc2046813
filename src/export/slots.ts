import { type Layout, layoutOf, type Member, paddingName } from '../abi/layout.ts';
import { isMemoryStruct, memoryArguments, memoryStructNames } from '../abi/memory-h.ts';
import { argumentOf, type JudgedOp, opName, opNamed, XENMEM } from '../abi/ops.ts';
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
export function slotsOf({ members, size }: Layout): Slot[] {
  return withPadding(members, size);
}

/** The same of a struct or union without a tag in it; the members of a union have no padding. */
export function slotsIn({ type, parts = [], size }: Member): Slot[] {
  return type === 'union' ? parts.map(slotOf) : withPadding(parts, size);
}

function withPadding(members: readonly Member[], size: number): Slot[] {
  const slots: Slot[] = [];
  let end = 0;
  let gaps = 0;
  const padTo = (offset: number): void => {
    if (offset > end) slots.push({ name: paddingName(gaps++), offset: end, size: offset - end });
  };
  for (const member of members) {
    padTo(member.offset);
    slots.push(slotOf(member));
    end = member.offset + member.size;
  }
  padTo(size);
  return slots;
}

/** Members with all that are inside of those without a tag. */
export function eachMember(members: readonly Member[]): Member[] {
  return members.flatMap((member) => [member, ...eachMember(member.parts ?? [])]);
}

/** Is a word less aligned than its size, as on i386? */
export function isLowered({ size, count, align, nested, parts }: Member): boolean {
  return nested === undefined && parts === undefined && align < size / count;
}

function slotOf(member: Member): Slot {
  return { name: member.name, offset: member.offset, size: member.size, member };
}

/**
 * The layouts with every struct they nest, in the tables' order, so that each is declared before it
 * is used.
 */
export function withNested(layouts: readonly Layout[]): Layout[] {
  const arch = layouts[0]?.arch;
  if (arch === undefined) return [];
  const needed = new Set<string>(layouts.flatMap((l) => [l.struct, ...l.members.flatMap((m) => (m.nested ? [m.nested.struct] : []))]));
  return [...structNames, ...memoryStructNames].filter((name) => needed.has(name)).map((name) => layoutOf(name, arch));
}

/** An op whose argument is one of the structs. */
export interface Op {
  readonly name: string;
  readonly nr: number;
  /**
   * What its number means to a Xen of today, if that is something else: the op was proposed and
   * never merged.
   */
  readonly takenBy: string | undefined;
}

/** The ops that take these structs, by number. */
export function opsOf(layouts: readonly Layout[]): Op[] {
  const wanted = new Set<string>(layouts.map((layout) => layout.struct));
  const judged = (Object.keys(argumentOf) as JudgedOp[]).flatMap((name): Op[] => {
    const nr = XENMEM['dma-buf'][name];
    const today = opName(nr, 'upstream');
    return wanted.has(argumentOf[name]) ? [{ name, nr, takenBy: today === name ? undefined : today }] : [];
  });
  const others = Object.entries(memoryArguments).flatMap(([name, struct]): Op[] => {
    const nr = opNamed(name, 'upstream');
    return nr !== undefined && isMemoryStruct(struct) && wanted.has(struct) ? [{ name, nr, takenBy: undefined }] : [];
  });
  return [...judged, ...others].sort((a, b) => a.nr - b.nr);
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
export function originOf(emitter: string, layouts: readonly Layout[], option = ''): string {
  return `Written by \`xenmem layout --emit ${emitter}${option} --arch ${layouts[0]?.arch}\` from its table of structs. Do not edit.`;
}
