import { domidName } from '../../abi/constants.ts';
import { fieldOf, type Layout } from '../../abi/layout.ts';
import { readField } from '../../codec/field.ts';
import { hex64, toHex } from '../../codec/hex.ts';
import { sameTotal } from '../exact.ts';

/**
 * What a struct alone does not hold: its own address, and the `start_extent` in `cmd`. Either may
 * be unknown.
 */
export type Parameter = 'address' | 'start_extent';

/**
 * A natural number below 2^64: a field of the struct, a parameter, a constant, or some bits of one.
 */
export type Nat =
  | { readonly is: 'field'; readonly path: string }
  | { readonly is: 'parameter'; readonly name: Parameter }
  | { readonly is: 'number'; readonly value: bigint }
  /** `of` modulo 2^bits. */
  | { readonly is: 'low'; readonly of: Nat; readonly bits: number }
  /** `of` divided by 2^bits. */
  | { readonly is: 'high'; readonly of: Nat; readonly bits: number };

/** `of << by`, exact: it may have 2^32 bits and more, so it is never computed. */
export interface Shifted {
  readonly is: 'shifted';
  readonly of: Nat;
  readonly by: Nat;
}

/** The first address behind a list: `start + stride * count`, exact, so it may lie beyond 2^64. */
export interface End {
  readonly is: 'end';
  readonly start: Nat;
  readonly stride: number;
  readonly count: Nat;
}

/** Bytes that no field covers. */
export interface Gap {
  readonly offset: number;
  readonly size: number;
}

/** What is true or false of a struct, or unknown where bytes or parameters of it are. */
export type Claim =
  | { readonly is: 'equal' | 'less'; readonly a: Nat; readonly b: Nat }
  | { readonly is: 'same total'; readonly a: Shifted; readonly b: Shifted }
  /** a < end */
  | { readonly is: 'before'; readonly a: Nat; readonly end: End }
  /** end <= 2^bits */
  | { readonly is: 'fits'; readonly end: End; readonly bits: number }
  /** Is any byte of the gap other than 0? */
  | { readonly is: 'filled'; readonly gap: Gap }
  | { readonly is: 'all'; readonly of: readonly Claim[] }
  | { readonly is: 'not'; readonly of: Claim };

/** How a value is shown in a message. */
export type Shown =
  | { readonly as: 'hex' | 'decimal' | 'domid' | 'node'; readonly of: Nat | End }
  | { readonly as: 'bytes'; readonly of: Gap };

/** A sentence with values in it: texts, with a value between each two. */
export interface Message {
  readonly texts: readonly string[];
  readonly values: readonly Shown[];
}

type Term = Nat | string | number;

const nat = (term: Term): Nat => {
  if (typeof term === 'string') return { is: 'field', path: term };
  return typeof term === 'number' ? { is: 'number', value: BigInt(term) } : term;
};

export const parameter = (name: Parameter): Nat => ({ is: 'parameter', name });
export const low = (of: Term, bits: number): Nat => ({ is: 'low', of: nat(of), bits });
export const high = (of: Term, bits: number): Nat => ({ is: 'high', of: nat(of), bits });
export const shl = (of: Term, by: Term): Shifted => ({ is: 'shifted', of: nat(of), by: nat(by) });
export const end = (start: Term, stride: number, count: Term): End => ({ is: 'end', start: nat(start), stride, count: nat(count) });

/** a == b, of naturals or of two shifted ones. */
export function eq(a: Term | Shifted, b: Term | Shifted): Claim {
  const [isA, isB] = [isShifted(a), isShifted(b)];
  if (isA && isB) return { is: 'same total', a: a as Shifted, b: b as Shifted };
  if (isA || isB) throw new TypeError('a shifted number is compared with another only');
  return { is: 'equal', a: nat(a as Term), b: nat(b as Term) };
}

/** a < b, where b may be the end of a list. */
export function lt(a: Term, b: Term | End): Claim {
  return typeof b === 'object' && b.is === 'end' ? { is: 'before', a: nat(a), end: b } : { is: 'less', a: nat(a), b: nat(b as Term) };
}

export const ne = (a: Term | Shifted, b: Term | Shifted): Claim => not(eq(a, b));
export const gt = (a: Term, b: Term): Claim => lt(b, a);
export const fits = (of: End, bits: number): Claim => ({ is: 'fits', end: of, bits });
export const filled = (gap: Gap): Claim => ({ is: 'filled', gap });
export const all = (...of: Claim[]): Claim => ({ is: 'all', of });
export const not = (of: Claim): Claim => ({ is: 'not', of });

const isShifted = (term: Term | Shifted): term is Shifted => typeof term === 'object' && term.is === 'shifted';

/** A message, as say`order ${decimal('extent_order')} is too high`. */
export function say(texts: TemplateStringsArray, ...values: Shown[]): Message {
  return { texts, values };
}

export const hex = (of: Term | End): Shown => ({ as: 'hex', of: termOrEnd(of) });
export const decimal = (of: Term | End): Shown => ({ as: 'decimal', of: termOrEnd(of) });
export const domid = (of: Term): Shown => ({ as: 'domid', of: nat(of) });
/** The number of a node, which flags hold plus one. */
export const node = (of: Term): Shown => ({ as: 'node', of: nat(of) });
export const bytesOf = (of: Gap): Shown => ({ as: 'bytes', of });

const termOrEnd = (of: Term | End): Nat | End => (typeof of === 'object' && of.is === 'end' ? of : nat(of as Term));

/** A claim with a number in the place of a parameter. */
export function withParameter<T extends Claim | Nat | End>(of: T, name: Parameter, value: number): T {
  if (of.is === 'parameter') return (of.name === name ? nat(value) : of) as T;
  const put = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(put);
    const isPart = typeof part === 'object' && part !== null && 'is' in part;
    return isPart ? withParameter(part as Claim | Nat | End, name, value) : part;
  };
  return Object.fromEntries(Object.entries(of).map(([key, part]) => [key, put(part)])) as unknown as T;
}

/** As much of a struct as is known, from its first byte on, and what is known around it. */
export interface Known {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: bigint | undefined;
  readonly start_extent: bigint | undefined;
}

export type Reader<T> = (known: Known) => T;

/**
 * A claim about structs of one layout as a function; `undefined` where what is known does not
 * decide it.
 */
export function decider(claim: Claim, layout: Layout): Reader<boolean | undefined> {
  switch (claim.is) {
    case 'equal':
      return both(reader(claim.a, layout), reader(claim.b, layout), (a, b) => a === b);
    case 'less':
      return both(reader(claim.a, layout), reader(claim.b, layout), (a, b) => a < b);
    case 'before':
      return both(reader(claim.a, layout), reader(claim.end, layout), (a, b) => a < b);
    case 'fits': {
      const limit = 1n << BigInt(claim.bits);
      const behind = reader(claim.end, layout);
      return (known) => {
        const value = behind(known);
        return value === undefined ? undefined : value <= limit;
      };
    }
    case 'same total': {
      const parts = [claim.a.of, claim.a.by, claim.b.of, claim.b.by].map((part) => reader(part, layout));
      return (known) => {
        const [a, ao, b, bo] = parts.map((read) => read(known));
        return a === undefined || ao === undefined || b === undefined || bo === undefined
          ? undefined
          : sameTotal(a, Number(ao), b, Number(bo));
      };
    }
    case 'filled': {
      const { offset, size } = claim.gap;
      return ({ bytes }) =>
        bytes.subarray(offset, offset + size).some((byte) => byte !== 0) || (offset + size <= bytes.length ? false : undefined);
    }
    case 'all': {
      const parts = claim.of.map((part) => decider(part, layout));
      return (known) => {
        let answer: boolean | undefined = true;
        for (const part of parts) {
          const one = part(known);
          if (one === false) return false;
          if (one === undefined) answer = undefined;
        }
        return answer;
      };
    }
    case 'not': {
      const of = decider(claim.of, layout);
      return (known) => {
        const value = of(known);
        return value === undefined ? undefined : !value;
      };
    }
  }
}

function both(
  a: Reader<bigint | undefined>,
  b: Reader<bigint | undefined>,
  compare: (a: bigint, b: bigint) => boolean,
): Reader<boolean | undefined> {
  return (known) => {
    const left = a(known);
    const right = left === undefined ? undefined : b(known);
    return left === undefined || right === undefined ? undefined : compare(left, right);
  };
}

function reader(of: Nat | End, layout: Layout): Reader<bigint | undefined> {
  switch (of.is) {
    case 'field': {
      const field = fieldOf(layout, of.path);
      const needed = field.offset + field.size;
      return ({ view }) => (needed > view.byteLength ? undefined : BigInt(readField(view, field)));
    }
    case 'parameter':
      return (known) => known[of.name];
    case 'number':
      return () => of.value;
    case 'low':
      return mapped(reader(of.of, layout), (value) => BigInt.asUintN(of.bits, value));
    case 'high':
      return mapped(reader(of.of, layout), (value) => value >> BigInt(of.bits));
    case 'end': {
      const [start, count] = [reader(of.start, layout), reader(of.count, layout)];
      const stride = BigInt(of.stride);
      return (known) => {
        const [from, entries] = [start(known), count(known)];
        return from === undefined || entries === undefined ? undefined : from + stride * entries;
      };
    }
  }
}

function mapped(read: Reader<bigint | undefined>, map: (value: bigint) => bigint): Reader<bigint | undefined> {
  return (known) => {
    const value = read(known);
    return value === undefined ? undefined : map(value);
  };
}

/** A message with the values of a struct put in; ask only where its claim was decided. */
export function worded({ texts, values }: Message, layout: Layout): Reader<string> {
  const shown = values.map((value) => shower(value, layout));
  return (known) => texts.reduce((text, next, i) => `${text}${(shown[i - 1] as Reader<string>)(known)}${next}`);
}

function shower(value: Shown, layout: Layout): Reader<string> {
  if (value.as === 'bytes') {
    const { offset, size } = value.of;
    return ({ bytes }) => toHex(bytes.subarray(offset, offset + size), ' ');
  }
  const read = reader(value.of, layout);
  const text = {
    hex: hex64,
    decimal: String,
    domid: (id: bigint) => domidName(Number(id)) ?? String(id),
    node: (stored: bigint) => String(stored - 1n),
  }[value.as];
  return (known) => text(read(known) ?? 0n);
}
