import type { JudgedOp } from '../abi/ops.ts';
import type { Frame } from '../guest/frames.ts';

/** A page that changed hands twice in the same direction. */
export interface Twice {
  readonly domid: number | undefined;
  readonly gfn: bigint;
  readonly place: string;
  readonly before: string;
}

/** A page of a domain. */
type PageKey = number | string;

/** Numbers of domains, and one more for a domain that is not known. */
const domids = (1 << 16) + 1;
/** Frames that a key holds beside a domain, below 2^53. */
const mostPacked = 2 ** 36;

/** In whose hands the pages are that calls named one by one, in bounded memory. */
export interface Followed {
  readonly followed: Map<PageKey, { readonly state: 'given' | 'taken' | 'pinned'; readonly place: string }>;
  /** Pages that were not followed, for want of room or since they were not listed. */
  notFollowed: bigint;
  pins: number;
  mostPins: number;
  readonly givenTwice: { count: number; readonly first: Twice[] };
  readonly takenTwice: { count: number; readonly first: Twice[] };
}

const mostFollowed = 1 << 17;
const mostTold = 8;

/** The pages of no calls. */
export function nothingFollowed(): Followed {
  return {
    followed: new Map(),
    notFollowed: 0n,
    pins: 0,
    mostPins: 0,
    givenTwice: { count: 0, first: [] },
    takenTwice: { count: 0, first: [] },
  };
}

/** Takes in what an op has done with a page of a domain; `place` is how the output calls the call. */
export function followPage(all: Followed, op: JudgedOp, domid: number | undefined, gfn: Frame, place: string): void {
  const { followed } = all;
  const key = pageKey(domid, gfn);
  const known = followed.get(key);
  if (op === 'put_dma_buf') {
    if (known?.state !== 'pinned') return;
    all.pins--;
    followed.delete(key);
    return;
  }
  const state = op === 'get_dma_buf' ? 'pinned' : op === 'decrease_reservation' ? 'given' : 'taken';
  if (known?.state === 'pinned') return;
  if (state === 'pinned') all.pins++;
  else if (known?.state === state) {
    const list = state === 'given' ? all.givenTwice : all.takenTwice;
    list.count++;
    if (list.first.length < mostTold) list.first.push({ domid, gfn: BigInt(gfn), place, before: known.place });
  }
  if (known || followed.size < mostFollowed) followed.set(key, { state, place });
  else all.notFollowed++;
}

/** A page of a domain as a key: a number where one holds both. */
function pageKey(domid: number | undefined, gfn: Frame): PageKey {
  if (typeof gfn === 'number' && gfn < mostPacked) return gfn * domids + (domid ?? domids - 1);
  return `${domid} ${gfn.toString(16)}`;
}

/** The page of a key, in the form of the keys that are texts. */
function pageNamed(key: PageKey): string {
  if (typeof key === 'string') return key;
  const domid = key % domids;
  return `${domid === domids - 1 ? undefined : domid} ${((key - domid) / domids).toString(16)}`;
}

/** Pages that are pinned at the end, as far as they were followed. */
export function pinnedPages({ followed }: Followed): { readonly count: number; readonly first: readonly string[] } {
  const all = [...followed].filter(([, { state }]) => state === 'pinned').map(([key]) => pageNamed(key));
  return { count: all.length, first: all.slice(0, mostTold) };
}
