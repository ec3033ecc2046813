import { listsAreBounded } from './access.ts';
import { type Edit, type Fault, family } from './fault.ts';

const file = 'get-dma-buf.ts';

const isSameSize =
  'const isSameSize = given.nr_extents << BigInt(given.extent_order) === wanted.nr_extents << BigInt(wanted.extent_order);';
const limits = 'if (given.nr_extents > max_extents || wanted.nr_extents > max_extents) return EINVAL; // bounded-work';
const chunks = 'Number(asked.in.nr_extents) / x.insPerChunk';
const wholeChunks: Edit = [file, chunks, `Math.floor(${chunks})`];

const sizesMatch = (condition: string): Edit => [file, isSameSize, `const isSameSize = ${condition};`];
const sizesNotCompared: readonly Edit[] = [
  [file, isSameSize, ''],
  [file, 'if (!isSameSize) return EINVAL; // get-refuses-size-mismatch', ''],
];

/**
 * Counts of so many bits that are shifted as they are: what is shifted out is as if it had never
 * been there.
 */
const modulo = (bits: 32 | 64): readonly Edit[] => [
  [file, limits, ''],
  [file, ', max_extents }', ' }'],
  sizesMatch(
    `BigInt.asUintN(${bits}, given.nr_extents << BigInt(given.extent_order)) === BigInt.asUintN(${bits}, wanted.nr_extents << BigInt(wanted.extent_order))`,
  ),
  [file, chunks, 'Number(asked.out.nr_extents) / x.outsPerChunk'],
  ...listsAreBounded(`BigInt.asUintN(${bits}, length)`),
];

const foreign = 'if (named !== caller && !caller.privileged) return EPERM; // get-refuses-foreign-domid';

/** What is refused, and when. */
export const validation: readonly Fault[] = family('validation', [
  ['takes unequal totals', ['get-refuses-size-mismatch'], [...sizesNotCompared, wholeChunks], ['no-stray-writes']],
  [
    'does what both lists have',
    ['get-refuses-size-mismatch'],
    [...sizesNotCompared, [file, chunks, `Math.floor(Math.min(${chunks}, Number(asked.out.nr_extents) / x.outsPerChunk))`]],
  ],
  [
    'compares the counts alone',
    ['get-same-gfn', 'get-works'],
    [sizesMatch('given.nr_extents === wanted.nr_extents'), wholeChunks],
    ['get-refuses-size-mismatch'],
  ],
  [
    'takes it that inputs are enough',
    ['get-refuses-size-mismatch'],
    [[file, isSameSize, isSameSize.replace('===', '>=')], wholeChunks],
    ['no-stray-writes'],
  ],
  ['compares totals modulo 2^64', ['get-refuses-size-mismatch', 'bad-address-fails'], modulo(64)],
  ['compares totals modulo 2^32', ['get-refuses-size-mismatch', 'bad-address-fails'], modulo(32)],
  [
    'takes two domains',
    ['get-refuses-domid-mismatch'],
    [[file, 'if (given.domid !== wanted.domid) return EINVAL; // get-refuses-domid-mismatch', '']],
    ['get-refuses-foreign-domid', 'no-stray-writes', 'refuses-unknown-domid'],
  ],
  [
    "takes it that one's own number is DOMID_SELF",
    ['get-refuses-domid-mismatch'],
    [
      [file, 'given.domid !== wanted.domid', 'x.named !== domainNamed(call, wanted.domid)'],
      [file, '  type Call,\n', '  type Call,\n  domainNamed,\n'],
    ],
  ],
  ['lets anybody name any domain', ['get-refuses-foreign-domid'], [['call.ts', foreign, '']]],
  [
    'takes an unknown domain for the caller',
    ['get-refuses-foreign-domid', 'no-stray-writes', 'refuses-unknown-domid'],
    [['call.ts', 'caller : state.domains.get(domid)', 'caller : (state.domains.get(domid) ?? caller)']],
    ['get-pinned', 'get-same-gfn', 'get-works', 'reservation-refuses-foreign-domid'],
  ],
  [
    'exchanges, then refuses',
    ['get-refuses-domid-mismatch', 'get-refuses-size-mismatch', 'get-refuses-foreign-domid', 'no-stray-writes', 'refuses-unknown-domid'],
    [
      [
        file,
        'const x = exchangeOf(call, asked);',
        'const judged = exchangeOf(call, asked);\n  const x = { ...judged, named: judged.named ?? call.caller };',
      ],
      [file, 'refusal(call, x, fresh)', 'refusal(call, judged, fresh)'],
      [file, 'if (refused !== 0) return', 'if (refused !== 0 && !(fresh && Number.isFinite(x.insPerChunk))) return'],
      wholeChunks,
      [file, 'return ended(call, 0, count(done));', 'return ended(call, -refused, count(done));'],
    ],
    ['get-in-untouched', 'get-same-gfn', 'get-works', 'bad-address-fails'],
  ],
  [
    'takes orders modulo 32',
    ['get-refuses-size-mismatch', 'bounded-work'],
    [
      [
        'exchange.ts',
        'const { in: given, out: wanted } = asked;',
        `const given = { ...asked.in, extent_order: asked.in.extent_order & 31 };
  const wanted = { ...asked.out, extent_order: asked.out.extent_order & 31 };`,
      ],
    ],
    ['no-stray-writes'],
  ],
  [
    'takes an order of put above the limit for 0',
    ['bounded-work'],
    [
      [
        'put-dma-buf.ts',
        "const asked = readStruct(call, 'xen_put_dma_buf')?.in;\n    if (!asked) return -EFAULT; // bad-address-fails",
        `const given = readStruct(call, 'xen_put_dma_buf')?.in;
    if (!given) return -EFAULT;
    const asked = { ...given, extent_order: given.extent_order > 18 ? 0 : given.extent_order };`,
      ],
    ],
  ],
  [
    'takes inputs that are not there',
    ['get-new-pages', 'frames-conserved'],
    [[file, 'if (!p2m.has(gfn)) return EINVAL; // frames-conserved', 'if (!p2m.has(gfn)) continue; // frames-conserved']],
  ],
  [
    'takes an input twice',
    ['frames-conserved'],
    [[file, 'if (inputs.has(gfn)) return EINVAL; // frames-conserved: a page is exchanged once', '']],
  ],
  [
    'populates nothing but what was RAM at first',
    ['get-works'],
    [[file, 'if (gfn >= mappableGfns(state.arch)) return', 'if (gfn >= mappableGfns(state.arch) || gfn >>> 0 >= 0x40020) return']],
    ['get-same-gfn'],
  ],
  [
    'always refuses',
    ['get-same-gfn', 'get-works'],
    [
      ['memory-op.ts', 'import { judgedOp, startExtent }', 'import { judgedOp, opNumber, startExtent }'],
      ['memory-op.ts', '  switch (op) {', '  if (opNumber(cmd) !== 27) return -errno.EPERM;\n  switch (op) {'],
    ],
  ],
  [
    'refuses orders that differ',
    ['get-same-gfn', 'get-works'],
    [sizesMatch('given.extent_order === wanted.extent_order && given.nr_extents === wanted.nr_extents')],
  ],
  [
    'refuses what is preempted',
    ['get-same-gfn', 'get-works'],
    [[file, 'if (rc !== -ERESTART) return rc;', 'return rc === -ERESTART ? -errno.EBUSY : rc;']],
  ],
  [
    'refuses DOMID_SELF',
    ['get-same-gfn', 'get-works'],
    [
      ['exchange.ts', 'domainNamed(call, given.domid)', 'call.state.domains.get(given.domid)'],
      ['exchange.ts', 'domainNamed, ', ''],
    ],
  ],
]);
