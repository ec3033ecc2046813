import { type Bytes, FileError } from './bytes.ts';

/** Bytes of the header before its version, and flags in it that say what follows. */
const signature = 9;
const flagsOf = { adlerMade: 1, adlerPacked: 2, extra: 0x40, crcMade: 0x100, crcPacked: 0x200, filter: 0x800 } as const;

/** Unpacks what `lzop` packed: blocks of LZO1X, each with its lengths before it. */
export function unpackLzo(packed: Bytes, most: number): Uint8Array {
  const { at: first, flags } = header(packed);
  const sums = (made: number, own: number): number => ((flags & made) !== 0 ? 4 : 0) + ((flags & own) !== 0 ? 4 : 0);
  const ofMade = sums(flagsOf.adlerMade, flagsOf.crcMade);
  const ofPacked = sums(flagsOf.adlerPacked, flagsOf.crcPacked);
  const blocks: { data: Bytes; size: number }[] = [];
  let total = 0;
  for (let at = first; big(packed, at) !== 0; ) {
    const [size, length] = [big(packed, at), big(packed, at + 4)];
    if (length > size) throw new FileError('LZO: a block that is longer packed');
    total += size;
    if (total > most) throw new FileError(`LZO: more than ${most} bytes`);
    const data = at + 8 + ofMade + (length < size ? ofPacked : 0);
    blocks.push({ data: packed.part(data, length, 'a block of LZO'), size });
    at = data + length;
  }
  const out = new Uint8Array(total);
  let filled = 0;
  for (const { data, size } of blocks) {
    const own = out.subarray(filled, filled + size);
    if (data.length === size) own.set(data.data);
    else unpackBlock(data, own);
    filled += size;
  }
  return out;
}

function big(packed: Bytes, at: number): number {
  return packed.u8(at) * 0x1000000 + packed.u8(at + 1) * 0x10000 + packed.u8(at + 2) * 0x100 + packed.u8(at + 3);
}

/** Where the first block begins: behind versions, method, flags, mode, times, the name and a check sum. */
function header(packed: Bytes): { at: number; flags: number } {
  const version = packed.u8(signature) * 256 + packed.u8(signature + 1);
  const isNew = version >= 0x940;
  const method = packed.u8(signature + (isNew ? 6 : 4));
  if (method < 1 || method > 3) throw new FileError(`LZO: method ${method}, which lzop does not have`);
  let at = signature + (isNew ? 8 : 5);
  const flags = big(packed, at);
  at += 4 + ((flags & flagsOf.filter) !== 0 ? 4 : 0) + 8 + (isNew ? 4 : 0);
  at += 1 + packed.u8(at) + 4;
  if ((flags & flagsOf.extra) !== 0) at += 8 + big(packed, at);
  return { at, flags };
}

/** LZO1X: an instruction says how far back to copy from, how much, and how many bytes follow. */
function unpackBlock({ data: from, what }: Bytes, out: Uint8Array): void {
  let [at, filled] = [0, 0];
  const next = (): number => {
    if (at >= from.length) throw new FileError(`${what}: ends within an instruction`);
    return from[at++] ?? 0;
  };
  const literals = (count: number): void => {
    if (at + count > from.length || filled + count > out.length) throw new FileError(`${what}: bytes beyond its end`);
    out.set(from.subarray(at, at + count), filled);
    at += count;
    filled += count;
  };
  const copy = (back: number, count: number): void => {
    if (back > filled || filled + count > out.length) throw new FileError(`${what}: a copy from before the start, or past the end`);
    for (let i = 0; i < count; i++, filled++) out[filled] = out[filled - back] ?? 0;
  };
  /** A length that goes on in bytes behind the instruction. */
  const long = (held: number, base: number): number => {
    if (held > 0) return held;
    let sum = base;
    let byte = next();
    for (; byte === 0; byte = next()) sum += 255;
    return sum + byte;
  };
  /** What came before: a match without or with bytes behind it, or a run of bytes. */
  let state = 0;
  if ((from[0] ?? 0) > 17) {
    const count = next() - 17;
    literals(count);
    state = count < 4 ? count : 4;
  }
  for (;;) {
    const code = next();
    let behind = 0;
    if (code < 16) {
      if (state === 0) {
        literals(3 + long(code, 15));
        state = 4;
        continue;
      }
      behind = code & 3;
      const distance = (code >>> 2) + (next() << 2);
      if (state === 4) copy(distance + 2049, 3);
      else copy(distance + 1, 2);
    } else if (code < 32) {
      const count = 2 + long(code & 7, 7);
      const low = next() | (next() << 8);
      const distance = ((code & 8) << 11) + (low >>> 2);
      if (distance === 0) break;
      behind = low & 3;
      copy(distance + 16384, count);
    } else if (code < 64) {
      const count = 2 + long(code & 31, 31);
      const low = next() | (next() << 8);
      behind = low & 3;
      copy((low >>> 2) + 1, count);
    } else {
      behind = code & 3;
      const distance = ((code >>> 2) & 7) + (next() << 3);
      copy(distance + 1, (code >>> 5) + 1);
    }
    literals(behind);
    state = behind;
  }
  if (filled !== out.length) throw new FileError(`${what}: ends after ${filled} of ${out.length} bytes`);
}
