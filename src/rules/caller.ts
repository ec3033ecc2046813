import { arches } from '../abi/arch.ts';
import { DOMID, MAX_ORDER, PAGE_SHIFT, XENMEMF } from '../abi/constants.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { strayBits } from '../codec/handle.ts';
import { hex64, toHex } from '../codec/hex.ts';
import { type ByteRange, overlaps } from '../guest/memory.ts';
import { inputsPerChunk, isMultiple, outputsPerChunk, sameTotal } from './exact.ts';
import { type Extent, type Facts, nameDomid, placeOf, type Reservation } from './facts.ts';
import {
  type Answer,
  type Basis,
  everyOp,
  exchanges,
  holds,
  notCaptured,
  type Rule,
  type Severity,
  unknown,
  unless,
  type Violation,
  violated,
} from './rule.ts';

/** The duties of the caller that one call can show. A finding blames the caller; an error suspends what it makes meaningless. */
export const callerRules: readonly Rule[] = [
  duty('caller-handle-high-zero', 'error', everyOp, {
    source: 'arch-arm.h',
    quote: '_sxghr_tmp->q = 0;',
    remark: 'set_xen_guest_handle_raw clears the 64-bit view, q, before it stores the pointer, p',
    reading: 'On arm32 bytes 4..7 of each guest handle are zero: the pointer is the low 32 bits, and a 64-bit Xen reads all 64.',
    check(facts) {
      if (arches[facts.call.arch].pointer === arches[facts.call.arch].word) return unknown('a handle has no unused half here');
      return eachReservation(facts, (r) => {
        if (r.extent_start === undefined) return undefined;
        const stray = strayBits(r.extent_start, facts.call.arch);
        return stray === 0n ? [] : [at(facts, r, 'extent_start', `the handle's high half is ${hex64(stray)}, not zero`)];
      });
    },
  }),
  duty('caller-list-aligned', 'warning', everyOp, {
    source: 'arch-arm.h',
    quote: 'always 8 bytes sizes and 8 bytes aligned',
    reading: 'Each list starts at a multiple of its entry size, 8. Real Xen copies bytewise and does not check.',
    check: (facts) =>
      eachReservation(facts, (r) => {
        const { list } = r;
        if (list === undefined) return undefined;
        if (list.range.address % BigInt(list.stride) === 0n) return [];
        return [at(facts, r, 'extent_start', `the list at ${hex64(list.range.address)} is not ${list.stride}-aligned`)];
      }),
  }),
  duty('caller-order', 'warning', everyOp, {
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: `extent_order is at most ${MAX_ORDER}, the largest any present Xen accepts.`,
    check: (facts) =>
      eachReservation(facts, (r) => {
        if (r.extent_order === undefined) return undefined;
        return r.extent_order <= MAX_ORDER ? [] : [at(facts, r, 'extent_order', `order ${r.extent_order} is above ${MAX_ORDER}`)];
      }),
  }),
  duty('caller-self-only', 'warning', everyOp, {
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading: 'A domain known to be unprivileged names DOMID_SELF and nothing else, not even its own number.',
    check(facts) {
      if (facts.call.privileged === undefined) return unknown('it is not known whether the caller is privileged');
      if (facts.call.privileged) return holds;
      return eachReservation(facts, (r) => {
        if (r.domid === undefined) return undefined;
        return r.domid === DOMID.SELF ? [] : [at(facts, r, 'domid', `an unprivileged domain names ${nameDomid(r.domid)}`)];
      });
    },
  }),
  duty('caller-padding-zero', 'note', everyOp, {
    source: 'convention',
    remark: 'the headers are silent: Xen neither reads nor writes it',
    reading: 'Padding bytes are zero. Harmless where they are not, but stack or heap contents may be leaking.',
    check(facts) {
      const { argument, layout } = facts;
      let seen = 0;
      const found: Violation[] = [];
      for (const gap of layout.padding) {
        const held = argument.subarray(gap.offset, gap.offset + gap.size);
        seen += held.length;
        if (held.every((byte) => byte === 0)) continue;
        const bytes = [gap.offset, gap.offset + gap.size] as const;
        found.push({ message: `padding is ${toHex(held, ' ')}, not zero`, where: gap.path, bytes });
      }
      return unless(found, seen === layout.padding.reduce((sum, gap) => sum + gap.size, 0) ? holds : notCaptured);
    },
  }),
  duty('caller-domid-match', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: '@in.domid == @out.domid',
    reading: "Equal as raw 16-bit numbers: DOMID_SELF beside one's own number is a mismatch too.",
    check(facts) {
      const [a, b] = [facts.in.domid, facts.out.domid];
      if (a === undefined || b === undefined) return notCaptured;
      return a === b ? holds : unless([at(facts, facts.out, 'domid', `in.domid is ${nameDomid(a)}, out.domid is ${nameDomid(b)}`)]);
    },
  }),
  duty('caller-size-match', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: '@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order',
    reading: 'Exact equality of the two totals, not modulo 2^64.',
    check(facts) {
      if (!facts.asked) return notCaptured;
      const { I, oi, O, oo } = facts.asked;
      if (sameTotal(I, oi, O, oo)) return holds;
      return unless([at(facts, facts.out, 'nr_extents', `in is ${I} << ${oi} pages, out is ${O} << ${oo}`)]);
    },
  }),
  duty('caller-lists-disjoint', 'error', [...exchanges, 'put_dma_buf'], {
    source: 'xen_get_dma_buf',
    quote: '@in.extent_start and @out.extent_start lists must not overlap',
    reading:
      'The byte ranges of the lists and of the struct itself are pairwise disjoint; a range that wraps (at 2^32 on arm32, else 2^64) is an error; an empty list is nowhere.',
    check(facts) {
      const found: Violation[] = [];
      const ranges: { name: string; range: ByteRange; reservation?: Reservation }[] = [];
      let all = true;
      if (facts.argumentRange) ranges.push({ name: 'the struct', range: facts.argumentRange });
      else all = false;
      for (const r of facts.reservations) {
        if (r.list === undefined) {
          all = false;
          continue;
        }
        if (r.list.wraps) {
          found.push(
            at(
              facts,
              r,
              'extent_start',
              `the list of ${r.nr_extents} entries at ${hex64(r.list.range.address)} runs past the end of the address space`,
            ),
          );
        }
        ranges.push({ name: `the ${r.path} list`, range: r.list.range, reservation: r });
      }
      for (const [i, b] of ranges.entries()) {
        for (const a of ranges.slice(0, i)) {
          if (b.reservation === undefined || !overlaps(a.range, b.range)) continue;
          found.push(at(facts, b.reservation, 'extent_start', `${b.name} ${show(b.range)} overlaps ${a.name} ${show(a.range)}`));
        }
      }
      return unless(found, all ? holds : notCaptured);
    },
  }),
  duty('caller-nr-exchanged-zero', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: 'THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!',
    reading: 'nr_exchanged is 0 on entry. Real Xen takes anything else as the point to resume from.',
    check(facts) {
      const entry = facts.nrExchangedBefore;
      if (entry === undefined) return notCaptured;
      return entry === 0n ? holds : violated(`nr_exchanged is ${hex64(entry)} on entry`, placeOf(facts, 'nr_exchanged'));
    },
  }),
  duty('caller-out-distinct', 'error', exchanges, {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start lists GPFN bases to be populated',
    reading: 'Output extents do not overlap each other, nor input extents each other.',
    check: (facts) =>
      eachReservation(facts, (r) => {
        const pair = overlapping(facts.sorted(r));
        if (pair) {
          const [a, b] = pair;
          return [entryAt(facts, r, `extents ${a.index} and ${b.index} of the ${r.path} list overlap at frame ${hex64(b.base)}`)];
        }
        return facts.isListed(r) ? [] : undefined;
      }),
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
      return facts.argumentRange && facts.reservations.every((r) => facts.isListed(r)) ? holds : notCaptured;
    },
  }),
  duty('caller-extent-aligned', 'warning', exchanges, {
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: 'Frame numbers in the lists are multiples of 2^extent_order. Real Xen does not check.',
    check: (facts) =>
      eachReservation(facts, (r) => {
        const bad = facts.extents(r).find((e) => !isMultiple(e.base, r.extent_order as number));
        if (bad) return [entryAt(facts, r, `frame ${hex64(bad.base)} of extent ${bad.index} is not a multiple of 2^${r.extent_order}`)];
        return facts.isListed(r) ? [] : undefined;
      }),
  }),
  duty('caller-address-bits', 'warning', exchanges, {
    source: 'xen_get_dma_buf',
    quote: 'contiguous and under 4G if so requested',
    reading:
      'out.address_bits is at most 255, since more spills into the node bits of mem_flags, and not 1..12: Xen takes no limit of a page or less.',
    check(facts) {
      const bits = facts.out.address_bits;
      if (bits === undefined) return notCaptured;
      if (bits > 0xff) {
        const node = XENMEMF.node(bits);
        const meaning = node === undefined ? 'flags' : `node ${node}`;
        return unless([at(facts, facts.out, 'address_bits', `${hex64(BigInt(bits))} spills past bit 7: Xen reads ${meaning} there`)]);
      }
      return bits >= 1 && bits <= 12 ? unless([at(facts, facts.out, 'address_bits', `Xen takes no limit of 2^12 bytes or less`)]) : holds;
    },
  }),
  sequel('caller-put-after-get', {
    source: 'xen_put_dma_buf',
    quote: 'XENMEM_put_dma_buf unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    reading: 'put lists pages that an earlier get pinned and no put has released. Judged only where the trace is known from its start.',
  }),
  sequel('caller-put-lists-gpfns', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start is overwritten with allocated GMFN bases',
    reading: 'put lists the guest frames that get was given, not the machine frames that get left in their place.',
  }),
];

type Duty = Basis & Pick<Rule, 'reading'> & { readonly check: (facts: Facts) => Answer };

function duty(id: string, severity: Severity, ops: readonly JudgedOp[], rest: Duty): Rule {
  return { id, blame: 'caller', severity, level: 0, scope: 'call', ops, always: true, ...rest };
}

/** A duty that only the calls before this one show; `PinWatch` finds its breaches. */
function sequel(id: string, rest: Basis & Pick<Rule, 'reading'>): Rule {
  return { id, blame: 'caller', severity: 'error', level: 0, scope: 'trace', ops: ['put_dma_buf'], always: true, ...rest };
}

/** Runs a check on each reservation; `undefined` from any of them means that it could not be judged in full. */
function eachReservation(facts: Facts, check: (reservation: Reservation) => Violation[] | undefined): Answer {
  const answers = facts.reservations.map(check);
  return unless(
    answers.flatMap((a) => a ?? []),
    answers.includes(undefined) ? notCaptured : holds,
  );
}

function checkLaterInput(facts: Facts): Answer {
  if (!facts.call.translated) return unknown('input lists hold machine frames here');
  const { in: given, out, asked } = facts;
  if (!asked) return notCaptured;
  const inputs = facts.sorted(given);
  const outputs = facts.sorted(out);
  const perIn = inputsPerChunk(asked.oi, asked.oo);
  const perOut = outputsPerChunk(asked.oi, asked.oo);
  if (perIn === undefined || perOut === undefined) return unknown('the orders are beyond any machine');
  // With overlaps inside one list the sweep below would be quadratic, and caller-out-distinct has said what is wrong.
  if (overlapping(inputs) || overlapping(outputs)) return unknown('extents of one list overlap each other');
  const hit = findLaterInput(inputs, outputs, perIn, perOut);
  if (hit) {
    const [output, input] = hit;
    return unless([entryAt(facts, out, `output extent ${output.index} overlaps input extent ${input.index} of a later chunk`)]);
  }
  return facts.isListed(given) && facts.isListed(out) ? holds : notCaptured;
}

/** Two extents of one sorted list that share a page. */
function overlapping(sorted: readonly Extent[]): [Extent, Extent] | undefined {
  for (let i = 1; i < sorted.length; i++) {
    const [a, b] = [sorted[i - 1] as Extent, sorted[i] as Extent];
    if (b.base < a.base + a.pages) return [a, b];
  }
  return undefined;
}

/** An output extent and an overlapping input extent of a later chunk; a sweep of sorted lists, so that long lists stay cheap. */
function findLaterInput(
  inputs: readonly Extent[],
  outputs: readonly Extent[],
  perIn: bigint,
  perOut: bigint,
): [Extent, Extent] | undefined {
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

function at(facts: Facts, reservation: Pick<Reservation, 'path'>, name: string, message: string): Violation {
  return { message, ...placeOf(facts, reservation.path === '' ? name : `${reservation.path}.${name}`) };
}

/** A violation in a list entry: it is placed at the handle that leads there. */
function entryAt(facts: Facts, reservation: Reservation, message: string): Violation {
  return at(facts, reservation, 'extent_start', message);
}

/** The guest frames that a range touches, where addresses are physical. */
function pagesUnder({ address, length }: ByteRange): { first: bigint; last: bigint } {
  return { first: address >> BigInt(PAGE_SHIFT), last: (address + length - 1n) >> BigInt(PAGE_SHIFT) };
}

function show(range: ByteRange): string {
  return `${hex64(range.address)}..${hex64(range.address + range.length)}`;
}
