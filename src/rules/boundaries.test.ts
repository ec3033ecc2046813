import { describe, expect, it } from 'vitest';
import { numbers } from '../../conformance/tools/exports/duty-cases.ts';
import { type Arch, archNames } from '../abi/arch.ts';
import { layoutOf } from '../abi/layout.ts';
import { argumentOf, type JudgedOp, XENMEM } from '../abi/ops.ts';
import { toHex } from '../codec/hex.ts';
import { defaultSetting } from '../trace/call.ts';
import { readRecord } from '../trace/record.ts';
import { traceJudge } from './trace.ts';

const words = [
  0n,
  1n,
  2n,
  3n,
  4n,
  8n,
  0x40000n,
  0x40001n,
  0x3ffffffn,
  0x4000000n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 52n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const addresses = [
  0n,
  8n,
  0x1000n,
  0x1008n,
  0x2000n,
  0x3000n,
  2n ** 32n - 8n,
  2n ** 32n - 72n,
  2n ** 63n,
  2n ** 64n - 72n,
  2n ** 64n - 16n,
  2n ** 64n - 8n,
];
const orders = [0, 0, 0, 1, 2, 9, 18, 19, 31, 32, 63, 64, 65, 0xffffffff];
const flags = [0, 0, 12, 13, 32, 63, 64, 65, 255, 256, 0xffffffff];
const rcs = [0, 0, 0, 1, 2, 4, -1, -3, -12, -14, -22, -38, -85, -95, -133, -200, 2 ** 31, -(2 ** 31), 2 ** 53 - 1];
const ops = Object.keys(argumentOf) as JudgedOp[];

/**
 * A well-formed record with a boundary in each field: whatever a capture may hold, cut anywhere,
 * pieces over one another.
 */
function record(next: () => number): { readonly [key: string]: unknown } {
  const pick = <T>(list: readonly T[]): T => list[next() % list.length] as T;
  const maybe = <T>(value: T, share = 4): T | undefined => (next() % share === 0 ? undefined : value);
  const hexOf = (value: bigint): string => `0x${value.toString(16)}`;
  const arch: Arch = pick(archNames);
  const op = pick(ops);
  const layout = layoutOf(argumentOf[op], arch);
  const struct = new Uint8Array(layout.size);
  const handles: bigint[] = [];
  // Half of them break no duty but by an order or a count, so that requirements are not suspended.
  const isFair = next() % 2 === 0;
  const usual: { readonly [field: string]: readonly bigint[] } = {
    extent_start: isFair ? [0x2000n] : addresses,
    nr_extents: isFair ? [0n, 1n, 1n, 2n, 3n, ...words] : words,
    extent_order: orders.map(BigInt),
    address_bits: isFair ? [0n, 13n, 32n, 63n, 64n, 65n, 255n] : flags.map(BigInt),
    domid: isFair ? [0x7ff0n] : [0x7ff0n, 0x7ff0n, 0n, 1n, 0xffffn],
    nr_exchanged: isFair ? [0n] : words,
  };
  const given = new Map<string, bigint>();
  for (const { path, name, offset, size } of layout.fields) {
    const twin = isFair && path.startsWith('out.') && !path.endsWith('bits') ? given.get(path.replace('out.', 'in.')) : undefined;
    const value = twin === undefined ? pick(usual[name] ?? words) : name === 'extent_start' ? 0x3000n : twin;
    given.set(path, value);
    if (name === 'extent_start') handles.push(BigInt.asUintN(8 * size, value));
    for (let i = 0; i < size; i++) struct[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  const arg = isFair ? 0x1000n : pick(addresses.filter((address) => address + 72n <= 2n ** 64n));
  const fitting = (address: bigint, bytes: Uint8Array): [string, string] => {
    const room = 2n ** 64n - address;
    return [hexOf(address), toHex(room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes, '')];
  };
  const memory = (isAfter: boolean): [string, string][] => {
    const list = new Uint8Array(8 * (next() % 6));
    for (let at = 0; at < list.length; at += 8) new DataView(list.buffer).setBigUint64(at, pick(words), true);
    const cut = next() % 3 === 0 ? next() % (struct.length + 1) : struct.length;
    const shown = struct.slice(0, cut);
    if (isAfter && cut > 64) shown[64] = next() % 5;
    return [fitting(arg, shown), ...handles.map((handle) => fitting(handle, list))];
  };
  const frames = (): [string, string | null][] => [0, 1, 2].map(() => [hexOf(pick(words)), next() % 3 === 0 ? null : hexOf(pick(words))]);
  return {
    arch,
    profile: 'dma-buf',
    cmd: XENMEM['dma-buf'][op] + (next() % 5 === 0 ? (next() % 0x3ffffff) * 64 : 0),
    translated: maybe(next() % 2 === 0),
    privileged: maybe(next() % 2 === 0, 2),
    space: pick(['virtual', 'physical']),
    domid: maybe(pick([0, 1, 0xffff])),
    arg: maybe(hexOf(arg), 8),
    rc: maybe(pick(rcs), 8),
    before: maybe(memory(false), 8),
    after: maybe(memory(true)),
    unmapped: maybe([[hexOf(pick(addresses.slice(0, 8))), pick([0, 8, 4096])]], 2),
    p2m_before: maybe(frames(), 2),
    p2m_after: maybe(frames(), 2),
    pages_before: maybe(pick([0, 1, 2 ** 53 - 1]), 2),
    pages_after: maybe(pick([0, 1, 2 ** 53 - 1]), 2),
  };
}

describe('records with a boundary in every field', () => {
  // A hundred thousand in the long form.
  const records = process.env['XENMEM_LONG'] ? 100_000 : 10_000;

  it('are judged, thousands of them, without an exception', () => {
    const next = numbers(20130805);
    const failures: string[] = [];
    let judged = 0;
    let violated = 0;
    let { judge } = traceJudge();
    for (let i = 0; i < records && failures.length < 5; i++) {
      if (i % 50 === 0) ({ judge } = traceJudge());
      const json = record(next);
      try {
        const { call } = readRecord(json, defaultSetting);
        const judgement = call && judge(call);
        if (judgement) judged++;
        if (judgement && [...judgement.requirements.values()].some(({ answer }) => answer === 'violated')) violated++;
      } catch (error) {
        failures.push(`${error instanceof Error ? error.stack?.split('\n').slice(0, 3).join(' ') : error} in ${JSON.stringify(json)}`);
      }
    }
    expect(failures).toEqual([]);
    expect(judged).toBe(records);
    expect(violated).toBeGreaterThan(records / 10);
  });
});
