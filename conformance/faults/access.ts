import { type Edit, type Fault, family } from './fault.ts';

const get = 'get-dma-buf.ts';
const list = 'return listBehind(extent_start, nr_extents, state.arch);';
const address = 'const { address } = entryRange(list, BigInt(first));';

const inputs = 'const bases = readEntries(call, ins, first, count)';
const outputs = 'const gpfns = readEntries(call, outs, index * outsPerChunk, outsPerChunk)';
const written = 'return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entryBytes(BigInt(frame), list.stride));';
const ahead = "const looksAhead = freedoms['bad-list'] === 'up-front';";

// The first extent is the domain's already, and no gfn leads to it; the others are given back.
const lost = `const [first, ...others] = frames as [number, ...number[]];
  if (gpfns.length < frames.length) {
    for (const mfn of pagesOf([first], x.outPages)) domain.owned.add(mfn);
    domain.unaddressed += x.outPages;
    for (const mfn of others) releaseRun(call.state.free, mfn, x.outPages);
    return false;
  }
  `;

/** A bad entry is found only when its chunk is reached. */
const looksAsItGoes: Edit = [get, ahead, ahead.replace('===', '!==')];

/**
 * Lists whose length is computed wrongly, so that none runs past the end of the address space, and
 * an entry there lies at 0.
 */
export const listsAreBounded = (length: string): readonly Edit[] => [
  ['call.ts', 'import { strayBits }', 'import { pointerOf, strayBits }'],
  [
    'call.ts',
    list,
    `const list = listBehind(extent_start, nr_extents, state.arch);
  const { address, length } = list.range;
  return { ...list, range: { address, length: ${length} }, wraps: false };`,
  ],
  ['call.ts', address, 'const address = pointerOf(entryRange(list, BigInt(first)).address, state.arch);'],
];

/** What happens where an address is bad. */
export const access: readonly Fault[] = family('memory access', [
  [
    'returns 0 for a struct it cannot read',
    ['bad-address-fails'],
    [
      [get, 'if (!asked) return -EFAULT;', 'if (!asked) return 0;'],
      ['put-dma-buf.ts', 'if (!asked) return -EFAULT;', 'if (!asked) return 0;'],
    ],
    ['get-refuses-size-mismatch'],
  ],
  [
    'goes on at 0 where a list runs past the end of the address space',
    ['bad-address-fails'],
    listsAreBounded('address + length > addressLimit(state.arch) ? addressLimit(state.arch) - address : length'),
  ],
  [
    'takes a bad list entry for zero',
    ['bad-address-fails'],
    [
      looksAsItGoes,
      [get, `${inputs};\n  if (!bases) return EFAULT;`, `${inputs} ?? Array<number>(count).fill(0);`],
      [get, `${outputs};\n  if (!gpfns) return EFAULT;`, `${outputs} ?? Array<number>(outsPerChunk).fill(0);`],
      ['call.ts', written, `${written.replace('return ', '')}\n  return true;`],
    ],
  ],
  [
    'does not count a chunk whose list faults late',
    ['get-new-pages', 'get-rest-untouched', 'bad-address-fails'],
    [
      looksAsItGoes,
      [get, `${outputs};\n  if (!gpfns) return EFAULT;`, `${outputs} ?? [];`],
      [get, 'let told = true;', `${lost}let told = true;`],
      [
        get,
        'done++;\n    if (!told) return ended(call, -EFAULT, count(done));',
        'if (!told) return ended(call, -EFAULT, count(done));\n    done++;',
      ],
    ],
    ['frames-conserved', 'no-stray-writes'],
  ],
]);
