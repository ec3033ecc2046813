/** Something to be timed: one call does `each` units of work. */
export interface Timed {
  readonly name: string;
  readonly each: number;
  readonly run: () => void;
}

/**
 * Median nanoseconds per unit of each case, and its median ratio to the first, taken pair by pair
 * within each round.
 */
export interface Measured {
  readonly name: string;
  readonly ns: number;
  readonly ratio: number;
}

/** Times the cases in turn, A B C A B C …, so that a drifting machine drifts for all of them. */
export function measure(cases: readonly Timed[], rounds: number): Measured[] {
  for (const { run } of cases) for (let i = 0; i < 2; i++) run();
  const samples = cases.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run, each }] of cases.entries()) {
      const start = process.hrtime.bigint();
      run();
      samples[i]?.push(Number(process.hrtime.bigint() - start) / each);
    }
  }
  const first = samples[0] as number[];
  return cases.map(({ name }, i) => {
    const own = samples[i] as number[];
    return { name, ns: median(own), ratio: median(own.map((ns, round) => ns / (first[round] as number))) };
  });
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** A table of measurements, ratios to the first row. */
export function table(title: string, unit: string, rows: readonly Measured[]): string {
  const lines = rows.map(({ name, ns, ratio }) => `  ${name.padEnd(44)} ${ns.toFixed(0).padStart(9)}  ${ratio.toFixed(2).padStart(7)}`);
  return [`${title}  (median ${unit}, ratio to the first row)`, ...lines, ''].join('\n');
}
