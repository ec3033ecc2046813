import { PAGE_SHIFT } from '../abi/constants.ts';
import type { JudgedOp } from '../abi/ops.ts';
import { hex64 } from '../codec/hex.ts';
import { type Answer, type CapturePiece, holds, holdsUnless, missing, notExercised, unless, violated } from './answer.ts';
import { bytes, describe, isRemapped, moved, pagesGained, strayChange } from './changes.ts';
import { addressesOf, pagesOfExtents } from './extents.ts';
import type { Facts } from './facts.ts';
import { type Check, rcIsKnown } from './row.ts';
import type { Basis, JudgeName, Rule } from './rule.ts';

const put: readonly JudgedOp[] = ['put_dma_buf'];

/** What op 27 promises. */
export const putRules: readonly Rule[] = [
  requirement('put-unpins', 2, 'run', {
    source: 'xen_put_dma_buf',
    quote: 'XENMEM_put_dma_buf unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    also: [
      {
        source: 'xen_put_dma_buf',
        quote: 'After this call the p2m mapping of the pages can be transparently changed by the hypervisor, as usual',
      },
    ],
    judgedBy: 'pins',
    reading:
      'rc = 0: every listed page moves within four churns in which a never-pinned control page of the same side of 4 GiB moved and a frame was free on that side. Not judged without such a page or such room, nor beside a page that may be pinned (neighbour-of-pinned).',
  }),
  requirement('put-only-listed', 2, 'run', {
    source: 'xen_get_dma_buf',
    quote: 'guaranteed that their p2m mapping won\'t be changed until explicitly "unpinned"',
    judgedBy: 'pins',
    reading: 'Pages that are not listed stay pinned. Listing a machine frame number never unpins the page that has that frame.',
  }),
  requirement('put-refused-prefix', 2, 'run', {
    always: true,
    source: 'xen_put_dma_buf',
    quote: 'XENMEM_put_dma_buf unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    judgedBy: 'pins',
    reading:
      'rc < 0: unpinned are at most the pages of a prefix of the list, up to the first that could not be; none of a put that must be refused as a whole.',
  }),
  requirement('put-keeps-pages', 0, 'call', {
    source: 'xen_put_dma_buf',
    quote: 'The pages are still accessible from the guest',
    reading: 'put unmaps no page and changes no content or ownership; moves, at once or later, keep the content.',
    needs: ['struct', 'in list', 'p2m', 'p2m after'],
    check: checkKept,
    judgedBy: 'pins',
  }),
  requirement('put-works', 0, 'run', {
    source: 'xen_put_dma_buf',
    quote: 'unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    judgedBy: 'works',
    reading: 'A put of at least one page, each pinned and named once, within the declared limits, whatever gets they came from: rc = 0.',
  }),
  requirement('put-rc-zero-or-negative', 0, 'call', {
    always: true,
    source: 'convention',
    remark: 'the comment of op 27 does not speak of what it returns',
    reading: "rc is 0, or the negative of an errno of Xen's public errno.h other than EINTR and ERESTART; never a count.",
    ...rcIsKnown,
  }),
  requirement('put-in-untouched', 0, 'call', {
    always: true,
    source: 'xen_put_dma_buf',
    quote: '[IN] Details of memory extents to be exchanged (GMFN bases)',
    reading: 'The struct and the list are unchanged.',
    needs: ['struct', 'struct after', 'in list', 'in list after'],
    check: checkInput,
  }),
  requirement('put-ignores-address-bits', 0, 'pair', {
    source: 'xen_put_dma_buf',
    quote: '@in.address_bits is ignored and unused',
    judgedBy: 'pair',
    reading: 'Of three runs from the same world, A, A again and B, differing only there: if both A agree on rc, so does B.',
  }),
];

type Requirement = Basis & Pick<Rule, 'reading'> & Partial<Pick<Rule, 'always' | 'judgedBy'>> & (Check | { readonly judgedBy: JudgeName });

function requirement(id: string, level: Rule['level'], scope: Rule['scope'], rest: Requirement): Rule {
  return { id, blame: 'hypervisor', severity: 'error', level, scope, ops: put, always: false, ...rest };
}

function checkInput(facts: Facts): Answer {
  const { argumentRange, in: listed } = facts;
  if (argumentRange === undefined) return missing('address');
  const own = listed.list ? [argumentRange, listed.list.range] : [argumentRange];
  const stray = strayChange(facts, [], own);
  return stray ? unless([describe(facts, stray)]) : holdsUnless(facts.unseen(listed));
}

function checkKept(facts: Facts): Answer {
  const { p2mBefore, p2mAfter, space } = facts.call;
  const gained = pagesGained(facts.call);
  if (gained !== undefined) return violated(gained);
  if (facts.in.nr_extents === 0n) return notExercised;
  const extents = facts.extents(facts.in);
  // Whose pages they are decides whether it is their content that was watched.
  const own = space === 'physical' && facts.knowsOwner && !facts.foreign;
  const hit = own && strayChange(facts, [], extents.map(addressesOf));
  if (hit) {
    const gfn = hex64(hit.address >> BigInt(PAGE_SHIFT));
    return violated(`${bytes(hit.length)} changed at ${hex64(hit.address)}, in listed guest frame ${gfn}`);
  }
  let unseen: CapturePiece | undefined;
  const pages = pagesOfExtents(extents);
  for (const gfn of pages ?? []) {
    const [before, after] = [p2mBefore.get(gfn), p2mAfter.get(gfn)];
    if (before === undefined || after === undefined) unseen ??= before === undefined ? 'p2m' : 'p2m after';
    else if (isRemapped(before, after)) return violated(`listed guest frame ${hex64(gfn)} ${moved(before, after)}`);
  }
  const unlisted = facts.unlisted(facts.in);
  if (unlisted !== undefined) return missing(unlisted);
  if (own && facts.call.changes !== undefined) return holds;
  return pages === undefined ? missing('p2m') : holdsUnless(unseen);
}
