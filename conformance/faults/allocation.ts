import { type Edit, type Fault, family } from './fault.ts';

const get = 'get-dma-buf.ts';
const call = 'call.ts';

const asksFor = '{ out: { extent_order, address_bits }, outPages, outsPerChunk }: Exchange';
const takes = 'take(free, extent_order, frameLimit(address_bits))';
const finds = `const mfn = isToFail ? undefined : ${takes};`;
const givesUp = 'for (const taken of frames) releaseRun(free, taken, outPages);';
const maps = 'mapPage(domain, gfn, mfn + j);';
const owns = 'domain.owned.add(mfn + j);';
const mapsAndOwns = `${maps} // get-contiguous\n      ${owns}`;
const gfnOf = 'const gfn = (gpfns[k] as number) + j;';
const p2mImport = "import { giveUp, mapPage, mappableGfns } from './p2m.ts';";
const unmaps = 'unmapPage(domain, gfn);';
const dropsOwner = 'domain.owned.delete(mfn);';
const releases = 'releaseFrame(call.state, mfn);';
const noRelease: Edit = [get, "import { releaseRun, take } from './allocator.ts';", "import { take } from './allocator.ts';"];

/** Does this with each input instead of giving it up. */
const withInputs = (...lines: string[]): Edit[] => {
  const needs = ['releaseFrame', 'unmapPage'].filter((name) => lines.some((line) => line.includes(name)));
  const each = ['const mfn = domain.p2m.get(gfn) as number;', ...lines].join('\n    ');
  return [
    [get, 'giveUp(call.state, domain, gfn);', `{\n    ${each}\n  }`],
    [get, p2mImport, p2mImport.replace('giveUp, mapPage, mappableGfns', ['mapPage, mappableGfns', ...needs].join(', '))],
  ];
};

/** Makes extents of blocks of this order, and keeps the frame of every page. */
const ofBlocks = (order: string): Edit[] => [
  [get, 'while (frames.length < outsPerChunk) {', `const order = ${order};\n  while (frames.length < outsPerChunk * outPages) {`],
  [
    get,
    'const isToFail = call.allocations++ === call.inject.fail_alloc;',
    'const isToFail = frames.length % outPages === 0 && call.allocations++ === call.inject.fail_alloc;',
  ],
  [get, takes, 'take(free, order, frameLimit(address_bits))'],
  [get, givesUp, 'for (const taken of frames) releaseRun(free, taken, 1);'],
  [get, 'frames.push(mfn);', 'frames.push(...pagesOf([mfn], 2 ** order));'],
  [
    get,
    'for (const [k, mfn] of frames.entries()) {',
    'for (const k of gpfns.keys()) {\n    const memory = frames.slice(k * x.outPages, (k + 1) * x.outPages);',
  ],
  [get, gfnOf, `${gfnOf}\n      const mfn = memory[j] as number;`],
  [get, mapsAndOwns, 'mapPage(domain, gfn, mfn);\n      domain.owned.add(mfn);'],
  [get, 'index * x.outsPerChunk + k, mfn)', 'index * x.outsPerChunk + k, memory[0] as number)'],
];

/** Cuts an extent of more than one page out of the middle of a block. */
const offBy = (skew: string): Edit[] => [
  [
    get,
    finds,
    `const skew = ${skew};
    const block = isToFail ? undefined : take(free, skew === 0 ? extent_order : extent_order + 1, frameLimit(address_bits));
    const mfn = block === undefined ? undefined : block + skew;
    if (block !== undefined && skew > 0) {
      releaseRun(free, block, skew);
      releaseRun(free, block + skew + outPages, outPages - skew);
    }`,
  ],
];

const lastIsNotMapped: Edit = [get, mapsAndOwns, `${owns}\n      if (x.outPages > 1 && j === x.outPages - 1) continue;\n      ${maps}`];

/** Which frames the guest gets, and what becomes of the old ones. */
export const allocation: readonly Fault[] = family('allocation', [
  [
    'makes extents of single pages',
    ['get-contiguous', 'get-aligned'],
    [...ofBlocks('0'), [get, asksFor, asksFor.replace('extent_order, ', '')]],
  ],
  ['makes extents of two halves', ['get-contiguous', 'get-aligned'], ofBlocks('Math.max(0, extent_order - 1)')],
  ['lets extents lie one page off', ['get-aligned'], offBy('Math.min(1, outPages - 1)')],
  ['lets extents lie half their size off', ['get-aligned'], offBy('Math.floor(outPages / 2)')],
  [
    'lets one frame lie at the limit',
    ['get-address-limit', 'reservation-limit'],
    [[call, '2 ** (bits - PAGE_SHIFT)', '2 ** (bits - PAGE_SHIFT) + 1']],
  ],
  [
    'takes one bit too many',
    ['get-address-limit', 'reservation-limit'],
    [[call, '2 ** (bits - PAGE_SHIFT)', '2 ** (bits - PAGE_SHIFT + 1)']],
  ],
  ['ignores the limit', ['get-address-limit', 'reservation-limit'], [[call, 'return bits === 0 ?', 'return bits >= 0 ?']]],
  [
    'ignores the limit when memory below it is short',
    ['get-address-limit'],
    [[get, takes, `(${takes} ?? take(free, extent_order, Number.POSITIVE_INFINITY))`]],
  ],
  [
    'takes the limit from the inputs',
    ['get-address-limit', 'get-ignores-in-address-bits'],
    [[get, asksFor, '{ in: { address_bits }, out: { extent_order }, outPages, outsPerChunk }: Exchange']],
    ['get-same-gfn', 'get-works'],
  ],
  [
    'takes the limit from the inputs where the outputs have none',
    ['get-ignores-in-address-bits'],
    [
      [get, asksFor, '{ in: given, out: { extent_order, address_bits }, outPages, outsPerChunk }: Exchange'],
      [get, takes, 'take(free, extent_order, frameLimit(address_bits || given.address_bits))'],
    ],
    ['get-works', 'get-same-gfn'],
  ],
  [
    'gives the inputs back as outputs',
    ['get-new-pages', 'get-address-limit', 'get-inputs-released'],
    [
      [
        get,
        'const frames = allocate(call, x);',
        'const frames = outPages > 1 ? allocate(call, x) : [...inputs].reverse().map((gfn) => p2m.get(gfn) as number);',
      ],
      ...withInputs(unmaps, dropsOwner, `if (x.outPages > 1) ${releases}`),
    ],
  ],
  [
    'leaves the inputs mapped',
    ['get-inputs-released', 'put-keeps-pages', 'no-stray-writes', 'frames-conserved'],
    [
      ...withInputs(dropsOwner, releases),
      // What it still owns is what counts as there, as where Xen looks at the owner of a page.
      [get, 'const { p2m, pins } = named as Domain;', 'const { p2m, pins, owned } = named as Domain;'],
      [get, 'if (!p2m.has(gfn)) return EINVAL;', 'if (!owned.has(p2m.get(gfn) ?? -1)) return EINVAL;'],
      [get, 'const { p2m, pins, dying } = x.named as Domain;', 'const { p2m, pins, owned, dying } = x.named as Domain;'],
      [get, 'if (!p2m.has(gfn) || inputs.has(gfn)) continue;', 'if (!owned.has(p2m.get(gfn) ?? -1) || inputs.has(gfn)) continue;'],
    ],
    [
      'get-new-pages',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-size-mismatch',
      'get-works',
      'put-in-untouched',
      'bad-address-fails',
      'get-refuses-domid-mismatch',
      'get-refuses-foreign-domid',
      'get-rest-untouched',
    ],
  ],
  [
    'keeps the frames of the inputs',
    ['get-new-pages', 'frames-conserved'],
    [
      [get, 'giveUp(call.state, domain, gfn);', `{\n    ${unmaps}\n    domain.unaddressed++;\n  }`],
      [get, p2mImport, p2mImport.replace('giveUp, mapPage, mappableGfns', 'mapPage, mappableGfns, unmapPage')],
    ],
    ['get-same-gfn', 'get-works'],
  ],
  [
    'frees the frames of the inputs twice',
    ['get-new-pages', 'put-keeps-pages', 'put-in-untouched', 'no-stray-writes', 'frames-conserved', 'reservation-effects'],
    withInputs(unmaps, dropsOwner, releases, releases),
    [
      'get-mfns-returned',
      'get-partial-mfns',
      'get-populates-gpfns',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'put-works',
      'refuses-unknown-domid',
      'bad-address-fails',
    ],
  ],
  [
    'charges the guest for what a failed chunk got',
    ['get-new-pages', 'frames-conserved'],
    [
      [get, asksFor, `{ named, ${asksFor.slice(2)}`],
      [get, givesUp, 'for (const taken of pagesOf(frames, outPages)) named?.owned.add(taken);'],
      noRelease,
    ],
    ['get-works'],
  ],
  [
    'loses what a failed chunk got',
    ['get-works'],
    [[get, asksFor, '{ out: { extent_order, address_bits }, outsPerChunk }: Exchange'], [get, givesUp, ''], noRelease],
  ],
  [
    'does not give the inputs of a failed chunk back',
    ['get-new-pages', 'get-rest-untouched', 'frames-conserved'],
    [
      [
        get,
        "if (typeof chunk === 'number') return ended(call, -chunk, count(done));",
        `if (typeof chunk === 'number') {
      const domain = x.named as Domain;
      for (const gfn of pagesOf(readEntries(call, x.ins, done * x.insPerChunk, x.insPerChunk) ?? [], x.inPages)) {
        if (!domain.p2m.has(gfn) || domain.pins.has(gfn)) break;
        giveUp(call.state, domain, gfn);
      }
      return ended(call, -chunk, count(done));
    }`,
      ],
    ],
  ],
  [
    'goes on without memory',
    ['get-mfns-returned', 'get-new-pages', 'get-populates-gpfns', 'put-works', 'frames-conserved'],
    [
      [get, 'while (frames.length < outsPerChunk) {', 'for (let k = 0; k < outsPerChunk; k++) {'],
      [
        get,
        `if (mfn === undefined) {\n      ${givesUp}\n      return undefined;\n    }\n    frames.push(mfn);`,
        'if (mfn !== undefined) frames.push(mfn);',
      ],
      [get, asksFor, '{ out: { extent_order, address_bits }, outsPerChunk }: Exchange'],
      noRelease,
    ],
    ['get-partial-mfns', 'get-aligned', 'get-address-limit'],
  ],
  [
    'maps only the first page of an extent',
    ['get-populates-gpfns', 'put-works'],
    [[get, mapsAndOwns, `${owns}\n      if (j > 0) continue;\n      ${maps}`]],
  ],
  ['does not map the last page of an extent', ['get-populates-gpfns', 'put-works'], [lastIsNotMapped]],
  // Over a variant that lets a page be put that is not pinned, so that the put does not fail too.
  [
    'forgets the last page of an extent and lets it be put',
    ['get-populates-gpfns'],
    [lastIsNotMapped, ['freedoms.ts', "'put-not-pinned': ['refused', 'accepted']", "'put-not-pinned': ['accepted', 'refused']"]],
  ],
  [
    'maps the pages behind the first one backwards',
    ['get-contiguous'],
    [[get, maps, 'mapPage(domain, gfn, mfn + ((x.outPages - j) % x.outPages));']],
  ],
  [
    'maps an extent backwards',
    ['get-mfns-returned', 'get-partial-mfns', 'get-contiguous'],
    [[get, maps, 'mapPage(domain, gfn, mfn + x.outPages - 1 - j);']],
  ],
  [
    'has no memory for more than one page',
    ['get-same-gfn', 'get-works'],
    [
      ['allocator.ts', 'if (block < 0) return undefined;', 'if (block < 0 || order > 0) return undefined;'],
      [get, '{ inputs, gpfns, frames } : ENOMEM;', '{ inputs, gpfns, frames } : EINVAL;'],
      [get, 'const { EFAULT, EINVAL, ENOMEM, EPERM, ERESTART } = errno;', 'const { EFAULT, EINVAL, EPERM, ERESTART } = errno;'],
    ],
  ],
]);
