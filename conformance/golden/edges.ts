import { addressLimit } from '../../src/abi/arch.ts';
import { PAGE_SIZE } from '../../src/abi/constants.ts';
import type { ByteRange } from '../../src/guest/memory.ts';
import type { JudgedCall } from '../verdict/check.ts';

/** Edges that a call can touch, the rarest first. */
export const edgeNames = [
  'end of the address space',
  '2^63',
  '2^53',
  '2^32',
  'order limit',
  'chunk edge',
  'page edge',
  'address limit',
  'no extents',
  'order relation',
] as const;
export type EdgeName = (typeof edgeNames)[number];

const page = BigInt(PAGE_SIZE);
/** Orders around which implementations draw their limit: an unprivileged guest's, and Xen's own. */
const orderLimits = [9, 18];

/** The edges that one call touches. */
export function edgesOf({ event: { call, inject }, judgement: { facts } }: JudgedCall): EdgeName[] {
  const lists = facts.reservations.flatMap((r) => (r.list && r.list.count > 0n ? [r.list.range] : []));
  const ranges = facts.argumentRange ? [facts.argumentRange, ...lists] : lists;
  const numbers = facts.reservations.flatMap((r) => [r.extent_start ?? 0n, r.nr_extents ?? 0n, ...facts.extents(r).map((e) => e.base)]);
  const words = [...numbers, facts.nrExchangedBefore ?? 0n];
  const orders = facts.reservations.map((r) => r.extent_order ?? 0);
  const bits = facts.reservations.map((r) => r.address_bits ?? 0);
  const [N, I] = [facts.N ?? 0n, facts.in.nr_extents ?? 0n];
  const touched: { readonly [edge in EdgeName]: boolean } = {
    'end of the address space': ranges.some(({ address, length }) => address + length >= addressLimit(call.arch)),
    '2^63': words.some((n) => n >= (1n << 63n) - 1n),
    '2^53': words.some((n) => n >= (1n << 53n) - 1n),
    '2^32': words.some((n) => n >= (1n << 32n) - 1n),
    'order limit': orders.some((order) => orderLimits.some((limit) => order === limit || order === limit + 1) || order >= 0x7fff_ffff),
    'chunk edge': (N > 0n && N < I) || (inject?.preempt !== undefined && I > 1n),
    'page edge': ranges.some(crossesPage),
    'address limit': bits.some((b) => b === 12 || b === 13 || b === 32 || b === 255 || b === 256),
    'no extents': facts.reservations.some((r) => r.nr_extents === 0n),
    'order relation': orders[0] !== (orders[1] ?? orders[0]),
  };
  return edgeNames.filter((name) => touched[name]);
}

/** Does a range end at a page's last byte, or go on in the next page? */
function crossesPage({ address, length }: ByteRange): boolean {
  return length > 0n && (address % page) + length >= page;
}
