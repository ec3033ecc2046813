import { errno, PAGE_SIZE } from '../../src/abi/constants.ts';
import { fieldOf, layoutOf } from '../../src/abi/layout.ts';
import type { Reply, Request } from '../protocol/implementation.ts';
import type { Play } from '../protocol/play.ts';
import type { Player } from '../protocol/player.ts';
import { Choices } from '../scenario/choices.ts';

// A liar between the suite and a guest: the strength of a live run is how many of these it finds.

/** Falsifies one of the replies to a call and what is read after it; false where it could not. */
type Lie = (replies: Reply[], at: Around, choices: Choices) => boolean;

/** Where things stand in one round: the call, the reads behind it, and the last look. */
interface Around {
  readonly requests: readonly Request[];
  readonly call: number;
}

/** Replaces the rc of the call. */
const rc =
  (change: (rc: number) => number): Lie =>
  (replies, { call }) => {
    const was = replies[call]?.rc;
    if (was === undefined || change(was) === was) return false;
    replies[call] = { ...replies[call], rc: change(was) };
    return true;
  };

/** Changes a byte of the struct, which is read first, and again with the page that it lies in. */
const struct =
  (offset: number | 'last', change: (byte: number) => number): Lie =>
  (replies, { requests, call }) => {
    const first = requests.findIndex((request, i) => i > call && request.op === 'read');
    const request = requests[first];
    if (request?.op !== 'read' || !replies[first]?.bytes) return false;
    const at = request.addr + BigInt(offset === 'last' ? request.length - 1 : offset);
    let lied = false;
    for (const [i, read] of requests.entries()) {
      if (i < first || read.op !== 'read' || at < read.addr || at >= read.addr + BigInt(read.length)) continue;
      lied = flip(replies, i, Number(at - read.addr), change) || lied;
    }
    return lied;
  };

/** Changes a byte of a page that was read back. */
const page =
  (pick: (pages: readonly number[], choices: Choices) => number | undefined, change: (byte: number) => number): Lie =>
  (replies, { requests, call }, choices) => {
    const index = pick(pagesRead(replies, { requests, call }), choices);
    return index !== undefined && flip(replies, index, choices.below(PAGE_SIZE), change);
  };

/** Which replies are whole pages that were read back. */
function pagesRead(replies: readonly Reply[], { requests, call }: Around): number[] {
  const isPage = (request: Request, i: number): boolean =>
    i > call && request.op === 'read' && request.length === PAGE_SIZE && replies[i]?.bytes !== undefined;
  return requests.flatMap((request, i) => (isPage(request, i) ? [i] : []));
}

function flip(replies: Reply[], index: number, offset: number, change: (byte: number) => number): boolean {
  const bytes = replies[index]?.bytes;
  const was = bytes?.[offset];
  if (!bytes || was === undefined || (change(was) & 0xff) === was) return false;
  const made = bytes.slice();
  made[offset] = change(was) & 0xff;
  replies[index] = { ...replies[index], bytes: made };
  return true;
}

/** Changes the frames that a look told of one of its runs. */
const frames =
  (change: (mfns: readonly (bigint | null)[], choices: Choices) => (bigint | null)[] | undefined): Lie =>
  (replies, { requests, call }, choices) => {
    for (const [index, { op }] of requests.entries()) {
      const mfns = index > call && op === 'translate' ? replies[index]?.mfns : undefined;
      const made = mfns && change(mfns, choices);
      if (!made) continue;
      replies[index] = { ...replies[index], mfns: made };
      return true;
    }
    return false;
  };

const other = (byte: number): number => byte ^ 0x5a;
const any = (pages: readonly number[], choices: Choices): number | undefined => pages[choices.below(pages.length)];

/** What the struct of each op begins with; the same on every machine that is started. */
const layout = layoutOf('xen_memory_reservation', 'arm64');
const offsetOf = (path: string): number => fieldOf(layout, path).offset;
const { EFAULT, EINVAL, ENOMEM } = errno;

/** The ways to lie, by name. Those of the list and of nr_exchanged lie in the pages that hold them. */
export const lies: { readonly [name: string]: Lie } = {
  'rc one more': rc((was) => was + 1),
  'rc one less': rc((was) => was - 1),
  'rc 0 instead of an error': rc((was) => (was < 0 ? 0 : was)),
  'rc an error instead of 0': rc((was) => (was === 0 ? -ENOMEM : was)),
  'rc another error': rc((was) => (was < 0 ? (was === -EINVAL ? -EFAULT : -EINVAL) : was)),
  'rc no errno': rc((was) => (was < 0 ? -4095 : was)),
  'rc a count instead of none': rc((was) => (was === 0 ? 1 : was)),
  'rc none instead of a count': rc((was) => (was > 0 ? 0 : was)),
  'the handle is changed': struct(offsetOf('extent_start'), other),
  'nr_extents is changed': struct(offsetOf('nr_extents'), other),
  'the order is changed': struct(offsetOf('extent_order'), (byte) => byte + 1),
  'the flags are changed': struct(offsetOf('address_bits'), other),
  'the domid is changed': struct(offsetOf('domid'), other),
  'padding is changed': struct(layout.padding[0]?.offset ?? 'last', other),
  'the last byte of the struct is changed': struct('last', other),
  'a byte of any page is changed': page(any, other),
  'a byte of the page with the lists is changed': page((pages) => pages[3], other),
  'a byte of a page is zero': page(any, () => 0),
  'a page is gone': (replies, at, choices) => {
    const index = any(pagesRead(replies, at), choices);
    if (index === undefined) return false;
    replies[index] = { fault: true };
    return true;
  },
  'one page more is owned': (replies, { requests, call }) => {
    const index = requests.findIndex((request, i) => i > call && request.op === 'pages');
    const pages = replies[index]?.pages;
    if (pages === undefined) return false;
    replies[index] = { ...replies[index], pages: pages + 1 };
    return true;
  },
  'a page leads nowhere': frames((mfns) => {
    const at = mfns.findIndex((mfn) => mfn !== null);
    return at < 0 ? undefined : mfns.with(at, null);
  }),
  'two pages change places': frames((mfns) => {
    const [a, b] = [mfns.findIndex((mfn) => mfn !== null), mfns.findLastIndex((mfn) => mfn !== null)];
    return a < 0 || a === b ? undefined : mfns.with(a, mfns[b] ?? null).with(b, mfns[a] ?? null);
  }),
};

/** A player that lies once in each play, in one way, at a call that the numbers choose. */
export function lying(player: Player, lie: Lie, numbers: readonly number[]): { readonly player: Player; readonly lied: () => boolean } {
  let lied = false;
  const choices = new Choices(numbers);
  const wanted = choices.below(4);
  return {
    lied: () => lied,
    player: { ...player, play: (play) => player.play(bent(play)) },
  };

  function* bent<T>(play: Play<T>): Play<T> {
    let calls = 0;
    let turn = play.next();
    while (!turn.done) {
      const requests = turn.value;
      const replies = [...(yield requests)];
      const call = requests.findIndex((request) => request.op === 'call');
      if (call >= 0 && !lied && calls++ >= wanted) lied = lie(replies, { requests, call }, choices);
      turn = play.next(replies);
    }
    return turn.value;
  }
}
