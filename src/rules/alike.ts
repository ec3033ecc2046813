import { frameBits } from '../abi/arch.ts';
import { PAGE_SHIFT } from '../abi/constants.ts';
import { FrameList, sights } from '../guest/frames.ts';
import type { ObservedCall, Setting } from '../trace/call.ts';
import type { PlainRecord } from '../trace/plain-record.ts';
import { mostPages } from './extents.ts';
import { type Judgement, judge } from './judge.ts';
import { Placed } from './placed.ts';
import { type Alike, alikeOf, type OwnFrames } from './reach.ts';
import { writable } from './safety.ts';

// Most records of a long trace are alike in all that decides an answer. What is looked at here of a
// record is what any rule may look at, and no rule stands here: the numbers in the struct and
// around it, letter for letter; where the struct and the lists lie to each other; which bytes
// changed; and of the frames in a list how they are aligned, how high they reach, and whether they
// are apart. Of records that are alike in that the rules judge one, and the others like it: only the
// values in what is found are a record's own.

/** What calls with the same numbers have in common. */
interface Shape {
  readonly key: Int32Array;
  /** `undefined` as long as one such call was seen only; `alone` if each is judged by itself. */
  numbers: Numbers | 'alone' | undefined;
  /** What is said of them, by what is to be seen of their lists. */
  readonly verdicts: Map<number, Alike | 'alone'>;
  /** The last verdict, which the next one mostly is. */
  last: number;
  lastVerdict: Alike | undefined;
}

interface Numbers {
  /** Pages of an extent of each list. */
  readonly pages: readonly number[];
  /** Which 32-bit words of each list the call may write. */
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** The extents asked for that it has made. */
  readonly made: number;
  /** Powers of two that divide what a rule may ask of frames: by alignment, and by size. */
  readonly aligned: readonly number[];
  readonly limits: readonly number[];
}

const mostKept = 1 << 12;
const slots = 2 * mostKept;
const half = 2 ** 32;
/** Extents of a higher order have more pages than are followed. */
const mostOrder = 14;
/** High halves from here on are of numbers that a `number` does not hold exactly. */
const inexact = 2 ** 21;
/** More bits than a frame has that is read here: none but 0 is so aligned. */
const mostBits = 53;

/** Finds those among plain records that are judged like others, and their frames. */
export class AlikeJudge implements OwnFrames {
  readonly entries: FrameList = new FrameList();
  readonly returned: FrameList = new FrameList();
  readonly listed: FrameList = new FrameList();
  readonly wanted: FrameList = new FrameList();
  readonly committed: FrameList = new FrameList();
  /** The entries of the list of extents asked for. */
  readonly #asked = new FrameList();
  readonly #judge: typeof judge;
  readonly #slots: (Shape | undefined)[] = new Array(slots).fill(undefined);
  /** Shapes and verdicts that are remembered. */
  #kept = 0;
  #setting: Setting | undefined;
  #placed: Placed | undefined;

  constructor(judgeCall: typeof judge = judge) {
    this.#judge = judgeCall;
  }

  /**
   * The call that a record is judged like, as far as one call shows; `undefined` if it must be
   * judged by itself. `exact` makes a call of it.
   */
  find(record: PlainRecord, setting: Setting, exact: () => ObservedCall | undefined): Alike | undefined {
    if (setting !== this.#setting) {
      this.#setting = setting;
      this.#placed = new Placed(setting);
      this.#forget();
    }
    if (this.#kept >= mostKept) this.#forget();
    const placed = this.#placed;
    // The lists of a guest that works with machine frames are another matter.
    if (!placed || !setting.translated || !placed.take(record)) return undefined;
    const shape = this.#shapeOf(placed);
    if (shape === undefined || shape.numbers === 'alone') return undefined;
    let call: ObservedCall | undefined;
    if (!shape.numbers) {
      call = exact();
      shape.numbers = this.#numbersOf(call, setting);
      if (shape.numbers === 'alone') return undefined;
    }
    const sight = this.#sightOf(record, placed, shape.numbers, setting);
    if (sight < 0) return undefined;
    if (sight === shape.last) return shape.lastVerdict;
    let verdict = shape.verdicts.get(sight);
    if (verdict === undefined) {
      verdict = this.#verdictOf(call ?? exact());
      shape.verdicts.set(sight, verdict);
      this.#kept++;
    }
    shape.last = sight;
    shape.lastVerdict = verdict === 'alone' ? undefined : verdict;
    return shape.lastVerdict;
  }

  #forget(): void {
    this.#slots.fill(undefined);
    this.#kept = 0;
  }

  /** The shape with the key of a record, once that was seen before. */
  #shapeOf({ key, keyLength }: Placed): Shape | undefined {
    let hash = keyLength;
    for (let i = 0; i < keyLength; i++) hash = Math.imul(hash ^ (key[i] as number), 0x9e3779b1) ^ (hash >>> 15);
    let slot = (hash ^ (hash >>> 16)) & (slots - 1);
    for (let shape = this.#slots[slot]; shape; shape = this.#slots[slot]) {
      if (isKey(shape.key, key, keyLength)) return shape;
      slot = (slot + 1) & (slots - 1);
    }
    this.#kept++;
    this.#slots[slot] = { key: key.slice(0, keyLength), numbers: undefined, verdicts: new Map(), last: -1, lastVerdict: undefined };
    return undefined;
  }

  #numbersOf(call: ObservedCall | undefined, setting: Setting): Numbers | 'alone' {
    const judgement = call && this.#judged(call);
    if (!judgement) return 'alone';
    const { facts } = judgement;
    const sides = facts.reservations.map(({ list, extent_order: order, nr_extents: count, address_bits: bits }) => {
      if (list === undefined || order === undefined || count === undefined || order > mostOrder) return undefined;
      const { address, length } = list.range;
      const own = writable(facts).find((range) => range.address >= address && range.address + range.length <= address + length);
      const from = own ? Number(own.address - address) >> 2 : 0;
      return { pages: 2 ** order, order, bits: bits ?? 0, count, from, to: from + (own ? Number(own.length) >> 2 : 0) };
    });
    const known = sides.filter((side) => side !== undefined);
    if (known.length < sides.length || known.some(({ pages, count }) => BigInt(pages) * count > mostPages)) return 'alone';
    return {
      pages: known.map(({ pages }) => pages),
      from: known.map(({ from }) => from),
      to: known.map(({ to }) => to),
      made: Number((facts.exchanges && facts.K) || 0n),
      aligned: inOrder([...known.map(({ order }) => order), PAGE_SHIFT, mostBits]),
      limits: inOrder([...known.map(({ bits }) => bits - PAGE_SHIFT), frameBits(setting.arch)]),
    };
  }

  #verdictOf(call: ObservedCall | undefined): Alike | 'alone' {
    const judgement = call && this.#judged(call);
    return judgement ? alikeOf(judgement) : 'alone';
  }

  #judged(call: ObservedCall): Judgement | undefined {
    try {
      return this.#judge(call);
    } catch {
      return undefined; // judged by itself, it fails again, and that is told
    }
  }

  /** What is to be seen of the lists, as a number; -1 if that is something to judge by itself. */
  #sightOf(record: PlainRecord, placed: Placed, numbers: Numbers, setting: Setting): number {
    const { before, after, length } = placed;
    const { pages, from, to, made, aligned, limits } = numbers;
    const stride = placed.kind?.stride ?? 1;
    const [pagesIn = 1, pagesOut = 1] = pages;
    let sight = 0;
    for (let i = 0; i < pages.length; i++) {
      const frames = i === 0 ? this.entries : this.#asked;
      const size = pages[i] as number;
      const [was, is] = [before[i + 1] as number, after[i + 1] as number];
      const words = (length[i + 1] as number) >> 2;
      const changed = changes(record.words, was, is, words, from[i] as number, to[i] as number);
      if (changed < 0 || !read(record.words, was, words, stride, frames)) return -1;
      // Too many pages to follow are no matter of lists.
      if (size * frames.length > Number(mostPages) || !frames.areApart(size)) return -1;
      if (setting.space === 'physical' && holdArea(frames, size, placed)) return -1;
      sight = (sight * sights + frames.sight(0, aligned, limits)) * 2 + changed;
    }
    this.listed.setPages(this.entries, this.entries.length, pagesIn);
    const { returned, wanted, committed } = this;
    returned.length = wanted.length = committed.length = 0;
    if (pages.length < 2) return sight;
    const asked = this.#asked;
    const relation = related(this.entries, pagesIn, asked, pagesOut);
    if (relation < 0 || !read(record.words, after[2] as number, made * stride, stride, returned)) return -1;
    wanted.setPages(asked, asked.length, pagesOut);
    committed.setPages(asked, Math.min(made, asked.length), pagesOut);
    return (sight * 2 + relation) * sights + returned.sight(pagesOut - 1, aligned, limits);
  }
}

function inOrder(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function isKey(known: Int32Array, key: Int32Array, length: number): boolean {
  if (known.length !== length) return false;
  for (let i = 0; i < length; i++) if (known[i] !== key[i]) return false;
  return true;
}

/** Reads so many 32-bit words of a list into frames, none where it was not captured. */
function read(words: Uint32Array, at: number, count: number, stride: number, frames: FrameList): boolean {
  frames.length = 0;
  if (at < 0) return true;
  const first = at >> 2;
  for (let word = first; word < first + count; word += stride) {
    const high = stride > 1 ? (words[word + 1] as number) : 0;
    if (high >= inexact) return false;
    frames.push(high * half + (words[word] as number));
  }
  return true;
}

/**
 * Did the call change a list of so many 32-bit words: 1 or 0, or -1 if elsewhere than from `from` up
 * to `to`? 0 where it was not captured twice.
 */
function changes(words: Uint32Array, was: number, is: number, count: number, from: number, to: number): number {
  if (was < 0 || is < 0) return 0;
  const [first, second] = [was >> 2, is >> 2];
  let changed = 0;
  for (let i = 0; i < count; i++) {
    if (words[first + i] === words[second + i]) continue;
    if (i < from || i >= to) return -1;
    changed = 1;
  }
  return changed;
}

/**
 * How the extents given lie to those asked for: 0 if no page is of both, 1 if they are the same, and
 * -1 for anything else.
 */
function related(given: FrameList, pagesIn: number, asked: FrameList, pagesOut: number): number {
  if (given.length === 0 || asked.length === 0) return 0;
  if (pagesIn === pagesOut && given.length === asked.length) {
    let i = 0;
    while (i < given.length && given.values[i] === asked.values[i]) i++;
    if (i === given.length) return 1;
  }
  const [ins, outs] = [given.ordered, asked.ordered];
  for (let [i, k] = [0, 0]; i < given.length && k < asked.length; ) {
    if ((ins[i] as number) + pagesIn <= (outs[k] as number)) i++;
    else if ((outs[k] as number) + pagesOut <= (ins[i] as number)) k++;
    else return -1;
  }
  return 0;
}

/** Does an extent hold a byte of the struct or of a list, where addresses are physical? */
function holdArea({ values, length }: FrameList, pages: number, areas: Placed): boolean {
  const pageOf = (high: number, low: number): number => high * 2 ** (32 - PAGE_SHIFT) + (low >>> PAGE_SHIFT);
  for (let area = 0; area < areas.length.length; area++) {
    const bytes = areas.length[area] as number;
    if (bytes === 0) continue;
    const [high, low] = [areas.high[area] as number, areas.low[area] as number];
    const [first, last] = [pageOf(high, low), pageOf(high, low + bytes - 1)];
    for (let i = 0; i < length; i++) {
      const base = values[i] as number;
      if (base <= last && first < base + pages) return true;
    }
  }
  return false;
}
