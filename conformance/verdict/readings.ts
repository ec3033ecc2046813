import { errno, errnoName } from '../../src/abi/constants.ts';
import { isExchangeOp } from '../../src/abi/ops.ts';
import { reservationOps } from '../../src/rules/rule.ts';
import type { JudgedCall } from './check.ts';

/** How a call shows which reading of an open point (src/rules/ambiguities.ts) is followed. */
export interface Reader {
  readonly id: string;
  /** The reading that this call shows, or `undefined` if it shows none. */
  readonly reading: (call: JudgedCall) => string | undefined;
}

const isExchange = ({ judgement: { op } }: JudgedCall): boolean => isExchangeOp(op);

/** The ids of what is wrong with the call, notes left out; a bad address is one. */
function faults({ judgement: { findings, requirements } }: JudgedCall): string {
  if (requirements.get('bad-address-fails')?.answer === 'holds') return 'bad-address';
  return [...new Set(findings.filter((f) => f.blame === 'caller' && f.severity !== 'note').map((f) => f.id))].join(' ');
}

function ended({ judgement: { facts } }: JudgedCall): string {
  const { rc } = facts.call;
  return rc === undefined ? 'unknown' : rc === 0 ? 'accepted' : `refused (${errnoName(rc) ?? rc})`;
}

/** The open points of which a call can show which way an implementation went. */
export const readers: readonly Reader[] = [
  {
    id: 'nothing-to-exchange',
    reading: (call) => {
      const { facts } = call.judgement;
      const nothing = isExchange(call) && facts.in.nr_extents === 0n && facts.out.nr_extents === 0n;
      return nothing && faults(call) === '' && facts.start === 0n ? ended(call) : undefined;
    },
  },
  {
    id: 'misaligned-frame',
    reading: (call) =>
      isExchange(call) && faults(call) === 'caller-extent-aligned' && call.event.inject?.fail_alloc === undefined ? ended(call) : undefined,
  },
  {
    id: 'count-not-zero',
    reading: (call) => {
      if (!isExchange(call) || faults(call) !== 'caller-nr-exchanged-zero') return undefined;
      const { nrExchangedBefore: n, in: given } = call.judgement.facts;
      if (n === undefined || given.nr_extents === undefined || n > given.nr_extents) return undefined;
      return call.judgement.facts.call.rc === -errno.EINVAL ? 'refused (-EINVAL)' : 'taken as the point to resume from';
    },
  },
  {
    id: 'start-extent-bits',
    reading: (call) => {
      const { facts, op } = call.judgement;
      const speaks = isExchangeOp(op) || op === 'put_dma_buf';
      return speaks && facts.start > 0n && faults(call) === '' ? (facts.call.rc === 0 ? 'ignored' : ended(call)) : undefined;
    },
  },
  {
    id: 'dirty-handle',
    reading: (call) => {
      if (faults(call) !== 'caller-handle-high-zero' || call.event.inject?.fail_alloc !== undefined) return undefined;
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
    reading: (call) => {
      const { facts } = call.judgement;
      const own = isExchange(call) && facts.in.domid === facts.call.domid && faults(call) === 'caller-self-only';
      return own && facts.call.rc === 0 ? 'accepted' : own && facts.call.rc === -errno.EPERM ? 'refused (-EPERM)' : undefined;
    },
  },
  {
    id: 'populated-output',
    reading: (call) => {
      const { facts } = call.judgement;
      if (!isExchange(call) || faults(call) !== '' || call.event.inject?.fail_alloc !== undefined || facts.start > 0n) return undefined;
      const given = new Set(facts.extents(facts.in).map((e) => e.base));
      const populated = facts.extents(facts.out).some((e) => !given.has(e.base) && typeof facts.call.p2mBefore.get(e.base) === 'bigint');
      if (!populated || facts.in.extent_order !== 0 || facts.out.extent_order !== 0) return undefined;
      return facts.call.rc === 0 ? 'overwritten' : ended(call);
    },
  },
  {
    id: 'put-not-pinned',
    reading: (call) =>
      call.judgement.op === 'put_dma_buf' && faults(call) === 'caller-put-after-get' && call.judgement.facts.start === 0n
        ? ended(call)
        : undefined,
  },
  {
    id: 'order-too-big',
    reading: (call) => (isExchange(call) && faults(call) === 'caller-order' && call.judgement.facts.start === 0n ? ended(call) : undefined),
  },
  {
    id: 'late-fault',
    reading: (call) => {
      const { facts } = call.judgement;
      if (
        !isExchange(call) ||
        faults(call) !== '' ||
        call.event.inject?.fail_alloc !== undefined ||
        facts.call.rc === 0 ||
        facts.start > 0n
      )
        return undefined;
      const [first, ...rest] = facts.extents(facts.in).map((e) => facts.call.p2mBefore.get(e.base));
      if (typeof first !== 'bigint' || !rest.includes(null) || facts.in.extent_order !== 0 || facts.out.extent_order !== 0)
        return undefined;
      return (facts.N ?? 0n) > 0n ? 'part-way' : 'refused up front';
    },
  },
  {
    id: 'reservation-negative',
    reading: ({ judgement: { op, facts } }) => {
      const { rc } = facts.call;
      if (!reservationOps.includes(op) || rc === undefined) return undefined;
      if (rc < 0) return `a negative errno (${errnoName(rc) ?? rc})`;
      return BigInt(rc) === facts.start && (facts.in.nr_extents ?? 0n) > facts.start ? 'a count' : undefined;
    },
  },
];
