import { type Arch, arches, archNames, sizeOfType } from '../abi/arch.ts';
import { DOMID } from '../abi/constants.ts';
import { argumentOf, type JudgedOp, XENMEM } from '../abi/ops.ts';
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

/**
 * The lines of a trace: a header, and calls of every op, alike in most numbers, over pages that come
 * again, some of them with something wrong or unusual, as `dirt` in 100.
 */
export function* traceLines(seed: number, records: number, dirt: number): Generator<string> {
  const below = numbers(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const pick = <T>(...of: readonly T[]): T => of[below(of.length)] as T;
  const chance = (percent: number): boolean => below(100) < percent;
  const arch: Arch = pick('arm64', 'arm64', ...archNames);
  const isPhysical = chance(35);
  yield JSON.stringify({
    xenmem: 1,
    arch,
    ...(chance(50) && { profile: 'dma-buf' }),
    ...(isPhysical && { space: 'physical' }),
    ...(chance(4) && { translated: false }),
    ...(chance(50) && { privileged: chance(70) }),
    from_start: chance(60),
  });
  const isHigh = arches[arch].pointer === 8 && chance(50);
  const place = (page: number, at: number): bigint => BigInt(page * 4096 + at) + (isHigh && !isPhysical ? 0xffff_8000_0000_0000n : 0n);
  const stride = sizeOfType('xen_pfn_t', arch);
  const mostCount = pick(1, 2, 3, 12);
  const [usualOrder, usualBits] = [pick(0, 0, 1, 3), pick(0, 0, 32)];
  const bytesOf = (frames: readonly bigint[]): Uint8Array => {
    const bytes = new Uint8Array(stride * frames.length);
    for (const [i, frame] of frames.entries()) bytes.set(entryBytes(frame, stride), i * stride);
    return bytes;
  };
  for (let i = 0; i < records; i++) {
    const dirty = (percent = 25): boolean => chance(dirt) && chance(percent);
    const op: JudgedOp = pick(
      'get_dma_buf',
      'get_dma_buf',
      'put_dma_buf',
      'exchange',
      'populate_physmap',
      'decrease_reservation',
      'increase_reservation',
    );
    const isExchange = op === 'get_dma_buf' || op === 'exchange';
    const count = dirty() ? below(3) : 1 + below(mostCount);
    const order = dirty() ? pick(0, 1, 2, 12, 20, 33, 64) : usualOrder;
    const runs = [0x40 + below(8) * 64, pick(0x40, 0x4000, 0x50) + below(8) * 64];
    const shuffled = chance(20);
    const frames = runs.map((run, side) => {
      const spread = dirty(10) ? 1 : 2 ** Math.min(order, 6) * pick(1, 1, 2);
      const list = Array.from({ length: count }, (_, k) => BigInt(run * 8 + k * spread));
      if (shuffled) list.reverse();
      if (dirty(10)) list[below(count + 1)] = pick(0n, 1n << 45n, 1n << 52n, 1n << 60n, 0xffff_ffff_ffff_ffffn, 0x1000n);
      if (dirty(5)) for (const [k, frame] of list.entries()) list[k] = frame << 12n;
      return side < 2 ? list : [];
    });
    if (chance(15)) frames[1] = [...(frames[0] as bigint[])];
    const arg = place(pick(0x60000, 0x60001, ...(dirty(10) ? [0x200] : [])), pick(0, 0x100, 0x7f8));
    const lists = [place(pick(0x61000, 0x61001), 64 * below(16)), place(pick(0x62000, 0x62001), 64 * below(16))];
    if (dirty(8)) lists[below(2)] = pick(0n, 4n, arg, arg + 8n, 0xffff_fff8n, 0x1_0000_0010n, lists[0] as bigint, 0x3fffn);
    if (dirty(5)) lists[below(2)] = (lists[0] as bigint) + BigInt(pick(1, 4, 8 * count));
    const domid = dirty() ? pick(0, 1, 0x7ff1, 900) : DOMID.SELF;
    const side = (at: number): object => ({
      extent_start: BigInt.asUintN(8 * stride, lists[at] as bigint),
      nr_extents: BigInt(dirty(6) ? pick(count + 1, 0, 4096) : count),
      extent_order: dirty(6) ? below(4) : order,
      address_bits: at === 0 ? (dirty(10) ? 17 : 0) : dirty() ? pick(5, 13, 31, 300) : usualBits,
      domid: dirty(6) ? 3 : domid,
    });
    const codec = codecFor(arch)[argumentOf[op]];
    const one = { ...side(0), ...(op.startsWith('p') && !op.startsWith('put') ? { address_bits: usualBits } : {}) };
    const value = isExchange ? { in: side(0), out: side(1), nr_exchanged: dirty(6) ? 1n : 0n } : op === 'put_dma_buf' ? { in: one } : one;
    const struct = codec.encode(value as never);
    if (dirty(10)) struct[below(struct.length)] = below(256);
    if (dirty(15)) for (const { offset, size } of codec.layout.padding) struct[offset + below(size)] = below(256);
    const isFull = !chance(25);
    const done = isFull ? count : below(count + 1);
    const start = dirty(6) ? below(count + 1) : 0;
    const counts = op === 'populate_physmap' || op === 'decrease_reservation' || op === 'increase_reservation';
    const usual = counts ? done : isExchange && !isFull ? pick(-12, -1, -22) : 0;
    const rc = dirty() ? pick(0, 1, -1, -4, -22, -85, -12, count, 2 ** 31, -(2 ** 33)) : usual;
    const after = struct.slice();
    if (isExchange) {
      const view = new DataView(after.buffer);
      const { offset, size } = codec.layout.fields.at(-1) as { offset: number; size: number };
      if (size === 8) view.setBigUint64(offset, BigInt(done), true);
      else view.setUint32(offset, done, true);
    }
    if (dirty(10)) after[below(after.length)] = below(256);
    const outputs = bytesOf(frames[1] as bigint[]);
    const given = bytesOf(frames[0] as bigint[]);
    const [givenAfter, outputsAfter] = [given.slice(), outputs.slice()];
    const written = Array.from({ length: done }, (_, k) => BigInt(pick(0x80000, 0x81000)) + BigInt(k * 2 ** Math.min(order, 6)));
    if (isExchange) outputsAfter.set(bytesOf(written).subarray(0, outputsAfter.length));
    if (op === 'increase_reservation' || (op === 'populate_physmap' && chance(30)))
      givenAfter.set(bytesOf(written).subarray(0, givenAfter.length));
    for (const bytes of [givenAfter, outputsAfter]) if (bytes.length > 0 && dirty(10)) bytes[below(bytes.length)] = below(256);
    const hex = (address: bigint): string => `0x${(address & 0xffff_ffff_ffff_ffffn).toString(16)}`;
    const pieces = (...parts: readonly Uint8Array[]): Piece[] =>
      parts.flatMap((bytes, k): Piece[] => {
        const address = k === 0 ? arg : (lists[k - 1] as bigint);
        if (bytes.length === 0 || dirty(6)) return [];
        const cut = dirty(6) ? bytes.subarray(0, below(bytes.length)) : bytes;
        return [[hex(address + (dirty(3) ? 8n : 0n)), toHex(cut)]];
      });
    const sides = isExchange ? 2 : 1;
    const before = pieces(struct, ...[given, outputs].slice(0, sides));
    if (chance(20)) before.reverse();
    const record: Record<string, unknown> = {
      ...(chance(80) && { seq: i }),
      ...(chance(10) && { ts: pick<unknown>(1.5, 12345, '7', 0.25) }),
      ...(!dirty(10) && { domid: dirty(10) ? 2 : 1 }),
      cmd: XENMEM['dma-buf'][op] + 64 * start,
      arg: dirty(4) ? Number(arg & 0xffff_ffffn) : hex(arg),
      ...(!dirty(5) && { before }),
      ...(!dirty(10) && { rc }),
      ...(!dirty(10) && { after: pieces(after, ...[givenAfter, outputsAfter].slice(0, sides)) }),
      ...(dirty(10) && { unmapped: [[hex(lists[0] as bigint), 8]] }),
      ...(dirty(10) && { p2m_after: frames[1]?.map((gfn) => [hex(gfn), hex(gfn + 0x900n)]) }),
      ...(dirty(10) && { pages_before: 64, pages_after: 64 }),
      ...(dirty(5) && { [pick('x', 'arch', 'space')]: pick('physical', 'x86_64', 'arm64') }),
      ...(dirty(3) && { rc: null }),
    };
    const entries = Object.entries(record);
    const text = JSON.stringify(Object.fromEntries(chance(10) ? entries.reverse() : entries));
    yield dirty(4)
      ? text.slice(0, below(text.length))
      : dirty(4)
        ? text.replace(',', ',,')
        : chance(10)
          ? text.replaceAll(',', ', ').replaceAll(':', ': ')
          : text;
  }
}
