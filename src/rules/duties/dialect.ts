import { type Field, fieldOf, type Layout } from '../../abi/layout.ts';
import type { Claim, End, Gap, Nat, Parameter } from './expression.ts';

/**
 * How a language without big numbers says the claims of the duties, each exact: nothing wraps at
 * 2^64. Each answer is in brackets or a call.
 */
export interface Dialect {
  readonly field: (field: Field) => string;
  readonly number: (value: bigint) => string;
  /** `undefined` where the language cannot know it: then what stands on it is left out. */
  readonly parameter: (name: Parameter) => { readonly value: string; readonly isKnown: string } | undefined;
  readonly low: (of: string, bits: number) => string;
  readonly high: (of: string, bits: number) => string;
  readonly equal: (a: string, b: string) => string;
  readonly unequal: (a: string, b: string) => string;
  readonly less: (a: string, b: string) => string;
  /** a << ao == b << bo */
  readonly sameTotal: (a: string, ao: string, b: string, bo: string) => string;
  /** a < start + size */
  readonly within: (a: string, start: string, size: string) => string;
  /** a < start + 2^shift * count */
  readonly before: (a: string, start: string, shift: number, count: string) => string;
  /** start + 2^shift * count <= 2^bits, where start < 2^bits */
  readonly fits: (start: string, shift: number, count: string, bits: number) => string;
  readonly filled: (gap: Gap) => string;
  readonly all: (claims: readonly string[]) => string;
  readonly not: (claim: string) => string;
}

/**
 * A claim about structs of one layout in a language; `undefined` where it stands on what that
 * language cannot know.
 */
export function claimIn(dialect: Dialect, layout: Layout, claim: Claim): string | undefined {
  const parameters = new Set<Parameter>();
  collect(claim, parameters);
  const known: string[] = [];
  for (const name of parameters) {
    const found = dialect.parameter(name);
    if (!found) return undefined;
    known.push(found.isKnown);
  }
  const text = written(dialect, layout, claim);
  return known.length > 0 ? dialect.all([...known, text]) : text;
}

function written(d: Dialect, layout: Layout, claim: Claim): string {
  const value = (of: Nat): string => valueIn(d, layout, of);
  const parts = ({ start, stride, count }: End): [string, number, string] => [value(start), Math.log2(stride), value(count)];
  switch (claim.is) {
    case 'equal':
      return d.equal(value(claim.a), value(claim.b));
    case 'less':
      return d.less(value(claim.a), value(claim.b));
    case 'same total':
      return d.sameTotal(value(claim.a.of), value(claim.a.by), value(claim.b.of), value(claim.b.by));
    case 'before':
      return isOne(claim.end.count)
        ? d.within(value(claim.a), value(claim.end.start), d.number(BigInt(claim.end.stride)))
        : d.before(value(claim.a), ...parts(claim.end));
    case 'fits':
      return d.fits(...parts(claim.end), claim.bits);
    case 'filled':
      return d.filled(claim.gap);
    case 'all':
      return d.all(claim.of.map((one) => written(d, layout, one)));
    case 'not':
      return claim.of.is === 'equal' ? d.unequal(value(claim.of.a), value(claim.of.b)) : d.not(written(d, layout, claim.of));
  }
}

const isOne = (of: Nat): boolean => of.is === 'number' && of.value === 1n;

/** A natural number of a struct in a language. */
export function valueIn(d: Dialect, layout: Layout, of: Nat): string {
  switch (of.is) {
    case 'field':
      return d.field(fieldOf(layout, of.path));
    case 'number':
      return d.number(of.value);
    case 'parameter':
      return d.parameter(of.name)?.value ?? '';
    case 'low':
      return d.low(valueIn(d, layout, of.of), of.bits);
    case 'high':
      return d.high(valueIn(d, layout, of.of), of.bits);
  }
}

function collect(of: Claim | Nat | End, parameters: Set<Parameter>): void {
  if (of.is === 'parameter') parameters.add(of.name);
  const parts = Object.values(of).flatMap((part): unknown[] => (Array.isArray(part) ? part : [part]));
  for (const part of parts) if (typeof part === 'object' && part !== null && 'is' in part) collect(part as Claim, parameters);
}
