import { describe, expect, it } from 'vitest';
import { errnoName } from './constants.ts';
import { betterFit, judgedOp, opName, opNumber, startExtent } from './ops.ts';

describe('a cmd', () => {
  it('holds the op in its low six bits and the start above', () => {
    expect([opNumber(26 + 64 * 3), startExtent(26 + 64 * 3)]).toEqual([26, 3]);
    expect([opNumber(0xffff_ffff), startExtent(0xffff_ffff)]).toEqual([63, 0x3ff_ffff]);
  });

  it('means in each profile what that profile says', () => {
    expect([26, 27, 11, 5, 40].map((nr) => opName(nr, 'dma-buf'))).toEqual([
      'get_dma_buf',
      'put_dma_buf',
      'exchange',
      'machphys_mfn_list',
      undefined,
    ]);
    expect([26, 27].map((nr) => opName(nr, 'upstream'))).toEqual(['get_vnumainfo', 'reserved_device_memory_map']);
    expect([26, 27, 11, 5, 40].map((nr) => judgedOp(nr, 'dma-buf'))).toEqual([
      'get_dma_buf',
      'put_dma_buf',
      'exchange',
      undefined,
      undefined,
    ]);
    expect([26, 27, 11, 40].map((nr) => judgedOp(nr, 'upstream'))).toEqual([undefined, undefined, 'exchange', undefined]);
  });
});

describe('a captured length', () => {
  it.each<[number, 'dma-buf' | 'upstream', number, ReturnType<typeof betterFit>]>([
    // vnuma_topology_info is 40 bytes, a reserved device memory map 24: memory.h of Xen 4.17.
    [26, 'dma-buf', 40, { profile: 'upstream', op: 'get_vnumainfo' }],
    [27, 'dma-buf', 24, { profile: 'upstream', op: 'reserved_device_memory_map' }],
    [26, 'upstream', 72, { profile: 'dma-buf', op: 'get_dma_buf' }],
    [27, 'upstream', 32, { profile: 'dma-buf', op: 'put_dma_buf' }],
    [26, 'dma-buf', 72, undefined],
    [26, 'dma-buf', 24, undefined],
    [26, 'upstream', 40, undefined],
    [11, 'upstream', 32, undefined],
    [11, 'dma-buf', 72, undefined],
    [40, 'dma-buf', 72, undefined],
  ])('of op %i in profile %s: %i bytes', (op, profile, bytes, fits) => {
    expect(betterFit(op, profile, 'arm64', bytes)).toEqual(fits);
  });

  it('is another on x86_32, where words have 4 bytes', () => {
    const fits = { profile: 'upstream', op: 'reserved_device_memory_map' };
    expect([16, 24].map((bytes) => betterFit(27, 'dma-buf', 'x86_32', bytes))).toEqual([fits, undefined]);
    expect(betterFit(26, 'dma-buf', 'x86_32', 40)).toEqual({ profile: 'upstream', op: 'get_vnumainfo' });
  });
});

describe('an errno', () => {
  it('has its name by its number, negative as it is returned', () => {
    expect([-22, -12, -38, -1000].map(errnoName)).toEqual(['-EINVAL', '-ENOMEM', '-ENOSYS', undefined]);
  });
});
