import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { captures, file, has, root, scratch, shell, xenmem } from '../../../bin/shell.ts';

const dom0 = join(captures, 'xen-4.17-arm64-dom0.ndjson');

describe('a trace on many machines', () => {
  it.skipIf(!has('parallel'))('GNU parallel over 8 pieces, merged as they come, is one run', () => {
    const whole = shell(`xenmem validate --json --fail-on never ${dom0} | tail -1`);
    const run = `seq 8 | parallel '${process.execPath}' '${root}/dist/bin/xenmem.js' validate --partial --piece {}/8 ${dom0} > pieces`;
    const merged = shell(`cd '${scratch}'; ${run}; xenmem merge --json --fail-on never pieces`);
    expect(readFileSync(join(scratch, 'pieces'), 'utf8').split('\n').length).toBe(9);
    expect(merged.stdout).toBe(whole.stdout);
  });
});

describe('what validate and decode print, read by DuckDB', () => {
  const rows = async (query: string): Promise<unknown[][]> => {
    const connection = await (await DuckDBInstance.create()).connect();
    return (await connection.runAndReadAll(query)).getRowsJson();
  };
  const table = (name: string, text: string): string => {
    file(name, text);
    return `read_json('${join(scratch, name)}', format = 'newline_delimited', maximum_object_size = 16777216)`;
  };

  it('the counts by op, rc and finding are those of the lines', async () => {
    const text = xenmem(['validate', '--json', '--fail-on', 'never', dom0]).stdout;
    const calls = table('calls.json', text);
    const trace = table('trace.json', readFileSync(dom0, 'utf8'));
    const found = await rows(
      `SELECT c.op, t.rc, c.f.id, count(*)::INTEGER FROM (SELECT seq, op, unnest(findings) AS f FROM ${calls} WHERE op IS NOT NULL) c
       JOIN ${trace} t ON c.seq = t.seq GROUP BY ALL ORDER BY ALL`,
    );
    const rcOf = new Map(
      readFileSync(dom0, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ seq, rc }) => [seq, rc]),
    );
    const own = new Map<string, number>();
    for (const line of text.trimEnd().split('\n').slice(0, -1)) {
      const { seq, op, findings } = JSON.parse(line);
      for (const { id } of findings) own.set(`${op} ${rcOf.get(seq)} ${id}`, (own.get(`${op} ${rcOf.get(seq)} ${id}`) ?? 0) + 1);
    }
    expect(found.length).toBeGreaterThan(5);
    expect(new Map(found.map(([op, rc, id, n]) => [`${op} ${rc} ${id}`, n]))).toEqual(own);
  });

  it('64-bit values are intact', async () => {
    const hex = `ffffffffffffffff fdffffffffffff7f 00000000 00000000 f07f 000000000000`.replaceAll(' ', '');
    file('top.hex', `${hex}\n`);
    const text = xenmem(['decode', '--json', '--struct', 'xen_memory_reservation', '--fail-on', 'never', 'top.hex']).stdout;
    const [row] = await rows(
      `SELECT value.extent_start, value.nr_extents, value.extent_start::UBIGINT::VARCHAR FROM ${table('top.json', text)}`,
    );
    expect(row).toEqual(['0xffffffffffffffff', '0x7ffffffffffffffd', '18446744073709551615']);
  });
});
