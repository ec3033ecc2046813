import { errnoName, PAGE_SHIFT } from '../../src/abi/constants.ts';
import { fieldOf } from '../../src/abi/layout.ts';
import { hex64, toHex } from '../../src/codec/hex.ts';
import { knownEntries } from '../../src/guest/handle.ts';
import { entriesRange } from '../../src/rules/changes.ts';
import { inputsPerChunk, outputsPerChunk } from '../../src/rules/exact.ts';
import type { Facts } from '../../src/rules/facts.ts';
import type { Judgement } from '../../src/rules/judge.ts';
import type { P2m } from '../../src/trace/call.ts';

// What may come of a call, from the sentences and the freedoms of the specification's section 6,
// not from what the model did.

/**
 * What one chunk of an exchange does once it is done. Frames have names: which ones they are is the
 * allocator's choice.
 */
export interface Chunk {
  /** `nr_exchanged` when this chunk is the last that was done. */
  readonly nr_exchanged: string;
  /**
   * Guest frames and what is behind them then: no frame, or page `j` of the extent with that name,
   * `"a+1"`.
   */
  readonly p2m: readonly (readonly [gfn: string, frame: string | null])[];
  /**
   * The output list entries that it overwrites, by the name of the extent whose first frame they
   * hold.
   */
  readonly out: readonly string[];
  /** Guest frames whose old frames may not come back in this chunk. */
  readonly not_behind: readonly string[];
}

/** What a call does, chunk by chunk in order. */
export interface AllowedEffect {
  readonly chunks: readonly Chunk[];
  /**
   * The first frame of each new extent is a multiple of this, and its pages lie one after another.
   */
  readonly multiple_of: string;
  /** Every page of a new extent lies below this frame; absent without a limit. */
  readonly below?: string;
}

/** One way for a call to end. What it does not speak of is as before. */
export type Allowed =
  /** Everything asked for: all chunks of `work`, where it has any. */
  | { readonly is: 'done'; readonly rc: 0; readonly nr_exchanged?: string }
  /** An errno, the first `nr_exchanged` inputs done, nothing beyond them. */
  | { readonly is: 'part'; readonly rc: '-errno'; readonly nr_exchanged: readonly string[] }
  /** An errno, and nothing changed. */
  | { readonly is: 'refused'; readonly rc: '-errno' }
  /**
   * Ops 0, 1, 6: a count, or an errno; entries up to it may be written, and the pages listed given
   * or taken.
   */
  | { readonly is: 'count'; readonly rc: readonly [least: number, most: number]; readonly or: '-errno' }
  /**
   * The caller broke a duty, or there is more than can be listed: these requirements bind, and
   * nothing else is fixed.
   */
  | { readonly is: 'unspecified'; readonly binding: readonly string[] };

/** Chunks that are written out: a call with more is told by its outcomes alone. */
const mostChunks = 64;
const mostOrder = 12;

/** What each chunk of a call does, if it exchanges anything that can be listed. */
export function workOf({ facts, op }: Judgement): AllowedEffect | undefined {
  if (op !== 'get_dma_buf' && op !== 'exchange') return undefined;
  const { nr_extents: I = 0n, extent_order: oi = 0 } = facts.in;
  const { nr_extents: O = 0n, extent_order: oo = 0, address_bits: bits = 0 } = facts.out;
  const [perIn, perOut] = [inputsPerChunk(oi, oo), outputsPerChunk(oi, oo)];
  const [inputs, outputs] = [facts.extents(facts.in), facts.extents(facts.out)];
  if (perIn === undefined || perOut === undefined || Math.max(oi, oo) > mostOrder || I === 0n || I % perIn !== 0n) return undefined;
  if (BigInt(inputs.length) !== I || BigInt(outputs.length) !== O || I / perIn > mostChunks || I * perOut !== O * perIn) return undefined;
  const chunks: Chunk[] = [];
  for (let c = 0; c < Number(I / perIn); c++) {
    const given = pagesIn(inputs.slice(c * Number(perIn), (c + 1) * Number(perIn)));
    const own = outputs.slice(c * Number(perOut), (c + 1) * Number(perOut));
    const p2m = new Map<string, string | null>(given.map((gfn) => [hex64(gfn), null]));
    for (const { index, base, pages } of own) {
      for (let j = 0n; j < pages; j++) p2m.set(hex64(base + j), j === 0n ? nameOf(index) : `${nameOf(index)}+${j}`);
    }
    const nr_exchanged = hex64(BigInt(c + 1) * perIn);
    chunks.push({ nr_exchanged, p2m: [...p2m], out: own.map(({ index }) => nameOf(index)), not_behind: given.map(hex64) });
  }
  // Above 2^64 nothing is limited, and above 255 nothing is known.
  const below = bits === 0 || bits >= PAGE_SHIFT + 64 ? undefined : hex64(bits > PAGE_SHIFT ? 1n << BigInt(bits - PAGE_SHIFT) : 0n);
  return { chunks, multiple_of: hex64(1n << BigInt(oo)), ...(below !== undefined && { below }) };
}

/**
 * Every right outcome of a call. `holds`: the requirements that were judged of it in a run that
 * kept them.
 */
export function allowedOf(
  judgement: Judgement,
  work: AllowedEffect | undefined,
  holds: readonly string[],
  always: readonly string[],
): Allowed[] {
  const { op, facts, callerErred } = judgement;
  if (op === 'increase_reservation' || op === 'decrease_reservation' || op === 'populate_physmap') {
    const most = facts.in.nr_extents ?? 0n;
    const start = Number(facts.start);
    return [{ is: 'count', rc: [start, Math.max(start, Number(most < 0x7fff_ffffn ? most : 0x7fff_ffffn))], or: '-errno' }];
  }
  const refused: Allowed = { is: 'refused', rc: '-errno' };
  if (holds.some((id) => id.startsWith('get-refuses-') || id === 'bounded-work')) return [refused];
  if (op === 'put_dma_buf') {
    if (holds.includes('bad-address-fails')) return [refused];
    return holds.includes('put-works') ? [{ is: 'done', rc: 0 }] : [{ is: 'done', rc: 0 }, refused];
  }
  const I = facts.in.nr_extents ?? 0n;
  const done: Allowed = { is: 'done', rc: 0, nr_exchanged: hex64(I) };
  if (holds.includes('get-works')) return [done];
  if (callerErred) return [{ is: 'unspecified', binding: always }];
  if (!work) return I > 0n ? [{ is: 'unspecified', binding: holds }] : [done, refused];
  const part: Allowed = { is: 'part', rc: '-errno', nr_exchanged: ['0x0', ...work.chunks.map((chunk) => chunk.nr_exchanged)] };
  return holds.includes('bad-address-fails') ? [part] : [done, part];
}

/** Which of the allowed outcomes a call that was seen had; -1 if none. */
export function outcomeAmong(allowed: readonly Allowed[], work: AllowedEffect | undefined, facts: Facts): number {
  return allowed.findIndex((one) => isOutcome(one, work, facts));
}

function isOutcome(one: Allowed, work: AllowedEffect | undefined, facts: Facts): boolean {
  const { rc = 0 } = facts.call;
  const failed = rc < 0 && errnoName(rc) !== undefined;
  const committed = facts.exchanges ? (facts.K ?? 0n) : 0n;
  switch (one.is) {
    case 'unspecified':
      return true;
    case 'count':
      return failed || (rc >= one.rc[0] && rc <= one.rc[1]);
    case 'refused':
      return failed && sameElsewhere(facts, 0n) && p2mIs(facts, work, []);
    case 'done':
      if (rc !== 0 || (one.nr_exchanged !== undefined && facts.N !== BigInt(one.nr_exchanged))) return false;
      return sameElsewhere(facts, committed) && p2mIs(facts, work, work?.chunks ?? []);
    case 'part': {
      const N = facts.N;
      if (!failed || N === undefined || !one.nr_exchanged.includes(hex64(N))) return false;
      return sameElsewhere(facts, committed) && p2mIs(facts, work, work?.chunks.filter((c) => BigInt(c.nr_exchanged) <= N) ?? []);
    }
  }
}

/**
 * Are the struct but for its count, the input list and the entries beyond K as before, as far as
 * they were seen?
 */
function sameElsewhere(facts: Facts, K: bigint): boolean {
  const { argument, argumentAfter, layout, call } = facts;
  const counted = facts.exchanges ? fieldOf(layout, 'nr_exchanged').offset : layout.size;
  const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
    a === undefined || b === undefined || toHex(a) === toHex(b);
  const exchanged = facts.exchanges ? facts.committed : [];
  const isExchanged = exchanged.some(({ address, length }) => call.arg !== undefined && address <= call.arg && call.arg < address + length);
  const isKnown = argumentAfter.length > 0 && !isExchanged;
  if (isKnown && !same(argument.subarray(0, counted), argumentAfter.subarray(0, counted))) return false;
  const lists = facts.exchanges
    ? [facts.in.list?.range, ...entriesRange(facts.out, K, facts.out.nr_extents ?? 0n)]
    : [facts.in.list?.range];
  for (const range of lists) {
    if (!range || range.length === 0n || range.length > 1n << 20n) continue;
    if (!same(call.before.read(range.address, Number(range.length)), call.after.read(range.address, Number(range.length)))) return false;
  }
  return true;
}

/**
 * Is the p2m afterwards, and the list of frames, what these chunks make of it, up to the names of
 * frames?
 */
function p2mIs(facts: Facts, work: AllowedEffect | undefined, chunks: readonly Chunk[]): boolean {
  const { p2mBefore, p2mAfter, after } = facts.call;
  const named = new Set(chunks.flatMap((chunk) => chunk.p2m.map(([gfn]) => BigInt(gfn))));
  const isMovingOthers = [...p2mBefore].some(([gfn, frame]) => {
    const now = p2mAfter.get(gfn);
    return frame !== null && typeof now === 'bigint' && now !== frame && !named.has(gfn);
  });
  const frames = new Map<string, bigint>();
  const list = facts.exchanges ? facts.out.list : undefined;
  const returned = new Map((list ? knownEntries(after, list) : []).map(({ index, value }) => [nameOf(index), value]));
  const expected = new Map<string, string | null>();
  for (const chunk of chunks) {
    for (const [gfn, frame] of chunk.p2m) expected.set(gfn, frame);
    // An input that was moved before it was exchanged has left its frame to whoever comes.
    const old = new Set(isMovingOthers ? [] : chunk.not_behind.map((gfn) => p2mBefore.get(BigInt(gfn))));
    for (const [gfn, frame] of chunk.p2m) {
      if (frame === null) continue;
      const now = p2mAfter.get(BigInt(gfn));
      if (now === undefined) continue;
      if (now === null || old.has(now)) return false;
      const [name = '', page = '0'] = frame.split('+');
      const first = now - BigInt(page);
      if ((frames.get(name) ?? first) !== first || (returned.get(name) ?? first) !== first) return false;
      frames.set(name, first);
      if (first % BigInt(work?.multiple_of ?? 1) !== 0n || (work?.below !== undefined && now >= BigInt(work.below))) return false;
    }
  }
  return unchangedBut(p2mBefore, p2mAfter, expected);
}

function unchangedBut(before: P2m, after: P2m, expected: ReadonlyMap<string, string | null>): boolean {
  for (const [gfn, frame] of before) {
    const now = after.get(gfn);
    const wanted = expected.get(hex64(gfn));
    if (now === undefined || typeof wanted === 'string') continue;
    // A page that the call does not exchange may be moved, and no more.
    if (wanted === null ? now !== null : (now === null) !== (frame === null)) return false;
  }
  return true;
}

function pagesIn(extents: readonly { readonly base: bigint; readonly pages: bigint }[]): bigint[] {
  return extents.flatMap(({ base, pages }) => Array.from({ length: Number(pages) }, (_, j) => base + BigInt(j)));
}

/** The name of output extent k: a, b, … z, e26, e27, … */
function nameOf(k: bigint): string {
  return k < 26n ? String.fromCharCode(97 + Number(k)) : `e${k}`;
}
