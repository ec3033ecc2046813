import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../../src/codec/hex.ts';
import type { StructCase } from './case.ts';

/** Files that are there already and would be overwritten. */
export class ExistsError extends Error {
  override readonly name = 'ExistsError';
}

/** One row as bytes: a struct to decode, or bytes that must be refused. */
interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** `ok`, or the kind of the refusal. */
  readonly expect: string;
  /** Values by dotted path. */
  readonly fields: ReadonlyMap<string, string>;
}

/**
 * What these struct cases are as files for a project without JSON: a `.bin` each, one table, one C
 * header.
 */
export function copiedFiles(cases: readonly StructCase[]): Map<string, Uint8Array | string> {
  const files = new Map<string, Uint8Array | string>();
  const samples = cases.flatMap(samplesOf);
  for (const { name, bytes } of samples) files.set(`${name}.bin`, bytes);
  files.set('table.tsv', tableOf(samples));
  files.set('xenmem_golden.h', headerOf(samples));
  return files;
}

/** Writes them; with none written where one of them is there already, unless `force`. */
export function writeCopies(folder: string, files: ReadonlyMap<string, Uint8Array | string>, force: boolean): void {
  const there = [...files.keys()].find((file) => existsSync(join(folder, file)));
  if (there !== undefined && !force) throw new ExistsError(`${join(folder, there)} exists already (--force overwrites it)`);
  mkdirSync(folder, { recursive: true });
  for (const [file, content] of files) writeFileSync(join(folder, file), content);
}

function samplesOf({ struct, arch, rows }: StructCase): Sample[] {
  return rows.flatMap((row, i): Sample[] => {
    const at = (kind: string): string => `${struct}_${arch}_${kind}_${String(i).padStart(2, '0')}`;
    if (!('error' in row)) return [{ name: at('ok'), bytes: bytesIn(row.bytes), expect: 'ok', fields: fieldsIn(row.value) }];
    if (row.do !== 'decode') return [];
    return [{ name: at('bad'), bytes: bytesIn(row.bytes ?? ''), expect: row.error.kind, fields: new Map() }];
  });
}

function bytesIn(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array(0);
}

function fieldsIn(value: object, prefix = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, field] of Object.entries(value)) {
    if (typeof field === 'object' && field !== null) for (const [path, text] of fieldsIn(field, `${prefix}${name}.`)) found.set(path, text);
    else found.set(prefix + name, typeof field === 'number' ? `0x${field.toString(16)}` : String(field));
  }
  return found;
}

function tableOf(samples: readonly Sample[]): string {
  const paths = [...new Set(samples.flatMap(({ fields }) => [...fields.keys()]))];
  const lines = samples.map(({ name, bytes, expect, fields }) => {
    return [`${name}.bin`, bytes.length, expect, ...paths.map((path) => fields.get(path) ?? '')].join('\t');
  });
  return `${[['file', 'bytes', 'expect', ...paths].join('\t'), ...lines].join('\n')}\n`;
}

function headerOf(samples: readonly Sample[]): string {
  const arrays = samples.flatMap(({ name, bytes, expect, fields }) => {
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += 12)
      lines.push(`  ${[...bytes.subarray(at, at + 12)].map((b) => `0x${b.toString(16).padStart(2, '0')},`).join(' ')}`);
    // C has no empty arrays.
    const content = bytes.length > 0 ? lines : ['  0x00 /* no bytes at all */'];
    const values = [...fields].map(([path, text]) => `${path} = ${text}`).join(', ');
    return [
      `/* ${expect === 'ok' ? values : `must be refused: ${expect}`} */`,
      `static const unsigned char ${name}[] = {`,
      ...content,
      '};',
      '',
    ];
  });
  const rows = samples.map(({ name, bytes, expect }) => `  { "${name}", ${name}, ${bytes.length}, ${expect === 'ok' ? 1 : 0} },`);
  return `${[
    '/* Written by `xenmem fixtures copy`: bytes as C compilers laid them out, and what of each is to be expected. */',
    '#ifndef XENMEM_GOLDEN_H',
    '#define XENMEM_GOLDEN_H',
    '',
    ...arrays,
    'struct xenmem_golden {',
    '  const char *name;',
    '  const unsigned char *bytes;',
    '  unsigned long length;',
    '  int ok; /* 0: a decoder must refuse it */',
    '};',
    '',
    'static const struct xenmem_golden xenmem_golden[] = {',
    ...rows,
    '};',
    '',
    '#endif',
  ].join('\n')}\n`;
}
