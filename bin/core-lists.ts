import type { CoreList } from './core.ts';

/** Entries of a list that a person is shown. */
const mostShown = 16;

/** The entries of a list in a core, or how many of them it has. */
export function listText({ address, count, entries }: CoreList): string {
  if (count === 0n) return 'no entries';
  const where = `at 0x${address.toString(16)}`;
  if (entries.length === 0) return `${count} ${count === 1n ? 'entry' : 'entries'} ${where}, none of them in the core`;
  const held = BigInt(entries.length) < count ? `${entries.length} of ${count}` : `${count}`;
  const shown = entries.slice(0, mostShown).map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry)));
  return `${held} ${count === 1n ? 'entry' : 'entries'} ${where}: ${shown.join(' ')}${entries.length > mostShown ? ' …' : ''}`;
}

/** The same as JSON, by the paths of the handles. */
export function listsJson(lists: readonly CoreList[]): object {
  if (lists.length === 0) return {};
  const told = lists.map(({ path, address, count, entries }) => [
    path,
    { address: `0x${address.toString(16)}`, count: String(count), entries },
  ]);
  return { lists: Object.fromEntries(told) };
}
