import type { Field, Layout, Padding } from '../abi/layout.ts';
import { claimIn, type Dialect, valueIn } from '../rules/duties/dialect.ts';
import { dutiesOf, meantClaim } from '../rules/duties/duties.ts';
import type { Message, Shown } from '../rules/duties/expression.ts';

/** A value that lies some bytes behind the struct's first, in gdb's words. */
export type ReadAt = (type: string, offset: number) => string;

/**
 * Lines of gdb that print the duties which a struct breaks; what needs the call around it is left
 * out. `$xenmem_at` is its address.
 */
export function gdbChecks(layout: Layout, read: ReadAt): string[] {
  const gdb = dialect(read);
  const checks = dutiesOf(layout).flatMap(({ id, breaches }) =>
    breaches(layout).flatMap(({ broken, where, message }) => {
      const claim = claimIn(gdb, layout, broken);
      return claim === undefined ? [] : [`  if ${claim}`, `    printf ${printf(gdb, layout, `${id}: ${where}: `, message)}`, '  end'];
    }),
  );
  const isUsed = (path: string): boolean => new RegExp(`\\${variableOf(path)}\\b`).test(checks.join('\n'));
  return [...gdbVariables(layout, isUsed, read), ...checks];
}

/** Lines that read some fields into variables, for claims. */
export function gdbVariables({ fields }: Layout, isUsed: (path: string) => boolean, read: ReadAt): string[] {
  return fields
    .filter(({ path }) => isUsed(path))
    .map(({ path, offset, size }) => `  set ${variableOf(path)} = (unsigned long long) ${read(wordOf(size), offset)}`);
}

/** Lines that are for a part of unions, where it may be meant. */
export function gdbWhere(layout: Layout, within: Field['within'], lines: readonly string[], read: ReadAt): readonly string[] {
  const claim = meantClaim(within);
  return claim ? [`  if ${claimIn(dialect(read), layout, claim)}`, ...lines.map((text) => `  ${text}`), '  end'] : lines;
}

/** The type of a word of some bytes, which gdb has for every language and target. */
export function wordOf(size: number): string {
  return { 1: 'unsigned char', 2: 'unsigned short', 4: 'unsigned int' }[size] ?? 'unsigned long long';
}

function variableOf(path: string): string {
  return `$xenmem_${path.replaceAll('.', '_')}`;
}

/** Whether any byte of padding is not zero. */
export function isFilled({ offset, size }: Pick<Padding, 'offset' | 'size'>, read: ReadAt): string {
  return Array.from({ length: size }, (_, i) => `${read('unsigned char', offset + i)} != 0`).join(' || ');
}

function dialect(read: ReadAt): Dialect {
  const number = (value: bigint): string => (value < 1n << 31n ? String(value) : `0x${value.toString(16)}ULL`);
  const top = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
  return {
    field: ({ path }) => variableOf(path),
    number,
    parameter: (name) => (name === 'address' ? { value: '$xenmem_at', isKnown: '1' } : undefined),
    low: (of, bits) => `(${of} & ${number(top(bits))})`,
    high: (of, bits) => `(${of} >> ${bits})`,
    equal: (a, b) => `(${a} == ${b})`,
    unequal: (a, b) => `(${a} != ${b})`,
    less: (a, b) => `(${a} < ${b})`,
    sameTotal: (a, ao, b, bo) =>
      `((${a} == 0 || ${b} == 0) ? ${a} == ${b} : (${ao} < ${bo} ? ${shifted(b, `(${bo} - ${ao})`, a)} : ${shifted(a, `(${ao} - ${bo})`, b)}))`,
    within: (a, start, size) => `(${a} < ${start} || ${a} - ${start} < ${size})`,
    before: (a, start, shift, count) => `(${a} < ${start} || (${a} - ${start}) >> ${shift} < ${count})`,
    fits: (start, shift, count, bits) => {
      const [room, rest] = [`(${number(top(bits))} - ${start})`, number(top(shift))];
      return `(${count} == 0 || (${room} >= ${rest} && ${count} - 1 <= (${room} - ${rest}) >> ${shift}))`;
    },
    filled: (gap) => `(${isFilled(gap, read)})`,
    all: (claims) => `(${claims.join(' && ')})`,
    not: (claim) => `!${claim}`,
  };
}

/** large << up == small, exactly. */
function shifted(large: string, up: string, small: string): string {
  return `(${up} < 64 && (${small} >> ${up}) == ${large} && (${large} << ${up}) == ${small})`;
}

/** A message as what gdb's printf takes. */
function printf(gdb: Dialect, layout: Layout, head: string, { texts, values }: Message): string {
  const parts = values.map((value) => shown(gdb, layout, value));
  const format = texts.reduce((text, next, i) => `${text}${parts[i - 1]?.format ?? ''}${next}`);
  return [`"  ${head}${format}\\n"`, ...parts.flatMap((part) => part.values)].join(', ');
}

function shown(gdb: Dialect, layout: Layout, value: Shown): { format: string; values: string[] } {
  if (value.as === 'bytes') {
    const { offset, size } = value.of;
    const bytes = Array.from({ length: size }, (_, i) => `*(unsigned char *) ($xenmem_at + ${offset + i})`);
    return { format: bytes.map(() => '%02x').join(' '), values: bytes };
  }
  if (value.of.is === 'end') {
    const { start, stride, count } = value.of;
    return { format: `0x%llx+${stride}*%llu`, values: [valueIn(gdb, layout, start), valueIn(gdb, layout, count)].map(wide) };
  }
  const text = valueIn(gdb, layout, value.of);
  if (value.as === 'hex') return { format: '0x%llx', values: [wide(text)] };
  return { format: '%llu', values: [wide(value.as === 'node' ? `(${text} - 1)` : text)] };
}

function wide(value: string): string {
  return `(unsigned long long) ${value}`;
}
