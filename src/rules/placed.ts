import { arches, sizeOfType } from '../abi/arch.ts';
import { type Field, layoutOf, type Padding, type StructLayout } from '../abi/layout.ts';
import { argumentOf, judgedOp, opNumber } from '../abi/ops.ts';
import type { Setting } from '../trace/call.ts';
import { afterFrom, keyBit, type PlainRecord } from '../trace/plain-record.ts';

/** Where a word of the struct lies: at which of its 32-bit words, and how many of those it is. */
interface Word {
  readonly at: number;
  readonly size: number;
}

/** What the calls of one op have in common, by its layout. */
export interface Kind {
  readonly layout: StructLayout;
  /** Of each reservation where its handle and its count are. */
  readonly lists: readonly { readonly handle: Word; readonly count: Word }[];
  /** Of each run of padding which bits of which words it takes. */
  readonly gaps: readonly (readonly { readonly at: number; readonly mask: number }[])[];
  /** Where `nr_exchanged` is, if there is one. */
  readonly exchanged: Word | undefined;
  /** 32-bit words of a list entry. */
  readonly stride: number;
  /** The high half of the highest address. */
  readonly mostHigh: number;
  /** May the bytes tell that it is an op of another profile? */
  readonly isGuessed: boolean;
}

/** Entries of a list beyond any that a line can hold. */
const mostEntries = 1 << 20;
/** From there on the low half of a handle is nothing else in the argument of another op. */
const leastHandle = 1 << 16;
const half = 2 ** 32;

/** The struct, and the lists behind it: more there are not. */
const mostAreas = 3;

/**
 * A plain record of which each piece of memory is the whole struct or a whole list, where the
 * struct says it is, and of which no two share a byte. In `key` stands all of it but addresses and
 * list entries: of a handle whether it is null and how it is aligned, of padding whether it is zero.
 */
export class Placed {
  kind: Kind | undefined;
  readonly key: Int32Array = new Int32Array(64);
  keyLength = 0;
  /** Of the struct and each list: where it lies, its length, and where its bytes are, or -1. */
  readonly low: Uint32Array = new Uint32Array(mostAreas);
  readonly high: Uint32Array = new Uint32Array(mostAreas);
  readonly length: Uint32Array = new Uint32Array(mostAreas);
  readonly before: Int32Array = new Int32Array(mostAreas);
  readonly after: Int32Array = new Int32Array(mostAreas);
  readonly #setting: Setting;
  readonly #kinds = new Map<number, Kind | undefined>();

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  /** Takes up a record; `false` if it is none such, or not of an op that is judged. */
  take(record: PlainRecord): boolean {
    const kind = this.#kindOf(record.cmd);
    this.kind = kind;
    if (!kind || (record.has & keyBit.arg) === 0 || !this.#findAreas(record, kind)) return false;
    const isPlaced = this.#findPieces(record, 0, record.beforeCount, this.before);
    return isPlaced && this.#findPieces(record, afterFrom, record.afterCount, this.after) && this.#writeKey(record, kind);
  }

  /** Where the struct and its lists lie. */
  #findAreas(record: PlainRecord, { layout, lists, mostHigh, stride, isGuessed }: Kind): boolean {
    const { low, high, length } = this;
    low[0] = record.argLow;
    high[0] = record.argHigh;
    length[0] = layout.size;
    low[1] = low[2] = high[1] = high[2] = length[1] = length[2] = 0;
    let struct = 0;
    while (struct < record.beforeCount && !this.#isAt(record, struct, 0)) struct++;
    if (struct === record.beforeCount) return false;
    const { words } = record;
    const from = (record.from[struct] as number) >> 2;
    for (let i = 0; i < lists.length; i++) {
      const { handle, count } = lists[i] as Kind['lists'][number];
      const entries = words[from + count.at] as number;
      if (entries > mostEntries || (count.size > 1 && words[from + count.at + 1] !== 0)) return false;
      low[i + 1] = words[from + handle.at] as number;
      high[i + 1] = handle.size > 1 ? (words[from + handle.at + 1] as number) : 0;
      length[i + 1] = 4 * stride * entries;
      if (isGuessed && (low[i + 1] as number) < leastHandle) return false;
    }
    for (let i = 0; i <= lists.length; i++) {
      // What goes on behind a multiple of 2^32, or ends there, is left to exact arithmetic.
      if ((high[i] as number) > mostHigh || (low[i] as number) + (length[i] as number) >= half) return false;
      for (let k = 0; k < i; k++) if (this.#overlap(i, k)) return false;
    }
    return true;
  }

  #overlap(a: number, b: number): boolean {
    const { low, high, length } = this;
    if (length[a] === 0 || length[b] === 0 || high[a] !== high[b]) return false;
    const [lowA, lowB] = [low[a] as number, low[b] as number];
    return lowA < lowB + (length[b] as number) && lowB < lowA + (length[a] as number);
  }

  #isAt(record: PlainRecord, piece: number, area: number): boolean {
    return record.low[piece] === this.low[area] && record.high[piece] === this.high[area] && record.length[piece] === this.length[area];
  }

  /** Finds where the bytes of each area are; is each piece one of them, and none there twice? */
  #findPieces(record: PlainRecord, from: number, count: number, found: Int32Array): boolean {
    found[0] = found[1] = found[2] = -1;
    for (let piece = from; piece < from + count; piece++) {
      let area = 0;
      while (area < mostAreas && !(found[area] === -1 && this.#isAt(record, piece, area))) area++;
      if (area === mostAreas || this.length[area] === 0) return false;
      found[area] = record.from[piece] as number;
    }
    return true;
  }

  /** Writes the key; `false` if the call changed more of the struct than `nr_exchanged`. */
  #writeKey(record: PlainRecord, { layout, lists, gaps, exchanged }: Kind): boolean {
    const { key, before, after } = this;
    const { words } = record;
    let seen = 0;
    for (let area = 0; area < mostAreas; area++) {
      if ((before[area] as number) >= 0) seen |= 1 << area;
      if ((after[area] as number) >= 0) seen |= 8 << area;
    }
    key[0] = record.cmd;
    key[1] = (record.has & keyBit.domid) === 0 ? -1 : record.domid;
    const { rc } = record;
    const isKnown = (record.has & keyBit.rc) !== 0;
    key[2] = isKnown ? rc : 0;
    key[3] = isKnown ? Math.floor(rc / half) : 0;
    key[4] = (record.has & ~keyBit.seq & ~keyBit.ts) | (seen << 16);
    const size = layout.size >> 2;
    const [was, is] = [(before[0] as number) >> 2, (after[0] as number) >> 2];
    const first = 5;
    for (let i = 0; i < size; i++) key[first + i] = words[was + i] as number;
    let end = first + size;
    for (let i = 0; i < lists.length; i++) {
      const { handle } = lists[i] as Kind['lists'][number];
      const low = key[first + handle.at] as number;
      const isNull = low === 0 && (handle.size < 2 || key[first + handle.at + 1] === 0);
      key[first + handle.at] = isNull ? -1 : low & 7;
      if (handle.size > 1) key[first + handle.at + 1] = 0;
    }
    for (let i = 0; i < gaps.length; i++) {
      let filled = 0;
      for (const { at, mask } of gaps[i] as Kind['gaps'][number]) {
        const word = key[first + at] as number;
        filled |= word & mask;
        key[first + at] = word & ~mask;
      }
      if (filled !== 0) key[4] = (key[4] as number) | (1 << (24 + i));
    }
    if ((after[0] as number) >= 0) {
      for (let i = 0; i < size; i++) {
        const isExchanged = exchanged !== undefined && i >= exchanged.at && i < exchanged.at + exchanged.size;
        if (isExchanged) key[end++] = words[is + i] as number;
        else if (words[was + i] !== words[is + i]) return false;
      }
    }
    this.keyLength = end;
    return true;
  }

  #kindOf(cmd: number): Kind | undefined {
    const nr = opNumber(cmd);
    if (!this.#kinds.has(nr)) this.#kinds.set(nr, kindOf(nr, this.#setting));
    return this.#kinds.get(nr);
  }
}

function kindOf(nr: number, { arch, profile, profileSaid }: Setting): Kind | undefined {
  const op = judgedOp(nr, profile);
  if (op === undefined) return undefined;
  const layout = layoutOf(argumentOf[op], arch);
  const named = (name: string): Word[] => layout.fields.filter((field) => field.name === name).map(wordOf);
  const counts = named('nr_extents');
  const lists = named('extent_start').flatMap((handle, i) => {
    const count = counts[i];
    return count ? [{ handle, count }] : [];
  });
  return {
    layout,
    lists,
    gaps: layout.padding.map(masksOf),
    exchanged: named('nr_exchanged')[0],
    stride: sizeOfType('xen_pfn_t', arch) >> 2,
    mostHigh: arches[arch].pointer > 4 ? half - 1 : 0,
    isGuessed: profileSaid !== true && (op === 'get_dma_buf' || op === 'put_dma_buf'),
  };
}

/** The 32-bit words that have bytes of a gap, each with the bits that are those bytes. */
function masksOf({ offset, size }: Padding): { at: number; mask: number }[] {
  const masks: number[] = [];
  for (let at = offset; at < offset + size; at++) masks[at >> 2] = (masks[at >> 2] ?? 0) | (0xff << (8 * (at & 3)));
  return masks.flatMap((mask, at) => (mask === undefined ? [] : [{ at, mask }]));
}

function wordOf({ offset, size }: Field): Word {
  return { at: offset >> 2, size: size >> 2 };
}
