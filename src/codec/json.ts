import { isWord } from '../abi/arch.ts';
import type { Member, StructLayout } from '../abi/layout.ts';
import type { PaddingBytes } from './codec.ts';
import { AbiError } from './errors.ts';
import { fromHex, hex64 } from './hex.ts';

/**
 * A decoded struct as the formats write it: 64-bit words as hex strings, narrower fields as
 * numbers, `null` for what is missing.
 */
export function valueJson(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (typeof field === 'bigint') return [name, hex64(field)];
      return [name, typeof field === 'object' && field !== null ? valueJson(field as object) : field];
    }),
  );
}

/**
 * The value that a JSON object describes, for `encode`, which then checks names and ranges. Numbers
 * may be JSON numbers, `"0x…"` or decimal strings; a JSON number above 2^53 is refused, since its
 * last digits are already lost. `mem_flags`, the later name of `address_bits`, is taken too.
 */
export function valueFromJson(layout: StructLayout, json: unknown): unknown {
  return convert(layout, layout, json, '', 0);
}

/** The `padding` that `decode --json` wrote. */
export function paddingFromJson(layout: StructLayout, json: unknown): PaddingBytes {
  if (typeof json !== 'object' || json === null)
    throw new AbiError(layout.struct, 'padding', 0, 'type', 'expected an object of hex strings');
  return Object.fromEntries(
    Object.entries(json).map(([owner, text]) => {
      const bytes = typeof text === 'string' ? fromHex(text) : undefined;
      if (!bytes) throw new AbiError(layout.struct, owner || 'padding', 0, 'type', 'expected padding bytes in hex');
      return [owner, bytes];
    }),
  );
}

function convert(outer: StructLayout, layout: StructLayout, json: unknown, path: string, base: number): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const value: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(json)) {
    const name = key === 'mem_flags' ? 'address_bits' : key;
    const member = layout.members.find((m) => m.name === name);
    const at = path === '' ? name : `${path}.${name}`;
    if (Object.hasOwn(value, name)) throw new AbiError(outer.struct, at, base, 'extra', 'given twice, as address_bits and mem_flags');
    if (!member) value[name] = field;
    else if (member.nested) value[name] = convert(outer, member.nested, field, at, base + member.offset);
    else value[name] = scalar(outer, member, field, at, base + member.offset);
  }
  return value;
}

/** Longest text of a number that is looked at: leading zeros are allowed. */
const mostDigits = 40;

function scalar(outer: StructLayout, member: Member, json: unknown, path: string, offset: number): unknown {
  let exact: bigint;
  if (typeof json === 'number') {
    if (!Number.isInteger(json)) throw new AbiError(outer.struct, path, offset, 'range', `expected a whole number, got ${json}`);
    if (!Number.isSafeInteger(json)) {
      throw new AbiError(outer.struct, path, offset, 'range', 'a JSON number above 2^53 has lost digits: write it as a string, "0x…"');
    }
    exact = BigInt(json);
  } else if (typeof json === 'string' && /^(?:0x[0-9a-f]+|\d+)$/i.test(json)) {
    const { size } = member;
    // Turning a megabyte of digits into a number is not worth the time.
    exact = json.length > mostDigits ? 1n << 64n : BigInt(json);
    if (exact >= 1n << BigInt(8 * size)) {
      const given = json.length > mostDigits ? `${json.slice(0, mostDigits)}…` : json;
      throw new AbiError(outer.struct, path, offset, 'range', `expected 0..${(1n << BigInt(8 * size)) - 1n}, got ${given}`);
    }
  } else if (typeof json === 'string' && /^-(?:0x[0-9a-f]+|\d+)$/i.test(json)) {
    throw new AbiError(
      outer.struct,
      path,
      offset,
      'range',
      `expected 0..${(1n << BigInt(8 * member.size)) - 1n}, got ${json.slice(0, mostDigits)}`,
    );
  } else if (typeof json === 'string') {
    throw new AbiError(outer.struct, path, offset, 'type', `expected a number, got ${JSON.stringify(json.slice(0, mostDigits))}`);
  } else if (json === null) {
    throw new AbiError(outer.struct, path, offset, 'missing', 'null: it was not captured');
  } else {
    return json;
  }
  return isWord(member.type) ? exact : Number(exact);
}
