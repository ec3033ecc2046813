import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archNames } from '../../src/abi/arch.ts';
import { type StructName, structNames } from '../../src/abi/structs.ts';
import { type Codecs, codecFor, type StructCodec } from '../../src/codec/codec.ts';
import { AbiError } from '../../src/codec/errors.ts';
import { fromHex, toHex } from '../../src/codec/hex.ts';
import { valueFromJson, valueJson } from '../../src/codec/json.ts';
import { canonicalJson, type EncodedRow, type ErrorRow, type Origin, type StructCase, sha256 } from './case.ts';

type Row = readonly string[];

/** What a C compiler said of one architecture: fixtures/layout. */
interface Measured {
  readonly origin: { readonly compiler: string; readonly headers: string };
  readonly structs: {
    readonly [struct: string]: {
      readonly size: number;
      readonly fields: { readonly [path: string]: { readonly offset: number; readonly size: number } };
    };
  };
  readonly values: {
    readonly [struct: string]: {
      readonly columns: readonly string[];
      readonly rows: readonly Row[];
      readonly dirty_rows: readonly Row[];
      readonly whole_handle_rows?: readonly Row[];
    };
  };
}

const padByte = 'a5';

/**
 * Every struct case, values and bytes from what C compilers measured. `layouts` is the folder of
 * their files.
 */
export function structCases(layouts: string): StructCase[] {
  return archNames.flatMap((arch) => {
    const text = readFileSync(join(layouts, `${arch}.json`), 'utf8');
    const measured = JSON.parse(text) as Measured;
    const { compiler, headers } = measured.origin;
    const origin: Origin = { kind: 'compiler', file: `fixtures/layout/${arch}.json`, sha256: sha256(text), compiler, headers };
    return structNames.flatMap((struct): StructCase[] => {
      const { size } = layoutIn(measured, struct);
      const about = { case: 'struct', struct, arch, size, origin } as const;
      const encoded = encodedRows(measured, struct);
      return [
        { ...about, shows: 'encoded', rows: encoded },
        { ...about, shows: 'errors', rows: errorRows(measured, struct, encoded.find((row) => !/^0*$/.test(row.bytes)) as EncodedRow) },
      ];
    });
  });
}

function layoutIn(measured: Measured, struct: StructName): Measured['structs'][string] {
  return measured.structs[struct] as Measured['structs'][string];
}

/**
 * All zero, each field at its most and nothing else, rows with every field set, dirty padding,
 * handles with all their bits.
 */
function encodedRows(measured: Measured, struct: StructName): EncodedRow[] {
  const { columns, rows, dirty_rows, whole_handle_rows = [] } = measured.values[struct] as Measured['values'][string];
  const isSet = (row: Row): number => columns.filter((_, i) => BigInt(row[i] as string) !== 0n).length;
  const alone = columns.map((_, i) => {
    const own = rows.filter((row) => isSet(row) === 1 && BigInt(row[i] as string) !== 0n);
    return own.reduce((most, row) => (BigInt(row[i] as string) > BigInt(most[i] as string) ? row : most));
  });
  const full = [...rows].filter((row) => isSet(row) === columns.length).slice(0, 4);
  const zero = rows.filter((row) => isSet(row) === 0).slice(0, 1);
  const chosen = [...zero, ...alone, ...full, ...whole_handle_rows.slice(0, 2)];
  return [
    ...chosen.map((row) => encodedRow(columns, row)),
    ...dirty_rows.slice(0, 2).map((row) => ({ ...encodedRow(columns, row), ...dirt(measured, struct) })),
  ];
}

function encodedRow(columns: readonly string[], row: Row): EncodedRow {
  const value: { [name: string]: unknown } = {};
  for (const [i, path] of columns.entries()) {
    const [outer, inner] = path.split('.') as [string, string?];
    const text = row[i] as string;
    const field = isNarrow(inner ?? outer) ? Number(text) : text;
    if (inner === undefined) value[outer] = field;
    else value[outer] = { ...(value[outer] as object), [inner]: field };
  }
  return { value, bytes: row.at(-1) as string };
}

/** Written as a JSON number: 32 bits or fewer whatever the architecture. */
function isNarrow(field: string): boolean {
  return field === 'extent_order' || field === 'address_bits' || field === 'domid';
}

/** What padding a struct has, by what its compiler leaves between and after the fields. */
function dirt(measured: Measured, struct: StructName): Pick<EncodedRow, 'padding'> {
  const { size, fields } = layoutIn(measured, struct);
  const inner = Object.keys(fields).filter((path) => path === 'in' || path === 'out');
  const owners = inner.length > 0 ? inner : [''];
  const padding = owners.flatMap((owner) => {
    const last = fields[owner === '' ? 'domid' : `${owner}.domid`] as { offset: number; size: number };
    const whole = owner === '' ? { offset: 0, size } : (fields[owner] as { offset: number; size: number });
    const bytes = whole.offset + whole.size - (last.offset + last.size);
    return bytes > 0 ? [[owner, padByte.repeat(bytes)] as const] : [];
  });
  return { padding: Object.fromEntries(padding) };
}

/** What must be refused, worked out from the compiler's sizes and offsets alone. */
function errorRows(measured: Measured, struct: StructName, { value, bytes }: EncodedRow): ErrorRow[] {
  const { size, fields } = layoutIn(measured, struct);
  const whole = { kind: 'size', path: '', offset: 0 } as const;
  const leaves = Object.entries(fields).filter(([path]) => path !== 'in' && path !== 'out');
  const cuts = [...new Set([0, ...leaves.map(([, { offset, size: own }]) => offset + own), size - 1])].filter((n) => n < size);
  const decodes = [
    ...cuts
      .sort((a, b) => a - b)
      .map((n): ErrorRow => ({ do: 'decode', bytes: bytes.slice(0, 2 * n), error: whole, why: `cut to ${n} of ${size} bytes` })),
    { do: 'decode', bytes: `${bytes}00`, error: whole, why: 'a byte too long' } as const,
    { do: 'decode', bytes: bytes + bytes, error: whole, why: 'two structs' } as const,
  ];
  const encodes = leaves.flatMap(([path, { offset, size: own }]): ErrorRow[] => {
    const beyond = 1n << BigInt(8 * own);
    const refused = (kind: ErrorRow['error']['kind'], wrong: unknown, why: string): ErrorRow => {
      return { do: 'encode', value: withField(value, path, wrong), error: { kind, path, offset }, why };
    };
    const narrow = isNarrow(path.split('.').at(-1) as string);
    return [
      refused('range', narrow ? Number(beyond) : `0x${beyond.toString(16)}`, `2^${8 * own} in ${own} bytes`),
      refused('range', narrow ? -1 : '-0x1', 'below zero'),
      refused('type', true, 'not a number'),
      refused('missing', undefined, 'no such field given'),
    ];
  });
  return [...decodes, ...encodes];
}

function withField(value: object, path: string, field: unknown): object {
  const [outer, inner] = path.split('.') as [string, string?];
  const set = (of: object, name: string, to: unknown): object => {
    const { [name]: _, ...rest } = of as { [name: string]: unknown };
    return to === undefined ? rest : Object.fromEntries(Object.entries(of).map(([key, old]) => [key, key === name ? to : old]));
  };
  if (inner === undefined) return set(value, outer, field);
  return set(value, outer, set((value as { [name: string]: object })[outer] as object, inner, field));
}

/** What the codec does otherwise than a struct case says, in words; empty if nothing. */
export function checkStruct(golden: StructCase, codecs: Codecs = codecFor(golden.arch)): string[] {
  const codec = codecs[golden.struct] as unknown as StructCodec<'xen_put_dma_buf'>;
  const wrong = golden.size === codec.size ? [] : [`${golden.size} bytes, the codec says ${codec.size}`];
  for (const [i, row] of golden.rows.entries()) {
    const found = 'error' in row ? checkRefused(row, codec) : checkEncoded(row, codec);
    if (found !== undefined) wrong.push(`row ${i}: ${found}`);
  }
  return wrong;
}

function checkEncoded(row: EncodedRow, codec: StructCodec<'xen_put_dma_buf'>): string | undefined {
  try {
    const bytes = fromHex(row.bytes) ?? new Uint8Array(0);
    const decoded = valueJson(codec.decode(bytes));
    const field = firstDifference(row.value, decoded);
    if (field !== undefined) return `decodes otherwise in ${field}`;
    const padding = Object.fromEntries(Object.entries(codec.padding(bytes)).map(([owner, held]) => [owner, toHex(held)]));
    if (canonicalJson(padding) !== canonicalJson(row.padding ?? {})) return 'has other padding';
    const given = Object.fromEntries(Object.entries(row.padding ?? {}).map(([owner, hex]) => [owner, fromHex(hex) ?? new Uint8Array(0)]));
    const encoded = toHex(codec.encode(valueFromJson(codec.layout, row.value) as never, given));
    return encoded === row.bytes ? undefined : `encodes as ${encoded}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function firstDifference(expected: object, found: object, prefix = ''): string | undefined {
  for (const [name, value] of Object.entries(expected)) {
    const other = (found as { [name: string]: unknown })[name];
    if (typeof value === 'object' && value !== null) {
      const inner = firstDifference(value, (other ?? {}) as object, `${prefix}${name}.`);
      if (inner !== undefined) return inner;
    } else if (value !== other) return `${prefix}${name}: ${String(other)}, not ${String(value)}`;
  }
  return undefined;
}

function checkRefused({ do: what, value, bytes = '', error }: ErrorRow, codec: StructCodec<'xen_put_dma_buf'>): string | undefined {
  try {
    if (what === 'decode') codec.decode(fromHex(bytes) ?? new Uint8Array(0));
    else codec.encode(exact(value) as never);
    return `is not refused: ${error.kind} at ${error.path || 'the struct'}`;
  } catch (thrown) {
    if (!(thrown instanceof AbiError)) return (thrown as Error).message;
    const { kind, path, offset } = thrown;
    return canonicalJson({ kind, path, offset }) === canonicalJson(error)
      ? undefined
      : `is refused as ${kind} at ${path || 'the struct'} @${offset}`;
  }
}

/** The value as it is given to `encode`: texts are whole numbers, in or out of range. */
function exact(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, exact(entry)]));
}
