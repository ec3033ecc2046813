import { DOMID, errnoName, PAGE_SHIFT } from '../abi/constants.ts';
import { hex64 } from '../codec/hex.ts';
import { knownEntries } from '../guest/handle.ts';
import { type ByteRange, overlaps } from '../guest/memory.ts';
import { anyChange, describe, entriesRange, strayChange } from './changes.ts';
import { inputsPerChunk, isMultiple, pagesOf, sameTotal } from './exact.ts';
import { addressesOf, type Facts, nameDomid, placeOf } from './facts.ts';
import { inputsReleased, mappedAtOutputs, newPages, populated, restUnmoved, returnedFrames } from './mappings.ts';
import {
  type Answer,
  type Basis,
  checkRc,
  exchanges,
  holds,
  notCaptured,
  notExercised,
  privilegeUnknown,
  type Rule,
  unknown,
  unless,
  violated,
} from './rule.ts';

/** What op 26 promises; op 11, its parent, is held to the same sentences but for the pin. */
export const getRules: readonly Rule[] = [
  requirement('get-rc-zero-or-negative', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: 'Returns zero on complete success, otherwise a negative error code',
    reading: "rc is 0, or the negative of an errno of Xen's public errno.h other than the internal EINTR and ERESTART.",
    check: ({ call: { rc } }) => (rc === undefined ? notCaptured : checkRc(rc)),
  }),
  requirement('get-complete-count', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'On complete success then always @nr_exchanged == @in.nr_extents',
    reading: 'rc = 0 implies nr_exchanged = in.nr_extents.',
    check(facts) {
      const {
        call: { rc },
        N,
        in: { nr_extents: I },
      } = facts;
      if (rc === undefined) return notCaptured;
      if (rc !== 0) return notExercised;
      if (N === undefined || I === undefined) return notCaptured;
      return N === I ? holds : violated(`rc is 0 but nr_exchanged is ${N} of ${I}`, placeOf(facts, 'nr_exchanged'));
    },
  }),
  requirement('get-incomplete-nonzero', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'If not all input exents are exchanged then the return code of this command will be non-zero',
    reading: 'nr_exchanged < in.nr_extents implies rc ≠ 0.',
    check(facts) {
      const {
        call: { rc },
        N,
        in: { nr_extents: I },
      } = facts;
      if (rc === undefined || N === undefined || I === undefined) return notCaptured;
      if (N >= I) return notExercised;
      return rc !== 0 ? holds : violated(`nr_exchanged is ${N} of ${I} but rc is 0`, placeOf(facts, 'nr_exchanged'));
    },
  }),
  requirement('get-partial-count', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'On partial success @nr_exchanged indicates how much work was done',
    also: [{ source: 'xen_get_dma_buf', quote: '[OUT] Number of input extents that were successfully exchanged' }],
    reading: 'nr_exchanged counts input extents, at most in.nr_extents, and covers whole chunks of 2^max(order) pages.',
    check(facts) {
      const { call, done } = facts;
      if (call.rc === undefined || !done) return notCaptured;
      const { N, I, oi, oo } = done;
      if (N > I) return violated(`nr_exchanged is ${N}, more than the ${I} input extents`, placeOf(facts, 'nr_exchanged'));
      // Of equal totals, neither of them nothing, a chunk can be counted.
      const chunk = N === 0n ? 1n : (inputsPerChunk(oi, oo) as bigint);
      if (N % chunk === 0n) return holds;
      return violated(`nr_exchanged is ${N}, not a multiple of the ${chunk} input extents of a chunk`, placeOf(facts, 'nr_exchanged'));
    },
  }),
  requirement('get-mfns-returned', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'If return code is zero then @out.extent_list provides the MFNs of the newly-allocated memory',
    also: [{ source: 'xen_get_dma_buf', quote: '@out.extent_start is overwritten with allocated GMFN bases' }],
    reading: 'rc = 0 implies that each output entry is the machine frame behind the guest frame that the entry held before.',
    check(facts) {
      if (facts.call.rc === undefined) return notCaptured;
      return facts.call.rc === 0 ? returnedFrames(facts, facts.asked?.O) : notExercised;
    },
  }),
  requirement('get-partial-mfns', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'The corresponding first entries in the output extent list correctly indicate the GMFNs that were successfully exchanged',
    reading: 'rc ≠ 0: the output entries that nr_exchanged covers are the machine frames behind the guest frames they held before.',
    check(facts) {
      if (facts.call.rc === undefined) return notCaptured;
      return facts.call.rc !== 0 ? returnedFrames(facts, facts.K) : notExercised;
    },
  }),
  requirement('get-new-pages', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    reading: 'No frame behind a committed output was behind an input of the same chunk, and the domain owns as many pages as before.',
    check: newPages,
  }),
  requirement('get-populates-gpfns', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start lists GPFN bases to be populated',
    reading: 'Every page of every committed output extent is mapped.',
    check: populated,
  }),
  requirement('get-contiguous', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'contiguous and under 4G if so requested',
    reading: 'The pages of a committed output extent lie one after another in machine memory.',
    check: (facts) =>
      mappedAtOutputs(facts, (base, j, frame) =>
        frame === base + j ? undefined : `page ${j} lies at frame ${hex64(frame)}, the extent at ${hex64(base)}`,
      ),
  }),
  requirement('get-aligned', 0, 'call', {
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: 'Each returned frame number is a multiple of 2^out.extent_order.',
    check: (facts) =>
      forReturned(facts, (frame, k) =>
        isMultiple(frame, facts.out.extent_order ?? 0)
          ? undefined
          : `frame ${hex64(frame)} of output extent ${k} is not a multiple of 2^${facts.out.extent_order}`,
      ),
  }),
  requirement('get-address-limit', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'under 4G if so requested',
    also: [{ source: 'memory.h', quote: 'If zero then the user has no addressing restriction' }],
    reading: 'With 0 < out.address_bits = b ≤ 255 each new extent ends at or below frame 2^(b-12).',
    check(facts) {
      const bits = facts.out.address_bits;
      if (bits === undefined) return notCaptured;
      if (bits === 0) return notExercised;
      if (bits > 0xff) return unknown('address_bits above 255 spills into node bits');
      const limit = (1n << BigInt(bits)) >> BigInt(PAGE_SHIFT);
      const pages = pagesOf(facts.out.extent_order ?? 0); // none where an extent is larger than any address space
      return forReturned(facts, (frame, k) =>
        pages !== undefined && frame + pages <= limit
          ? undefined
          : `output extent ${k} at frame ${hex64(frame)} does not end below 2^${bits} bytes`,
      );
    },
  }),
  requirement('get-inputs-released', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'The first @nr_exchanged input extents were successfully deallocated',
    reading:
      'Each page of those extents is unmapped, or populated by an output of this call; if by one of the same chunk, with another frame than before.',
    check: inputsReleased,
  }),
  requirement('get-rest-untouched', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'All other input and output extents are untouched',
    reading:
      'Beyond nr_exchanged: output list entries as before; where the p2m is seen, mappings of input and output pages too, unless a committed chunk released or populated them.',
    check: checkRest,
  }),
  requirement('get-pinned', 2, 'trace', {
    ops: ['get_dma_buf'],
    source: 'xen_get_dma_buf',
    quote: 'guaranteed that their p2m mapping won\'t be changed until explicitly "unpinned"',
    reading:
      'While a committed output page has not been put, the hypervisor by itself never changes its p2m entry. A change the guest asks for is a reading.',
  }),
  requirement('get-in-untouched', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '[IN] Details of memory extents to be exchanged (GMFN bases)',
    reading: 'The struct but for nr_exchanged, and the input list, are unchanged, unless they lie in an exchanged page.',
    check(facts) {
      const { in: given, nrExchangedRange, argumentRange } = facts;
      if (argumentRange === undefined || nrExchangedRange === undefined) return notCaptured;
      const own = given.list ? [argumentRange, given.list.range] : [argumentRange];
      const returned = entriesRange(facts.out, 0n, facts.K ?? 0n);
      const stray = strayChange(facts, [nrExchangedRange, ...facts.committed, ...returned], own);
      if (stray && facts.N === undefined && mayBeExchanged(facts, stray)) return notCaptured;
      if (stray && !facts.knowsHandedOver) return notCaptured;
      if (stray) return unless([describe(facts, stray)]);
      return facts.isSeen(given) ? holds : notCaptured;
    },
  }),
  requirement('get-ignores-in-address-bits', 0, 'pair', {
    source: 'xen_get_dma_buf',
    quote: '@in.address_bits is ignored and unused',
    reading:
      'Of three runs from the same world, A, A again and B, differing only there: if both A agree on rc and nr_exchanged, so does B.',
  }),
  requirement('get-same-gfn', 1, 'run', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start is overwritten with allocated GMFN bases',
    also: [{ source: 'xen_get_dma_buf', quote: '@out.extent_start lists GPFN bases to be populated' }],
    reading: 'The output list may name the frame of an input of the same chunk, as the real client does; get-works then holds too.',
  }),
  requirement('get-refuses-domid-mismatch', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '@in.domid == @out.domid',
    reading: "Unequal as raw 16-bit numbers (DOMID_SELF beside one's own number too), with any extent asked for: rc < 0 and no change.",
    check(facts) {
      const [a, b] = [facts.in.domid, facts.out.domid];
      if (a === undefined || b === undefined) return notCaptured;
      return a === b || !asksForAny(facts) ? notExercised : refused(facts, `in.domid is ${nameDomid(a)} and out.domid is ${nameDomid(b)}`);
    },
  }),
  requirement('get-refuses-size-mismatch', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order',
    reading: 'Unequal as exact integers (2^63 extents of order 1 against none included): rc < 0 and no change.',
    check(facts) {
      if (!facts.asked) return notCaptured;
      const { I, oi, O, oo } = facts.asked;
      return sameTotal(I, oi, O, oo) ? notExercised : refused(facts, `${I} << ${oi} pages go in and ${O} << ${oo} come out`);
    },
  }),
  requirement('get-refuses-foreign-domid', 0, 'call', {
    ops: [...exchanges, 'put_dma_buf'],
    always: true,
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading:
      'A caller known to be unprivileged names neither DOMID_SELF nor itself, and asks for at least one extent: rc < 0 and no change.',
    check(facts) {
      const { privileged, domid } = facts.call;
      if (privileged === undefined) return privilegeUnknown;
      if (privileged) return notExercised;
      const named = facts.reservations.map((r) => r.domid);
      if (domid === undefined || named.includes(undefined)) return notCaptured;
      const foreign = named.find((d) => d !== DOMID.SELF && d !== domid);
      if (foreign === undefined || !asksForAny(facts)) return notExercised;
      return refused(facts, `domain ${domid} is unprivileged and names ${nameDomid(foreign)}`);
    },
  }),
  requirement('get-works', 0, 'run', {
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    reading:
      'A call without findings, within the declared limits, on plain unpinned RAM, with no failure injected and nothing above bit 7 of address_bits: rc = 0. Having no memory is excused (-ENOMEM, and -EINVAL for a limit below 4 GiB) unless both orders are 0 and enough frames are known to be free.',
  }),
];

type Requirement = Basis & Pick<Rule, 'reading'> & Partial<Pick<Rule, 'ops' | 'always' | 'check'>>;

function requirement(id: string, level: Rule['level'], scope: Rule['scope'], rest: Requirement): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level, scope, ops: exchanges, always: false, ...rest };
}

/** Where the count is not known: does a changed range lie in a page that the call names, and so may have exchanged? */
function mayBeExchanged(facts: Facts, stray: ByteRange): boolean {
  if (facts.call.space === 'virtual') return true;
  return facts.reservations.some((r) => facts.extents(r).some((extent) => overlaps(stray, addressesOf(extent))));
}

/** Does the call ask for at least one extent on either side? */
function asksForAny(facts: Facts): boolean {
  return facts.reservations.some((r) => (r.nr_extents ?? 0n) > 0n);
}

/** The call had to be refused: rc < 0 and no change. */
function refused(facts: Facts, because: string): Answer {
  const { rc } = facts.call;
  if (rc === undefined) return notCaptured;
  if (rc >= 0) return violated(`${because}, but rc is ${rc}`);
  const change = anyChange(facts);
  if (change) return unless([{ ...change, message: `${because}; refused with ${errnoName(rc) ?? rc}, but ${change.message}` }]);
  return facts.whole ? holds : notCaptured;
}

/** Judges each returned frame number, output entries below K after the call. */
function forReturned(facts: Facts, check: (frame: bigint, k: bigint) => string | undefined): Answer {
  if (!facts.done) return notCaptured;
  const { K, outs } = facts.done;
  if (K === 0n) return notExercised;
  const returned = knownEntries(facts.call.after, outs).filter((entry) => entry.index < K);
  for (const { index, value } of returned) {
    const message = check(value, index);
    if (message) return violated(message);
  }
  return BigInt(returned.length) === K ? holds : notCaptured;
}

function checkRest(facts: Facts): Answer {
  if (!facts.done) return notCaptured;
  const { K, N, I, O } = facts.done;
  const rest = entriesRange(facts.out, K, O);
  // A list in an exchanged page, or over the struct, is the caller's error and suspends this.
  const stray = strayChange(facts, [], rest);
  if (stray) return facts.knowsHandedOver ? unless([describe(facts, stray)]) : notCaptured;
  const remapped = restUnmoved(facts, facts.done);
  if (remapped.answer === 'violated') return remapped;
  if (N === I) return notExercised;
  return facts.isSeen(facts.out) ? holds : notCaptured;
}
