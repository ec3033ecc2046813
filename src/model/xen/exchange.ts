import { arches } from '../../abi/arch.ts';
import { errno } from '../../abi/constants.ts';
import { releaseRun, take } from '../allocator.ts';
import { type Call, frameLimit, readStruct, writeEntry, writeNrExchanged } from '../call.ts';
import { type Exchange, exchangeOf } from '../exchange.ts';
import { releaseFrame, unmapPage } from '../p2m.ts';
import type { Domain } from '../state.ts';
import { addPages, entry, lacksNode, NOTHING_LEFT, type ReleaseCall } from './release.ts';

const { EFAULT, EINVAL, ENOMEM } = errno;

/**
 * "Sizes of input and output lists do not overflow a long?" and "Sizes of input and output lists
 * match?"
 */
export function isSameSize({ state }: Call, { in: given, out: wanted }: Exchange): boolean {
  const limit = 1n << BigInt(8 * arches[state.arch].pointer);
  const [a, b] = [given, wanted].map(({ nr_extents, extent_order }) => nr_extents << BigInt(extent_order));
  return a === b && a !== undefined && a < limit;
}

/**
 * memory_exchange: chunk by chunk it takes pages away, finds others, and then cannot fail any more,
 * as it says.
 */
export function memoryExchange(s: ReleaseCall): number {
  const { call, release } = s;
  const asked = readStruct(call, 'xen_memory_exchange');
  if (!asked) return -EFAULT;
  const x = exchangeOf(call, asked);
  const refused = release.refusal(call, x);
  if (refused === NOTHING_LEFT) return 0;
  if (refused !== 0) return ended(call, -refused, asked.nr_exchanged);

  const chunks = Number(asked.in.nr_extents) / x.insPerChunk;
  let rc = 0;
  let i = Math.floor(Number(asked.nr_exchanged) / x.insPerChunk);
  for (; i < chunks; i++) {
    const stolen = steal(s, x, i);
    if (typeof stolen === 'number') return ended(call, -stolen, BigInt(i * x.insPerChunk));
    const extents = allocate(call, x);
    if (!extents) return ended(call, -ENOMEM, BigInt(i * x.insPerChunk));
    // "Success! Beyond this point we cannot fail for this chunk."
    const told = assign(s, x, i, stolen, extents);
    if (told === 'dying') return ended(call, rc, BigInt(i * x.insPerChunk)); // D3: rc is 0
    if (!told) rc = -EFAULT;
    if (!told && release.lateFault === 'D1') return ended(call, rc, BigInt(i * x.insPerChunk));
  }
  return ended(call, rc, BigInt(i * x.insPerChunk));
}

function ended(call: Call, rc: number, nrExchanged: bigint): number {
  return writeNrExchanged(call, nrExchanged) ? rc : -EFAULT;
}

/**
 * The gfns of a chunk's inputs with the frames behind them, or an errno: a page that is listed
 * twice cannot be taken twice.
 */
function steal(s: ReleaseCall, x: Exchange, chunk: number): Map<number, number> | number {
  const { call, translated } = s;
  const { p2m, owned } = x.named as Domain;
  const cannotSteal = s.release.cannotSteal(s);
  const stolen = new Map<number, number>();
  for (let k = 0; k < x.insPerChunk; k++) {
    const gmfn = entry(call, x.in, chunk * x.insPerChunk + k);
    if (gmfn === undefined) return EFAULT;
    for (let gfn = gmfn; gfn < gmfn + x.inPages; gfn++) {
      const mfn = translated ? p2m.get(gfn) : gfn;
      if (mfn === undefined || !owned.has(mfn)) return EINVAL;
      if (cannotSteal !== 0) return cannotSteal;
      if (stolen.has(gfn)) return EINVAL;
      stolen.set(gfn, mfn);
    }
  }
  return stolen;
}

function allocate(call: Call, { out, outPages, outsPerChunk }: Exchange): number[] | undefined {
  const { free } = call.state;
  const extents: number[] = [];
  while (extents.length < outsPerChunk) {
    const isToFail = call.allocations++ === call.inject.fail_alloc || lacksNode(call, out.address_bits);
    const mfn = isToFail ? undefined : take(free, out.extent_order, frameLimit(out.address_bits));
    if (mfn === undefined) {
      for (const taken of extents) releaseRun(free, taken, outPages);
      return undefined;
    }
    extents.push(mfn);
  }
  return extents;
}

/**
 * Frees the inputs and assigns the outputs; false where the guest's list could not be read or
 * written for one of them.
 */
function assign(s: ReleaseCall, x: Exchange, chunk: number, stolen: ReadonlyMap<number, number>, extents: number[]): boolean | 'dying' {
  const { call, translated } = s;
  const domain = x.named as Domain;
  for (const [gfn, mfn] of stolen) {
    if (translated) unmapPage(domain, gfn);
    else domain.unaddressed--;
    domain.owned.delete(mfn);
    releaseFrame(call.state, mfn);
  }
  let told = true;
  for (const [j, mfn] of extents.entries()) {
    const k = chunk * x.outsPerChunk + j;
    if (domain.dying) {
      for (const left of extents.slice(j)) releaseRun(call.state.free, left, x.outPages);
      return 'dying';
    }
    for (let page = 0; page < x.outPages; page++) domain.owned.add(mfn + page);
    domain.unaddressed += x.outPages;
    const gpfn = entry(call, x.out, k);
    if (gpfn === undefined) told = false;
    else if (translated)
      addPages(s, domain, gpfn, mfn, x.outPages); // D4: that it failed is not noticed in 4.4, and no later one gets here
    else told = writeEntry(call, x.outs, k, mfn) && told;
  }
  return told;
}
