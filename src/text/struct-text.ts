import { domidName, PAGE_SIZE, XENMEMF } from '../abi/constants.ts';
import type { Field, StructLayout } from '../abi/layout.ts';
import { readField } from '../codec/field.ts';
import { hex64, toHex } from '../codec/hex.ts';
import type { Finding } from '../rules/judge.ts';
import { plain, type Style } from './style.ts';
import { columns } from './wrap.ts';

/** Bytes shown on one row of the dump. */
const rowBytes = 8;
const pathWidth = 17;
/** Where a row's findings stand, unless its value is longer. */
const markColumn = 70;

/**
 * The bytes of a struct beside their meaning, one row per field and per run of padding, offsets
 * always, each finding beside its row (or under it, where the row is full). A buffer that ends
 * early is shown as far as it goes; what is missing says so. Zero padding is not worth a row.
 */
export function structText(layout: StructLayout, bytes: Uint8Array, findings: readonly Finding[] = [], style: Style = plain): string[] {
  const lines: string[] = [];
  for (const row of structRows(layout, bytes)) {
    const { offset, size: length, held, value } = row;
    const text = ` ${(row.path ?? 'padding').padEnd(pathWidth)} ${value}`;
    const marks = findings.filter((f) => f.bytes !== undefined && f.bytes[0] < offset + length && f.bytes[1] > offset);
    const place = `0x${offset.toString(16).padStart(2, '0')}`;
    lines.push(...withMarks(`${style.dim(place)}│${hexRow(held, offset, style)}│${text}`, rowWidth + text.length, marks, style));
  }
  return lines;
}

/**
 * One field of a struct, or a run of padding that is not zero: where it lies, as many of its bytes
 * as there are, and what they mean.
 */
export interface StructRow {
  readonly offset: number;
  readonly size: number;
  /** `undefined` for padding. */
  readonly path: string | undefined;
  readonly held: Uint8Array;
  readonly value: string;
}

/**
 * A struct's bytes, field by field. Zero padding is left out; what was not captured has a row that
 * says so.
 */
export function structRows(layout: StructLayout, bytes: Uint8Array): StructRow[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return partsOf(layout).flatMap(({ offset, size: length, field }): StructRow[] => {
    const held = bytes.subarray(offset, offset + length);
    const row = { offset, size: length, path: field?.path, held };
    if (held.length < length) return [{ ...row, value: missing(held.length) }];
    if (field) return [{ ...row, value: meaning(field, readField(view, field)) }];
    return held.every((byte) => byte === 0) ? [] : [{ ...row, value: 'not zero' }];
  });
}

/** Columns before the field's path. */
const rowWidth = '0x00│'.length + 3 * rowBytes - 1 + '│'.length;

function withMarks(row: string, width: number, marks: readonly Finding[], style: Style): string[] {
  const lines: string[] = [];
  let [line, used] = [row, width];
  for (const { id, severity } of marks) {
    const column = Math.max(markColumn, used + 2);
    const text = `${severity.padEnd(5)} ${id}`;
    if (lines.length > 0 || line !== row || column + text.length > columns) {
      lines.push(line);
      [line, used] = [`    │${' '.repeat(3 * rowBytes - 1)}│`, rowWidth];
    }
    const gap = Math.min(Math.max(markColumn, used + 2), columns - text.length) - used;
    line += `${' '.repeat(gap)}${mark({ severity }, style)}${text.slice(severity.length)}`;
  }
  return [...lines, line];
}

/** A finding's severity as it is printed, coloured by weight. */
export function mark(finding: Pick<Finding, 'severity'>, style: Style): string {
  if (finding.severity === 'error') return style.bad('error');
  return finding.severity === 'warning' ? style.warn('warning') : style.dim('note');
}

/**
 * What a scalar means, in the field's own words: handles in hex, orders as pages, domain ids by
 * name.
 */
export function meaning(field: Field, value: bigint | number): string {
  switch (field.name) {
    case 'extent_start':
      return hex64(BigInt(value));
    case 'extent_order': {
      const order = Number(value);
      return order > 18 ? String(order) : `${order}  (${size(PAGE_SIZE * 2 ** order)} each)`;
    }
    case 'address_bits':
      return addressBits(field.path, Number(value));
    case 'domid': {
      const name = domidName(Number(value));
      return name === undefined ? String(value) : `${name} (${hex64(BigInt(value))})`;
    }
    default:
      return BigInt(value) > 0xffff_ffffn ? `${value}  (${hex64(BigInt(value))})` : String(value);
  }
}

function addressBits(path: string, word: number): string {
  const bits = XENMEMF.address_bits(word);
  if (word <= 0xff && !path.startsWith('in.')) return `${word}  (${bits === 0 ? 'no limit' : `below 2^${bits}`})`;
  const parts = [bits === 0 ? 'no limit' : `${bits} bits`];
  const node = XENMEMF.node(word);
  if (node !== undefined) parts.push(`node ${node}`);
  if (word & XENMEMF.populate_on_demand) parts.push('PoD');
  if (word & XENMEMF.exact_node_request) parts.push('exact');
  if (word & XENMEMF.vnode) parts.push('vnode');
  if (path.startsWith('in.')) return word === 0 ? '0' : `${hex64(BigInt(word))}  (ignored)`;
  return `${hex64(BigInt(word))}  (${parts.join(', ')})`;
}

function size(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB'];
  let [n, unit] = [bytes / 1024, 0];
  while (n >= 1024 && unit < units.length - 1) [n, unit] = [n / 1024, unit + 1];
  return `${n} ${units[unit]}`;
}

function missing(held: number): string {
  return held === 0 ? 'not captured' : `cut: only ${held} bytes captured`;
}

function hexRow(held: Uint8Array, offset: number, style: Style): string {
  const before = (offset % rowBytes) * 3;
  const shown = held.length === 0 ? '' : held.every((b) => b === 0) ? style.dim(toHex(held, ' ')) : toHex(held, ' ');
  const width = before + Math.max(0, held.length * 3 - 1);
  return `${' '.repeat(before)}${shown}${' '.repeat(Math.max(0, rowBytes * 3 - 1 - width))}`;
}

function partsOf(layout: StructLayout): { offset: number; size: number; field?: Field }[] {
  const fields = layout.fields.map((field) => ({ offset: field.offset, size: field.size, field }));
  return [...fields, ...layout.padding].sort((a, b) => a.offset - b.offset);
}
