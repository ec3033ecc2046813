import { frameBits } from '../abi/arch.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../abi/constants.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { hex64 } from '../codec/hex.ts';
import type { ByteRange } from '../guest/memory.ts';
import { type Answer, holds, holdsUnless, missing, unknown, unless } from './answer.ts';
import { duty, eachReservation, entryAt } from './duty.ts';
import { inputsPerChunk, isMultiple, outputsPerChunk, pagesOf } from './exact.ts';
import type { Extent } from './extents.ts';
import type { Asked, Facts } from './facts.ts';
import { everyOp, exchanges, type Rule } from './rule.ts';

/** The ops that read a list; op 0 only writes one. */
const readsList: readonly JudgedOp[] = everyOp.filter((op) => op !== 'increase_reservation');

/**
 * The duties that the lists of any op show: what guests get wrong there, and a short count hides.
 */
export const frameRules: readonly Rule[] = [
  duty('caller-extents-distinct', 'warning', ['decrease_reservation', 'populate_physmap'], {
    source: 'convention',
    remark: 'of two extents that share a page the second fails, or frees what was just given',
    reading: 'Listed extents do not overlap each other.',
    check: checkDistinct,
  }),
  duty('caller-frame-width', 'warning', readsList, {
    source: 'convention',
    remark: 'no memory has such an address; a pointer or a length got into the list',
    reading: 'A listed frame lies below 2^40, on arm32 below 2^28.',
    check: (facts) =>
      eachReservation(facts, (r) => {
        const bits = frameBits(facts.call.arch);
        const bad = facts.extents(r).find(({ base }) => base >= 1n << BigInt(bits));
        if (!bad) return facts.unlisted(r) ?? [];
        const said = `frame ${hex64(bad.base)} of extent ${bad.index} is beyond any address: frames have ${bits} bits`;
        return [entryAt(facts, r, said)];
      }),
  }),
  duty('caller-frame-address', 'note', readsList, {
    source: 'convention',
    remark: 'addresses stand where frame numbers belong',
    reading: `Of two or more listed frames of an order below ${PAGE_SHIFT}, not all are multiples of ${PAGE_SIZE}.`,
    check: (facts) =>
      eachReservation(facts, (r) => {
        const unlisted = facts.unlisted(r);
        if (unlisted !== undefined) return unlisted;
        const extents = facts.extents(r);
        const [first] = extents;
        const areAddresses =
          extents.length > 1 &&
          (r.extent_order ?? 0) < PAGE_SHIFT &&
          extents.every(({ base }) => isMultiple(base, PAGE_SHIFT)) &&
          extents.some(({ base }) => base !== 0n);
        if (!first || !areAddresses) return [];
        const said = `every frame is a multiple of ${hex64(BigInt(PAGE_SIZE))} (${hex64(first.base)} first): addresses, where frame numbers belong?`;
        return [entryAt(facts, r, said)];
      }),
  }),
];

/** The duties that the two lists of an exchange show. */
export const listRules: readonly Rule[] = [
  duty('caller-out-distinct', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start lists GPFN bases to be populated',
    reading: 'Output extents do not overlap each other, nor input extents each other.',
    check: checkDistinct,
  }),
  duty('caller-out-not-later-input', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start lists GPFN bases to be populated',
    reading: 'No output extent overlaps an input extent of a later chunk, which would take the new page away again (translated guests).',
    check: checkLaterInput,
  }),
  duty('caller-struct-outside-extents', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    remark: "it follows from this: the pages passed in are no longer the caller's",
    reading: 'The struct and the lists do not lie in pages being exchanged. Judged on physical addresses only.',
    check(facts) {
      if (facts.call.space === 'virtual') return unknown('addresses are virtual');
      if (facts.foreign) return holds;
      const lists = facts.reservations.map((r) => r.list);
      const own = [facts.argumentRange, ...lists.map((list) => list?.range)];
      const used = own.flatMap((range) => (range === undefined || range.length === 0n ? [] : { range, ...pagesUnder(range) }));
      for (const r of facts.reservations) {
        for (const { index, base, pages } of facts.extents(r)) {
          const hit = used.find(({ first, last }) => base <= last && first < base + pages);
          if (hit) {
            return unless([
              entryAt(facts, r, `extent ${index} of the ${r.path} list holds ${show(hit.range)}, which this call itself uses`),
            ]);
          }
        }
      }
      return facts.argumentRange ? holdsUnless(facts.unlistedAtAll) : missing('address');
    },
  }),
  duty('caller-extent-aligned', 'warning', exchanges, {
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: 'Frame numbers in the lists are multiples of 2^extent_order. Real Xen does not check.',
    check: (facts) =>
      eachReservation(facts, (r) => {
        const order = r.extent_order ?? 0; // known where there are extents
        const bad = facts.extents(r).find((e) => !isMultiple(e.base, order));
        if (bad) return [entryAt(facts, r, `frame ${hex64(bad.base)} of extent ${bad.index} is not a multiple of 2^${order}`)];
        return facts.unlisted(r) ?? [];
      }),
  }),
];

function checkDistinct(facts: Facts): Answer {
  return eachReservation(facts, (r) => {
    const pair = overlapping(facts.sorted(r));
    if (!pair) return facts.unlisted(r) ?? [];
    const [a, b] = pair;
    const list = r.path === '' ? 'list' : `${r.path} list`;
    return [entryAt(facts, r, `extents ${a.index} and ${b.index} of the ${list} overlap at frame ${hex64(b.base)}`)];
  });
}

function checkLaterInput(facts: Facts): Answer {
  if (!facts.call.translated) return unknown('input lists hold machine frames here');
  const { in: given, out, asked } = facts;
  if (!asked) return missing('struct');
  const inputs = facts.sorted(given);
  const outputs = facts.sorted(out);
  if (pagesOf(Math.max(asked.oi, asked.oo)) === undefined) return unknown('the orders are beyond any machine');
  // With overlaps inside one list the sweep below would be quadratic, and caller-out-distinct has
  // said what is wrong.
  if (overlapping(inputs) || overlapping(outputs)) return unknown('extents of one list overlap each other');
  const hit = findLaterInput(inputs, outputs, asked);
  if (hit) {
    const [output, input] = hit;
    return unless([entryAt(facts, out, `output extent ${output.index} overlaps input extent ${input.index} of a later chunk`)]);
  }
  return holdsUnless(facts.unlistedAtAll);
}

/** Two extents of one sorted list that share a page. */
function overlapping(sorted: readonly Extent[]): [Extent, Extent] | undefined {
  for (let i = 1; i < sorted.length; i++) {
    const [a, b] = [sorted[i - 1] as Extent, sorted[i] as Extent];
    if (b.base < a.base + a.pages) return [a, b];
  }
  return undefined;
}

/**
 * An output extent and an overlapping input extent of a later chunk; a sweep of sorted lists, so
 * that long lists stay cheap.
 */
function findLaterInput(inputs: readonly Extent[], outputs: readonly Extent[], { oi, oo }: Asked): [Extent, Extent] | undefined {
  const [perIn, perOut] = [inputsPerChunk(oi, oo), outputsPerChunk(oi, oo)];
  let first = 0;
  for (const output of outputs) {
    while (first < inputs.length && (inputs[first] as Extent).base + (inputs[first] as Extent).pages <= output.base) first++;
    for (let i = first; i < inputs.length && (inputs[i] as Extent).base < output.base + output.pages; i++) {
      const input = inputs[i] as Extent;
      if (input.index / perIn > output.index / perOut) return [output, input];
    }
  }
  return undefined;
}

/** The guest frames that a range touches, where addresses are physical. */
function pagesUnder({ address, length }: ByteRange): { first: bigint; last: bigint } {
  return { first: address >> BigInt(PAGE_SHIFT), last: (address + length - 1n) >> BigInt(PAGE_SHIFT) };
}

function show(range: ByteRange): string {
  return `${hex64(range.address)}..${hex64(range.address + range.length)}`;
}
