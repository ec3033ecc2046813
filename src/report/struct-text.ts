import { domidName, PAGE_SIZE, XENMEMF } from '../abi/constants.ts';
import type { Field, StructLayout } from '../abi/layout.ts';
import { readField } from '../codec/field.ts';
import { hex64, toHex } from '../codec/hex.ts';
import type { Finding } from '../rules/judge.ts';
import { plain, type Style } from './style.ts';

/** Bytes shown on one row of the dump. */
const rowBytes = 8;
const pathWidth = 17;
const valueWidth = 26;

/**
 * The bytes of a struct beside their meaning, one row per field and per run of padding, offsets always. A buffer that ends
 * early is shown as far as it goes; what is missing says so. Zero padding is not worth a row.
 */
export function structText(layout: StructLayout, bytes: Uint8Array, findings: readonly Finding[] = [], style: Style = plain): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: string[] = [];
  for (const part of partsOf(layout)) {
    const held = bytes.subarray(part.offset, part.offset + part.size);
    const marks = findings.filter((f) => f.bytes !== undefined && f.bytes[0] < part.offset + part.size && f.bytes[1] > part.offset);
    let label = 'padding';
    let value = 'not zero';
    if (part.field) {
      label = part.field.path;
      value = held.length < part.size ? missing(held.length) : meaning(part.field, readField(view, part.field));
    } else if (held.length < part.size) {
      value = missing(held.length);
    } else if (held.every((byte) => byte === 0)) {
      continue;
    }
    const offset = `0x${part.offset.toString(16).padStart(2, '0')}`;
    const row = `${style.dim(offset)}│${hexRow(held, part.offset, style)}│ ${label.padEnd(pathWidth)} ${value}`;
    const width = offset.length + 3 * rowBytes + 2 + pathWidth + value.length + 2;
    const first = marks[0];
    lines.push(
      first === undefined
        ? row
        : `${row}${' '.repeat(Math.max(2, 52 + valueWidth - width))}${mark(first, style)} ${marks.map((m) => m.id).join(', ')}`,
    );
  }
  return lines;
}

/** A finding's severity as it is printed, coloured by weight. */
export function mark(finding: Pick<Finding, 'severity'>, style: Style): string {
  if (finding.severity === 'error') return style.bad('error');
  return finding.severity === 'warning' ? style.warn('warning') : style.dim('note');
}

/** What a scalar means, in the field's own words: handles in hex, orders as pages, domain ids by name. */
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
  const parts = [bits === 0 ? 'no limit' : `below 2^${bits}`];
  const node = XENMEMF.node(word);
  if (node !== undefined) parts.push(`node ${node}`);
  if (word & XENMEMF.populate_on_demand) parts.push('populate_on_demand');
  if (word & XENMEMF.exact_node_request) parts.push('exact_node_request');
  if (word & XENMEMF.vnode) parts.push('vnode');
  if (path.startsWith('in.')) return word === 0 ? '0' : `${hex64(BigInt(word))}  (ignored)`;
  return word === 0 ? '0  (no limit)' : `${word > 0xff ? hex64(BigInt(word)) : word}  (${parts.join(', ')})`;
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
