import { PAGE_SHIFT, PAGE_SIZE } from '../../src/abi/constants.ts';
import { type ByteRange, differences, inside, type Piece, sparseMemory } from '../../src/guest/memory.ts';
import type { ChangedRange, Reply } from '../protocol/implementation.ts';
import type { DomainView } from './domain-view.ts';

/** What the answers after a call tell of one domain's memory. */
export class Learnt {
  readonly view: DomainView;
  /** What is said to have changed, of what was known, and was not read back. */
  readonly missing: readonly ByteRange[];
  readonly #got: Piece[] = [];
  #whole = true;

  /** `said` is the answer to `changes`; `readBack` are those to the `reads`. */
  constructor(view: DomainView, said: Pick<Reply, 'ranges'>, reads: readonly ByteRange[] = [], readBack: readonly Reply[] = []) {
    this.view = view;
    for (const [i, range] of reads.entries()) {
      const { bytes, error } = readBack[i] ?? {};
      if (bytes) this.#got.push({ address: range.address, bytes });
      if (!error) continue;
      view.forgetRange(range);
      this.#whole = false;
    }
    // No answer is not "nothing changed": then all there is may have.
    this.missing = view
      .knownParts(said.ranges ?? view.runs.map(addressesOf))
      .filter((range) => !this.#got.some((p) => inside(range, { address: p.address, length: BigInt(p.bytes.length) })));
  }

  /** Bytes that were read back. */
  get got(): readonly Piece[] {
    return this.#got;
  }

  /** Is all of it seen: what was known before, and what of it changed? */
  get whole(): boolean {
    return this.#whole;
  }

  /** Takes in what was missing. */
  fetched(range: ByteRange, { bytes, error }: Pick<Reply, 'bytes' | 'error'>): void {
    if (bytes) this.#got.push({ address: range.address, bytes });
    else this.view.forgetRange(range);
    if (error) this.#whole = false;
  }

  /** Lets the view know what was read back, and returns what of it really changed. */
  settle(): ByteRange[] {
    const { memory } = this.view;
    const changes: ByteRange[] = [];
    for (const piece of this.#got) {
      const held = memory.read(piece.address, piece.bytes.length);
      if (held && sameBytes(held, piece.bytes)) continue;
      changes.push(...differences(memory, sparseMemory([piece]), { address: piece.address, length: BigInt(piece.bytes.length) }));
      memory.learn(piece.address, piece.bytes);
    }
    return changes;
  }
}

function addressesOf({ gfn, pages }: { gfn: bigint; pages: number }): ChangedRange {
  return { address: gfn << BigInt(PAGE_SHIFT), length: pages * PAGE_SIZE };
}

/** Are these the same bytes? */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
