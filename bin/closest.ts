/** `, did you mean "x"?` for the nearest known word, or nothing if none is near. */
export function closest(word: string, known: readonly string[]): string {
  const wanted = word.toLowerCase();
  let best = wanted.length > 2 ? known.find((candidate) => candidate.toLowerCase().startsWith(wanted)) : undefined;
  let least = best === undefined ? (word.length < 4 ? 0 : Math.max(1, Math.floor(word.length / 3))) + 1 : 0;
  for (const candidate of known) {
    const far = distance(wanted, candidate.toLowerCase());
    if (far < least) [best, least] = [candidate, far];
  }
  return best === undefined ? '' : `, did you mean ${JSON.stringify(best)}?`;
}

/** Changed, missing, added and swapped letters. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] as number) + 1 : Infinity;
      next.push(Math.min(changed, swapped, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] as number;
}
