import { describe, expect, it } from 'vitest';
import { type Stage, said } from '../call.stage.ts';
import { refused } from '../exchange.stage.ts';

describe('duties that the struct alone shows', () => {
  it.each<[string, string, Stage, string]>([
    [
      'caller-address-bits',
      'a limit of a page beside a node',
      { ...refused, out: { bits: 0x10c } },
      'violated: 0x10c spills past bit 7: Xen reads node 0 there [out.address_bits 52..56]; Xen takes no limit of 2^12 bytes or less [out.address_bits 52..56]',
    ],
    ['caller-address-bits', 'node bits of op 11', { ...refused, op: 'exchange', out: { bits: 0x120 } }, 'holds'],
    [
      'caller-address-bits',
      'of a balloon',
      { op: 'populate_physmap', rc: 0, in: { bits: 12 } },
      'violated: Xen takes no limit of 2^12 bytes or less [address_bits 20..24]',
    ],
    ['caller-address-bits', 'of a put, which has none', { op: 'put_dma_buf', in: { bits: 12 } }, 'not asked'],
    [
      'caller-list-null',
      'one side of an exchange',
      { ...refused, out: { start: 0n } },
      'violated: 2 extents are asked for, and the handle is null [out.extent_start 32..40]',
    ],
    ['caller-list-null', 'of no extents', { ...refused, in: { start: 0n, list: [] } }, 'holds'],
    [
      'caller-list-null',
      'a pointer of 32 bits under a dirty half',
      { ...refused, arch: 'arm32', in: { start: 1n << 32n } },
      'violated: 2 extents are asked for, and the handle is null [in.extent_start 0..8]',
    ],
    ['caller-list-null', 'of an increase, which may have none', { op: 'increase_reservation', rc: 0, in: { start: 0n } }, 'not asked'],
    ['caller-count', '0x3ffffff', { ...refused, in: { nr: 0x3ffffffn } }, 'holds'],
    [
      'caller-count',
      '0x4000000',
      { op: 'decrease_reservation', rc: 0, in: { nr: 0x4000000n } },
      'violated: 67108864 extents are more than the 0x3ffffff that start_extent can count [nr_extents 8..16]',
    ],
    ['caller-start-extent', 'of a fresh call', { op: 'populate_physmap', rc: 0, in: { list: [] } }, 'holds'],
    ['caller-start-extent', 'below the count', { op: 'populate_physmap', rc: 1, more: { cmd: 6 | (1 << 6) } }, 'holds'],
    [
      'caller-start-extent',
      'at the count',
      { op: 'populate_physmap', rc: 2, more: { cmd: 6 | (2 << 6) } },
      'violated: start_extent is 2 of 2 extents: nothing is left to do [nr_extents 8..16]',
    ],
    ['caller-flags', 'node 63', { op: 'populate_physmap', rc: 0, in: { bits: 64 << 8 } }, 'holds'],
    [
      'caller-flags',
      'node 64',
      { op: 'populate_physmap', rc: 0, in: { bits: 65 << 8 } },
      'violated: mem_flags 0x4100 ask for node 64, beyond 63 [address_bits 20..24]',
    ],
    ['caller-flags', 'bits 16 to 18', { ...refused, op: 'exchange', out: { bits: 7 << 16 } }, 'holds'],
    [
      'caller-flags',
      'bit 19',
      { ...refused, op: 'exchange', out: { bits: 1 << 19 } },
      'violated: mem_flags 0x80000 have bits that no Xen defines [out.address_bits 52..56]',
    ],
    ['caller-flags', 'of the inputs, which are not read', { ...refused, op: 'exchange', in: { bits: 1 << 19 } }, 'holds'],
    ['caller-flags', 'of op 26, which has none', { ...refused, out: { bits: 1 << 19 } }, 'not asked'],
  ])('%s: %s', (id, _case, stage, expected) => {
    expect(said(id, stage)).toBe(expected);
  });
});
