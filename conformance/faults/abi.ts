import { type Edit, type Fault, family } from './fault.ts';

const call = 'call.ts';
const door = 'memory-op.ts';

const decodes = 'return bytes && (codec.decode(bytes) as ValueOf<S>);';

/** Reads the fields of each reservation so; `view` is of the struct. */
const reads = (field: string, so: string): Edit[] => [
  [
    call,
    decodes,
    `if (!bytes) return undefined;
  const view = new DataView(bytes.slice().buffer);
  for (const { name, offset } of codec.layout.fields) {
    if (name === '${field}') ${so}
  }
  return codec.decode(new Uint8Array(view.buffer)) as ValueOf<S>;`,
  ],
];

/** Writes the argument back when the call is over, with this done to its bytes. */
const rewrites = (so: string): Edit[] => [
  [
    door,
    "import { judgedOp, startExtent } from '../abi/ops.ts';",
    "import { argumentOf, type JudgedOp, judgedOp, startExtent } from '../abi/ops.ts';\nimport { codecFor } from '../codec/codec.ts';",
  ],
  [door, 'import { putDmaBuf }', "import { at, readBytes, storeBytes } from './p2m.ts';\nimport { putDmaBuf }"],
  [
    door,
    'switch (op) {',
    `const rc = serve(call, op, cmd);
  const struct = op && argumentOf[op];
  const isRead = struct === 'xen_memory_reservation' || strayStart(call, cmd) === 0;
  const bytes = struct && isRead ? readBytes(state, call.caller, at(arg), codecFor(state.arch)[struct].size) : undefined;
  if (bytes) storeBytes(state, call.caller, at(arg), bytes.slice().${so});
  return rc;
}

function serve(call: Call, op: JudgedOp | undefined, cmd: number): number {
  switch (op) {`,
  ],
];

const listOf = `export function listOf({ state }: Call, { extent_start, nr_extents }: XenMemoryReservation): GuestList {
  return listBehind(extent_start, nr_extents, state.arch);`;
const clampsEntry = 'Math.min(Number(entry), BEYOND_FRAMES)';

/** How the bytes are read and written. */
export const abi: readonly Fault[] = family('ABI', [
  [
    'has the layout of 32-bit x86',
    ['get-same-gfn', 'get-works'],
    [
      [call, 'codecFor(state.arch)[struct]', "codecFor('x86_32')[struct]"],
      [call, 'codecFor(state.arch).xen_get_dma_buf', "codecFor('x86_32').xen_get_dma_buf"],
      [call, listOf, listOf.replace('{ state }: Call', '_call: Call').replace('state.arch', "'x86_32'")],
    ],
    ['get-refuses-foreign-domid', 'bad-address-fails', 'frames-conserved'],
  ],
  [
    'has list entries of four bytes on arm32',
    [
      'get-mfns-returned',
      'get-populates-gpfns',
      'get-same-gfn',
      'get-works',
      'no-stray-writes',
      'bad-address-fails',
      'reservation-effects',
    ],
    [[call, listOf, listOf.replace('state.arch', "state.arch === 'arm32' ? 'x86_32' : state.arch")]],
    ['get-address-limit', 'get-inputs-released', 'put-works', 'frames-conserved'],
  ],
  [
    'has list entries of four bytes',
    [
      'get-mfns-returned',
      'get-populates-gpfns',
      'get-address-limit',
      'get-same-gfn',
      'get-works',
      'no-stray-writes',
      'bad-address-fails',
      'reservation-effects',
    ],
    [
      [
        call,
        'return listBehind(extent_start, nr_extents, state.arch);',
        `const { address } = listBehind(extent_start, nr_extents, state.arch).range;
  const length = 4n * nr_extents;
  return { range: { address, length }, count: nr_extents, stride: 4, wraps: address + length > addressLimit(state.arch) };`,
      ],
    ],
    ['get-inputs-released', 'put-works', 'reservation-contiguous', 'reservation-limit'],
  ],
  [
    'reads counts as 32 bits',
    ['get-refuses-size-mismatch', 'bad-address-fails'],
    reads('nr_extents', 'view.setBigUint64(offset, BigInt(view.getUint32(offset, true)), true);'),
  ],
  [
    'reads orders as signed',
    ['bounded-work'],
    reads('extent_order', 'view.setInt32(offset, Math.max(0, view.getInt32(offset, true)), true);'),
    ['get-aligned', 'get-address-limit', 'get-refuses-size-mismatch', 'no-stray-writes'],
  ],
  [
    'reads frame numbers as 32 bits',
    ['get-works'],
    [[call, clampsEntry, 'Math.min(Number(entry & 0xffffffffn), BEYOND_FRAMES)']],
    ['get-mfns-returned', 'get-populates-gpfns', 'get-rest-untouched', 'get-same-gfn'],
  ],
  ['takes frame number 0 for none', ['get-works'], [[call, clampsEntry, 'Math.min(Number(entry) || BEYOND_FRAMES, BEYOND_FRAMES)']]],
  [
    'reads frame numbers with their halves swapped',
    ['get-partial-mfns', 'get-populates-gpfns', 'get-same-gfn', 'get-works', 'reservation-effects', 'reservation-limit'],
    [[call, clampsEntry, 'Math.min(Number(BigInt.asUintN(64, entry << 32n) | (entry >> 32n)), BEYOND_FRAMES)']],
    ['reservation-contiguous', 'frames-conserved'],
  ],
  [
    'swaps in and out',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-partial-count',
      'get-mfns-returned',
      'get-partial-mfns',
      'get-inputs-released',
      'get-rest-untouched',
      'get-in-untouched',
      'get-works',
      'no-stray-writes',
    ],
    [
      [
        'get-dma-buf.ts',
        "const asked = readStruct(call, 'xen_get_dma_buf');\n  if (!asked) return -EFAULT;",
        "const read = readStruct(call, 'xen_get_dma_buf');\n  if (!read) return -EFAULT;",
      ],
      [
        'get-dma-buf.ts',
        'const x = exchangeOf(call, asked);',
        'const asked = { ...read, in: read.out, out: read.in };\n  const x = exchangeOf(call, asked);',
      ],
    ],
    ['get-new-pages', 'get-populates-gpfns', 'get-contiguous', 'get-pinned', 'get-ignores-in-address-bits', 'get-same-gfn'],
  ],
  [
    'swaps order and address bits',
    ['get-same-gfn', 'get-works', 'put-ignores-address-bits', 'reservation-effects'],
    reads(
      'extent_order',
      `{
      const order = view.getUint32(offset, true);
      view.setUint32(offset, view.getUint32(offset + 4, true), true);
      view.setUint32(offset + 4, order, true);
    }`,
    ),
    ['get-ignores-in-address-bits', 'get-refuses-size-mismatch', 'put-works', 'no-stray-writes', 'bounded-work', 'get-aligned'],
  ],
  [
    'writes the count big-endian',
    [
      'get-complete-count',
      'get-partial-count',
      'get-inputs-released',
      'get-rest-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    [
      [
        'get-dma-buf.ts',
        'return writeNrExchanged(call, nrExchanged) ? rc : -EFAULT;',
        `const word = new DataView(new ArrayBuffer(8));
  word.setBigUint64(0, nrExchanged);
  const told = rc === -ERESTART ? nrExchanged : word.getBigUint64(0, true);
  return writeNrExchanged(call, told) ? rc : -EFAULT;`,
      ],
    ],
    ['get-in-untouched', 'get-same-gfn', 'get-works'],
  ],
  [
    'writes the count into the padding before it',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'no-stray-writes',
      'refuses-unknown-domid',
      'bad-address-fails',
    ],
    [[call, 'at(arg + BigInt(offset))', 'at(arg + BigInt(offset - 4))']],
    ['get-mfns-returned'],
  ],
  [
    'writes the count behind the struct',
    [
      'get-complete-count',
      'get-incomplete-nonzero',
      'get-rest-untouched',
      'get-in-untouched',
      'get-same-gfn',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'get-works',
      'no-stray-writes',
      'refuses-unknown-domid',
    ],
    [[call, 'at(arg + BigInt(offset))', 'at(arg + BigInt(offset + size))']],
    ['get-mfns-returned', 'bad-address-fails'],
  ],
  [
    'writes frames big-endian',
    ['get-mfns-returned', 'get-partial-mfns', 'get-address-limit'],
    [
      [
        call,
        'return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entryBytes(BigInt(frame), list.stride));',
        `const entry = entryBytes(BigInt(frame), list.stride);
  entry.subarray(0, 4).reverse();
  return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entry);`,
      ],
    ],
  ],
  [
    'clears the padding',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
      'bad-address-fails',
      'reservation-refuses-foreign-domid',
    ],
    rewrites('fill(0, 26, 32)'),
    ['reservation-list', 'put-keeps-pages'],
  ],
  [
    'writes the padding',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
      'bad-address-fails',
      'reservation-refuses-foreign-domid',
    ],
    rewrites('fill(1, 26, 32)'),
    ['reservation-list', 'put-keeps-pages'],
  ],
  [
    'clears the address bits',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
      'bad-address-fails',
      'reservation-refuses-foreign-domid',
    ],
    rewrites('fill(0, 20, 24)'),
    ['reservation-list'],
  ],
  [
    'names the domain instead of DOMID_SELF',
    [
      'get-in-untouched',
      'get-refuses-domid-mismatch',
      'get-refuses-size-mismatch',
      'get-refuses-foreign-domid',
      'put-in-untouched',
      'no-stray-writes',
      'refuses-unknown-domid',
      'bad-address-fails',
      'reservation-refuses-foreign-domid',
    ],
    rewrites('fill(1, 24, 25)'),
    ['put-works', 'reservation-list', 'put-keeps-pages'],
  ],
]);
