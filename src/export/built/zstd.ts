import { type Bytes, FileError } from './bytes.ts';
import { xxhash64 } from './checksums.ts';
import { Backwards, type Huffman, type Limits, onlyState, readHuffman, readStates, type States, statesOf } from './zstd-codes.ts';

/** The first bytes of what zstd packed. */
export const zstdMagic: readonly number[] = [0x28, 0xb5, 0x2f, 0xfd];

/** A block never becomes longer. */
const longestBlock = 128 << 10;
/** A file of tiny frames must not take for ever; what packs in parallel makes some hundreds. */
const mostFrames = 1 << 16;

/**
 * A frame, found before anything is decoded: where its blocks are, and how long it becomes at most.
 */
interface Frame {
  readonly blocks: number;
  readonly longest: number;
  readonly most: number;
  readonly declared: number | undefined;
  readonly checksum: number | undefined;
  readonly end: number;
}

/**
 * Unpacks what `zstd` packed. The whole that is made is what copies are taken from, so that a wide
 * window takes no memory of its own.
 */
export function unpackZstd(packed: Bytes, most: number): Uint8Array {
  const { frames, end } = framesOf(packed);
  const total = frames.reduce((sum, frame) => sum + (frame.declared ?? frame.most), 0);
  if (frames.some(({ declared }) => (declared ?? 0) > most)) throw tooLong(most);
  const out = new Uint8Array(Math.min(total, most));
  const literals = new Uint8Array(longestBlock);
  let filled = 0;
  for (const frame of frames) {
    const start = filled;
    filled = new FrameDecoder(packed, { out, start, literals }, frame.longest).decode(frame.blocks, most);
    if (frame.declared !== undefined && frame.declared !== filled - start) throw new FileError('zstd: a frame is not as long as it says');
    const isRight = frame.checksum === undefined || (xxhash64(out.subarray(start, filled)) & 0xffffffffn) === BigInt(frame.checksum);
    if (!isRight) throw new FileError('zstd: the check sum is wrong: the file is damaged');
  }
  const behind = packed.length - end;
  // A kernel's build appends the length.
  if (behind !== 0 && (behind !== 4 || packed.u32(end) !== filled)) {
    throw new FileError(`zstd: ${behind} bytes at the end are neither a frame nor how long the ${filled} unpacked are`);
  }
  return out.subarray(0, filled);
}

function tooLong(most: number): FileError {
  return new FileError(`zstd: more than ${most} bytes`);
}

/** The frames one after the other; those that are to be skipped are. */
function framesOf(packed: Bytes): { frames: Frame[]; end: number } {
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    if (packed.begins(at, zstdMagic)) {
      const frame = frameAt(packed, at + 4);
      frames.push(frame);
      if (frames.length > mostFrames) throw new FileError(`zstd: more than ${mostFrames} frames`);
      at = frame.end;
    } else if (at + 8 <= packed.length && (packed.u32(at) & ~15) === 0x184d2a50) {
      const { length } = packed.part(at + 8, packed.u32(at + 4), 'a part of zstd to be skipped');
      at += 8 + length;
    } else return { frames, end: at };
  }
}

function frameAt(packed: Bytes, start: number): Frame {
  const flags = packed.u8(start);
  if ((flags & 8) !== 0) throw new FileError('zstd: a frame of a later version');
  let at = start + 1;
  const isWhole = (flags & 0x20) !== 0;
  const shape = isWhole ? 0 : packed.u8(at++);
  const dictionarySize = [0, 1, 2, 4][flags & 3] ?? 0;
  if (number(packed, at, dictionarySize) !== 0) throw new FileError('zstd: packed with a dictionary, which is not in the file');
  at += dictionarySize;
  const sizeOfSize = [isWhole ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const declared = sizeOfSize === 0 ? undefined : number(packed, at, sizeOfSize) + (sizeOfSize === 2 ? 256 : 0);
  at += sizeOfSize;
  const window = isWhole ? (declared ?? 0) : 2 ** (10 + (shape >> 3)) * (1 + (shape & 7) / 8);
  const longest = Math.min(window, longestBlock);
  const blocks = at;
  let most = 0;
  for (let isLast = false; !isLast; ) {
    const block = blockAt(packed, at, longest);
    most += block.most;
    at = block.end;
    isLast = block.isLast;
  }
  // The blocks that are there cannot make so many.
  if ((declared ?? 0) > most) throw new FileError(`zstd: ${declared} bytes do not come of ${at - start}`);
  const hasChecksum = (flags & 4) !== 0;
  return { blocks, longest, most, declared, checksum: hasChecksum ? packed.u32(at) : undefined, end: at + (hasChecksum ? 4 : 0) };
}

function number(packed: Bytes, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + packed.u8(at + i);
  return value;
}

interface Block {
  readonly isLast: boolean;
  readonly kind: number;
  readonly at: number;
  readonly size: number;
  readonly end: number;
  readonly most: number;
}

const rawBlock = 0;
const runBlock = 1;
const packedBlock = 2;

function blockAt(packed: Bytes, start: number, longest: number): Block {
  const head = number(packed, start, 3);
  const kind = (head >> 1) & 3;
  const size = head >> 3;
  const at = start + 3;
  if (kind > packedBlock || size > longest) throw new FileError('zstd: a block of a kind or length that there is not');
  const { length } = packed.part(at, kind === runBlock ? 1 : size, 'a block of zstd');
  return { isLast: (head & 1) !== 0, kind, at, size, end: at + length, most: kind === packedBlock ? longest : size };
}

/** What a sequence is made of: how many literals, how far back, how long. */
type Part = 'literals' | 'back' | 'match';

/** How many bits follow each code for a length; each begins where the one before ends. */
const literalBits = [...Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const matchBits = [...Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

const limits: { readonly [part in Part]: Limits } = {
  literals: { log: 9, symbol: literalBits.length - 1 },
  back: { log: 8, symbol: 31 },
  match: { log: 9, symbol: matchBits.length - 1 },
};

/** Where a block describes no table of its own: RFC 8878, 3.1.1.3.2.2. */
const usual: { readonly [part in Part]: States } = {
  literals: statesOf([4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6),
  back: statesOf([1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array(15).fill(1), -1, -1, -1, -1, -1], 5),
  match: statesOf([1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array(37).fill(1), -1, -1, -1, -1, -1, -1, -1], 6),
};

const literalBases = basesOf(literalBits, 0);
const matchBases = basesOf(matchBits, 3);

function basesOf(bits: readonly number[], first: number): number[] {
  let next = first;
  return bits.map((count) => {
    const base = next;
    next += 1 << count;
    return base;
  });
}

/** The blocks of one frame, whose codes and distances go on from block to block. */
class FrameDecoder {
  readonly #packed: Bytes;
  readonly #out: Uint8Array;
  readonly #start: number;
  readonly #longest: number;
  #filled: number;
  #huffman: Huffman | undefined;
  readonly #states: { [part in Part]: States | undefined } = { literals: undefined, back: undefined, match: undefined };
  /** The last three distances. */
  readonly #backs: [number, number, number] = [1, 4, 8];
  /** Has room for those of any block. */
  readonly #literals: Uint8Array;

  constructor(packed: Bytes, { out, start, literals }: { out: Uint8Array; start: number; literals: Uint8Array }, longest: number) {
    this.#packed = packed;
    this.#out = out;
    this.#start = this.#filled = start;
    this.#literals = literals;
    this.#longest = longest;
  }

  /** Decodes the blocks from `at` on; how far the output is filled then. */
  decode(at: number, most: number): number {
    for (;;) {
      const block = blockAt(this.#packed, at, this.#longest);
      const { data } = this.#packed.part(block.at, block.end - block.at, 'a block of zstd');
      if (block.kind === packedBlock) this.#decodeBlock(data, most);
      else {
        if (this.#filled + block.size > this.#out.length) throw tooLong(most);
        if (block.kind === rawBlock) this.#out.set(data, this.#filled);
        else this.#out.fill(data[0] ?? 0, this.#filled, this.#filled + block.size);
        this.#filled += block.size;
      }
      if (block.isLast) return this.#filled;
      at = block.end;
    }
  }

  #decodeBlock(data: Uint8Array, most: number): void {
    const literals = this.#readLiterals(data);
    const out = this.#out;
    const until = Math.min(this.#filled + this.#longest, out.length);
    const room = (wanted: number): void => {
      if (wanted <= until - this.#filled) return;
      throw until === out.length ? tooLong(most) : new FileError('zstd: a block that is longer than a block can be');
    };
    let taken = 0;
    const copyLiterals = (count: number): void => {
      room(count);
      for (let i = 0; i < count; i++) out[this.#filled + i] = literals.data[taken + i] ?? 0;
      this.#filled += count;
      taken += count;
    };
    this.#readSequences(data, literals.end, (count, back, length) => {
      if (count > literals.data.length - taken) throw new FileError('zstd: more literals than there are');
      copyLiterals(count);
      room(length);
      const filled = this.#filled;
      if (back > filled - this.#start || back === 0) throw new FileError('zstd: a copy from before the start');
      for (let i = filled; i < filled + length; i++) out[i] = out[i - back] ?? 0;
      this.#filled += length;
    });
    copyLiterals(literals.data.length - taken);
  }

  /** The literals of a block, and where they end in it. */
  #readLiterals(data: Uint8Array): { data: Uint8Array; end: number } {
    const head = (data[0] ?? 0) + (data[1] ?? 0) * 2 ** 8 + (data[2] ?? 0) * 2 ** 16 + (data[3] ?? 0) * 2 ** 24 + (data[4] ?? 0) * 2 ** 32;
    const kind = head & 3;
    const form = (head >> 2) & 3;
    if (kind < 2) {
      const [headSize, unit] = form === 1 ? [2, 16] : form === 3 ? [3, 16] : [1, 8];
      const size = Math.floor((head % 2 ** (8 * headSize)) / unit);
      const end = headSize + (kind === 0 ? size : 1);
      this.#check(size, end, data);
      return { data: kind === 0 ? data.subarray(headSize, end) : this.#literals.fill(data[headSize] ?? 0, 0, size).subarray(0, size), end };
    }
    const [headSize, width] = form < 2 ? [3, 2 ** 10] : form === 2 ? [4, 2 ** 14] : [5, 2 ** 18];
    const size = Math.floor(head / 16) % width;
    const end = headSize + (Math.floor(head / 16 / width) % width);
    this.#check(size, end, data);
    let at = headSize;
    if (kind === 2) {
      const read = readHuffman(data.subarray(0, end), at);
      this.#huffman = read.huffman;
      at = read.end;
    }
    const huffman = this.#huffman;
    if (!huffman) throw new FileError('zstd: literals in a code that was not told');
    const literals = this.#literals.subarray(0, size);
    if (form === 0) decodeStream(data, at, end, huffman, literals);
    else decodeStreams(data, at, end, huffman, literals);
    return { data: literals, end };
  }

  #check(size: number, end: number, data: Uint8Array): void {
    if (size > this.#longest || end > data.length) throw new FileError('zstd: literals that a block has no room for');
  }

  #readSequences(data: Uint8Array, start: number, found: (literals: number, back: number, length: number) => void): void {
    const [first = 0, second = 0, third = 0] = data.subarray(start);
    const [headSize, count] =
      first < 128 ? [1, first] : first < 255 ? [2, (first - 128) * 256 + second] : [3, second + third * 256 + 0x7f00];
    let at = start + headSize;
    if (at > data.length || (count === 0 && at !== data.length)) throw new FileError('zstd: a block does not end where it says');
    if (count === 0) return;
    const modes = data[at++] ?? 0;
    if ((modes & 3) !== 0) throw new FileError('zstd: a block of a later version');
    const read = (part: Part, mode: number): States => {
      const own = this.#readTable(data, at, part, mode & 3);
      at = own.end;
      this.#states[part] = own.states;
      return own.states;
    };
    const [literals, back, match] = [read('literals', modes >> 6), read('back', modes >> 4), read('match', modes >> 2)];
    const bits = new Backwards(data, at, data.length);
    let [literal, distance, length] = [bits.take(literals.log), bits.take(back.log), bits.take(match.log)];
    for (let i = 0; ; ) {
      const distanceCode = back.symbols[distance] ?? 0;
      const far = 2 ** distanceCode + bits.take(distanceCode);
      const lengthCode = match.symbols[length] ?? 0;
      const matched = (matchBases[lengthCode] ?? 0) + bits.take(matchBits[lengthCode] ?? 0);
      const literalCode = literals.symbols[literal] ?? 0;
      const before = (literalBases[literalCode] ?? 0) + bits.take(literalBits[literalCode] ?? 0);
      if (bits.left < 0) break;
      found(before, this.#backOf(far, before), matched);
      if (++i === count) break;
      literal = (literals.bases[literal] ?? 0) + bits.take(literals.bits[literal] ?? 0);
      length = (match.bases[length] ?? 0) + bits.take(match.bits[length] ?? 0);
      distance = (back.bases[distance] ?? 0) + bits.take(back.bits[distance] ?? 0);
    }
    if (bits.left !== 0) throw new FileError('zstd: a block does not end where it says');
  }

  #readTable(data: Uint8Array, at: number, part: Part, mode: number): { states: States; end: number } {
    if (mode === 0) return { states: usual[part], end: at };
    if (mode === 2) return readStates(data, at, limits[part]);
    if (mode === 1) {
      const symbol = data[at] ?? 0;
      if (symbol > limits[part].symbol) throw new FileError('zstd: a code that there is not');
      return { states: onlyState(symbol), end: at + 1 };
    }
    const states = this.#states[part];
    if (!states) throw new FileError('zstd: a table is repeated that was not told');
    return { states, end: at };
  }

  /** How far back: 1 to 3 stand for the last distances, which are kept in the order of use. */
  #backOf(value: number, literals: number): number {
    const [first, second, third] = this.#backs;
    const which = value + (literals === 0 && value <= 3 ? 1 : 0);
    if (which === 1) return first;
    const back = value > 3 ? value - 3 : which === 2 ? second : which === 3 ? third : first - 1;
    if (which !== 2) this.#backs[2] = second;
    this.#backs[1] = first;
    this.#backs[0] = back;
    return back;
  }
}

/** Four streams, whose lengths are before them, of a quarter of the literals each. */
function decodeStreams(data: Uint8Array, start: number, end: number, huffman: Huffman, out: Uint8Array): void {
  const each = (out.length + 3) >> 2;
  let at = start + 6;
  if (at > end || 3 * each > out.length) throw new FileError('zstd: literals that a block has no room for');
  for (let i = 0; i < 4; i++) {
    const size = (data[start + 2 * i] ?? 0) + (data[start + 2 * i + 1] ?? 0) * 256;
    const until = i === 3 ? end : at + size;
    if (until > end) throw new FileError('zstd: a stream that ends behind its block');
    decodeStream(data, at, until, huffman, out.subarray(i * each, i === 3 ? out.length : (i + 1) * each));
    at = until;
  }
}

function decodeStream(data: Uint8Array, start: number, end: number, { log, symbols, bits }: Huffman, out: Uint8Array): void {
  const stream = new Backwards(data, start, end);
  for (let i = 0; i < out.length; i++) {
    const code = stream.peek(log);
    out[i] = symbols[code] ?? 0;
    stream.left -= bits[code] ?? 0;
  }
  if (stream.left !== 0) throw new FileError('zstd: a stream does not end where it says');
}
