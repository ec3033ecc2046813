import type { PageRun } from './implementation.ts';

/** Does a page lie in one of these runs? */
export function isIn(runs: readonly PageRun[], page: bigint): boolean {
  return runs.some(({ gfn, pages }) => page >= gfn && page < gfn + BigInt(pages));
}

/** The pages of runs, one by one. */
export function pagesIn(runs: readonly PageRun[]): bigint[] {
  return runs.flatMap(({ gfn, pages }) => Array.from({ length: pages }, (_, i) => gfn + BigInt(i)));
}

/** Runs that follow each other as one. */
export function joined(runs: readonly PageRun[]): PageRun[] {
  const found: PageRun[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (last && last.gfn + BigInt(last.pages) === run.gfn) found[found.length - 1] = { gfn: last.gfn, pages: last.pages + run.pages };
    else found.push(run);
  }
  return found;
}
