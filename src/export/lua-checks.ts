import type { Layout } from '../abi/layout.ts';
import { opsTaking } from '../abi/ops.ts';
import type { Severity } from '../rules/answer.ts';
import { claimIn, type Dialect, valueIn } from '../rules/duties/dialect.ts';
import { dutiesOf } from '../rules/duties/duties.ts';
import type { End, Message, Nat, Shown } from '../rules/duties/expression.ts';

/**
 * What the checks below call: exact arithmetic on UInt64, since a number of Lua is a double and
 * holds 53 bits.
 */
export const luaHelpers: string = `\
local function hex(value)
  local digits = value:tohex():gsub("^0+", "")
  return "0x" .. (digits == "" and "0" or digits)
end

local function domid_name(domid)
  return DOMID[domid:tonumber()] or tostring(domid)
end

-- a << ao == b << bo
local function same_total(a, ao, b, bo)
  if a == UInt64(0) or b == UInt64(0) then return a == b end
  if ao < bo then a, ao, b, bo = b, bo, a, ao end
  local up = ao - bo
  if up > UInt64(63) then return false end
  local shift = up:tonumber()
  return b:rshift(shift) == a and a:lshift(shift) == b
end

-- a < start + 2^shift * count
local function before(a, start, shift, count)
  return a < start or (a - start):rshift(shift) < count
end

-- start + 2^shift * count <= last + 1
local function fits(start, shift, count, last)
  local room, rest = last - start, UInt64(1):lshift(shift) - UInt64(1)
  return count == UInt64(0) or (room >= rest and count - UInt64(1) <= (room - rest):rshift(shift))
end

-- start + 2^shift * count in hex, which may have more than 64 bits
local function hex_end(start, shift, count)
  local sum = start + count:lshift(shift)
  local over = count:rshift(64 - shift) + UInt64(sum < start and 1 or 0)
  return over == UInt64(0) and hex(sum) or hex(over) .. sum:tohex()
end
`;

/**
 * The duties that the dissector checks on a struct, with their severities there: what needs the
 * call around it is left out.
 */
export function luaDuties(layout: Layout): { readonly id: string; readonly severity: Severity }[] {
  return checkedOn(layout).map(({ duty }) => ({
    id: duty.id,
    severity: duty.noteOn?.some((op) => opsTaking(layout.struct).includes(op)) ? 'note' : duty.severity,
  }));
}

/**
 * The body of a function of `v` (a UInt64 by path), `pads` (text by offset) and `say(rule id, path,
 * message)`.
 */
export function luaChecks(layout: Layout): string[] {
  return checkedOn(layout).flatMap(({ duty, ways }) =>
    ways.map(({ claim, where, message }) => `if ${claim} then say("${duty.id}", "${where}", ${messageIn(layout, message)}) end`),
  );
}

function checkedOn(layout: Layout) {
  return dutiesOf(layout).flatMap((duty) => {
    const ways = duty.breaches(layout).flatMap(({ where, broken, message }) => {
      const claim = claimIn(lua, layout, broken);
      return claim === undefined ? [] : [{ claim, where, message }];
    });
    return ways.length > 0 ? [{ duty, ways }] : [];
  });
}

/** Claims on a struct in Lua. */
export const lua: Dialect = {
  field: ({ path }) => `v["${path}"]`,
  number: (value) => (value < 1n << 31n ? `UInt64(${value})` : `UInt64(${value & 0xffffffffn}, ${value >> 32n})`),
  parameter: () => undefined,
  low: (of, bits) => `${of}:band(${lua.number((1n << BigInt(bits)) - 1n)})`,
  high: (of, bits) => `${of}:rshift(${bits})`,
  equal: (a, b) => `${a} == ${b}`,
  unequal: (a, b) => `${a} ~= ${b}`,
  less: (a, b) => `${a} < ${b}`,
  sameTotal: (...parts) => `same_total(${parts.join(', ')})`,
  within: (a, start, size) => `before(${a}, ${start}, 0, ${size})`,
  before: (a, start, shift, count) => `before(${a}, ${start}, ${shift}, ${count})`,
  fits: (start, shift, count, bits) => `fits(${start}, ${shift}, ${count}, ${lua.number((1n << BigInt(bits)) - 1n)})`,
  filled: ({ offset }) => `pads[${offset}]:find("[1-9a-f]")`,
  all: (claims) => claims.join(' and '),
  not: (claim) => `not (${claim})`,
};

function messageIn(layout: Layout, { texts, values }: Message): string {
  const parts = texts.flatMap((text, i) => {
    const before = values[i - 1];
    return [...(before ? [shown(layout, before)] : []), ...(text === '' ? [] : [JSON.stringify(text)])];
  });
  return parts.join(' .. ');
}

function shown(layout: Layout, value: Shown): string {
  if (value.as === 'bytes') return `pads[${value.of.offset}]`;
  const of: Nat | End = value.of;
  if (of.is === 'end') return `hex_end(${valueIn(lua, layout, of.start)}, ${Math.log2(of.stride)}, ${valueIn(lua, layout, of.count)})`;
  const text = valueIn(lua, layout, of);
  switch (value.as) {
    case 'hex':
      return `hex(${text})`;
    case 'domid':
      return `domid_name(${text})`;
    case 'node':
      return `tostring(${text} - UInt64(1))`;
    case 'decimal':
      return `tostring(${text})`;
  }
}
