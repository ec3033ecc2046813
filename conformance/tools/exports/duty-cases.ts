import { type Arch, arches } from '../../../src/abi/arch.ts';
import { layoutOf, type StructLayout } from '../../../src/abi/layout.ts';
import { opsTaking, XENMEM } from '../../../src/abi/ops.ts';
import type { StructName } from '../../../src/abi/structs.ts';
import { judge } from '../../../src/rules/judge.ts';
import { observedCall } from '../../../src/trace/call.ts';

/** A struct as a call passes it, for checking it twice. What is not known is `unknown`. */
export interface DutyCase {
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly cmd: bigint;
}

/** "XENMEM_UNKNOWN" of the header. */
export const unknown: bigint = 2n ** 64n - 1n;

const words = [
  0n, 1n, 2n, 3n, 4n, 7n, 8n, 9n, 12n, 13n, 0x1000n, 0x1008n, 0x40001000n, 0x3fffffen, 0x3ffffffn, 0x4000000n,
  2n ** 29n - 1n, 2n ** 29n, 2n ** 31n, 2n ** 32n - 8n, 2n ** 32n - 4n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 60n, 2n ** 61n - 1n, 2n ** 61n,
  2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 72n, 2n ** 64n - 8n, 2n ** 64n - 4n, 2n ** 64n - 1n,
]; // biome-ignore format: a table
const orders = [0, 0, 0, 1, 2, 9, 18, 19, 31, 32, 33, 63, 64, 65, 127, 0x7fffffff, 0xffffffff];
const flags = [0, 0, 1, 12, 13, 32, 255, 256, 0x10c, 0x120, 64 << 8, 65 << 8, 7 << 16, 1 << 19, 0xffffffff];

/**
 * Structs of one layout: every boundary of every field with every other's, totals and lists that
 * just agree or just do not, and wholly random ones; the same for the same seed.
 */
export function* dutyCases(layout: StructLayout, count: number, seed = 1): Generator<DutyCase> {
  const next = numbers(seed);
  const pick = <T>(list: readonly T[]): T => list[next() % list.length] as T;
  const ops = opsTaking(layout.struct).map((op) => BigInt(XENMEM['dma-buf'][op]));
  const { word } = arches[layout.arch];
  const wordMask = (1n << BigInt(8 * word)) - 1n;
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(layout.size);
    const view = new DataView(bytes.buffer);
    const isCalm = next() % 2 === 0;
    const isRandom = !isCalm && next() % 4 === 0;
    const often = <T>(usual: T, list: readonly T[]): T => (isCalm && next() % 12 !== 0 ? usual : pick(list));
    if (isRandom) for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, next(), true);
    const put = (path: string, value: bigint): void => {
      const field = layout.fields.find((f) => f.path === path);
      if (!field) return;
      for (let k = 0; k < field.size; k++) bytes[field.offset + k] = Number((value >> BigInt(8 * k)) & 0xffn);
    };
    const near = often(0x40001000n, words) & wordMask;
    const nr = often(2n, words) & wordMask;
    const order = often(3, orders);
    for (const path of layout.members.some((m) => m.nested) ? ['in.', 'out.'] : ['']) {
      if (isRandom && next() % 2 === 0) continue;
      const step = BigInt(often(9, [0, 1, 2, 3, 8])) - 1n;
      const isFirst = path !== 'out.';
      put(`${path}extent_start`, next() % 3 === 0 ? often(0x40003000n, words) : near + (isFirst ? 0n : nr * BigInt(word) + step));
      const up = next() % 3;
      put(`${path}nr_extents`, next() % 3 === 0 ? often(nr, words) : isFirst ? nr : nr << BigInt(up));
      put(`${path}extent_order`, BigInt(next() % 3 === 0 ? often(order, orders) : isFirst ? order : Math.max(0, order - up)));
      put(`${path}address_bits`, BigInt(often(0, flags)));
      put(`${path}domid`, BigInt(often(0x7ff0, [0x7ff0, 0, 1, 0xffff])));
    }
    put('nr_exchanged', often(0n, words));
    const addresses = [
      unknown,
      0n,
      near,
      near + nr * BigInt(word),
      near - BigInt(layout.size),
      near - BigInt(layout.size) + 1n,
      pick(words),
    ];
    const cmd = next() % 5 === 0 ? unknown : pick(ops) | (next() % 4 === 0 && !isCalm ? BigInt.asUintN(26, pick(words)) << 6n : 0n);
    yield { bytes, address: BigInt.asUintN(64, often(0x40000100n, addresses)), cmd };
  }
}

/** The mask of the duties that a struct breaks by the table of rules. */
export function maskByRules({ bytes, address, cmd }: DutyCase, struct: StructName, arch: Arch, bits: ReadonlyMap<string, number>): number {
  const isKnown = cmd !== unknown;
  const [first = 'get_dma_buf'] = opsTaking(struct);
  const call = observedCall(isKnown ? Number(cmd) : XENMEM['dma-buf'][first], {
    arch,
    argument: bytes,
    ...(address === unknown ? {} : { arg: address }),
    ...(!isKnown && { mayBe: opsTaking(struct) }),
  });
  let mask = 0;
  for (const { id } of judge(call)?.findings ?? []) mask |= 1 << (bits.get(id) ?? 31);
  return mask >>> 0;
}

/**
 * A C program that reads cases (address, cmd, the struct) of one struct and writes the header's
 * mask of each.
 */
export function dutyProgram(struct: StructName, arch: Arch): string {
  return `#include <stdio.h>
#include "checks.h"
int main(void)
{
    unsigned char one[16 + ${layoutOf(struct, arch).size}];
    while (fread(one, sizeof one, 1, stdin) == 1) {
        const uint32_t mask = xenmem_broken_${struct.replace(/^xen_/, '')}_${arch}(one + 16, xenmem_le(one, 0, 8), xenmem_le(one, 8, 8));
        const unsigned char out[4] = { (unsigned char)mask, (unsigned char)(mask >> 8), (unsigned char)(mask >> 16), (unsigned char)(mask >> 24) };
        if (fwrite(out, sizeof out, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
`;
}

/** Cases as that program reads them. */
export function dutyInput(cases: readonly DutyCase[]): Uint8Array {
  return Buffer.concat(
    cases.flatMap(({ bytes, address, cmd }) => {
      const head = Buffer.alloc(16);
      head.writeBigUInt64LE(address, 0);
      head.writeBigUInt64LE(cmd, 8);
      return [head, bytes];
    }),
  );
}

/** A generator of numbers below 2^32, the same for the same seed. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
