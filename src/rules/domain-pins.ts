import type { P2m } from '../trace/call.ts';

/** Churns in which a put page must have moved, if in each of them it could have. */
export const churnsToMove = 4;

/** A page that is known to be pinned. */
interface PinnedPage {
  /** Was it seen to stay through a churn that moved an unpinned page, before any put? */
  stayed: boolean;
  /** Has there been a put in its domain since it was pinned? */
  putSince: boolean;
  /** Has a put that was refused listed it, behind what it may have unpinned? */
  refused: boolean;
}

/** Who says that a page is not pinned any more. */
type Releasing = 'put-unpins' | 'put-refused-prefix';

/** The pages that a refused put may have unpinned, in the order of its list. */
interface RefusedList {
  readonly pages: readonly bigint[];
  /** So many of them, the first ones, are known to be unpinned. */
  unpinned: number;
}

/** What calls have left of the pins of pages: each is in one of the first three. */
export interface PinsOfPages {
  readonly pinned: ReadonlySet<bigint>;
  /** It cannot be told whether they are pinned. */
  readonly doubted: ReadonlySet<bigint>;
  readonly free: ReadonlySet<bigint>;
  /** Frame numbers that were returned. */
  readonly returned: ReadonlySet<bigint>;
}

/** What is known of the pins of one domain, page by page. */
export class DomainPins {
  readonly pinned: Map<bigint, PinnedPage> = new Map();
  /**
   * Pages whose pin cannot be told any more: a call on them was not seen to the end, or its outcome
   * is a reading.
   */
  readonly uncertain: Set<bigint> = new Set();
  /**
   * Pages that a put released and that have not moved since, with the churns they have left, and
   * who says so.
   */
  readonly released: Map<bigint, { readonly left: number; readonly id: Releasing }> = new Map();
  /** Pages that a refused put may have unpinned, and where in its list each stands. */
  readonly prefixes: Map<bigint, { readonly list: RefusedList; readonly at: number }> = new Map();
  /** Pages that a put listed, whose content every later move must keep: "still accessible". */
  readonly put: Set<bigint> = new Set();
  readonly everPinned: Set<bigint> = new Set();
  /** Frame numbers that a get returned. */
  readonly returned: Set<bigint> = new Set();
  p2m: P2m = new Map();

  /** A get was seen to pin a page. */
  pin(gfn: bigint): void {
    this.uncertain.delete(gfn);
    this.pinned.set(gfn, { stayed: false, putSince: false, refused: false });
    this.everPinned.add(gfn);
  }

  /** Whether a page is pinned cannot be told any more. */
  forget(gfn: bigint): void {
    this.pinned.delete(gfn);
    this.uncertain.add(gfn);
  }

  /** It cannot be told whether a page was pinned. */
  doubt(gfn: bigint): void {
    this.forget(gfn);
    this.everPinned.add(gfn);
  }

  /** Calls have left pages so. */
  left({ pinned, doubted, free, returned }: PinsOfPages): void {
    for (const gfn of doubted) this.doubt(gfn);
    for (const gfn of pinned) this.pin(gfn);
    for (const gfn of free) {
      this.pinned.delete(gfn);
      this.uncertain.delete(gfn);
    }
    for (const frame of returned) this.returned.add(frame);
  }

  /** A get named pages, and left them so. */
  got(named: Iterable<bigint>, left: PinsOfPages): void {
    for (const gfn of named) this.renamed(gfn);
    this.left(left);
  }

  /** A page is not pinned any more, and so has to move. */
  release(gfn: bigint, id: Releasing): void {
    this.released.set(gfn, { left: churnsToMove, id });
  }

  /** A call named a page: that it has to move, or may have been unpinned, is over. */
  renamed(gfn: bigint): void {
    this.released.delete(gfn);
    this.prefixes.delete(gfn);
  }

  /** A put was refused that may have unpinned some of these pages: the first ones, however many. */
  refused(pages: readonly bigint[]): void {
    const list = { pages, unpinned: 0 };
    for (const [at, gfn] of pages.entries()) this.prefixes.set(gfn, { list, at });
  }

  /**
   * A page that a refused put listed is not pinned any more: so are those before it in the list.
   */
  unpinnedTo(gfn: bigint): void {
    const found = this.prefixes.get(gfn);
    if (!found) return;
    const { list, at } = found;
    for (const earlier of list.pages.slice(list.unpinned, at)) {
      if (this.prefixes.get(earlier)?.list !== list) continue; // pinned again since
      this.prefixes.delete(earlier);
      this.release(earlier, 'put-refused-prefix');
    }
    list.unpinned = Math.max(list.unpinned, at);
    this.prefixes.delete(gfn);
  }

  /**
   * May a page be left where it is because one beside it is pinned, or may be
   * (`neighbour-of-pinned`)?
   */
  isBesidePinned(gfn: bigint): boolean {
    return [gfn - 1n, gfn + 1n].some((beside) => this.pinned.has(beside) || this.uncertain.has(beside));
  }
}
