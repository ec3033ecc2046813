import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { archNames } from '../abi/arch.ts';
import { MEMOP_EXTENT_SHIFT } from '../abi/constants.ts';
import { type Layout, layoutOf } from '../abi/layout.ts';
import { isMemoryStruct, memoryArguments } from '../abi/memory-h.ts';
import { argumentOf, opNamed, opsTaking, XENMEM } from '../abi/ops.ts';
import { addTold, newTally, type Tally } from '../text/tally.ts';
import { type ObservedCall, observedCall } from '../trace/call.ts';
import { bulkJudge } from './bulk.ts';
import { judge } from './judge.ts';
import { everyOp } from './rule.ts';
import { type Told, toldOf } from './shown.ts';

const byte = fc.oneof(fc.constant(0), fc.nat(255));
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 12n, 13n, 19n, 64n, 0x100n, 0x7ff0n, 0x7ff0_7ff0n, 1n << 32n, ~0n),
  fc.bigInt(0n, (1n << 64n) - 1n),
);

function structs(size: number): fc.Arbitrary<Uint8Array[]> {
  const clean = fc.constant(new Uint8Array(size));
  const words = fc.array(word, { minLength: 9, maxLength: 9 }).map((of) => new Uint8Array(BigUint64Array.from(of).buffer).slice(0, size));
  const sparse = fc.array(fc.tuple(fc.nat(size - 1), byte), { maxLength: 4 }).map((changes) => {
    const bytes = new Uint8Array(size);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
  return fc.array(fc.oneof(clean, words, sparse), { minLength: 1, maxLength: 30 });
}

/** The counts of a tally, as values that can be compared. */
const counts = ({ lacks, ...rest }: Tally) => ({ ...rest, lacks: [...lacks].sort() });

/** Counts structs by their keys and one by one. */
function both(layout: Layout, callOf: (argument: Uint8Array) => ObservedCall, all: readonly Uint8Array[]): [unknown, unknown] {
  const bulk = bulkJudge(layout, callOf(new Uint8Array(layout.size)))!;
  for (const [i, bytes] of all.entries()) bulk.scan.input.set(bytes, i * layout.size);
  bulk.scan.run(all.length);
  const exemplars = new Map<number, Told>();
  const [byKey, oneByOne] = [newTally(), newTally()];
  all.forEach((bytes, i) => {
    const key = bulk.scan.masks[i]!;
    const call = callOf(bytes);
    const told = toldOf(call, judge(call));
    if (!exemplars.has(key)) exemplars.set(key, bulk.judge(bytes));
    addTold(byKey, exemplars.get(key)!);
    addTold(oneByOne, told);
    expect(bulk.isClean(key)).toBe(told.findings.length === 0);
    expect(bulk.judgeLike(exemplars.get(key)!, bytes).findings).toEqual(told.findings);
  });
  return [counts(byKey), counts(oneByOne)];
}

describe('a struct judged by its key', () => {
  const cases = archNames.flatMap((arch) => everyOp.map((op) => [arch, op] as const));
  it.each(cases)('on %s, op %s, counts as it does judged by itself', (arch, op) => {
    const layout = layoutOf(argumentOf[op], arch);
    const settings: fc.Arbitrary<Partial<ObservedCall>> = fc.constantFrom(
      {},
      { privileged: false },
      { privileged: true, space: 'virtual' as const },
      { mayBe: opsTaking(argumentOf[op]) },
      { seq: 3 },
    );
    fc.assert(
      fc.property(structs(layout.size), settings, (all, more) => {
        const cmd = XENMEM['dma-buf'][op] | ((more.seq ?? 0) << MEMOP_EXTENT_SHIFT);
        const [byKey, oneByOne] = both(layout, (argument) => observedCall(cmd, { arch, argument, ...more }), all);
        expect(byKey).toEqual(oneByOne);
      }),
      { numRuns: process.env['XENMEM_LONG'] ? 2000 : 25 },
    );
  });
  const others = Object.entries(memoryArguments).flatMap(([op, struct]) => (isMemoryStruct(struct) ? [[op, struct] as const] : []));
  it.each(others)('of an op that is not judged (%s), too', (op, struct) => {
    const cmd = opNamed(op, 'upstream') as number;
    for (const arch of archNames) {
      const layout = layoutOf(struct, arch);
      const callOf = (argument: Uint8Array) => observedCall(cmd, { arch, profile: 'upstream', argument });
      fc.assert(
        fc.property(structs(layout.size), (all) => {
          const [byKey, oneByOne] = both(layout, callOf, all);
          expect(byKey).toEqual(oneByOne);
        }),
        { numRuns: process.env['XENMEM_LONG'] ? 1000 : 10 },
      );
    }
  });
});
