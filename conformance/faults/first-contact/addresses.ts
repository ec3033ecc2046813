import { type Edit, type Fault, family } from '../fault.ts';

const call = 'call.ts';
const get = 'get-dma-buf.ts';
const put = 'put-dma-buf.ts';

const entry = 'Math.min(Number(entry), BEYOND_FRAMES)';
const limit = 'return bits === 0 ? Number.POSITIVE_INFINITY : 2 ** (bits - PAGE_SHIFT);';
const limited = (instead: string): Edit => [call, limit, `return bits === 0 ? Number.POSITIVE_INFINITY : ${instead};`];
const list = 'return listBehind(extent_start, nr_extents, state.arch);';
const read = 'const bytes = readBytes(state, caller, at(address), length);';
const wrote = 'return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entryBytes(BigInt(frame), list.stride));';
const named = 'return domid === DOMID.SELF ? caller : state.domains.get(domid);';
const struct = 'const codec = codecFor(state.arch)[struct];';
const struct2 = 'const bytes = readBytes(state, caller, at(arg), codec.size);';
const field = 'return storeBytes(state, caller, at(arg + BigInt(offset)), entryBytes(nrExchanged, size));';
const putReads = 'const bases = readEntries(call, listOf(call, asked), start, isAllOrNothing ? left : Math.min(step, left));';
const arg = 'const call: Call = { state, caller: domainOf(state, domid), arg, inject';
const decoded = 'return bytes && (codec.decode(bytes) as ValueOf<S>);';

/** Words that are too narrow, and frames and addresses at the edges. */
export const addresses: readonly Fault[] = family('ABI', [
  [
    'counts the inputs done in eight bits',
    ['get-complete-count', 'get-incomplete-nonzero'],
    [[get, 'return ended(call, 0, count(done));', 'return ended(call, 0, count(done) & 0xffn);']],
  ],
  [
    'sign-extends frame numbers of 32 bits',
    ['get-works'],
    [[call, entry, entry.replace('entry', 'BigInt.asUintN(53, BigInt.asIntN(32, entry))')]],
  ],
  ['has frame numbers of 28 bits on every machine', ['get-works'], [[call, entry, `(entry >= 2n ** 28n ? BEYOND_FRAMES : Number(entry))`]]],
  [
    'writes the low half of an entry only',
    ['get-mfns-returned', 'get-partial-mfns'],
    [[call, wrote, wrote.replace('list.stride));', 'list.stride).subarray(0, 4));')]],
  ],
  [
    'takes 0xfff0 for DOMID_SELF',
    ['refuses-unknown-domid'],
    [[call, named, named.replace('domid === DOMID.SELF', '(domid & 0x7fff) === DOMID.SELF')]],
  ],
  [
    'takes every reserved domid for DOMID_SELF',
    ['refuses-unknown-domid'],
    [[call, named, named.replace('domid === DOMID.SELF', 'domid >= DOMID.FIRST_RESERVED && domid < 0x8000')]],
  ],
  [
    'takes DOMID_INVALID for DOMID_SELF',
    ['refuses-unknown-domid'],
    [[call, named, named.replace('domid === DOMID.SELF', 'domid === DOMID.SELF || domid === DOMID.INVALID')]],
  ],
  [
    'compares domids in eight bits',
    ['get-refuses-domid-mismatch'],
    [[get, 'if (given.domid !== wanted.domid)', 'if ((given.domid & 0xff) !== (wanted.domid & 0xff))']],
  ],
  ['looks up domids in eight bits', ['refuses-unknown-domid'], [[call, named, named.replace('get(domid)', 'get(domid & 0xff)')]]],
  [
    'counts the extents of a put in 16 bits',
    ['bad-address-fails'],
    [
      [
        put,
        "const asked = readStruct(call, 'xen_put_dma_buf')?.in;\n    if (!asked) return -EFAULT;",
        "const given = readStruct(call, 'xen_put_dma_buf')?.in;\n    if (!given) return -EFAULT;\n    const asked = { ...given, nr_extents: given.nr_extents & 0xffffn };",
      ],
    ],
  ],
  [
    'counts extents in 16 bits',
    ['bad-address-fails', 'get-refuses-size-mismatch'],
    [
      [
        call,
        decoded,
        `if (!bytes) return undefined;
  const view = new DataView(bytes.slice().buffer);
  for (const { name, offset } of codec.layout.fields) {
    if (name === 'nr_extents') view.setBigUint64(offset, view.getBigUint64(offset, true) & 0xffffn, true);
  }
  return codec.decode(new Uint8Array(view.buffer)) as ValueOf<S>;`,
      ],
    ],
  ],
  [
    'shifts by the order of a put modulo 64',
    ['bounded-work'],
    [
      [
        put,
        "const asked = readStruct(call, 'xen_put_dma_buf')?.in;\n    if (!asked) return -EFAULT;",
        "const given = readStruct(call, 'xen_put_dma_buf')?.in;\n    if (!given) return -EFAULT;\n    const asked = { ...given, extent_order: given.extent_order & 63 };",
      ],
    ],
  ],
  ['shifts an int by the address bits', ['get-works'], [limited('Math.max(0, 1 << (bits - PAGE_SHIFT))')]],
  ['shifts a long by the address bits', ['get-works'], [limited('2 ** ((bits - PAGE_SHIFT) & 63)')]],
  [
    'refuses a limit above 64 bits',
    ['get-works'],
    [
      [
        get,
        'if (done > given.nr_extents) return EINVAL;',
        'if (wanted.address_bits > 64) return EINVAL;\n  if (done > given.nr_extents) return EINVAL;',
      ],
    ],
  ],
  [
    'knows no limit but 4 GiB',
    ['get-address-limit', 'reservation-limit'],
    [limited('bits === 32 ? 2 ** (bits - PAGE_SHIFT) : Number.POSITIVE_INFINITY')],
  ],
  [
    'takes each limit below 4 GiB for 4 GiB',
    ['get-address-limit', 'reservation-limit'],
    [limited('2 ** (Math.max(32, bits) - PAGE_SHIFT)')],
  ],
  ['takes a limit above 4 GiB for 4 GiB', ['get-works'], [limited('2 ** (Math.min(32, bits) - PAGE_SHIFT)')]],
  [
    'reads only the first page of a list',
    ['get-works'],
    [
      [
        call,
        read,
        `const got = readBytes(state, caller, at(address), length);
  const room = 4096 - at(list.range.address).offset - Number(address - list.range.address);
  const bytes = got?.map((byte, i) => (i < room ? byte : 0));`,
      ],
    ],
  ],
  [
    'writes only the first page of a list',
    ['get-mfns-returned', 'get-partial-mfns'],
    [[call, wrote, `if (at(entryRange(list, BigInt(index)).address).page !== at(list.range.address).page) return true;\n  ${wrote}`]],
  ],
  [
    'takes the second page of a list for the first again',
    ['get-works'],
    [[call, read, read.replace('at(address)', '{ page: at(list.range.address).page, offset: at(address).offset }')]],
  ],
  [
    'writes an entry across two pages only in part',
    ['get-mfns-returned', 'get-partial-mfns'],
    [
      [
        call,
        wrote,
        wrote.replace('list.stride));', 'list.stride).subarray(0, 4096 - at(entryRange(list, BigInt(index)).address).offset));'),
      ],
    ],
  ],
  [
    'cannot read a struct across two pages',
    ['get-works', 'put-works'],
    [[call, struct, `${struct}\n  if (at(arg).offset + codec.size > 4096) return undefined;`]],
  ],
  [
    'does not write the count to a second page of the struct',
    ['get-complete-count', 'get-incomplete-nonzero'],
    [[call, field, `if (at(arg + BigInt(offset)).page !== at(arg).page) return true;\n  ${field}`]],
  ],
  ['refuses a struct at address 0', ['get-works', 'put-works'], [[call, struct, `if (arg === 0n) return undefined;\n  ${struct}`]]],
  [
    'refuses a struct that is not aligned',
    ['get-works', 'put-works'],
    [[call, struct, `if (arg % 8n !== 0n) return undefined;\n  ${struct}`]],
  ],
  [
    'rounds the address of a list down to eight bytes',
    ['get-mfns-returned', 'get-partial-mfns', 'bad-address-fails'],
    [[call, list, list.replace('extent_start', 'extent_start - (extent_start % 8n)')]],
  ],
  [
    'takes a list that ends with the address space for one that wraps',
    ['get-works', 'put-works'],
    [
      [
        call,
        list,
        `const list = ${list.slice(7)}
  return { ...list, wraps: list.range.address + list.range.length >= addressLimit(state.arch) };`,
      ],
    ],
  ],
  [
    'cannot read a struct that ends with the address space',
    ['get-works', 'put-works'],
    [[call, 'if (arg + BigInt(codec.size) > addressLimit(state.arch))', 'if (arg + BigInt(codec.size) >= addressLimit(state.arch))']],
  ],
  [
    'has pointers of 32 bits on arm64',
    ['get-works', 'bad-address-fails'],
    [[call, list, list.replace('extent_start', 'BigInt.asUintN(32, extent_start)')]],
  ],
  [
    'has lists below 2^40 only',
    ['get-works', 'bad-address-fails'],
    [[call, list, list.replace('extent_start', 'BigInt.asUintN(40, extent_start)')]],
  ],
  [
    'looks for the struct below 4 GiB',
    ['get-works', 'bad-address-fails'],
    [['memory-op.ts', arg, arg.replace('arg,', 'arg: BigInt.asUintN(32, arg),')]],
  ],
  [
    'reads entries of four bytes in a put on arm32',
    ['put-works'],
    [
      [
        put,
        putReads,
        putReads.replace('listOf(call, asked)', "{ ...listOf(call, asked), ...(call.state.arch === 'arm32' && { stride: 4 }) }"),
      ],
    ],
  ],
  [
    'writes entries of four bytes on arm32',
    ['get-mfns-returned', 'get-partial-mfns', 'no-stray-writes'],
    [
      [
        call,
        wrote,
        `const wide = state.arch === 'arm32' ? 4 : list.stride;
  return storeBytes(state, caller, at(list.range.address + BigInt(index * wide)), entryBytes(BigInt(frame), wide));`,
      ],
    ],
  ],
  ['reads the frames of a put as 32 bits', ['put-works'], [[put, putReads, `${putReads.slice(0, -1)}?.map((gfn) => gfn % 2 ** 32);`]]],
  [
    'keeps 32 bits of a pinned frame',
    ['get-pinned'],
    [[get, 'if (pins) domain.pins.add(gfn);', 'if (pins) domain.pins.add(gfn % 2 ** 32);']],
  ],
  [
    'keeps 20 bits of a pinned frame',
    ['get-pinned'],
    [[get, 'if (pins) domain.pins.add(gfn);', 'if (pins) domain.pins.add(gfn % 2 ** 20);']],
  ],
  [
    'needs no padding behind the struct of a put',
    ['bad-address-fails'],
    [
      [
        call,
        struct2,
        `const short = struct === 'xen_put_dma_buf' ? readBytes(state, caller, at(arg), 26) : undefined;
  const bytes = short ? Uint8Array.from({ length: codec.size }, (_, i) => short[i] ?? 0) : readBytes(state, caller, at(arg), codec.size);`,
      ],
    ],
  ],
  [
    'reads as much for a put as for a get',
    ['put-works'],
    [[call, struct2, `if (struct === 'xen_put_dma_buf' && !isMapped(caller, at(arg), 72)) return undefined;\n  ${struct2}`]],
  ],
  [
    'does not notice that the count cannot be written',
    ['bad-address-fails'],
    [
      [
        call,
        struct2,
        `const short = struct === 'xen_get_dma_buf' ? readBytes(state, caller, at(arg), 64) : undefined;
  const whole = readBytes(state, caller, at(arg), codec.size);
  const bytes = short && !whole ? Uint8Array.from({ length: codec.size }, (_, i) => short[i] ?? 0) : whole;`,
      ],
      [get, 'return writeNrExchanged(call, nrExchanged) ? rc : -EFAULT;', 'writeNrExchanged(call, nrExchanged);\n  return rc;'],
    ],
  ],
]);
