import { DOMID, PAGE_SHIFT } from '../abi/constants.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { hex64 } from '../codec/hex.ts';
import type { ByteRange } from '../guest/memory.ts';
import { type Answer, type CapturePiece, holds, holdsUnless, missing, type Severity, unknown, unless, type Violation } from './answer.ts';
import { checkOf } from './duties/check.ts';
import { structDuties } from './duties/duties.ts';
import { inputsPerChunk, isMultiple, outputsPerChunk, pagesOf } from './exact.ts';
import { type Asked, type Extent, type Facts, nameDomid, placeOf, type Reservation } from './facts.ts';
import { type Basis, everyOp, exchanges, type Rule } from './rule.ts';

/** The duties of the caller that one call can show. A finding blames the caller; an error suspends what it makes meaningless. */
export const callerRules: readonly Rule[] = [
  ofStruct('caller-handle-high-zero'),
  ofStruct('caller-list-aligned'),
  ofStruct('caller-order'),
  duty('caller-self-only', 'warning', everyOp, {
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading: 'A domain known to be unprivileged names DOMID_SELF and nothing else, not even its own number.',
    check(facts) {
      if (facts.call.privileged === undefined) return missing('privileged');
      if (facts.call.privileged) return holds;
      return eachReservation(facts, (r) => {
        if (r.domid === undefined) return 'struct';
        return r.domid === DOMID.SELF ? [] : [at(facts, r, 'domid', `an unprivileged domain names ${nameDomid(r.domid)}`)];
      });
    },
  }),
  ofStruct('caller-padding-zero'),
  ofStruct('caller-domid-match'),
  ofStruct('caller-size-match'),
  ofStruct('caller-lists-disjoint'),
  ofStruct('caller-nr-exchanged-zero'),
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
        return facts.unlisted(r) ?? [];
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
  ofStruct('caller-address-bits'),
  ofStruct('caller-list-null'),
  ofStruct('caller-count'),
  ofStruct('caller-start-extent'),
  ofStruct('caller-flags'),
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

/** A duty that the struct alone shows. */
function ofStruct(id: string): Rule {
  const of = structDuties[id];
  if (!of) throw new TypeError(`no duty ${id}`);
  const { severity, ops, basis, reading } = of;
  return duty(id, severity, ops, { ...basis, reading, check: checkOf(of) });
}

/** A duty that only the calls before this one show; `PinWatch` finds its breaches. */
function sequel(id: string, rest: Basis & Pick<Rule, 'reading'>): Rule {
  const ops = ['put_dma_buf'] as const;
  return { id, blame: 'caller', severity: 'error', level: 0, scope: 'trace', ops, always: true, judgedBy: 'pins', ...rest };
}

/** Runs a check on each reservation: what is wrong with it, or the piece of the capture that is missing to tell. */
function eachReservation(facts: Facts, check: (reservation: Reservation) => Violation[] | CapturePiece): Answer {
  const answers = facts.reservations.map(check);
  return unless(
    answers.flatMap((found) => (typeof found === 'string' ? [] : found)),
    holdsUnless(answers.find((found) => typeof found === 'string')),
  );
}

function checkLaterInput(facts: Facts): Answer {
  if (!facts.call.translated) return unknown('input lists hold machine frames here');
  const { in: given, out, asked } = facts;
  if (!asked) return missing('struct');
  const inputs = facts.sorted(given);
  const outputs = facts.sorted(out);
  if (pagesOf(Math.max(asked.oi, asked.oo)) === undefined) return unknown('the orders are beyond any machine');
  // With overlaps inside one list the sweep below would be quadratic, and caller-out-distinct has said what is wrong.
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

/** An output extent and an overlapping input extent of a later chunk; a sweep of sorted lists, so that long lists stay cheap. */
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
