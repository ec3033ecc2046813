import { type Edit, type Fault, family } from '../fault.ts';

const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';
const p2m = 'p2m.ts';
const takes = 'const mfn = isToFail ? undefined : take(free, extent_order, frameLimit(address_bits)); // get-address-limit';
const limits = (bits: string): Edit => [get, takes, takes.replace('(address_bits)', `(${bits})`)];
const asksFor = '{ out: { extent_order, address_bits }, outPages, outsPerChunk }: Exchange';
const givesUp = 'for (const taken of frames) releaseRun(free, taken, outPages);';
const maps = 'mapPage(domain, gfn, mfn + j); // get-contiguous';
const gives = 'for (const gfn of inputs) giveUp(call.state, domain, gfn);';
const notThere = 'if (!p2m.has(gfn)) return EINVAL; // frames-conserved: no page is there to be exchanged';
const inChunk = 'if (!p2m.has(gfn) || inputs.has(gfn)) continue;';
const told = 'let told = true;';
const moved = 'if (bytes) state.content.set(to, bytes); // put-keeps-pages';
const unpins = 'for (const pages of extents.slice(0, step)) for (const gfn of pages) pins.delete(gfn);';
const imports = 'import { giveUp, mapPage, mappableGfns } from';

/** Pages that something was done to once, by domain, known to all ops. */

/** Which memory a guest gets and loses, what stands in it, and what a call leaves behind. */
export const memory: readonly Fault[] = family('allocation', [
  [
    'falls back to single pages where no run is free',
    ['get-contiguous', 'get-aligned'],
    [
      [
        get,
        '/** What a chunk takes and gives',
        'const scattered = new Map<number, readonly number[]>();\n\n/** What a chunk takes and gives',
      ],
      [
        get,
        takes,
        `let mfn = isToFail ? undefined : take(free, extent_order, frameLimit(address_bits));
    if (mfn === undefined && !isToFail && outPages > 1) {
      const singles: number[] = [];
      for (let one: number | undefined; singles.length < outPages; singles.push(one)) {
        one = take(free, 0, frameLimit(address_bits));
        if (one === undefined) break;
      }
      if (singles.length === outPages) scattered.set((mfn = singles[0] as number), singles);
      else for (const one of singles) releaseRun(free, one, 1);
    } else if (mfn !== undefined) {
      scattered.delete(mfn);
    }`,
      ],
      [
        get,
        givesUp,
        'for (const taken of frames) for (const one of scattered.get(taken) ?? pagesOf([taken], outPages)) releaseRun(free, one, 1);',
      ],
      [get, maps, 'const frame = scattered.get(mfn)?.[j] ?? mfn + j;\n      mapPage(domain, gfn, frame);'],
      [get, 'domain.owned.add(mfn + j);', 'domain.owned.add(frame);'],
    ],
  ],
  ['limits only the first output of a chunk', ['get-address-limit'], [limits('frames.length === 0 ? address_bits : 0')]],
  ['limits only the last output of a chunk', ['get-address-limit'], [limits('frames.length === outsPerChunk - 1 ? address_bits : 0')]],
  ['limits only the first output of a call', ['get-address-limit'], [limits('call.allocations > 1 ? 0 : address_bits')]],
  ['has no limit for more than one page', ['get-address-limit'], [limits('extent_order > 0 ? 0 : address_bits')]],
  ['has no limit for single pages', ['get-address-limit'], [limits('extent_order > 0 ? address_bits : 0')]],
  [
    'forgets the limit when preempted',
    ['get-address-limit'],
    [limits('nr_exchanged > 0n ? 0 : address_bits'), [get, asksFor, `{ nr_exchanged, ${asksFor.slice(2)}`]],
  ],
  [
    'forgets the limit when an input lies above it',
    ['get-address-limit'],
    [
      limits('isHigh ? 0 : address_bits'),
      [
        get,
        'const frames = allocate(call, x);',
        'const frames = allocate(call, x, [...inputs].every((gfn) => (p2m.get(gfn) as number) >= frameLimit(x.out.address_bits)));',
      ],
      [get, `${asksFor}): number[]`, `${asksFor}, isHigh: boolean): number[]`],
    ],
  ],
  [
    'gives all but the first of what a failed chunk got back',
    ['frames-conserved'],
    [[get, givesUp, givesUp.replace('of frames', 'of frames.slice(1)')]],
  ],
  [
    'gives all but the last of what a failed chunk got back',
    ['frames-conserved'],
    [[get, givesUp, givesUp.replace('of frames', 'of frames.slice(0, -1)')]],
  ],
  [
    'gives the first page of what a failed chunk got back',
    ['frames-conserved'],
    [
      [get, givesUp, givesUp.replace('outPages', '1')],
      [get, asksFor, asksFor.replace('outPages, ', '')],
    ],
  ],
  [
    'gives the inputs of a failed chunk a second owner',
    ['frames-conserved'],
    [
      [
        get,
        givesUp,
        `${givesUp}
      if (frames.length > 0) releaseRun(free, frames[0] as number, 1);`,
      ],
    ],
  ],
  [
    'frees only the first page of an input',
    ['frames-conserved'],
    [
      [
        get,
        gives,
        `for (const gfn of inputs) {
    if (x.inPages === 1 || gfn % x.inPages === 0) giveUp(call.state, domain, gfn);
    else {
      domain.owned.delete(domain.p2m.get(gfn) as number);
      unmapPage(domain, gfn);
    }
  }`,
      ],
      [get, imports, 'import { giveUp, mapPage, mappableGfns, unmapPage } from'],
    ],
  ],
  [
    'frees only the first input of a chunk',
    ['frames-conserved'],
    [
      [
        get,
        gives,
        `let n = 0;
  for (const gfn of inputs) {
    if (n++ < x.inPages) giveUp(call.state, domain, gfn);
    else {
      domain.owned.delete(domain.p2m.get(gfn) as number);
      unmapPage(domain, gfn);
    }
  }`,
      ],
      [get, imports, 'import { giveUp, mapPage, mappableGfns, unmapPage } from'],
    ],
  ],
  [
    'gives up only the first four pages of an input',
    ['get-inputs-released', 'get-new-pages'],
    [[get, gives, 'for (const gfn of [...inputs].filter((_, i) => x.inPages < 8 || i % x.inPages < 4)) giveUp(call.state, domain, gfn);']],
  ],
  [
    'keeps the last free frame to itself',
    ['get-works'],
    [
      [
        get,
        takes,
        takes.replace('isToFail ?', 'isToFail || call.state.free.reduce((n, list, k) => n + list.length * 2 ** k, 0) <= outPages ?'),
      ],
    ],
  ],
  [
    'gives all outputs of a chunk the same memory',
    ['frames-conserved', 'get-new-pages'],
    [[get, 'frames.push(mfn);', 'frames.push(frames[0] ?? mfn);']],
  ],
  [
    'maps an extent four pages at a time, and those the same',
    ['get-contiguous', 'frames-conserved'],
    [[get, maps, 'mapPage(domain, gfn, mfn + (j % 4));']],
  ],
  [
    'maps an extent from its page 4 on backwards',
    ['get-contiguous'],
    [[get, maps, 'mapPage(domain, gfn, j < 4 ? mfn + j : mfn + x.outPages + 3 - j);']],
  ],
  [
    'maps the second half of an extent first',
    ['get-contiguous', 'get-mfns-returned'],
    [[get, maps, 'mapPage(domain, gfn, mfn + ((j + Math.floor(x.outPages / 2)) % x.outPages));']],
  ],
  [
    'has even frames only for single pages',
    ['get-contiguous'],
    [[get, maps, 'mapPage(domain, gfn, x.outPages === 2 && index > 0 ? mfn + 1 - j : mfn + j);']],
  ],
  [
    'looks only at the first page of an input',
    ['get-new-pages', 'frames-conserved'],
    [[get, notThere, 'if (!p2m.has(gfn) && !bases.includes(gfn)) continue;\n    if (!p2m.has(gfn)) return EINVAL;']],
  ],
  [
    'looks only at the first page of an output',
    ['get-works', 'get-rest-untouched'],
    [
      [
        get,
        inChunk,
        `if (!gpfns.includes(gfn) && p2m.has(gfn) && !inputs.has(gfn)) {
      giveUp(state, x.named as Domain, gfn);
      continue;
    }
    ${inChunk}`,
      ],
    ],
  ],
  [
    'clears the page behind an output',
    ['no-stray-writes'],
    [
      [
        get,
        told,
        `${told}\n  for (const gpfn of gpfns) {\n    const behind = domain.p2m.get(gpfn + x.outPages);\n    if (behind !== undefined) call.state.content.delete(behind);\n    domain.changed.pages.add(gpfn + x.outPages);\n  }`,
      ],
    ],
  ],
  [
    'clears the first page of a list that it has read',
    ['no-stray-writes'],
    [[get, 'return told;', 'if (told && x.outPages > 4) writeEntry(call, x.ins, index * x.insPerChunk, 0);\n  return told;']],
  ],
  [
    'moves half a page',
    ['put-keeps-pages'],
    [[p2m, moved, 'if (bytes) state.content.set(to, bytes.map((byte, i) => (i < 2048 ? byte : 0)));']],
  ],
  [
    'moves all but the last word of a page',
    ['put-keeps-pages'],
    [[p2m, moved, 'if (bytes) state.content.set(to, bytes.map((byte, i) => (i < 4088 ? byte : 0)));']],
  ],
  [
    'moves all but the first word of a page',
    ['put-keeps-pages'],
    [[p2m, moved, 'if (bytes) state.content.set(to, bytes.map((byte, i) => (i >= 8 ? byte : 0)));']],
  ],
  [
    'loses the content of a page that moves to the other side of 4 GiB',
    ['put-keeps-pages'],
    [[p2m, moved, 'if (bytes && to < 2 ** 20 === from < 2 ** 20) state.content.set(to, bytes);']],
  ],
  ['keeps a page charged that moved', ['put-keeps-pages'], [[p2m, 'domain.owned.delete(from);', '']]],
  [
    'swaps the content of two pages that are put at once',
    ['put-keeps-pages', 'no-stray-writes'],
    [
      [
        put,
        unpins,
        `${unpins}
    const [one, two] = extents.flat().map((gfn) => domainNamed(call, asked.domid)?.p2m.get(gfn));
    if (one !== undefined && two !== undefined) {
      const [a, b] = [call.state.content.get(one), call.state.content.get(two)];
      if (a && b) {
        call.state.content.set(one, b);
        call.state.content.set(two, a);
      }
    }`,
      ],
    ],
  ],
]);
