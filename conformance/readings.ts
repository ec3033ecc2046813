import { errno, errnoName } from '../src/abi/constants.ts';
import type { JudgedCall } from './check.ts';

/** A point on which the texts are silent or open: the question, and how a call shows which reading is followed. */
export interface Ambiguity {
  readonly id: string;
  readonly question: string;
  /** What the reference model does. */
  readonly ours: string;
  /** The reading that this call shows, or `undefined` if it shows none. */
  readonly reading: (call: JudgedCall) => string | undefined;
}

const isExchange = ({ judgement: { op } }: JudgedCall): boolean => op === 'get_dma_buf' || op === 'exchange';

/** The ids of what is wrong with the call, notes left out; a bad address is one. */
function faults({ judgement: { findings, requirements } }: JudgedCall): string {
  if (requirements.get('bad-address-fails')?.answer === 'holds') return 'bad-address';
  return [...new Set(findings.filter((f) => f.blame === 'caller' && f.severity !== 'note').map((f) => f.id))].join(' ');
}

function ended({ judgement: { facts } }: JudgedCall): string {
  const { rc } = facts.call;
  return rc === undefined ? 'unknown' : rc === 0 ? 'accepted' : `refused (${errnoName(rc) ?? rc})`;
}

/** Where an implementation is free (SPEC section 6), as far as its calls show which way it went. */
export const ambiguities: readonly Ambiguity[] = [
  {
    id: 'nothing-to-exchange',
    question: 'nr_extents is 0 on both sides, and nothing else is wrong',
    ours: 'accepted',
    reading: (call) => {
      const { facts } = call.judgement;
      const nothing = isExchange(call) && facts.in.nr_extents === 0n && facts.out.nr_extents === 0n;
      return nothing && faults(call) === '' && facts.start === 0n ? ended(call) : undefined;
    },
  },
  {
    id: 'misaligned-frame',
    question: 'a frame in a list is not a multiple of 2^extent_order',
    ours: 'accepted',
    reading: (call) =>
      isExchange(call) && faults(call) === 'caller-extent-aligned' && !call.event.failureInjected ? ended(call) : undefined,
  },
  {
    id: 'count-not-zero',
    question: 'nr_exchanged is not zero on entry',
    ours: 'refused (-EINVAL)',
    reading: (call) => {
      if (!isExchange(call) || faults(call) !== 'caller-nr-exchanged-zero') return undefined;
      const { nrExchangedBefore: n, in: given } = call.judgement.facts;
      if (n === undefined || given.nr_extents === undefined || n > given.nr_extents) return undefined;
      return call.judgement.facts.call.rc === -errno.EINVAL ? 'refused (-EINVAL)' : 'taken as the point to resume from';
    },
  },
  {
    id: 'start-extent-bits',
    question: 'cmd of op 26, 27 or 11 carries a start_extent',
    ours: 'refused (-EINVAL)',
    reading: (call) => {
      const { facts, op } = call.judgement;
      const speaks = op === 'get_dma_buf' || op === 'exchange' || op === 'put_dma_buf';
      return speaks && facts.start > 0n && faults(call) === '' ? (facts.call.rc === 0 ? 'ignored' : ended(call)) : undefined;
    },
  },
  {
    id: 'dirty-handle',
    question: 'arm32: the high half of a handle is not zero',
    ours: 'ignored',
    reading: (call) => {
      if (faults(call) !== 'caller-handle-high-zero' || call.event.failureInjected) return undefined;
      if (call.judgement.op !== 'put_dma_buf' && !isExchange(call)) return undefined;
      return call.judgement.facts.call.rc === -errno.EFAULT
        ? 'refused (-EFAULT)'
        : call.judgement.facts.call.rc === 0
          ? 'ignored'
          : undefined;
    },
  },
  {
    id: 'own-number',
    question: 'an unprivileged caller writes its own number where the comment allows only DOMID_SELF, in both reservations',
    ours: 'accepted',
    reading: (call) => {
      const { facts } = call.judgement;
      const own = isExchange(call) && facts.in.domid === facts.call.domid && faults(call) === 'caller-self-only';
      return own && facts.call.rc === 0 ? 'accepted' : own && facts.call.rc === -errno.EPERM ? 'refused (-EPERM)' : undefined;
    },
  },
  {
    id: 'populated-output',
    question: 'an output frame is mapped already, and no input of the same chunk or an earlier one',
    ours: 'refused (-EINVAL)',
    reading: (call) => {
      const { facts } = call.judgement;
      if (!isExchange(call) || faults(call) !== '' || call.event.failureInjected || facts.start > 0n) return undefined;
      const given = new Set(facts.extents(facts.in).map((e) => e.base));
      const populated = facts.extents(facts.out).some((e) => !given.has(e.base) && typeof facts.call.p2mBefore.get(e.base) === 'bigint');
      if (!populated || facts.in.extent_order !== 0 || facts.out.extent_order !== 0) return undefined;
      return facts.call.rc === 0 ? 'overwritten' : ended(call);
    },
  },
  {
    id: 'put-not-pinned',
    question: 'put lists a page that is not pinned',
    ours: 'refused (-EINVAL)',
    reading: (call) =>
      call.judgement.op === 'put_dma_buf' && faults(call) === 'caller-put-after-get' && call.judgement.facts.start === 0n
        ? ended(call)
        : undefined,
  },
  {
    id: 'order-too-big',
    question: 'which errno an order above every limit gets',
    ours: 'refused (-EINVAL)',
    reading: (call) => (isExchange(call) && faults(call) === 'caller-order' && call.judgement.facts.start === 0n ? ended(call) : undefined),
  },
  {
    id: 'late-fault',
    question: 'a later input cannot be exchanged: are the chunks before it done',
    ours: 'part-way',
    reading: (call) => {
      const { facts } = call.judgement;
      if (!isExchange(call) || faults(call) !== '' || call.event.failureInjected || facts.call.rc === 0 || facts.start > 0n)
        return undefined;
      const [first, ...rest] = facts.extents(facts.in).map((e) => facts.call.p2mBefore.get(e.base));
      if (typeof first !== 'bigint' || !rest.includes(null) || facts.in.extent_order !== 0 || facts.out.extent_order !== 0)
        return undefined;
      return (facts.N ?? 0n) > 0n ? 'part-way' : 'refused up front';
    },
  },
];
