/** The table of a CRC of 64 bits whose bits are reflected, in two halves. */
function tableOf(polynomial: bigint): { low: Uint32Array; high: Uint32Array } {
  const entries = Array.from({ length: 256 }, (_, byte) => {
    let value = BigInt(byte);
    for (let i = 0; i < 8; i++) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
  return {
    low: Uint32Array.from(entries, (value) => Number(value & 0xffffffffn)),
    high: Uint32Array.from(entries, (value) => Number(value >> 32n)),
  };
}

const table32 = tableOf(0xedb88320n).low;
const table64 = tableOf(0xc96c5795d7870f42n);

/** The CRC-32 of zip, Ethernet and xz. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table32[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The CRC-64 of xz: the polynomial of ECMA-182. */
export function crc64(bytes: Uint8Array): bigint {
  let [low, high] = [0xffffffff, 0xffffffff];
  for (const byte of bytes) {
    const entry = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (table64.low[entry] ?? 0);
    high = (high >>> 8) ^ (table64.high[entry] ?? 0);
  }
  return BigInt.asUintN(64, ~((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)));
}

const primes: readonly [bigint, bigint, bigint, bigint, bigint] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];
const [first, second, third, fourth, fifth] = primes;
const word = (value: bigint): bigint => BigInt.asUintN(64, value);
const turned = (value: bigint, by: bigint): bigint => word((value << by) | (word(value) >> (64n - by)));
const mixed = (lane: bigint, input: bigint): bigint => word(turned(word(lane + input * second), 31n) * first);

/** XXH64 with seed 0, whose low half is the check sum of zstd. */
export function xxhash64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - (bytes.length % 32);
  let hash = fifth;
  if (whole > 0) {
    const lanes = [first + second, second, 0n, -first].map((start, i) => lane(view, 8 * i, whole, word(start)));
    hash = lanes.reduce((sum, one, i) => sum + turned(one, [1n, 7n, 12n, 18n][i] ?? 0n), 0n);
    for (const one of lanes) hash = word((hash ^ mixed(0n, one)) * first + fourth);
  }
  hash = word(hash + BigInt(bytes.length));
  let at = whole;
  for (; at + 8 <= bytes.length; at += 8) hash = word(turned(hash ^ mixed(0n, view.getBigUint64(at, true)), 27n) * first + fourth);
  for (; at + 4 <= bytes.length; at += 4) hash = word(turned(hash ^ word(BigInt(view.getUint32(at, true)) * first), 23n) * second + third);
  for (; at < bytes.length; at++) hash = word(turned(hash ^ (BigInt(view.getUint8(at)) * fifth), 11n) * first);
  hash = word((hash ^ (hash >> 33n)) * second);
  hash = word((hash ^ (hash >> 29n)) * third);
  return hash ^ (hash >> 32n);
}

/**
 * One of the four lanes that most of the bytes go through, each eighth word of them: in halves,
 * since whole words are ten times slower.
 */
function lane(view: DataView, start: number, end: number, seed: bigint): bigint {
  let [high, low] = halves(seed);
  const [firstHigh, firstLow] = halves(first);
  const [secondHigh, secondLow] = halves(second);
  for (let at = start; at < end; at += 32) {
    const inputLow = view.getUint32(at, true);
    const inputHigh = view.getUint32(at + 4, true);
    const sum = low + (Math.imul(inputLow, secondLow) >>> 0);
    const carry = sum > 0xffffffff ? 1 : 0;
    high = (high + highOf(inputLow, secondLow) + Math.imul(inputHigh, secondLow) + Math.imul(inputLow, secondHigh) + carry) | 0;
    const turnedLow = (sum << 31) | (high >>> 1);
    const turnedHigh = (high << 31) | ((sum | 0) >>> 1);
    high = (highOf(turnedLow >>> 0, firstLow) + Math.imul(turnedHigh, firstLow) + Math.imul(turnedLow, firstHigh)) | 0;
    low = Math.imul(turnedLow, firstLow) >>> 0;
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low);
}

function halves(value: bigint): [number, number] {
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
}

/** The high half of a product of two words of 32 bits. */
function highOf(a: number, b: number): number {
  return Math.floor((a * (b >>> 16) + Math.floor((a * (b & 0xffff)) / 65536)) / 65536);
}
