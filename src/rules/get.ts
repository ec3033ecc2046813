import { DOMID } from '../abi/constants.ts';
import { hex64 } from '../codec/hex.ts';
import { type ByteRange, overlaps } from '../guest/memory.ts';
import { type Answer, holdsUnless, missing, notExercised, unknown, unless, violated } from './answer.ts';
import { bytes, describe, entriesRange, strayChange } from './changes.ts';
import { endsBelow, inputsPerChunk, isMultiple, pagesOf, sameTotal } from './exact.ts';
import { addressesOf } from './extents.ts';
import { asksForAny, type Done, type Facts, nameDomid } from './facts.ts';
import { inputsReleased, newPages, outputPages, restUnmoved, returnedFrames, saysReturned } from './mappings.ts';
import { type Check, each, one, rcIsKnown, refusal, refused, when } from './row.ts';
import { type Basis, exchanges, type JudgeName, type Rule } from './rule.ts';

const spillsIntoNode = unknown('address_bits above 255 spills into node bits');
/** Of a hole get-populates-gpfns says what is wrong. */
const ofAHole = unknown('nothing is behind a page of it');

/** What op 26 promises; op 11, its parent, is held to the same sentences but for the pin. */
export const getRules: readonly Rule[] = [
  requirement('get-rc-zero-or-negative', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: 'Returns zero on complete success, otherwise a negative error code',
    reading: "rc is 0, or the negative of an errno of Xen's public errno.h other than the internal EINTR and ERESTART.",
    ...rcIsKnown,
  }),
  requirement('get-complete-count', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'On complete success then always @nr_exchanged == @in.nr_extents',
    reading: 'rc = 0 implies nr_exchanged = in.nr_extents.',
    ...one({
      when: when(['rc'], ({ rc }) => rc === 0),
      needs: ['N', 'I'],
      must: ({ N, I }) => N === I,
      else: ({ N, I }) => `rc is 0 but nr_exchanged is ${N} of ${I}`,
      at: 'nr_exchanged',
    }),
  }),
  requirement('get-incomplete-nonzero', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'If not all input exents are exchanged then the return code of this command will be non-zero',
    reading: 'nr_exchanged < in.nr_extents implies rc ≠ 0.',
    ...one({
      when: when(['rc', 'I', 'N'], ({ N, I }) => N < I),
      needs: [],
      must: ({ rc }) => rc !== 0,
      else: ({ N, I }) => `nr_exchanged is ${N} of ${I} but rc is 0`,
      at: 'nr_exchanged',
    }),
  }),
  requirement('get-partial-count', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'On partial success @nr_exchanged indicates how much work was done',
    also: [{ source: 'xen_get_dma_buf', quote: '[OUT] Number of input extents that were successfully exchanged' }],
    reading: 'nr_exchanged counts input extents, at most in.nr_extents, and covers whole chunks of 2^max(order) pages.',
    ...one({
      needs: ['rc', 'done'],
      must: ({ done: { N, I, oi, oo } }) => N <= I && N % inputsPerChunk(oi, oo) === 0n,
      else: ({ done: { N, I, oi, oo } }) =>
        N > I
          ? `nr_exchanged is ${N}, more than the ${I} input extents`
          : `nr_exchanged is ${N}, not a multiple of the ${inputsPerChunk(oi, oo)} input extents of a chunk`,
      at: 'nr_exchanged',
    }),
  }),
  requirement('get-mfns-returned', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'If return code is zero then @out.extent_list provides the MFNs of the newly-allocated memory',
    also: [{ source: 'xen_get_dma_buf', quote: '@out.extent_start is overwritten with allocated GMFN bases' }],
    reading: 'rc = 0 implies that each output entry is the machine frame behind the guest frame that the entry held before.',
    ...each({
      when: when(['rc'], ({ rc }) => rc === 0),
      needs: ['asked'],
      each: (facts, { asked }) => returnedFrames(facts, asked.O),
      shown: ['out list', 'out list after', 'p2m after'],
      ...saysReturned,
    }),
  }),
  requirement('get-partial-mfns', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'The corresponding first entries in the output extent list correctly indicate the GMFNs that were successfully exchanged',
    reading: 'rc ≠ 0: the output entries that nr_exchanged covers are the machine frames behind the guest frames they held before.',
    ...each({
      when: when(['rc'], ({ rc }) => rc !== 0),
      needs: ['done'],
      each: (facts, { done }) => returnedFrames(facts, done.K),
      shown: ['out list', 'out list after', 'p2m after'],
      ...saysReturned,
    }),
  }),
  requirement('get-new-pages', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    reading: 'No frame behind a committed output was behind an input of the same chunk, and the domain owns as many pages as before.',
    needs: ['struct', 'struct after', 'in list', 'out list', 'p2m', 'p2m after'],
    check: newPages,
  }),
  requirement('get-populates-gpfns', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start lists GPFN bases to be populated',
    reading: 'Every page of every committed output extent is mapped.',
    ...each({
      needs: ['done'],
      each: outputPages,
      shown: ['out list', 'p2m after'],
      must: ({ frame }) => frame !== null,
      else: ({ k, gfn }) => `output extent ${k}: nothing is behind guest frame ${hex64(gfn)}`,
    }),
  }),
  requirement('get-contiguous', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'contiguous and under 4G if so requested',
    reading: 'The pages of a committed output extent lie one after another in machine memory.',
    ...each({
      needs: ['done'],
      each: (facts, seen) => outputPages(facts, seen, ofAHole),
      shown: ['out list', 'p2m after'],
      must: ({ base, j, frame }) => base === null || frame === base + j,
      else: ({ k, base, j, frame }) =>
        `output extent ${k}: page ${j} lies at frame ${hex64(frame ?? 0n)}, the extent at ${hex64(base ?? 0n)}`,
    }),
  }),
  requirement('get-aligned', 0, 'call', {
    source: 'memory.h',
    quote: 'size/alignment of each (2^extent_order pages)',
    reading: 'Each returned frame number is a multiple of 2^out.extent_order.',
    ...each({
      needs: ['done', 'oo'],
      each: returnedEntries,
      shown: ['out list after'],
      must: ({ frame }, { oo }) => isMultiple(frame, oo),
      else: ({ k, frame }, { oo }) => `frame ${hex64(frame)} of output extent ${k} is not a multiple of 2^${oo}`,
    }),
  }),
  requirement('get-address-limit', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'under 4G if so requested',
    also: [{ source: 'memory.h', quote: 'If zero then the user has no addressing restriction' }],
    reading: 'With 0 < out.address_bits = b ≤ 255 each new extent ends at or below frame 2^(b-12).',
    ...each({
      when: when(['bits'], ({ bits }) => bits !== 0),
      needs: ['done'],
      each: (facts, seen) => (seen.bits > 0xff ? [spillsIntoNode] : returnedEntries(facts, seen)),
      shown: ['out list after'],
      must: ({ frame }, { bits, done }) => {
        const pages = pagesOf(done.oo); // none where an extent is larger than any address space
        return pages !== undefined && endsBelow(frame, pages, bits);
      },
      else: ({ k, frame }, { bits }) => `output extent ${k} at frame ${hex64(frame)} does not end below 2^${bits} bytes`,
    }),
  }),
  requirement('get-inputs-released', 1, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'The first @nr_exchanged input extents were successfully deallocated',
    reading:
      'Each page of those extents is unmapped, or populated by an output of this call; if by one of the same chunk, with another frame than before.',
    needs: ['struct', 'struct after', 'in list', 'p2m after'],
    check: inputsReleased,
  }),
  requirement('get-rest-untouched', 0, 'call', {
    source: 'xen_get_dma_buf',
    quote: 'All other input and output extents are untouched',
    reading:
      'Beyond nr_exchanged: output list entries as before, and the content of input and output pages; where the p2m is seen they are mapped as before, or moved, unless a committed chunk released or populated them.',
    needs: ['struct', 'struct after', 'out list', 'out list after'],
    check: checkRest,
  }),
  requirement('get-pinned', 2, 'trace', {
    ops: ['get_dma_buf'],
    source: 'xen_get_dma_buf',
    quote: 'guaranteed that their p2m mapping won\'t be changed until explicitly "unpinned"',
    judgedBy: 'pins',
    reading:
      'While a committed output page has not been put, the hypervisor by itself never changes its p2m entry. A change the guest asks for is a reading.',
  }),
  requirement('get-in-untouched', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '[IN] Details of memory extents to be exchanged (GMFN bases)',
    reading: 'The struct but for nr_exchanged, and the input list, are unchanged, unless they lie in an exchanged page.',
    needs: ['struct', 'struct after', 'in list', 'in list after'],
    check: checkInput,
  }),
  requirement('get-ignores-in-address-bits', 0, 'pair', {
    source: 'xen_get_dma_buf',
    quote: '@in.address_bits is ignored and unused',
    judgedBy: 'pair',
    reading:
      'Of three runs from the same world, A, A again and B, differing only there: if both A agree on rc and nr_exchanged, so does B.',
  }),
  requirement('get-same-gfn', 1, 'run', {
    source: 'xen_get_dma_buf',
    quote: '@out.extent_start is overwritten with allocated GMFN bases',
    also: [{ source: 'xen_get_dma_buf', quote: '@out.extent_start lists GPFN bases to be populated' }],
    judgedBy: 'works',
    reading: 'The output list may name the frame of an input of the same chunk, as the real client does; get-works then holds too.',
  }),
  requirement('get-refuses-domid-mismatch', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '@in.domid == @out.domid',
    reading: "Unequal as raw 16-bit numbers (DOMID_SELF beside one's own number too), with any extent asked for: rc < 0 and no change.",
    ...refusal(
      when(['in.domid', 'out.domid', 'I', 'O'], (seen) => seen['in.domid'] !== seen['out.domid'] && (seen.I > 0n || seen.O > 0n)),
      (seen) => `in.domid is ${nameDomid(seen['in.domid'])} and out.domid is ${nameDomid(seen['out.domid'])}`,
    ),
  }),
  requirement('get-refuses-size-mismatch', 0, 'call', {
    always: true,
    source: 'xen_get_dma_buf',
    quote: '@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order',
    reading: 'Unequal as exact integers (2^63 extents of order 1 against none included): rc < 0 and no change.',
    ...refusal(
      when(['asked'], ({ asked: { I, oi, O, oo } }) => !sameTotal(I, oi, O, oo)),
      ({ asked: { I, oi, O, oo } }) => `${I} << ${oi} pages go in and ${O} << ${oo} come out`,
    ),
  }),
  requirement('get-refuses-foreign-domid', 0, 'call', {
    ops: [...exchanges, 'put_dma_buf'],
    always: true,
    source: 'memory.h',
    quote: 'Unprivileged domains can specify only DOMID_SELF',
    reading:
      'A caller known to be unprivileged names neither DOMID_SELF nor itself, and asks for at least one extent: rc < 0 and no change.',
    needs: ['rc', 'struct', 'privileged'],
    check: checkForeign,
  }),
  requirement('get-works', 0, 'run', {
    source: 'xen_get_dma_buf',
    quote: 'exchanges the pages passed in with a new set of pages',
    judgedBy: 'works',
    reading:
      'A call for at least one extent, without findings, within the declared limits, on plain unpinned RAM, with no failure injected and nothing above bit 7 of address_bits: rc = 0. Having no memory is excused (-ENOMEM, and -EINVAL for a limit below 4 GiB) unless both orders are 0 and enough frames are known to be free.',
  }),
];

type Requirement = Basis & Pick<Rule, 'reading'> & Partial<Pick<Rule, 'ops' | 'always'>> & (Check | { readonly judgedBy: JudgeName });

function requirement(id: string, level: Rule['level'], scope: Rule['scope'], rest: Requirement): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level, scope, ops: exchanges, always: false, ...rest };
}

/** Output entries below K after the call. */
function* returnedEntries(facts: Facts, { done: { K } }: { readonly done: Done }): Generator<{ k: bigint; frame: bigint } | Answer> {
  let seen = 0n;
  for (const { index, value } of facts.returned) {
    if (index >= K) continue;
    seen += 1n;
    yield { k: index, frame: value };
  }
  if (seen < K) yield missing('out list after');
}

function checkRest(facts: Facts): Answer {
  const { asked, done } = facts;
  if (!done) return missing(asked ? 'struct after' : 'struct');
  const { K, N, I, O } = done;
  const rest = entriesRange(facts.out, K, O);
  // A list in an exchanged page, or over the struct, is the caller's error and suspends this.
  const stray = strayChange(facts, [], rest);
  const unseen = stray && facts.handedOverUnseen;
  if (stray) return unseen === undefined ? unless([describe(facts, stray)]) : missing(unseen);
  const remapped = restUnmoved(facts, done);
  if (remapped.answer === 'violated') return remapped;
  const lost = restContent(facts, done);
  if (lost) return lost;
  return N === I ? notExercised : holdsUnless(facts.unseen(facts.out));
}

/**
 * What has changed in a page that the call named and did not reach. Where its pages are not the
 * caller's own memory, nothing is known.
 */
function restContent(facts: Facts, { K, N }: Done): Answer | undefined {
  if (facts.call.space === 'virtual' || !facts.knowsOwner || facts.foreign || facts.call.changes === undefined) return undefined;
  const left = [...facts.extents(facts.in).filter((e) => e.index >= N), ...facts.extents(facts.out).filter((e) => e.index >= K)];
  const own = facts.nrExchangedRange ? [facts.nrExchangedRange] : [];
  const hit = strayChange(facts, [...own, ...facts.committed, ...entriesRange(facts.out, 0n, K)], left.map(addressesOf));
  if (!hit) return undefined;
  return violated(`${bytes(hit.length)} changed at ${hex64(hit.address)}, in a page that the call did not reach`);
}

function checkInput(facts: Facts): Answer {
  const { in: given, nrExchangedRange, argumentRange } = facts;
  if (argumentRange === undefined || nrExchangedRange === undefined) return missing('address');
  const own = given.list ? [argumentRange, given.list.range] : [argumentRange];
  const returned = entriesRange(facts.out, 0n, facts.K ?? 0n);
  const stray = strayChange(facts, [nrExchangedRange, ...facts.committed, ...returned], own);
  if (!stray) return holdsUnless(facts.unseen(given));
  if (facts.N === undefined && mayBeExchanged(facts, stray)) return missing('struct after');
  const unseen = facts.handedOverUnseen;
  return unseen === undefined ? unless([describe(facts, stray)]) : missing(unseen);
}

/**
 * Where the count is not known: does a changed range lie in a page that the call names, and so may
 * have exchanged?
 */
function mayBeExchanged(facts: Facts, stray: ByteRange): boolean {
  if (facts.call.space === 'virtual') return true;
  return facts.reservations.some((r) => facts.extents(r).some((extent) => overlaps(stray, addressesOf(extent))));
}

/** Of a caller known to be unprivileged that names another domain. */
export function checkForeign(facts: Facts): Answer {
  const { privileged, domid, rc } = facts.call;
  if (privileged === undefined) return missing('privileged');
  if (privileged) return notExercised;
  const named = facts.reservations.map((r) => r.domid);
  if (domid === undefined) return missing('domid');
  if (named.includes(undefined)) return missing('struct');
  const foreign = named.find((d) => d !== DOMID.SELF && d !== domid);
  if (foreign === undefined || !asksForAny(facts)) return notExercised;
  if (rc === undefined) return missing('rc');
  return refused(facts, rc, `domain ${domid} is unprivileged and names ${nameDomid(foreign)}`);
}
