import { FileError } from '../bytes.ts';
import { AbbreviationTables } from './abbreviations.ts';
import { Cursor } from './cursor.ts';
import { type Entry, type Reference, readEntry, type StringSections } from './entries.ts';
import { type Unit, unitsOf } from './units.ts';

/** The sections of a file's debug information. Entries may be in several, as one for each type. */
export interface DwarfSections {
  readonly info: readonly { readonly name: string; readonly data: Uint8Array }[];
  readonly abbreviations: Uint8Array;
  readonly strings: StringSections;
}

/** The entries of a file, which lead from one to another. */
export interface Tree {
  readonly units: readonly Unit[];
  readonly strings: StringSections;
  /** The first entry of a unit. */
  readonly rootOf: (unit: Unit) => Entry | undefined;
  /** Where the offsets of a unit's strings begin. */
  readonly baseOf: (unit: Unit) => number;
  /** The entry with this id. */
  readonly entry: (id: number) => Entry;
  /** The id of what is meant: 0 for nothing, `elsewhere` for what is in another file. */
  readonly idOf: (reference: Reference | undefined) => number;
  /** The entries right below one, by way of siblings where they are told. */
  readonly childrenOf: (parent: Entry) => Generator<Entry>;
}

/** Entries that are looked at to follow types, all in all: types that lead in circles end here. */
const mostLooks = 20_000_000;
/** The id of a type that is in another file. */
export const elsewhere = -1;

/** The entries of these sections; a `FileError` where all of them only stand for another file's. */
export function treeOf({ info, abbreviations, strings }: DwarfSections): Tree {
  const units = allUnits(info, new AbbreviationTables(abbreviations));
  const signatures = signaturesOf(units);
  const { rootOf, baseOf } = rootsOf(strings);
  refuseSplit(units, rootOf);
  let looks = 0;
  const entryAt = (cursor: Cursor, unit: Unit): Entry | undefined => {
    if (looks++ > mostLooks) throw new FileError('the debug information: its types lead round in circles');
    return readEntry(cursor, unit, strings, baseOf);
  };
  const entry = (id: number): Entry => {
    const unit = unitWith(units, id);
    const found = entryAt(cursorAt(unit, id - unit.section.base), unit);
    if (!found) throw new FileError(`the debug information: byte ${id} is meant, and begins no entry`);
    return found;
  };
  const idOf = (reference: Reference | undefined): number => {
    if (reference === undefined) return 0;
    if (reference === 'elsewhere') return elsewhere;
    return 'id' in reference ? reference.id : (signatures.get(reference.signature) ?? elsewhere);
  };
  function* childrenOf(parent: Entry): Generator<Entry> {
    if (!parent.children) return;
    const cursor = cursorAt(parent.unit, parent.after);
    for (;;) {
      const child = entryAt(cursor, parent.unit);
      if (!child) return;
      yield child;
      if (!child.children) continue;
      const next = child.sibling === undefined ? 0 : idOf(child.sibling) - parent.unit.section.base;
      if (next > cursor.at && next <= parent.unit.end) cursor.at = next;
      else for (let depth = 1; depth > 0; ) depth += deeper(entryAt(cursor, parent.unit));
    }
  }
  return { units, strings, rootOf, baseOf, entry, idOf, childrenOf };
}

/** A cursor at a byte of a unit's section, which ends where the unit does. */
export function cursorAt(unit: Unit, at: number): Cursor {
  return new Cursor(unit.section.data, unit.section.name, at, unit.end);
}

function allUnits(info: DwarfSections['info'], tables: AbbreviationTables): Unit[] {
  const units: Unit[] = [];
  let base = 0;
  for (const { name, data } of info) {
    for (const unit of unitsOf({ name, data, base }, tables)) units.push(unit);
    base += data.length;
  }
  return units;
}

/** The ids of the types that have units of their own, by what others call them by. */
function signaturesOf(units: readonly Unit[]): Map<bigint, number> {
  const signatures = new Map<bigint, number>();
  for (const { signature, typeAt, section, start } of units) {
    if (signature !== undefined && typeAt !== undefined) signatures.set(signature, section.base + start + typeAt);
  }
  return signatures;
}

/**
 * Split units leave out where the offsets of their strings begin: after the header that DWARF 5
 * gave them.
 */
function assumedBase({ shape: { version, offset } }: Unit): number {
  return version < 5 ? 0 : offset === 8 ? 16 : 8;
}

/** The first entry of each unit, read when it is asked for. */
function rootsOf(strings: StringSections): Pick<Tree, 'rootOf' | 'baseOf'> {
  const roots = new Map<Unit, Entry | undefined>();
  const rootOf = (unit: Unit): Entry | undefined => {
    if (roots.has(unit)) return roots.get(unit);
    // Its own name may stand before what tells where names are: it is read again then.
    let from: number | undefined;
    const read = (): Entry | undefined => readEntry(cursorAt(unit, unit.first), unit, strings, () => from ?? assumedBase(unit));
    let root = unit.first < unit.end ? read() : undefined;
    if (root?.stringOffsets !== undefined) {
      from = root.stringOffsets;
      root = read();
    }
    roots.set(unit, root);
    return root;
  };
  return { rootOf, baseOf: (unit) => rootOf(unit)?.stringOffsets ?? assumedBase(unit) };
}

function refuseSplit(units: readonly Unit[], rootOf: Tree['rootOf']): void {
  if (units.length === 0 || !units.every((unit) => unit.skeleton || rootOf(unit)?.splitName !== undefined)) return;
  const name = units.map((unit) => rootOf(unit)?.splitName).find((split) => split !== undefined) ?? 'a .dwo file';
  throw new FileError(`split debug information: the types are in ${name}: check that file`);
}

/** The unit that has an entry with this id. */
function unitWith(units: readonly Unit[], id: number): Unit {
  let [low, high] = [0, units.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { section, start } = units[middle] as Unit;
    if (section.base + start <= id) low = middle + 1;
    else high = middle;
  }
  const unit = units[low - 1];
  if (!unit || id < unit.section.base + unit.first || id >= unit.section.base + unit.end)
    throw new FileError(`the debug information: byte ${id} is meant, and lies in no unit`);
  return unit;
}

/** How many lists of children are begun or ended by an entry, or by the mark in its place. */
function deeper(inner: Entry | undefined): number {
  return inner === undefined ? -1 : inner.children ? 1 : 0;
}
