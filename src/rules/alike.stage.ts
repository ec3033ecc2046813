import { type Arch, arches, archNames, sizeOfType } from '../abi/arch.ts';
import { DOMID } from '../abi/constants.ts';
import { argumentOf, isExchangeOp, type JudgedOp, XENMEM } from '../abi/ops.ts';
import { codecFor } from '../codec/codec.ts';
import { toHex } from '../codec/hex.ts';
import { entryBytes } from '../guest/handle.ts';

type Piece = [address: string, bytes: string];

/** Numbers from a seed, below `n` each. */
function numbers(seed: number): (n: number) => number {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

/** Ways in which a record is spoilt that leave the numbers in its struct as they are. */
const spoils = [
  'close frames',
  'a wide frame',
  'a wide frame',
  'a wide frame',
  'frames that are addresses',
  'a frame of the struct',
  'a frame of the struct',
  'unaligned frames',
  'a list at nothing',
  'a list over something',
  'a low handle',
  'a high address',
  'a byte of the struct after',
  'a byte of a list after',
  'a byte of a list after',
  'a byte of a list after',
  'padding',
  'another domid',
  'one list for both',
  'unmapped',
  'p2m',
  'p2m',
  'p2m',
  'pages',
  'another key',
  'bad text',
  'a strange piece',
  'a high list',
] as const;

/**
 * The lines of a trace: a header, and calls of every op over pages that come again. Eight calls in a
 * row are of the same numbers, of which `dirt` in 100 are strange, and each three times as often is
 * spoilt otherwise.
 */
export function* traceLines(seed: number, records: number, dirt: number): Generator<string> {
  const below = numbers(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const pick = <T>(...of: readonly T[]): T => of[below(of.length)] as T;
  const chance = (percent: number): boolean => below(100) < percent;
  const arch: Arch = pick('arm64', 'arm64', ...archNames);
  const isPhysical = seed % 2 === 0;
  yield JSON.stringify({
    xenmem: 1,
    arch,
    ...(chance(50) && { profile: 'dma-buf' }),
    ...(isPhysical && { space: 'physical' }),
    ...(seed % 5 === 4 && { translated: false }),
    ...(chance(50) && { privileged: chance(70) }),
    from_start: chance(60),
  });
  const isHigh = arches[arch].pointer === 8 && chance(50);
  const place = (page: number, at: number): bigint => BigInt(page * 4096 + at) + (isHigh && !isPhysical ? 0xffff_8000_0000_0000n : 0n);
  const stride = sizeOfType('xen_pfn_t', arch);
  const bytesOf = (frames: readonly bigint[]): Uint8Array => {
    const bytes = new Uint8Array(stride * frames.length);
    for (const [i, frame] of frames.entries()) bytes.set(entryBytes(frame, stride), i * stride);
    return bytes;
  };
  let family = 0;
  for (let i = 0; i < records; i++) {
    if (i % 8 === 0) family = 1 + below(1 << 30);
    const drawn = numbers(family);
    const same = <T>(...of: readonly T[]): T => of[drawn(of.length)] as T;
    const odd = (percent: number): boolean => drawn(100) < dirt && drawn(100) < percent;
    const spoilt = chance(3 * dirt) ? pick(...spoils) : undefined;
    const op: JudgedOp = same(
      'get_dma_buf',
      'get_dma_buf',
      'put_dma_buf',
      'exchange',
      'populate_physmap',
      'decrease_reservation',
      'increase_reservation',
    );
    const isExchange = isExchangeOp(op);
    const count = odd(25) ? drawn(3) : 1 + drawn(same(1, 2, 3, 12));
    const order = odd(25) ? same(2, 12, 20, 33, 64) : same(0, 0, 1, 3);
    const size = 2 ** Math.min(order, 6);
    const arg = place(pick(0x60000, 0x60001), pick(0, 0x100, 0x7f8)) + (spoilt === 'a high address' ? 1n << 32n : 0n);
    const frames = [0x40 + below(8) * 64, pick(0x40, 0x4000, 0x50) + below(8) * 64].map((run) => {
      const spread = spoilt === 'close frames' ? Math.max(1, size / 2) : size * pick(1, 1, 2);
      return Array.from({ length: count }, (_, k) => BigInt(run * 8 + k * spread + (spoilt === 'unaligned frames' ? 1 : 0)));
    });
    const side = below(2);
    const spoiltList = frames[side] as bigint[];
    const wide = pick(0n, 1n << 28n, 1n << 40n, 1n << 40n, 1n << 41n, 1n << 52n, 1n << 60n);
    if (spoilt === 'a wide frame' && count > 0) spoiltList[below(count)] = wide;
    if (spoilt === 'close frames' && count > 1 && size === 1) spoiltList[below(count)] = spoiltList[below(count)] as bigint;
    if (spoilt === 'frames that are addresses') for (const [k, frame] of spoiltList.entries()) spoiltList[k] = frame << 12n;
    if (spoilt === 'a frame of the struct' && count > 0) spoiltList[below(count)] = arg >> 12n;
    if (spoilt === 'one list for both' || chance(10)) frames[1] = [...(frames[0] as bigint[])];
    if (chance(20)) for (const list of frames) list.reverse();
    const lists = [place(pick(0x61000, 0x61001), 64 * below(16)), place(pick(0x62000, 0x62001), 64 * below(16))];
    const least =
      spoilt === 'a list at nothing' ? pick(0n, 4n, 8n, 0xffff_fff8n) : spoilt === 'a low handle' ? pick(0x3ff8n, 8n, 0x7ff0n) : undefined;
    if (least !== undefined) lists[side] = least;
    if (spoilt === 'a list over something') lists[side] = pick(arg, arg + 8n, arg + 64n, (lists[0] as bigint) + 8n, lists[0] as bigint);
    if (spoilt === 'a high list') lists[side] = (lists[side] as bigint) + (1n << 32n);
    const domid = odd(25) ? same(0, 1, 0x7ff1, 900) : DOMID.SELF;
    const bits = odd(25) ? same(5, 13, 31, 300) : same(0, 0, 32);
    const sideOf = (at: number): object => ({
      extent_start: BigInt.asUintN(8 * stride, lists[at] as bigint),
      nr_extents: BigInt(odd(6) ? same(count + 1, 0, 4096) : count),
      extent_order: odd(6) ? drawn(4) : order,
      address_bits: at === 0 && isExchange ? (odd(10) ? 17 : 0) : bits,
      domid: odd(6) ? 3 : domid,
    });
    const codec = codecFor(arch)[argumentOf[op]];
    const one = sideOf(0);
    const value = isExchange ? { in: one, out: sideOf(1), nr_exchanged: odd(6) ? 1n : 0n } : op === 'put_dma_buf' ? { in: one } : one;
    const struct = codec.encode(value as never);
    if (spoilt === 'padding') for (const { offset, size } of codec.layout.padding) struct[offset + below(size)] = below(256);
    const isFull = drawn(100) >= 40;
    const done = isFull ? count : drawn(count + 1);
    const start = odd(6) ? drawn(count + 1) : 0;
    const usual = isExchange || op === 'put_dma_buf' ? (isExchange && !isFull ? same(-12, -1, -22) : 0) : done;
    const rc = odd(25) ? same(0, 1, -1, -4, -22, -85, -12, count, 2 ** 31, -(2 ** 33)) : usual;
    const after = struct.slice();
    if (isExchange) {
      const view = new DataView(after.buffer);
      const { offset, size } = codec.layout.fields.at(-1) as { offset: number; size: number };
      if (size === 8) view.setBigUint64(offset, BigInt(done), true);
      else view.setUint32(offset, done, true);
    }
    if (spoilt === 'a byte of the struct after') after[below(after.length)] = below(256);
    const [given, outputs] = frames.map(bytesOf) as [Uint8Array, Uint8Array];
    const [givenAfter, outputsAfter] = [given.slice(), outputs.slice()];
    const unaligned = spoilt === 'unaligned frames' ? 1 : 0;
    const high = spoilt === 'a wide frame' ? pick(0n, 1n << 20n, 1n << 51n, 1n << 52n) : 0n;
    const written = Array.from({ length: done }, (_, k) => high + BigInt(pick(0x80000, 0x81000) + k * size + unaligned));
    if (isExchange) outputsAfter.set(bytesOf(written).subarray(0, outputsAfter.length));
    if (op === 'increase_reservation' || (op === 'populate_physmap' && chance(30))) {
      givenAfter.set(bytesOf(written).subarray(0, givenAfter.length));
    }
    const changed = pick(givenAfter, outputsAfter);
    if (spoilt === 'a byte of a list after' && changed.length > 0) changed[below(changed.length)] = below(256);
    const hex = (address: bigint): string => `0x${(address & 0xffff_ffff_ffff_ffffn).toString(16)}`;
    const strange = spoilt === 'a strange piece' ? below(6) : -1;
    const pieces = (from: number, ...parts: readonly Uint8Array[]): Piece[] =>
      parts.flatMap((bytes, k): Piece[] => {
        const address = k === 0 ? arg : (lists[k - 1] as bigint);
        if (bytes.length === 0 || odd(6)) return [];
        const isStrange = strange === from + k;
        const cut = isStrange && chance(50) ? bytes.subarray(0, below(bytes.length)) : bytes;
        return [[hex(address + (isStrange && chance(50) ? 8n : 0n)), toHex(cut)]];
      });
    const mapsOf = (): object => {
      const some = Array.from({ length: 24 }, () => BigInt((0x40 + below(8) * 64) * 8 + below(12)));
      const gfns = [...new Set([...(frames[1] as bigint[]), ...some])];
      const map = (moved: number): string[][] => gfns.map((gfn) => [hex(gfn), hex(gfn + (chance(moved) ? 0x901n : 0x900n))]);
      return { ...(chance(70) && { p2m_before: map(0) }), p2m_after: map(30) };
    };
    const sides = isExchange ? 2 : 1;
    const before = pieces(0, struct, ...[given, outputs].slice(0, sides));
    if (chance(20)) before.reverse();
    const record: Record<string, unknown> = {
      ...(chance(80) && { seq: i }),
      ...(chance(10) && { ts: pick<unknown>(1.5, 12345, '7', 0.25) }),
      ...(!odd(10) && { domid: spoilt === 'another domid' ? pick(0, 2, 3) : 1 }),
      cmd: XENMEM['dma-buf'][op] + 64 * start,
      arg: hex(arg),
      ...(!odd(5) && { before }),
      ...(!odd(10) && { rc }),
      ...(!odd(10) && { after: pieces(3, after, ...[givenAfter, outputsAfter].slice(0, sides)) }),
      ...(spoilt === 'unmapped' && { unmapped: [[hex(lists[0] as bigint), 8]] }),
      ...(spoilt === 'p2m' && mapsOf()),
      ...(spoilt === 'pages' && { pages_before: 64, pages_after: 64 }),
      ...(spoilt === 'another key' && { [pick('x', 'arch', 'space', 'rc')]: pick('physical', 'x86_64', 'arm64', null) }),
    };
    const entries = Object.entries(record);
    const text = JSON.stringify(Object.fromEntries(chance(10) ? entries.reverse() : entries));
    if (spoilt === 'bad text') yield chance(50) ? text.slice(0, below(text.length)) : text.replace(',', ',,');
    else yield chance(10) ? text.replaceAll(',', ', ').replaceAll(':', ': ') : text;
  }
}
