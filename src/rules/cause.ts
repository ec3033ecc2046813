import { frameBits } from '../abi/arch.ts';
import { errno, errnoName } from '../abi/constants.ts';
import { hex64 } from '../codec/hex.ts';
import type { Facts } from './facts.ts';
import type { Finding, Judgement } from './judge.ts';
import { reservationOps } from './rule.ts';

/** Breaches for which Xen does nothing of a call of ops 0, 1 or 6, and answers start_extent. */
const nothingDone: readonly string[] = [
  'caller-count',
  'caller-start-extent',
  'caller-order',
  'caller-self-only',
  'caller-address-bits',
  'caller-list-null',
];

/** Breaches for which Xen refuses an exchange, by what it then answers. */
const refusedFor: { readonly [rc: number]: readonly string[] } = {
  [-errno.EINVAL]: [
    'caller-domid-match',
    'caller-size-match',
    'caller-nr-exchanged-zero',
    'caller-out-distinct',
    'caller-out-not-later-input',
  ],
  [-errno.EPERM]: ['caller-order', 'caller-self-only'],
  [-errno.EFAULT]: ['caller-list-null', 'caller-handle-high-zero'],
  [-errno.ENOMEM]: ['caller-address-bits'],
};

/**
 * Why a call ended short or was refused, where its own bytes tell: an extent at which a real Xen
 * stops, or the breach of a duty for which it answers so. It is likely and no proof, and blames
 * nobody beyond the findings.
 */
export function likelyCause({ op, facts, findings }: Judgement): string | undefined {
  const { rc } = facts.call;
  if (rc === undefined) return undefined;
  const found = (ids: readonly string[]): Finding | undefined => findings.find(({ id, blame }) => blame === 'caller' && ids.includes(id));
  if (!reservationOps.includes(op)) {
    const breach = found(refusedFor[rc] ?? []);
    return breach && `${errnoName(rc)} is what Xen answers to ${breach.id}`;
  }
  const count = facts.in.nr_extents;
  if (count === undefined || rc < 0 || BigInt(rc) < facts.start || BigInt(rc) >= count) {
    const beyond = rc >= 0 && BigInt(rc) === facts.start ? found(['caller-start-extent']) : undefined;
    return beyond && `nothing is done for ${beyond.id}`;
  }
  const breach = BigInt(rc) === facts.start ? found(nothingDone) : undefined;
  if (breach) return `nothing is done for ${breach.id}`;
  const why = wrongWith(facts, BigInt(rc));
  return why && `stops at extent ${rc}: ${why}`;
}

/** What is wrong with one listed extent, given those before it. */
function wrongWith(facts: Facts, at: bigint): string | undefined {
  const extents = facts.extents(facts.in);
  const extent = extents.find(({ index }) => index === at);
  if (!extent || facts.op === 'increase_reservation') return undefined;
  const { base, pages } = extent;
  const again = extents.find((e) => e.index < at && e.base < base + pages && base < e.base + e.pages);
  if (again?.base === base) return `frame ${hex64(base)} is listed twice, in extent ${again.index} first`;
  if (again) return `it shares pages with extent ${again.index}`;
  if (base >> BigInt(frameBits(facts.call.arch)) > 0n) return `frame ${hex64(base)} is beyond any address`;
  const isHole = facts.op === 'decrease_reservation' && facts.call.p2mBefore.get(base) === null;
  return isHole ? `nothing is behind frame ${hex64(base)}` : undefined;
}
