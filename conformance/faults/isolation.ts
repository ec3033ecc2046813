import { type Fault, family } from './fault.ts';

const stores = 'return storeBytes(state, caller, at(entryRange(list, BigInt(index)).address), entryBytes(BigInt(frame), list.stride));';
const storesInOthers = `const to = at(entryRange(list, BigInt(index)).address);
  const entry = entryBytes(BigInt(frame), list.stride);
  for (const other of state.domains.values()) if (other !== caller) storeBytes(state, other, to, entry);`;

/** What other domains feel of a call. */
export const isolation: readonly Fault[] = family('isolation', [
  [
    'takes the frames of another domain',
    ['get-new-pages', 'get-address-limit', 'frames-conserved'],
    [
      [
        'get-dma-buf.ts',
        'const mfn = isToFail ? undefined : take(free, extent_order, frameLimit(address_bits));',
        `const other = [...call.state.domains.values()].find((d) => d !== named && d.p2m.size > frames.length);
    const stolen = outPages === 1 && other ? [...other.p2m.values()][frames.length] : undefined;
    const mfn = isToFail ? undefined : (stolen ?? take(free, extent_order, frameLimit(address_bits)));`,
      ],
      ['get-dma-buf.ts', '{ out: { extent_order, address_bits }, outPages,', '{ named, out: { extent_order, address_bits }, outPages,'],
    ],
    ['put-keeps-pages', 'put-unpins', 'reservation-effects', 'no-stray-writes', 'bad-address-fails', 'get-refuses-foreign-domid'],
  ],
  [
    'writes the lists into the other domains',
    ['get-mfns-returned', 'get-partial-mfns', 'isolation'],
    [['call.ts', stores, `${storesInOthers}\n  return true;`]],
    ['get-aligned', 'get-address-limit'],
  ],
  [
    'writes the lists into the other domains too',
    ['isolation'],
    [['call.ts', stores, `${storesInOthers}\n  return storeBytes(state, caller, to, entry);`]],
  ],
]);
