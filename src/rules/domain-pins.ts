import { type Frame, FrameMap, FrameSet } from '../guest/frames.ts';
import type { P2m } from '../trace/call.ts';

/** Churns in which a put page must have moved, if in each of them it could have. */
export const churnsToMove = 4;

/** A page that is known to be pinned. */
interface PinnedPage {
  /** Was it seen to stay through a churn that moved an unpinned page, before any put? */
  stayed: boolean;
  /** The puts of its domain before it was pinned. */
  readonly puts: number;
  /** Has a put that was refused listed it, behind what it may have unpinned? */
  refused: boolean;
}

/** Who says that a page is not pinned any more. */
type Releasing = 'put-unpins' | 'put-refused-prefix';

/** The pages that a refused put may have unpinned, in the order of its list. */
interface RefusedList {
  readonly pages: readonly Frame[];
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
  readonly pinned: FrameMap<PinnedPage> = new FrameMap();
  /**
   * Pages whose pin cannot be told any more: a call on them was not seen to the end, or its outcome
   * is a reading.
   */
  readonly uncertain: FrameSet = new FrameSet();
  /**
   * Pages that a put released and that have not moved since, with the churns they have left, and
   * who says so.
   */
  readonly released: FrameMap<{ readonly left: number; readonly id: Releasing }> = new FrameMap();
  /** Pages that a refused put may have unpinned, and where in its list each stands. */
  readonly prefixes: FrameMap<{ readonly list: RefusedList; readonly at: number }> = new FrameMap();
  /** Pages that a put listed, whose content every later move must keep: "still accessible". */
  readonly put: FrameSet = new FrameSet();
  readonly everPinned: FrameSet = new FrameSet();
  /** Frame numbers that a get returned. */
  readonly returned: FrameSet = new FrameSet();
  p2m: P2m = new Map();
  /** Puts so far. */
  puts = 0;

  /** A get was seen to pin a page. */
  pin(gfn: Frame): void {
    const page = this.pinned.get(gfn);
    if (page && !page.stayed && !page.refused && !this.isPutSince(page)) return;
    this.uncertain.delete(gfn);
    this.pinned.set(gfn, { stayed: false, puts: this.puts, refused: false });
    this.everPinned.add(gfn);
  }

  /** Has there been a put in the domain since the page was pinned? */
  isPutSince({ puts }: PinnedPage): boolean {
    return puts < this.puts;
  }

  /** Whether a page is pinned cannot be told any more. */
  forget(gfn: Frame): void {
    this.pinned.delete(gfn);
    this.uncertain.add(gfn);
  }

  /** It cannot be told whether a page was pinned. */
  doubt(gfn: Frame): void {
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

  /** A put was accepted that listed a page, and its caller did not err. */
  unpin(gfn: Frame): void {
    this.put.add(gfn);
    // That it moves from now on says nothing of a put that was refused before.
    this.prefixes.delete(gfn);
    if (!this.pinned.has(gfn)) return;
    this.pinned.delete(gfn);
    this.release(gfn, 'put-unpins');
  }

  /**
   * A call of another op named a page: whether it was allowed to touch a pinned one is a reading.
   */
  named(gfn: Frame): void {
    this.renamed(gfn);
    if (this.pinned.has(gfn) && this.p2m.get(BigInt(gfn)) === undefined) this.forget(gfn);
  }

  /** A page is not pinned any more, and so has to move. */
  release(gfn: Frame, id: Releasing): void {
    this.released.set(gfn, { left: churnsToMove, id });
  }

  /** A call named a page: that it has to move, or may have been unpinned, is over. */
  renamed(gfn: Frame): void {
    this.released.delete(gfn);
    this.prefixes.delete(gfn);
  }

  /** A put was refused that may have unpinned some of these pages: the first ones, however many. */
  refused(pages: readonly Frame[]): void {
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
