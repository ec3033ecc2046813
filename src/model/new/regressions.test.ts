import { expect, it } from 'vitest';
import { codecFor } from '../../codec/codec.ts';
import { createHypervisor } from './hypervisor.ts';

// Shrunk finds of the random suite, each with its origin.

const self = 0x7ff0;
const [arg, list] = [0x4000_0020n, 0x4000_3800n];

/** A guest of 16 pages with one list entry in its memory. */
function guestWith(entry: bigint) {
  const hypervisor = createHypervisor();
  const ram = [{ gfn: 0x40000n, pages: 16 }];
  hypervisor.reset({ arch: 'arm64', domains: [{ domid: 1, privileged: false, ram, holes: [] }], free: { low: 8, high: 8 } });
  hypervisor.write(1, list, new Uint8Array(BigUint64Array.of(entry).buffer));
  return hypervisor;
}

it.each([(1n << 64n) - 1n, (1n << 63n) + 1n, 1n << 53n, 1n << 52n])(
  'a frame beyond every address space is no page: %i (a readings line said that the model accepts such a put: page + 1 is page there)',
  (entry) => {
    const reservation = { extent_start: list, nr_extents: 1n, extent_order: 0, address_bits: 0, domid: self };
    const put = guestWith(entry);
    put.write(1, arg, codecFor('arm64').xen_put_dma_buf.encode({ in: reservation }));
    expect(put.call(1, 27, arg)).toBe(-22);
    const decrease = guestWith(entry);
    decrease.write(1, arg, codecFor('arm64').xen_memory_reservation.encode(reservation));
    expect(decrease.call(1, 1, arg)).toBe(0);
  },
);
