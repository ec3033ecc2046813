import { abbreviationOf } from './abbreviations.ts';
import { goToName, kindOfTag, nameAt, type Placed, placeOf, TAG } from './entries.ts';
import { skipForm } from './forms.ts';
import { cursorAt, type Tree } from './tree.ts';
import type { Unit } from './units.ts';

/** What may bear a wanted name. */
const named = new Set<number>([TAG.structure, TAG.class, TAG.typedef]);
/** A kernel has one struct as often as files that include its header. */
const mostOfOneName = 50_000;

/**
 * Passes every entry once; answers the ids of those that bear one of the names, by kind and name as
 * `struct xen_memory_reservation`, declarations left out.
 */
export function idsByName({ units, strings, baseOf, entry }: Tree, names: ReadonlySet<string>): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const wanted = new Map<number, string[]>();
  for (const name of names) wanted.set(name.charCodeAt(0), [...(wanted.get(name.charCodeAt(0)) ?? []), name]);
  const isWanted = (placed: Placed): boolean => {
    return wanted.get(placed.data[placed.at] ?? 0)?.includes(nameAt(placed)) ?? false;
  };
  const keep = (unit: Unit, at: number): void => {
    const { tag, name = '', declaration, signature } = entry(unit.section.base + at);
    const key = `${kindOfTag.get(tag)} ${name}`;
    const ids = found.get(key) ?? [];
    found.set(key, ids);
    if (declaration !== true && signature === undefined && ids.length < mostOfOneName) ids.push(unit.section.base + at);
  };
  for (const unit of units) {
    const cursor = cursorAt(unit, unit.first);
    while (cursor.at < cursor.end) {
      const at = cursor.at;
      const code = cursor.uleb();
      if (code === 0) continue;
      const abbreviation = abbreviationOf(unit.abbreviations, code, cursor);
      const { attributes, size, tag } = abbreviation;
      if (named.has(tag)) {
        const after = cursor.at;
        const form = goToName(cursor, abbreviation, unit);
        const placed = form === undefined ? undefined : placeOf(cursor, form, unit, strings, baseOf);
        if (placed && isWanted(placed)) keep(unit, at);
        cursor.at = after;
      }
      if (size !== undefined) cursor.skip(size);
      else for (const { form } of attributes) skipForm(cursor, form, unit.shape);
    }
  }
  return found;
}
