/** Bytes at an address. Addresses are guest addresses, 64-bit whatever the guest's width. */
export interface Piece {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** A range of addresses, `length` in bytes. */
export interface ByteRange {
  readonly address: bigint;
  readonly length: bigint;
}

/**
 * Guest memory as far as it is known: a capture knows a few pieces, a live guest all of its RAM.
 */
export interface GuestMemory {
  /**
   * The bytes of a range, or `undefined` if any of them is not known. Never padded, never partial.
   */
  read(address: bigint, length: number): Uint8Array | undefined;
  /** What is known inside a range, in ascending order and clipped to it. */
  known(range: ByteRange): readonly Piece[];
}

/**
 * Memory that is known in pieces. Where pieces overlap, the later one in the list wins; touching
 * pieces become one.
 */
export function sparseMemory(pieces: readonly Piece[]): GuestMemory {
  const parts = merge(pieces);
  return {
    read(address, length) {
      const part = parts[partAfter(parts, address) - 1];
      if (!part || address + BigInt(length) > endOf(part)) return undefined;
      const start = Number(address - part.address);
      return part.bytes.subarray(start, start + length);
    },
    known(range) {
      const found: Piece[] = [];
      for (let i = Math.max(0, partAfter(parts, range.address) - 1); i < parts.length; i++) {
        const part = parts[i] as Piece;
        if (part.address >= range.address + range.length) break;
        const clipped = clip(part, range);
        if (clipped) found.push(clipped);
      }
      return found;
    },
  };
}

/** Memory of which nothing is known. */
export const unknownMemory: GuestMemory = { read: () => undefined, known: () => [] };

/** All addresses there are. */
export const everywhere: ByteRange = { address: 0n, length: 1n << 64n };

/** The longest known run of bytes from an address on, at most `length` of them. */
export function readPrefix(memory: GuestMemory, address: bigint, length: number): Uint8Array {
  const first = memory.known({ address, length: BigInt(length) })[0];
  return first?.address === address ? first.bytes : new Uint8Array(0);
}

/**
 * The ranges inside `range` whose bytes are known in both memories and differ, in ascending order.
 */
export function differences(before: GuestMemory, after: GuestMemory, range: ByteRange = everywhere): ByteRange[] {
  const found: ByteRange[] = [];
  for (const piece of before.known(range)) {
    for (const other of after.known({ address: piece.address, length: BigInt(piece.bytes.length) })) {
      const shift = Number(other.address - piece.address);
      let run = 0;
      for (let i = 0; i <= other.bytes.length; i++) {
        if (i < other.bytes.length && other.bytes[i] !== piece.bytes[shift + i]) {
          run++;
        } else if (run > 0) {
          found.push({ address: other.address + BigInt(i - run), length: BigInt(run) });
          run = 0;
        }
      }
    }
  }
  return found;
}

/** Do two ranges share a byte? An empty range shares none. */
export function overlaps(a: ByteRange, b: ByteRange): boolean {
  return a.length > 0n && b.length > 0n && a.address < b.address + b.length && b.address < a.address + a.length;
}

/** Does the first range lie wholly inside the second? */
export function inside(a: ByteRange, b: ByteRange): boolean {
  return b.address <= a.address && a.address + a.length <= b.address + b.length;
}

/**
 * The index of the first part that begins above an address; parts are in order and do not overlap.
 */
function partAfter(parts: readonly Piece[], address: bigint): number {
  let [low, high] = [0, parts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((parts[middle] as Piece).address <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

function endOf(piece: Piece): bigint {
  return piece.address + BigInt(piece.bytes.length);
}

function clip(piece: Piece, range: ByteRange): Piece | undefined {
  const [whole, limit] = [endOf(piece), range.address + range.length];
  if (range.address <= piece.address && whole <= limit) return piece;
  const start = piece.address > range.address ? piece.address : range.address;
  const end = whole < limit ? whole : limit;
  if (start >= end) return undefined;
  const from = Number(start - piece.address);
  return { address: start, bytes: piece.bytes.subarray(from, from + Number(end - start)) };
}

function merge(pieces: readonly Piece[]): readonly Piece[] {
  // As they mostly come: in order, none empty, none touching the next
  const isApart = (piece: Piece, i: number): boolean => {
    const next = pieces[i + 1];
    return piece.bytes.length > 0 && (next === undefined || endOf(piece) < next.address);
  };
  if (pieces.every(isApart)) return pieces;
  const numbered = pieces.map((piece, order) => ({ piece, order })).filter(({ piece }) => piece.bytes.length > 0);
  numbered.sort((a, b) => (a.piece.address < b.piece.address ? -1 : a.piece.address > b.piece.address ? 1 : 0));
  const runs: { members: typeof numbered; end: bigint }[] = [];
  for (const member of numbered) {
    const run = runs.at(-1);
    const end = endOf(member.piece);
    if (run && member.piece.address <= run.end) {
      run.members.push(member);
      if (end > run.end) run.end = end;
    } else {
      runs.push({ members: [member], end });
    }
  }
  return runs.map(({ members, end }) => {
    const first = (members[0] as (typeof numbered)[number]).piece;
    if (members.length === 1) return first;
    const bytes = new Uint8Array(Number(end - first.address));
    members.sort((a, b) => a.order - b.order);
    for (const { piece } of members) bytes.set(piece.bytes, Number(piece.address - first.address));
    return { address: first.address, bytes };
  });
}
