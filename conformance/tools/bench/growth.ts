import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { structs, writeRecords, writeStructs } from './bulk-cases.ts';
import { median } from './measure.ts';

/** What a process says of itself when it ends: the most memory that it had, in KiB. */
const tellsPeak = "process.on('exit', () => require('fs').writeFileSync(process.env.PEAK, String(process.resourceUsage().maxRSS)));\n";
const rounds = 3;

/** How time and memory grow with the work: `--summary` of ever more records, whole processes. */
export function growthFigures(root: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'xenmem-bench-'));
  try {
    return figures(root, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function figures(root: string, folder: string): string {
  const [peak, preload, file] = [join(folder, 'peak'), join(folder, 'peak.cjs'), join(folder, 'growing')];
  writeFileSync(preload, tellsPeak);
  const run = (words: readonly string[]): { readonly seconds: number; readonly mib: number } => {
    const start = process.hrtime.bigint();
    const { status } = spawnSync(process.execPath, ['--require', preload, ...words], {
      stdio: 'ignore',
      env: { ...process.env, PEAK: peak },
    });
    if (status !== 0 && status !== 1) throw new Error(`${words.join(' ')} exited with ${status}`);
    return { seconds: Number(process.hrtime.bigint() - start) / 1e9, mib: Number(readFileSync(peak, 'utf8')) / 1024 };
  };
  const validate = [`${root}dist/bin/xenmem.js`, 'validate', '--summary'];
  const array = ['--struct', 'get_dma_buf', '--input-format', 'raw'];
  const row = (count: number, words: readonly string[]): string => {
    const runs = Array.from({ length: rounds }, () => {
      const bare = run(['-e', '0']).seconds;
      const { seconds, mib } = run(words);
      return { seconds: seconds - bare, mib };
    });
    const [seconds, mib] = [median(runs.map((one) => one.seconds)), median(runs.map((one) => one.mib))];
    const [own, each] = [seconds.toFixed(3).padStart(9), ((seconds / count) * 1e9).toFixed(0).padStart(9)];
    return `  ${String(count).padStart(9)} ${own} ${each} ${mib.toFixed(0).padStart(7)}`;
  };
  const rows = (most: number, write: (count: number) => void, words: readonly string[]): string[] => {
    const found: string[] = [];
    for (let count = 1000; count <= most; count *= 10) {
      write(count);
      found.push(row(count, [...validate, ...words, file]));
    }
    rmSync(file);
    return found;
  };
  return [
    'growth, validate --summary  (seconds less node alone, ns a record, peak MiB; medians)',
    ' structs of a raw array',
    ...rows(1e7, (count) => writeStructs(file, count, structs(4096, false)), array),
    ' calls of an NDJSON trace',
    ...rows(1e6, (count) => writeRecords(file, count), []),
    '',
  ].join('\n');
}
