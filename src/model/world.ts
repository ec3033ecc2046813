import { DOMID } from '../abi/constants.ts';
import { framesInAll } from '../abi/frames.ts';
import type { PageRun, World } from '../guest/world.ts';
import { emptyFreeLists, FRAMES_BELOW_4G, releaseRun } from './allocator.ts';
import { type Domain, emptyDomain, type State } from './state.ts';

/**
 * Where things lie in machine memory, in frames. More pages than fit are more than any test needs:
 * such a wish is a mistake.
 */
const freeLow = { middle: 0x80000, most: 0x40000 };
const freeHigh = { first: FRAMES_BELOW_4G, most: 0x400000 };
const ramLow = { first: 0xa0000, most: 0x60000 };
const ramHigh = { first: 0x800000, most: 0x400000 };

/**
 * Builds a world. Free memory below 4 GiB lies on both sides of 2 GiB, free memory above begins at
 * the very first frame there, so that a limit that is off by one shows. RAM alternates between low
 * and high frames, descending: no two neighbouring gfns are contiguous, the p2m is neither the
 * identity nor monotone. A wish that cannot be is a `RangeError`.
 */
export function buildWorld(world: World): State {
  const ramPages = world.domains.reduce((sum, d) => sum + pagesOf(d.ram), 0);
  const { low, high } = world.free;
  if (pagesIn(low) > freeLow.most || pagesIn(high) > freeHigh.most || ramPages > ramHigh.most) {
    throw new RangeError(`at most ${freeLow.most} low and ${freeHigh.most} high free frames and ${ramHigh.most} pages of RAM`);
  }
  const free = emptyFreeLists();
  releaseRun(free, freeLow.middle - Math.floor(low / 2), low);
  releaseRun(free, freeHigh.first, high);

  const inLow = Math.min(Math.floor(ramPages / 2), ramLow.most);
  let nextLow = ramLow.first + inLow;
  let nextHigh = ramHigh.first + (ramPages - inLow);
  const nextFrame = (index: number): number => (index % 2 === 1 && nextLow > ramLow.first ? --nextLow : --nextHigh);

  const domains = new Map<number, Domain>();
  let index = 0;
  for (const wish of world.domains) {
    if (!Number.isInteger(wish.domid) || wish.domid < 0 || wish.domid >= DOMID.FIRST_RESERVED || domains.has(wish.domid)) {
      throw new RangeError(`domid ${wish.domid} is not an ordinary, unused one`);
    }
    const domain = emptyDomain(wish.domid, wish.privileged, pagesOf(wish.ram) + pagesOf(wish.holes));
    for (const { gfn, pages } of wish.ram) {
      if (gfn < 0n || gfn + BigInt(pages) > framesInAll) throw new RangeError(`gfn ${gfn} is outside the address space`);
      for (let page = Number(gfn), end = page + pages; page < end; page++) {
        const frame = nextFrame(index++);
        if (domain.p2m.has(page)) throw new RangeError(`gfn ${page} is listed twice`);
        domain.p2m.set(page, frame);
        domain.owned.add(frame);
      }
    }
    domains.set(wish.domid, domain);
  }
  return { arch: world.arch, domains, content: new Map(), free, frames: ramPages + low + high };
}

function pagesOf(runs: readonly PageRun[]): number {
  return runs.reduce((sum, run) => sum + pagesIn(run.pages), 0);
}

function pagesIn(pages: number): number {
  if (!Number.isInteger(pages) || pages < 0) throw new RangeError(`${pages} is not a number of pages`);
  return pages;
}
