import type { Capability } from '../protocol/implementation.ts';
import type { JudgedCall } from './check.ts';
import type { ImplementationInfo } from './result.ts';

/** One way of looking at an exchange: which of its values a call shows. */
interface Axis {
  readonly name: string;
  readonly values: readonly string[];
  /** Values that cannot be had without a capability. */
  readonly needs?: { readonly [value: string]: Capability };
  readonly of: (call: JudgedCall) => string | undefined;
}

const axes: readonly Axis[] = [
  {
    name: 'orders',
    values: ['in < out', 'in = out', 'in > out'],
    of: ({ judgement: { facts } }) => {
      const [a, b] = [facts.in.extent_order ?? 0, facts.out.extent_order ?? 0];
      return a < b ? 'in < out' : a > b ? 'in > out' : 'in = out';
    },
  },
  {
    name: 'extents',
    values: ['none', 'one', 'two', 'many'],
    of: ({ judgement: { facts } }) => ['none', 'one', 'two'][Number(facts.in.nr_extents ?? 0n)] ?? 'many',
  },
  {
    name: 'ended',
    values: ['complete', 'at the first chunk', 'in the middle', 'refused'],
    of: ({ judgement: { facts }, event }) => {
      if (facts.call.rc === 0) return 'complete';
      if ((facts.N ?? 0n) > 0n) return 'in the middle';
      return event.inject?.fail_alloc !== undefined ? 'at the first chunk' : 'refused';
    },
    needs: { 'at the first chunk': 'fail-alloc', 'in the middle': 'fail-alloc' },
  },
  {
    name: 'limit',
    values: ['none', '4 GiB', 'other'],
    of: ({ judgement: { facts } }) => (facts.out.address_bits === 0 ? 'none' : facts.out.address_bits === 32 ? '4 GiB' : 'other'),
  },
  {
    name: 'fault',
    values: ['none', 'no memory', 'preempted'],
    needs: { 'no memory': 'fail-alloc', preempted: 'preempt' },
    of: ({ event }) => (event.inject?.fail_alloc !== undefined ? 'no memory' : event.inject?.preempt !== undefined ? 'preempted' : 'none'),
  },
];

/**
 * How often each cell of the table was reached, by `axis: value` and, for two axes together, `value
 * × value`.
 */
export type Cells = Map<string, number>;

/** Floors: each value of each axis alone, and each value of one axis beside each of the next. */
export const cellFloor = { single: 30, pair: 5 } as const;

const pairs: readonly (readonly [number, number])[] = [
  [0, 2],
  [0, 4],
  [1, 2],
  [3, 2],
];

/** Combinations that cannot be, and why. */
const impossible: ReadonlySet<string> = new Set([
  'none × at the first chunk', // nothing to allocate
  'none × in the middle',
  'one × in the middle', // one extent is one chunk at most
]);

/** Every cell that such an implementation must be seen in, with its floor. */
export function requiredCells({ capabilities, commands, limits }: ImplementationInfo): Map<string, number> {
  const cells = new Map<string, number>();
  if (commands['get_dma_buf'] === undefined && commands['exchange'] === undefined) return cells;
  const beyond = new Set<string>();
  if (Number(limits['max_order'] ?? 1) < 1) beyond.add('in < out').add('in > out');
  if (BigInt(limits['max_extents'] ?? 3) < 3n) beyond.add('many').add('in the middle');
  if (BigInt(limits['max_extents'] ?? 3) < 2n) beyond.add('two');
  const can = (axis: Axis, value: string): boolean =>
    !beyond.has(value) && (axis.needs?.[value] === undefined || capabilities.includes(axis.needs[value]));
  for (const axis of axes) for (const value of axis.values) if (can(axis, value)) cells.set(`${axis.name}: ${value}`, cellFloor.single);
  for (const [i, j] of pairs) {
    const [a, b] = [axes[i] as Axis, axes[j] as Axis];
    for (const x of a.values) {
      for (const y of b.values) {
        if (can(a, x) && can(b, y) && !impossible.has(`${x} × ${y}`)) cells.set(`${a.name} × ${b.name}: ${x} × ${y}`, cellFloor.pair);
      }
    }
  }
  return cells;
}

/** Adds a call to the table: exchanges on which the caller made no error. */
export function countCell(cells: Cells, call: JudgedCall): void {
  const { op, callerErred } = call.judgement;
  if ((op !== 'get_dma_buf' && op !== 'exchange') || callerErred) return;
  const values = axes.map((axis) => axis.of(call));
  const add = (key: string): void => void cells.set(key, (cells.get(key) ?? 0) + 1);
  for (const [i, axis] of axes.entries()) add(`${axis.name}: ${values[i]}`);
  for (const [i, j] of pairs) add(`${axes[i]?.name} × ${axes[j]?.name}: ${values[i]} × ${values[j]}`);
}
