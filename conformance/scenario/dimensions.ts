import type { Arch } from '../../src/abi/arch.ts';
import { type Hello, levelOf } from '../protocol/implementation.ts';

/** What a scenario can vary: for each dimension its values, the simplest one first. */
export const dimensions = {
  op: ['get', 'put', 'exchange', 'increase', 'decrease', 'populate'],
  orders: ['0 and 0', 'equal', 'in < out', 'in > out', '4 to 9'],
  extents: ['1', 'few', '0', '64', '65', '512', '513'],
  lists: ['inside a page', 'end with a page', 'cross a page', 'at 0', 'at the top', 'in one page'],
  struct: ['inside a page', 'ends with a page', 'crosses a page', 'at 0'],
  frames: ['ordinary', 'from 0', 'from 2^32', 'from 2^33', 'equal modulo 2^16', 'equal modulo 2^32'],
  history: ['first call', 'one get', 'three gets', 'got, put and got again', 'put across gets', 'put of a part', 'long'],
  who: ['itself', 'its own number', 'the other acts too', 'both pin one frame', 'the other is named', 'equal in the low byte'],
  limit: ['none', '32', '24', '30', '36', '40', '255'],
  padding: ['zero', 'dirty'],
  failure: ['none', 'no memory', 'preempted', 'both'],
  memory: ['plenty', 'below 4 GiB', 'above 4 GiB', 'short'],
  churn: ['none', 'before', 'after', 'before and after'],
} as const satisfies { readonly [name: string]: readonly string[] };

export type Dimension = keyof typeof dimensions;
/** A value of each dimension. */
export type Row = { readonly [name in Dimension]: (typeof dimensions)[name][number] };

export const dimensionNames: readonly Dimension[] = Object.keys(dimensions) as Dimension[];

/**
 * Values that cannot meet: nothing would be left of one beside the other, or of the machine.
 * `[dimension, values, dimension, values]`.
 */
type Apart = readonly [Dimension, readonly string[], Dimension, readonly string[]];

const reservationOps = ['increase', 'decrease', 'populate'];
const many = ['64', '65', '512', '513'];
const apart: readonly Apart[] = [
  // Two orders are had by two lists only, and extents of four pages and more make up for many
  ['op', ['put', ...reservationOps], 'orders', ['in < out', 'in > out']],
  ['orders', ['in < out'], 'extents', ['1', '65', '513']],
  ['orders', ['4 to 9'], 'extents', many],
  // Two things cannot lie at one place, and what has no bytes lies nowhere
  ['struct', ['at 0'], 'lists', ['at 0', 'in one page']],
  ['lists', ['end with a page', 'cross a page', 'at 0', 'at the top'], 'extents', ['0']],
  ['lists', ['cross a page', 'in one page'], 'extents', ['1', '512', '513']],
  ['frames', ['from 0'], 'lists', ['at 0']],
  ['frames', ['from 0'], 'struct', ['at 0']],
  // A list at 0 is none for op 0
  ['op', ['increase'], 'lists', ['at 0']],
  // Nothing is pinned where there was no get, and a put needs one
  ['op', ['put'], 'history', ['first call']],
  ['op', ['put'], 'limit', ['24', '30']],
  ['op', ['put'], 'failure', ['no memory']],
  // One churn reaches one range of frames
  ['frames', ['equal modulo 2^16', 'equal modulo 2^32'], 'churn', ['before', 'after', 'before and after']],
  // A range of frames that is there twice has room for a few pages each time
  ['frames', ['equal modulo 2^16', 'equal modulo 2^32'], 'extents', many],
  ['frames', ['equal modulo 2^16', 'equal modulo 2^32'], 'orders', ['in < out', 'in > out', 'equal', '4 to 9']],
];

/** Values of each dimension. */
type Values = { readonly [name in Dimension]: readonly string[] };

/**
 * What of it there is for such an implementation: values that it, the architecture or its limits
 * have no room for are left out.
 */
export function valuesFor(arch: Arch, hello: Hello): Values {
  const { commands, capabilities, limits } = hello;
  const pages = limits.ram_pages ?? 4096;
  const extents = limits.max_extents ?? 1n << 26n;
  const order = limits.max_order ?? 0;
  const reaches = (gfn: bigint): boolean => limits.max_gfn === undefined || limits.max_gfn >= gfn;
  const domains = limits.domains ?? 2;
  const has = {
    get: commands.get_dma_buf,
    put: commands.get_dma_buf !== undefined ? commands.put_dma_buf : undefined,
    exchange: commands.exchange,
    increase: commands.increase_reservation,
    decrease: commands.decrease_reservation,
    populate: commands.populate_physmap,
  };
  const gets = has.get !== undefined && has.put !== undefined;
  const absent: { readonly [name in Dimension]?: (value: string) => boolean } = {
    op: (op) => has[op as keyof typeof has] === undefined,
    orders: (word) => (word === '4 to 9' ? order < 4 || pages < 128 : word !== '0 and 0' && order < 2),
    extents: (count) => (count === 'few' ? extents < 8n : BigInt(count) * 2n > extents || Number(count) * 4 + 64 > pages),
    lists: (place) => place === 'at the top' && (arch !== 'arm32' || !reaches(0xfffffn)),
    frames: (range) =>
      ((range === 'from 2^32' || range === 'equal modulo 2^32') && (arch !== 'arm64' || !reaches(0x1_0010_0000n))) ||
      (range === 'from 2^33' && (arch !== 'arm64' || !reaches(0x2_0010_0000n))) ||
      (range === 'equal modulo 2^16' && !reaches(0x60000n)),
    history: (word) => !gets && word !== 'first call',
    who: (word) => domains < 2 && word !== 'itself' && word !== 'its own number',
    failure: (word) =>
      (word !== 'none' && word !== 'preempted' && !capabilities.has('fail-alloc')) ||
      (word !== 'none' && word !== 'no memory' && !capabilities.has('preempt')),
    churn: (word) => word !== 'none' && levelOf(hello) < 2,
  };
  const found: { -readonly [name in Dimension]: Values[name] } = { ...dimensions };
  for (const name of dimensionNames) found[name] = dimensions[name].filter((value) => !absent[name]?.(value));
  return found;
}

/** Can two values meet in one scenario? */
export function canMeet(a: Dimension, x: string, b: Dimension, y: string): boolean {
  return !apart.some(
    ([one, values, other, others]) =>
      (one === a && other === b && values.includes(x) && others.includes(y)) ||
      (one === b && other === a && values.includes(y) && others.includes(x)),
  );
}

/** Values that meet, one of each of some dimensions, as a word. */
function meeting(of: readonly (readonly [Dimension, string])[]): string {
  return of.map(([dimension, value]) => `${dimension}: ${value}`).join(' × ');
}

/**
 * Dimensions of which every three values that can meet do: what was done before, and whether pages
 * move, decides what an op shows of pins; how orders stand to each other, what a failure undoes.
 */
const triples = [
  ['op', 'history', 'churn'],
  ['op', 'orders', 'failure'],
  ['op', 'who', 'churn'],
] as const satisfies readonly (readonly [Dimension, Dimension, Dimension])[];

/** The pairs that a row shows. */
export function pairsOf(row: Row): string[] {
  return dimensionNames.flatMap((a, i) =>
    dimensionNames.slice(i + 1).map((b) =>
      meeting([
        [a, row[a]],
        [b, row[b]],
      ]),
    ),
  );
}

/** The triples that a row shows, of the dimensions of which there are some. */
export function triplesOf(row: Row): string[] {
  return triples.map((names) => meeting(names.map((name) => [name, row[name]])));
}

/** Every triple that can be, on such an implementation, in a fixed order. */
export function triplesFor(arch: Arch, hello: Hello): string[] {
  const values = valuesFor(arch, hello);
  return triples.flatMap(([a, b, c]) =>
    values[a].flatMap((x) =>
      values[b].flatMap((y) =>
        values[c].flatMap((z) =>
          canMeet(a, x, b, y) && canMeet(a, x, c, z) && canMeet(b, y, c, z)
            ? [
                meeting([
                  [a, x],
                  [b, y],
                  [c, z],
                ]),
              ]
            : [],
        ),
      ),
    ),
  );
}

/** Every pair that can be, on such an implementation, in a fixed order. */
export function pairsFor(arch: Arch, hello: Hello): string[] {
  const values = valuesFor(arch, hello);
  const found: string[] = [];
  for (const [i, a] of dimensionNames.entries()) {
    for (const b of dimensionNames.slice(i + 1)) {
      for (const x of values[a]) {
        for (const y of values[b]) {
          const pair = [
            [a, x],
            [b, y],
          ] as const;
          if (canMeet(a, x, b, y)) found.push(meeting(pair));
        }
      }
    }
  }
  return found;
}

const known = new Map<string, readonly Row[]>();

/**
 * Rows that show every triple and every pair there is: a covering array, made greedily and always
 * the same. Each row begins with one that none has shown yet, and takes of every further dimension
 * the value that shows most of those that are left.
 */
export function rowsFor(arch: Arch, hello: Hello): readonly Row[] {
  const values = valuesFor(arch, hello);
  const key = JSON.stringify(values);
  const made = known.get(key);
  if (made) return made;
  const missing = new Set([...triplesFor(arch, hello), ...pairsFor(arch, hello)]);
  const rows: Row[] = [];
  while (missing.size > 0) {
    const row = nextRow(values, missing);
    const shown = row ? [...triplesOf(row), ...pairsOf(row)].filter((one) => missing.delete(one)) : [];
    if (!row || shown.length === 0) break; // what is left fits into no row: see the test
    rows.push(row);
  }
  known.set(key, rows);
  return rows;
}

type Begun = { readonly [name in Dimension]?: string };

function nextRow(values: Values, missing: ReadonlySet<string>): Row | undefined {
  for (const first of missing) {
    const row = completed(parts(first), values, missing);
    if (row) return row;
  }
  return undefined;
}

/**
 * The row with a value of each dimension; those with most at stake are decided first, and one that
 * leads nowhere is given up.
 */
function completed(row: Begun, values: Values, missing: ReadonlySet<string>): Row | undefined {
  const open = dimensionNames.filter((name) => row[name] === undefined);
  if (open.length === 0) return row as Row;
  const fits = (name: Dimension, value: string): boolean =>
    dimensionNames.every((d) => row[d] === undefined || canMeet(name, value, d, row[d]));
  const options = open.map((name) => ({ name, left: values[name].filter((value) => fits(name, value)) }));
  if (options.some(({ left }) => left.length === 0)) return undefined;
  const gain = (name: Dimension, value: string): number => {
    const begun: Begun = { ...row, [name]: value };
    const shows = (names: readonly Dimension[]): boolean => {
      if (names.some((d) => begun[d] === undefined)) return false;
      return missing.has(meeting(names.map((d) => [d, begun[d] as string])));
    };
    const pairs = dimensionNames.filter((d) => d !== name && row[d] !== undefined && shows(inOrder(name, d))).length;
    return pairs + triples.filter((names) => names.some((d) => d === name) && shows(names)).length;
  };
  const ranked = options
    .flatMap(({ name, left }) => left.map((value) => ({ name, value, gain: gain(name, value) + 1 / (1 + left.length) })))
    .sort((p, q) => q.gain - p.gain);
  for (const { name, value } of ranked.slice(0, 6)) {
    const found = completed({ ...row, [name]: value }, values, missing);
    if (found) return found;
  }
  return undefined;
}

function inOrder(a: Dimension, b: Dimension): readonly [Dimension, Dimension] {
  return dimensionNames.indexOf(a) < dimensionNames.indexOf(b) ? [a, b] : [b, a];
}

function parts(met: string): Begun {
  return Object.fromEntries(met.split(' × ').map((part) => part.split(': '))) as Begun;
}
